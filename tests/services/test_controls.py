"""Reports of controls: policies, tests, hits, verdicts and gaps, of the systems that the reader may see."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from governance.domain.people import Role
from governance.domain.review import CaseState
from governance.domain.times import micros
from governance.engine.trial import Trial
from governance.errors import BadInput, Conflict
from governance.policy.controls import catalogue
from governance.policy.policy import PolicySet
from governance.services.authorise import Denied
from governance.services.named import UnknownName
from governance.services.policies.controls import forms
from governance.services.policies.controls.coverage import NOTE, Hits, Period, Report, cover
from governance.services.policies.controls.report import Asked, ControlsService, ReportForm, day
from governance.services.visible import Visible
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.policies.queries import PolicyQueries
from governance.store.systems.queries import SystemQueries
from tests.policy.samples import policy
from tests.review.conftest import House

CLAIMS, HR = "Claims assistant", "HR assistant"
SET = PolicySet(
    [
        policy(
            id="a.one",
            controls={"owasp_llm": ["LLM01", "LLM02"], "eu_ai_act": ["15"]},
            tests=[TEST := {"name": "hit", "call": {"text": "x"}, "expect": "block"}],
        ),
        policy(id="b.shadow", status="shadow", controls={"owasp_llm": ["LLM06"]}, tests=[TEST]),
        policy(id="c.untested", controls={"owasp_llm": ["LLM05"], "iso42001": ["A.4.2"]}),
        policy(id="d.retired", status="retired", controls={"owasp_llm": ["LLM09"]}, tests=[TEST]),
    ]
)


def gaps(report: Report, framework: str = "owasp_llm") -> dict[str, list[str]]:
    (part,) = [one for one in report.frameworks if one.framework.name == framework]
    return {one.control.id: [gap.kind.value for gap in one.gaps] for one in part.controls}


def of(policy_set: PolicySet, *, hits: dict[str, Hits] | None, trials: list[Trial] | None = None) -> Report:
    period = Period(since=date(2026, 11, 1), until=date(2026, 12, 1))
    return Report(
        policy_set=policy_set.digest,
        in_force=True,
        made_at=datetime(2026, 11, 30, tzinfo=UTC),
        period=period,
        systems=None,
        calls=9,
        tested=trials is not None,
        frameworks=cover(policy_set, catalogue().values(), hits=hits, period=period, trials=trials),
    )


def trial(name: str, *, met: bool) -> Trial:
    return Trial(policy=name, name="hit", number=0, expected="block", got="allow", todo=False, met=met)


def test_gaps_are_named_and_what_is_not_for_policies_is_no_gap() -> None:
    hits = {"a.one": Hits(fired=4, violations=1), "b.shadow": Hits(shadow_fired=2), "c.untested": Hits(fired=1)}
    found = gaps(of(SET, hits=hits, trials=[trial("a.one", met=False), trial("b.shadow", met=True)]))
    assert found["LLM01"] == ["tests_fail"]
    assert found["LLM06"] == ["not_enforced"]
    assert found["LLM05"] == ["no_tests", "no_verdicts"]
    assert found["LLM09"] == ["no_policy"], "a retired policy is mapped to nothing"
    assert found["LLM03"] == [], "the supply chain is not seen in calls"
    assert gaps(of(SET, hits=hits), "iso42001")["A.4.2"] == ["no_tests", "no_verdicts"]
    assert gaps(of(SET, hits={}))["LLM01"] == ["no_hits"]
    assert gaps(of(SET, hits=None))["LLM01"] == [], "without figures nothing is said of hits"


def test_the_forms_say_the_same_and_claim_nothing() -> None:
    report = of(SET, hits={"a.one": Hits(fired=4, violations=1, false_alarms=2)}, trials=[trial("a.one", met=True)])
    document = forms.document(report)
    assert document["note"] == NOTE
    (llm,) = [one for one in document["frameworks"] if one["name"] == "owasp_llm"]
    first = llm["controls"][0]
    assert (first["id"], first["policies"], first["hits"]["fired"], first["tests"]) == ("LLM01", ["a.one"], 4, 1)
    assert (llm["mapped"], llm["expected"]) == (4, 9)
    rows = list(csv.DictReader(io.StringIO(forms.csv(report).decode("utf-8-sig"), newline="")))
    assert tuple(rows[0]) == forms.COLUMNS
    (row,) = [one for one in rows if one["control"] == "LLM01"]
    assert (row["policy"], row["hits"], row["violations"], row["false_alarms"]) == ("a.one", "4", "1", "2")
    assert row["evidence"] == "governance export --policy a.one --since 2026-11-01 --until 2026-12-01 --out a.one.zip"
    (row,) = [one for one in rows if one["control"] == "LLM09"]
    assert (row["policy"], row["gaps"]) == ("", "No policy is mapped to it.")
    told = (json.dumps(document) + forms.csv(report).decode()).lower()
    assert "complies" not in told
    assert "compliant" not in told


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-01T00:00:00+00:00", date(2026, 11, 1)),
        ("2026-11-01T02:00:00+02:00", date(2026, 11, 1)),
        ("2026-11-01T00:00:00+02:00", None),
        ("2026-11-01T00:00:00.000001+00:00", None),
    ],
)
def test_a_period_is_of_whole_days(at: str, expected: date | None) -> None:
    if expected is None:
        with pytest.raises(BadInput, match="whole days"):
            day(datetime.fromisoformat(at), "since")
    else:
        assert day(datetime.fromisoformat(at), "since") == expected


@pytest.fixture
def service(house: House) -> ControlsService:
    """Figures of two systems around the first of the month, and a case of each kind."""
    today = int(house.clock().timestamp() // 86_400)
    now = micros(house.clock())
    with house.database.write() as tx:
        c = tx.connection
        bulk.insert(c, t.system, [(801, CLAIMS, now), (802, HR, now)])
        bulk.insert(c, t.policy_set, [(901, "ab" * 32, "{}", now)])
        figures = [(801, today, 3), (801, today - 10, 20), (801, today - 40, 400), (802, today, 5_000)]
        bulk.insert(
            c,
            t.daily_policy_figure,
            [(system, at, "a.one", 901, fired, 1, 0, 0, 0, now) for system, at, fired in figures],
        )
        bulk.insert(c, t.daily_set_figure, [(801, today, 901, 70, 3, 0, 0), (802, today, 901, 9_000, 9, 0, 0)])
        person = tx.people.add(
            issuer="local", subject="judge", name="j", email="", password_hash="x", must_change=False, at=house.clock()
        )
        for number, (system, outcome, ago) in enumerate(
            [
                (801, "violation", 0),
                (801, "false_alarm", 20),
                (801, "violation", 40),
                (802, "violation", 0),
                (801, "", 0),
            ],
            1,
        ):
            closed = house.clock() - timedelta(days=ago)
            state = CaseState.DECIDED if outcome else CaseState.OPEN
            values = {"queue": "security", "severity": 3, "title": "t", "excerpt": "", "reports": 0, "escalated": False}
            c.execute(
                t.case.insert().values(
                    id=number,
                    kind="flagged",
                    state=state.value,
                    system_id=system,
                    policy="a.one",
                    opened_at=now,
                    due_at=now,
                    closed_at=micros(closed) if outcome else None,
                    **values,
                )
            )
            if outcome:
                given = {"reason": "other", "note": "", "given_by": person, "given_at": now, "seconds": 1}
                c.execute(t.verdict.insert().values(id=number + 100, case_id=number, outcome=outcome, **given))
    visible = Visible(house.authority, SystemQueries(house.database))
    return ControlsService(house.authority, visible, PolicyQueries(house.database), lambda: SET, house.clock)


def hits(report: Report) -> Hits:
    found = next(one for one in report.policies if one.id == "a.one").hits
    assert found is not None
    return found


def test_figures_are_those_of_the_period_and_of_the_systems_that_may_be_seen(
    house: House, service: ControlsService
) -> None:
    officer, today = house.person(Role.COMPLIANCE_OFFICER), house.clock().date()
    month = service.report(officer, Asked())
    assert (month.calls, month.systems) == (9_070, None)
    assert month.period == Period(since=today - timedelta(days=29), until=today + timedelta(days=1))
    seen = hits(month)
    assert (seen.fired, seen.errors, seen.violations, seen.false_alarms, seen.waiting) == (5_023, 3, 2, 1, 1)
    before = service.report(officer, Asked(since=today - timedelta(days=60), until=today - timedelta(days=5)))
    assert (hits(before).fired, hits(before).violations, hits(before).false_alarms) == (420, 1, 1)
    mine = service.report(house.person(Role.AUDITOR, system=CLAIMS), Asked(framework="owasp_llm"))
    assert (mine.calls, mine.systems, hits(mine).fired, hits(mine).violations) == (70, (CLAIMS,), 23, 1)
    assert [part.framework.name for part in mine.frameworks] == ["owasp_llm"]


def test_what_cannot_be_reported_is_refused(house: House, service: ControlsService) -> None:
    officer = house.person(Role.COMPLIANCE_OFFICER)
    with pytest.raises(UnknownName, match="no framework 'owasp'"):
        service.report(officer, Asked(framework="owasp"))
    for asked in (
        Asked(since=date(2026, 12, 1), until=date(2026, 12, 1)),
        Asked(since=date.max),
        Asked(until=date.min),
    ):
        with pytest.raises(BadInput):
            service.report(officer, asked)
    assert service.report(officer, Asked(until=date(1, 1, 5))).calls == 0
    assert service.report(officer, Asked(since=date.min, until=date.max)).calls == 9_070
    with pytest.raises(Denied):
        service.report(house.person(Role.ADMIN), Asked())
    service._in_force = lambda: None
    with pytest.raises(Conflict, match="in force"):
        service.report(officer, Asked())


def test_a_report_that_is_taken_away_is_an_event_with_its_hash(house: House, service: ControlsService) -> None:
    officer = house.person(Role.COMPLIANCE_OFFICER)
    made = service.file(officer, Asked(framework="atlas"), ReportForm.OSCAL)
    (leaf,) = house.events("controls.reported")
    assert leaf["actor"] == officer.reference
    assert leaf["data"]["sha256"] == hashlib.sha256(made).hexdigest()
    assert (leaf["data"]["framework"], leaf["data"]["form"], leaf["data"]["all_systems"]) == ("atlas", "oscal", True)
    assert leaf["data"]["policy_set"] == SET.digest
    with pytest.raises(Denied):
        service.file(house.person(Role.REVIEWER), Asked(), ReportForm.CSV)
    assert len(house.events("controls.reported")) == 1
