"""Live figures of policies: from daily figures and closed cases, of the systems that may be seen."""

from __future__ import annotations

from datetime import timedelta

from governance.domain.decisions import Severity
from governance.domain.people import Role
from governance.domain.review import CaseState, ReasonCode, VerdictOutcome
from governance.domain.times import micros
from governance.store.base import tables as t
from governance.store.policies import queries
from tests.review.conftest import House

POLICY = "test.policy"


def system(house: House, name: str) -> int:
    with house.database.read() as connection:
        return int(connection.execute(t.system.select().where(t.system.c.name == name)).one().id)


def spoke(house: House, name: str, day: int, fired: int, *, errors: int = 0, policy: str = POLICY) -> None:
    with house.database.write() as tx:
        kept = tx.connection.execute(t.policy_set.select().limit(1)).first()
        number = kept.id if kept else house.database.ids.take()
        if not kept:
            tx.connection.execute(
                t.policy_set.insert().values(id=number, digest="d" * 64, policies="{}", loaded_at=micros(house.clock()))
            )
        tx.connection.execute(
            t.daily_policy_figure.insert().values(
                system_id=system(house, name),
                day=day,
                policy=policy,
                policy_set_id=number,
                fired=fired,
                errors=errors,
                excepted=0,
                shadow_fired=1,
                shadow_errors=0,
                last_at=micros(house.clock()) + day,
            )
        )
        tx.connection.execute(
            t.daily_set_figure.insert().values(
                system_id=system(house, name),
                day=day,
                policy_set_id=number,
                calls=100,
                flagged=fired,
                shadow_calls=7,
                shadow_flagged=1,
            )
        )


def test_figures_are_summed_by_policy_and_day_of_visible_systems(house: House) -> None:
    house.case(system="support-bot")
    house.case(system="hr-bot")
    spoke(house, "support-bot", 20_000, 3, errors=1)
    spoke(house, "hr-bot", 20_000, 4)
    spoke(house, "support-bot", 19_000, 9)
    with house.database.read() as connection:
        (both,) = queries.spoke(connection, None, 19_500)
        (one,) = queries.spoke(connection, (system(house, "hr-bot"),), 19_500)
        assert queries.spoke(connection, (), 0) == []
        decided = queries.decided(connection, None, 19_500)
    assert (both.fired, both.errors, both.shadow_fired, both.day) == (7, 1, 2, 20_000)
    assert (one.fired, one.errors) == (4, 0)
    assert [(row.system, row.calls, row.shadow_calls) for row in decided] == [
        ("hr-bot", 100, 7),
        ("support-bot", 100, 7),
    ]


def test_verdicts_are_counted_while_they_stand(house: House) -> None:
    reviewer, senior = house.person(Role.REVIEWER), house.person(Role.SENIOR_REVIEWER)
    since = house.clock() - timedelta(days=1)
    given = (VerdictOutcome.VIOLATION, VerdictOutcome.FALSE_ALARM, VerdictOutcome.VIOLATION)
    numbers = []
    for outcome in given:
        number = house.case(Severity.LOW)
        numbers.append(number)
        claim = house.review.claim(reviewer, number)
        house.clock.forward(seconds=60)
        house.review.decide(reviewer, number, claim.lease_token, outcome=outcome, reason=ReasonCode.OTHER, note="n")
    severe = house.case(Severity.CRITICAL)
    claim = house.review.claim(reviewer, severe)
    house.review.decide(
        reviewer,
        severe,
        claim.lease_token,
        outcome=VerdictOutcome.VIOLATION,
        reason=ReasonCode.OTHER,
        note="n",
    )
    with house.database.read() as connection:
        policy = connection.execute(t.case.select().where(t.case.c.id == numbers[0])).one().policy
        (found,) = queries.judged(connection, None, since).values()
        assert (found.violations, found.false_alarms, found.cases, found.seconds) == (2, 1, 3, 180)
        assert queries.judged(connection, None, house.clock() + timedelta(hours=1)) == {}
        assert queries.judged(connection, (), since) == {}
    house.review.approve(senior, severe)
    with house.database.read() as connection:
        (approved,) = set(queries.judged(connection, None, since)) - {policy}
        assert queries.judged(connection, None, since)[approved].violations == 1


def test_the_latest_cases_of_a_policy_are_those_of_visible_systems(house: House) -> None:
    numbers = [house.case(system=name) for name in ("support-bot", "hr-bot", "support-bot")]
    with house.database.read() as connection:
        policy = connection.execute(t.case.select().where(t.case.c.id == numbers[0])).one().policy
        both = queries.latest_cases(connection, policy, (system(house, "support-bot"), system(house, "hr-bot")))
        one = queries.latest_cases(connection, policy, (system(house, "hr-bot"),))
        assert queries.latest_cases(connection, policy, ()) == []
        first = queries.latest_cases(connection, policy, (system(house, "support-bot"),), most=1)
    assert [case.id for case in both] == sorted(numbers, reverse=True)
    assert [(case.id, case.state, case.outcome) for case in one] == [(numbers[1], CaseState.OPEN, "")]
    assert [case.id for case in first] == [numbers[2]]
