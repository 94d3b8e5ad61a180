"""Live figures of policies: summed by day and system, of the systems that somebody may see; and verdicts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.domain.review import CaseState
from governance.domain.times import micros
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.policies import queries as policies
from governance.store.transaction import Database
from tests.store.conftest import NOON

DAY = 20_000
NEW, OLD = 901, 902
CLAIMS, HR = 801, 802


def case(number: int, system: int, *, outcome: str = "", ago: int = 0, policy: str = "a.one", **more: Any) -> Any:
    """A case, and its verdict if it has one; closed so many days before noon."""
    return (number, system, outcome, NOON - timedelta(days=ago), policy, more)


CASES = [
    case(1, CLAIMS, outcome="violation"),
    case(2, CLAIMS, outcome="violation", ago=3),
    case(3, HR, outcome="false_alarm"),
    case(4, HR, outcome="violation", ago=40),
    case(5, HR),
    case(6, CLAIMS, outcome="violation", policy="b.two"),
    case(7, CLAIMS, outcome="violation", returned_at=micros(NOON)),
]


@pytest.fixture
def filled(database: Database) -> Database:
    now = micros(NOON)
    with database.write() as tx:
        c = tx.connection
        bulk.insert(c, t.system, [(CLAIMS, "Claims assistant", now), (HR, "HR assistant", now)])
        bulk.insert(c, t.policy_set, [(NEW, "ab" * 32, "{}", now), (OLD, "cd" * 32, "{}", now)])
        bulk.insert(
            c,
            t.daily_policy_figure,
            [
                (CLAIMS, DAY, "a.one", NEW, 3, 1, 2, 4, 5, now),
                (CLAIMS, DAY, "a.one", OLD, 10, 0, 0, 0, 0, now - 60_000_000),
                (HR, DAY, "a.one", NEW, 100, 0, 0, 0, 0, now - 1),
                (CLAIMS, DAY - 1, "a.one", NEW, 1, 0, 0, 0, 0, now - 86_400_000_000),
                (CLAIMS, DAY - 9, "a.one", NEW, 50, 0, 0, 0, 0, now),
                (CLAIMS, DAY, "b.two", NEW, 7, 0, 0, 0, 0, now),
            ],
        )
        bulk.insert(
            c,
            t.daily_set_figure,
            [
                (CLAIMS, DAY, NEW, 1_000, 20, 0, 0),
                (CLAIMS, DAY, OLD, 0, 0, 500, 30),
                (HR, DAY, NEW, 40, 2, 0, 0),
                (HR, DAY - 9, NEW, 9_000, 9, 0, 0),
            ],
        )
        person = tx.people.add(
            issuer="local", subject="judge", name="j", email="", password_hash="x", must_change=False, at=NOON
        )
        for number, system, outcome, closed, policy, more in CASES:
            c.execute(
                t.case.insert().values(
                    id=number,
                    kind="flagged",
                    state="decided" if outcome and not more else "open",
                    queue="security",
                    severity=3,
                    title="t",
                    excerpt=f"words {number}",
                    system_id=system,
                    policy=policy,
                    reports=0,
                    opened_at=now,
                    due_at=now,
                    closed_at=micros(closed) if outcome and not more else None,
                    escalated=False,
                )
            )
            if outcome:
                values = {"outcome": outcome, "reason": "other", "note": "", "given_by": person, "given_at": now}
                c.execute(t.verdict.insert().values(id=number + 100, case_id=number, seconds=90, **values, **more))
    return database


def test_what_a_policy_did_is_summed_over_sets_and_systems_by_day(filled: Database) -> None:
    with filled.read() as connection:
        every = policies.spoke(connection, None, DAY - 1)
        own = policies.spoke(connection, (CLAIMS,), DAY)
        nothing = policies.spoke(connection, (), DAY)
    assert [(one.policy, one.day, one.fired) for one in every] == [
        ("a.one", DAY - 1, 1),
        ("a.one", DAY, 113),
        ("b.two", DAY, 7),
    ]
    first = own[0]
    assert (first.fired, first.errors, first.excepted, first.shadow_fired, first.shadow_errors) == (13, 1, 2, 4, 5)
    assert first.last_at == NOON
    assert nothing == []


def test_decided_calls_are_counted_by_system_and_of_one_set(filled: Database) -> None:
    with filled.read() as connection:
        every = policies.decided(connection, None, DAY)
        old = policies.decided(connection, None, DAY, policy_set=OLD)
        hr = policies.decided(connection, (HR,), DAY - 30)
    assert [(one.system, one.calls, one.flagged, one.shadow_calls, one.shadow_flagged) for one in every] == [
        ("Claims assistant", 1_000, 20, 500, 30),
        ("HR assistant", 40, 2, 0, 0),
    ]
    assert [(one.system, one.calls, one.shadow_flagged) for one in old] == [("Claims assistant", 0, 30)]
    assert [(one.system, one.calls) for one in hr] == [("HR assistant", 9_040)]


def test_verdicts_are_those_that_stand_of_cases_closed_since(filled: Database) -> None:
    since = NOON - timedelta(days=30)
    with filled.read() as connection:
        every = policies.judged(connection, None, since)
        hr = policies.judged(connection, (HR,), since)
    one = every["a.one"]
    assert (one.violations, one.false_alarms, one.cases, one.seconds) == (2, 1, 3, 270)
    assert every["b.two"].violations == 1
    assert {name: (one.violations, one.false_alarms) for name, one in hr.items()} == {"a.one": (0, 1)}


def test_the_latest_cases_of_a_policy_are_those_of_the_systems_asked_for(filled: Database) -> None:
    with filled.read() as connection:
        found = policies.latest_cases(connection, "a.one", (CLAIMS, HR), most=3)
        hr = policies.latest_cases(connection, "a.one", (HR,))
        assert policies.latest_cases(connection, "a.one", ()) == []
    assert [(one.id, one.outcome) for one in found] == [(7, ""), (5, ""), (4, "violation")]
    assert [one.id for one in hr] == [5, 4, 3]
    assert hr[0].state is CaseState.OPEN
    assert hr[0].system == "HR assistant"
