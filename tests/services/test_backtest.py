"""Policy sets tried on recorded calls: exactly what deciding each call anew would say, without looking at it again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.domain.calls import Call
from governance.domain.decisions import Decision, Outcome
from governance.domain.people import Role, operator
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.engine.check import Checker, around_of
from governance.engine.decide import DecisionEngine
from governance.errors import BadInput
from governance.policy.policy import Policy, PolicySet
from governance.services.authorise import Denied
from governance.services.named import UnknownName
from governance.services.policies.backtest import run as backtest
from governance.services.policies.backtest.counting import Broken
from governance.services.policies.backtest.report import BacktestReport
from governance.services.policies.gate import PolicyGate
from governance.services.policies.rollout import GateClosed, RolloutService
from governance.services.policies.share import share
from governance.store.base import tables as t
from tests.conftest import Clock
from tests.review.conftest import House
from tests.services.backtesting import Place, using, varied
from tests.store.conftest import NOON

OPERATOR = operator("tests")


@pytest.fixture
def place(house: House, clock: Clock) -> Place:
    clock.forward(days=2)
    return Place(house=house)


# What is the same needs no deciding, and what differs is decided as each full engine would

ENDED = {"when": "call.user.role == 'staff'", "expires": "2026-11-24", "approved_by": "risk", "reason": "known"}
LASTING = {"when": "call.user.role == 'customer'", "expires": "2027-11-01", "approved_by": "risk", "reason": "known"}
TRACE = (
    "steps.exists(b, 'send' in b.tools && steps.exists(a, a.order < b.order && (a.current || b.current)"
    " && a.findings.size() > 0))"
)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "words": [{}, {"params": {"min_score": 0.8}}, {"status": "shadow"}, {"status": "draft"}, {"severity": "low"}],
    "role": [
        {"detector": "second"},
        {"detector": "second", "when": "findings.size() > 0 && call.user.role == 'staff'"},
        {"detector": "second", "exceptions": [LASTING]},
        {"detector": "second", "exceptions": [ENDED]},
        {"detector": "second", "applies_to": {"systems": ["hr-*"], "roles": ["staff", "customer"]}},
    ],
    "slow": [
        {"when": "call.duration_ms > 1000.0", "params": {}, "then": {"queue": "quality", "explain": "slow"}},
        {"when": "call.duration_ms > 5.0", "params": {}, "then": {"action": "redact", "explain": "slow"}},
        {"when": "call.error != ''", "params": {}, "then": {"action": "fallback", "explain": "failed"}},
        {"when": "call.error.contains('long')", "params": {}, "then": {"action": "fallback", "explain": "failed"}},
    ],
    "sealed": [
        {"when": "'length' in call.finish_reasons", "params": {}},
        {"when": "call.attributes['tier'] == 'gold' && findings.size() == 0", "params": {}},
        {"when": "call.attributes['none'] == 'gold'", "params": {}},
        {"when": "call.output_length > 20", "params": {}},
        {"when": "call.documents.exists(d, d.length > 5)", "params": {}},
        {"when": "call.documents.size() > 1 || [call].exists(c, c.documents.exists(d, d.id == 'faq'))", "params": {}},
    ],
    "part": [
        {"when": "call.documents.size() == 0 && call.user.role == 'staff'", "params": {}},
        {"when": "call.documents.size() > 1", "params": {}},
        {"when": "call.user.role != 'staff' && call.user.id == 'u-1'", "params": {}},
    ],
    "steps": [
        {"scope": "trace", "when": TRACE, "params": {}},
        {"scope": "session", "when": "steps.filter(s, s.findings.size() > 0).size() > 1", "params": {}},
        {"scope": "trace", "when": TRACE.replace("'send'", "'clock'"), "params": {}},
    ],
}


def variant(name: str, number: int) -> Policy:
    changes = dict(VARIANTS[name][number])
    return using(name, changes.pop("detector", "first"), **changes)


def policy_sets(*names: str) -> st.SearchStrategy[PolicySet]:
    chosen = {name: st.none() | st.integers(0, len(VARIANTS[name]) - 1) for name in names}
    return st.fixed_dictionaries(chosen).map(
        lambda numbers: PolicySet([variant(name, number) for name, number in numbers.items() if number is not None])
    )


REMEMBERED = ("words", "role", "slow", "part")
"""What these read stands in a call's row: what they say is remembered."""
pairs = st.sampled_from([tuple(VARIANTS), REMEMBERED]).flatmap(
    lambda names: st.tuples(policy_sets(*names), policy_sets(*names))
)
DECIDED = PolicySet([variant(name, 0) for name in VARIANTS])
NONE = PolicySet([])
DECIDED_LATER = PolicySet([variant(name, min(1, len(VARIANTS[name]) - 1)) for name in VARIANTS])


def anew(place: Place, by: PolicySet, calls: Sequence[Call]) -> list[Decision]:
    """What the whole engine says of each call, looking at everything as if nothing was known."""
    checker = Checker(place.build(by.detector_uses(), {}), DecisionEngine(by, clock=place.house.clock))
    around = [
        around_of([other for other in calls if other.trace_id == call.trace_id and other is not call]) for call in calls
    ]
    return [checker.check(call, around=near).decision for call, near in zip(calls, around, strict=True)]


def spoke(decision: Decision) -> set[str]:
    return {one.policy for one in decision.policies if one.outcome is not Outcome.EXCEPTED}


def assert_exact(report: BacktestReport, before: Sequence[Decision], after: Sequence[Decision]) -> None:
    pairs = list(zip(before, after, strict=True))
    whole = report.whole
    assert (report.calls, report.stale, whole.calls) == (len(pairs), 0, len(pairs))
    assert whole.before.flagged == sum(one.flagged for one in before)
    assert whole.after.flagged == sum(one.flagged for one in after)
    assert whole.before.queued == sum(bool(one.queue) for one in before)
    assert whole.after.queued == sum(bool(one.queue) for one in after)
    assert whole.newly == sum(new.flagged and not old.flagged for old, new in pairs)
    assert whole.no_longer == sum(old.flagged and not new.flagged for old, new in pairs)
    assert whole.stricter == sum(new.action.rank > old.action.rank for old, new in pairs)
    assert whole.milder == sum(new.action.rank < old.action.rank for old, new in pairs)
    newly = Counter(name for old, new in pairs for name in spoke(new) - spoke(old))
    gone = Counter(name for old, new in pairs for name in spoke(old) - spoke(new))
    found = {one.change.name: one.change for one in report.policies}
    assert {name: one.newly for name, one in found.items() if one.newly} == newly
    assert {name: one.no_longer for name, one in found.items() if one.no_longer} == gone
    assert {name: one.after.flagged for name, one in found.items() if one.after.flagged} == Counter(
        name for one in after for name in spoke(one)
    )
    assert sum(day.calls for day in report.days) == len(pairs)
    assert sum(day.after for day in report.days) == whole.after.flagged
    assert sum(one.after.flagged for one in report.systems) == whole.after.flagged


@pytest.mark.parametrize("kept", ["one set", "two sets", "unreadable"])
def test_what_a_backtest_says_is_what_deciding_each_call_anew_says(place: Place, kept: str) -> None:
    calls = varied(place)
    traces = sorted({call.trace_id for call in calls})
    late = set(traces[len(traces) // 2 :]) if kept == "two sets" else set()
    place.record(DECIDED, *[call for call in calls if call.trace_id not in late], readable=kept != "unreadable")
    if late:
        place.record(DECIDED_LATER, *[call for call in calls if call.trace_id in late])
    service = place.service()

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(pairs)
    def tried(sets: tuple[PolicySet, PolicySet]) -> None:
        against, candidate = sets
        place.built.clear()
        report = service.run(OPERATOR, candidate, against=against)
        assert all(not one.asked for one in place.built), "no detector runs"
        assert_exact(report, anew(place, against, calls), anew(place, candidate, calls))

    tried()


# What cannot be decided from what was found


def test_a_detector_that_has_changed_leaves_calls_undecided_unless_they_are_looked_at_again(place: Place) -> None:
    calls = varied(place)
    place.record(DECIDED, *calls)
    place.versions["second"] = "2"
    candidate = PolicySet([variant("words", 1), variant("role", 1)])
    service = place.service()
    report = service.run(OPERATOR, candidate, against=DECIDED)
    assert (report.calls, report.stale, report.examined) == (0, len(calls), 0)
    assert report.passes, "what is not known breaks no budget"
    # A change that does not read that detector is decided all the same.
    unrelated = PolicySet([variant("words", 1), *(variant(name, 0) for name in VARIANTS if name != "words")])
    other = service.run(OPERATOR, unrelated, against=DECIDED)
    assert (other.calls, other.stale) == (len(calls), 0)

    some = service.run(OPERATOR, candidate, against=DECIDED, examine=10)
    assert (some.calls, some.examined, some.stale) == (10, 10, len(calls) - 10)
    again = service.run(OPERATOR, candidate, against=DECIDED, examine=10)
    assert again.document()["policies"] == some.document()["policies"], "the same are chosen each time"
    place.built.clear()
    everything = service.run(OPERATOR, candidate, against=DECIDED, examine=1000)
    assert_exact(everything, anew(place, DECIDED, calls), anew(place, candidate, calls))


def test_only_detectors_that_have_changed_look_again(place: Place) -> None:
    place.record(DECIDED, *varied(place))
    place.versions["second"] = "2"
    place.built.clear()
    before, after = (PolicySet([variant("words", 0), variant("role", number)]) for number in (0, 1))
    report = place.service().run(OPERATOR, after, against=before, examine=1000)
    assert report.examined
    assert {one.name for one in place.built if one.asked} == {"second"}


def test_a_detector_that_did_not_run_then_or_is_not_there_now_is_said(place: Place) -> None:
    calls = varied(place)
    place.record(DECIDED, *calls)
    candidate = PolicySet([*DECIDED.policies, using("odd", "third")])
    service = place.service()
    assert service.run(OPERATOR, candidate, against=DECIDED).stale == len(calls)
    found = service.run(OPERATOR, candidate, against=DECIDED, examine=1000)
    (odd,) = [one for one in found.policies if one.change.name == "test.odd"]
    assert (odd.was, odd.now, odd.change.newly) == ("", "enforce", 3)
    # Where it is absent the policy could not tell: that is an outcome, and not "nothing found".
    place.absent.add("third")
    assert service.run(OPERATOR, candidate, against=DECIDED).stale == len(calls)
    missing = service.run(OPERATOR, candidate, against=DECIDED, examine=1000)
    (odd,) = [one for one in missing.policies if one.change.name == "test.odd"]
    assert odd.change.newly == len(calls)


def test_calls_without_a_decision_and_calls_that_could_not_be_checked_are_counted(place: Place) -> None:
    ids = place.record(DECIDED, *varied(place))
    with place.house.database.write() as tx:
        for number, status in ((ids[0], "recorded"), (ids[1], "failed")):
            tx.connection.execute(t.call.update().where(t.call.c.id == number).values(status=status))
    report = place.service().run(OPERATOR, PolicySet([variant("words", 1)]), against=PolicySet([variant("words", 0)]))
    assert (report.waiting, report.unchecked, report.calls) == (1, 1, len(ids) - 2)


def test_erased_content_keeps_only_what_has_to_be_read_from_being_decided(place: Place) -> None:
    ids = place.record(DECIDED, *varied(place))
    with place.house.database.write() as tx:
        conversation = sa.select(t.call.c.conversation_id).where(t.call.c.id == ids[0]).scalar_subquery()
        tx.connection.execute(
            t.conversation.update().where(t.conversation.c.id == conversation).values(wrapped_key=None)
        )
    service = place.service()
    rows = service.run(OPERATOR, PolicySet([variant("slow", 1)]), against=PolicySet([variant("slow", 0)]))
    assert (rows.calls, rows.stale) == (len(ids), 0)
    sealed = service.run(OPERATOR, PolicySet([variant("sealed", 1)]), against=PolicySet([variant("sealed", 0)]))
    assert (sealed.calls, sealed.stale) == (len(ids) - 1, 1)


def test_an_empty_database_has_nothing_to_say_and_says_so(place: Place) -> None:
    heard: list[tuple[int, int]] = []
    report = place.service().run(OPERATOR, DECIDED, progress=lambda done, of: heard.append((done, of)))
    assert (report.calls, report.stale, report.passes, report.systems, report.days) == (0, 0, True, (), ())
    assert report.against == PolicySet([]).digest, "nothing is in force yet"
    assert report.whole.after.rate.value is None
    assert heard == [(0, 0)]


# Ranges, people and what is kept


def test_a_range_and_a_system_choose_the_calls(place: Place) -> None:
    calls = varied(place)
    place.record(DECIDED, *calls)
    service = place.service()
    middle = calls[9].started_at
    early = service.run(OPERATOR, DECIDED, span=service.span(until=middle))
    late = service.run(OPERATOR, DECIDED, span=service.span(since=middle))
    assert (early.calls, late.calls) == (9, len(calls) - 9)
    hr = service.run(OPERATOR, DECIDED, span=service.span(system="hr-bot"))
    assert hr.calls == sum(call.system == "hr-bot" for call in calls)
    assert [one.name for one in hr.systems] == ["hr-bot"]
    with pytest.raises(UnknownName, match="no system 'nobody'"):
        service.span(system="nobody")
    with pytest.raises(BadInput, match="empty"):
        service.span(since=middle, until=middle)


def test_whoever_may_change_policies_may_try_them_and_nobody_else(place: Place, house: House) -> None:
    service = place.service()
    for role in (Role.ENGINEER, Role.SENIOR_REVIEWER, Role.COMPLIANCE_OFFICER):
        service.run(house.person(role), DECIDED)
    for role in (Role.REVIEWER, Role.AUDITOR, Role.ADMIN):
        with pytest.raises(Denied):
            service.run(house.person(role), DECIDED)
    assert len(house.events("action.refused")) == 3


def test_the_last_report_of_a_set_is_kept_as_it_was(place: Place, house: House, clock: Clock) -> None:
    place.record(DECIDED, *varied(place))
    service = place.service()
    assert service.latest(OPERATOR, DECIDED.digest, NONE.digest) is None
    service.run(OPERATOR, DECIDED)
    clock.forward(hours=1)
    report = service.run(OPERATOR, DECIDED)
    assert service.latest(OPERATOR, DECIDED.digest, NONE.digest) == {**report.document(), "by": "tests", "part": False}
    assert json.loads(json.dumps(report.document()))


def test_who_sees_one_system_gets_its_part_or_a_report_of_it_alone_and_nothing_else(
    place: Place, house: House, clock: Clock
) -> None:
    place.record(DECIDED, *varied(place))
    service = place.service()
    whole = service.run(OPERATOR, NONE, against=DECIDED)
    reader = house.person(Role.AUDITOR, system="hr-bot")
    found = service.latest(reader, NONE.digest, DECIDED.digest, system="hr-bot")
    assert found is not None
    (change,) = (one for one in whole.systems if one.name == "hr-bot")
    assert (found["part"], found["system"], found["calls"]) == (True, "hr-bot", change.calls)
    assert found["whole"] == change.document()
    assert "support-bot" not in json.dumps(found)
    assert not {str(one) for one in whole.whole.no_longer_examples} & set(json.dumps(found).split('"'))
    for system in ("", "support-bot"):
        with pytest.raises(Denied):
            service.latest(reader, NONE.digest, DECIDED.digest, system=system)
    assert len(house.events("action.refused")) == 2

    clock.forward(hours=1)
    engineer = house.person(Role.ENGINEER, system="hr-bot")
    for system in ("", "support-bot"):
        with pytest.raises(Denied):
            service.run(engineer, NONE, against=DECIDED, span=service.span(system=system))
    own = service.run(engineer, NONE, against=DECIDED, span=service.span(system="hr-bot"))
    assert service.latest(reader, NONE.digest, DECIDED.digest, system="hr-bot") == {
        **own.document(), "by": engineer.name, "part": False
    }  # fmt: skip
    latest = service.latest(OPERATOR, NONE.digest, DECIDED.digest)
    assert latest is not None
    assert latest["id"] == str(whole.id), "of all systems"
    assert service.latest(OPERATOR, NONE.digest, DECIDED.digest, system="nobody") is None


def test_what_progress_raises_ends_it_and_nothing_is_kept(place: Place, house: House) -> None:
    place.record(DECIDED, *varied(place))

    def stop(done: int, _of: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.service().run(OPERATOR, PolicySet([variant("words", 1)]), against=DECIDED, progress=stop)
    assert house.count(t.policy_backtest) == 0


def test_a_counting_process_that_ends_is_an_error_and_nothing_is_kept(
    place: Place, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.record(DECIDED, *varied(place))
    monkeypatch.setattr(backtest, "SLICE", 1)
    with pytest.raises(Broken, match="ended"):  # what `Place` starts does nothing, and ends
        place.service().run(OPERATOR, DECIDED, processes=2)
    assert house.count(t.policy_backtest) == 0


# What people decided, what it costs, and budgets


def judged(place: Place, house: House, clock: Clock, violations: int, false_alarms: int) -> list[int]:
    """Calls that were flagged and decided, of two minutes each; and one more that was flagged, which nobody decided."""
    calls = [
        place.call(f"attack {n}, sure" if n < violations else f"attack {n}") for n in range(violations + false_alarms)
    ]
    ids = place.record(STRICT, *calls, place.call("attack, undecided"))
    reviewer = house.person(Role.REVIEWER)
    with house.database.read() as connection:
        cases = {row.call_id: row.id for row in connection.execute(sa.select(t.case.c.id, t.case.c.call_id))}
    for n, number in enumerate(ids[:-1]):
        claim = house.review.claim(reviewer, cases[number])
        clock.forward(minutes=2)
        good = n < violations
        house.review.decide(
            reviewer,
            cases[number],
            claim.lease_token,
            outcome=VerdictOutcome.VIOLATION if good else VerdictOutcome.FALSE_ALARM,
            reason=ReasonCode.ATTACK if good else ReasonCode.HARMLESS,
        )
    return ids


STRICT = PolicySet([using("words", severity="medium")])
CALM = PolicySet([using("words", severity="medium", params={"min_score": 0.8})])


def test_precision_recall_and_hours_come_from_verdicts(place: Place, house: House, clock: Clock) -> None:
    judged(place, house, clock, 6, 4)
    report = place.service().run(OPERATOR, CALM, against=STRICT)
    before, after = report.whole.before, report.whole.after
    assert (before.precision, before.recall) == (share(6, 10), share(6, 6))
    assert (after.precision, after.recall) == (share(6, 6), share(6, 6))
    assert (report.verdicts, report.seconds_a_case, report.cases_a_queued_call) == (10, 120.0, 1.0)
    # 11 and 6 calls in the day or so since the first of them
    span = clock() - report.span.since
    assert span == timedelta(days=30)
    weeks = (clock() - (NOON - timedelta(days=1))) / timedelta(weeks=1)
    assert before.hours == pytest.approx(11 * 120 / 3600 / weeks, abs=0.01)
    assert after.hours == pytest.approx(6 * 120 / 3600 / weeks, abs=0.01)
    assert report.whole.added_hours == pytest.approx(-5 * 120 / 3600 / weeks, abs=0.02)


def test_without_verdicts_hours_and_precision_are_not_known(place: Place) -> None:
    place.record(STRICT, place.call("attack"))
    report = place.service().run(OPERATOR, CALM, against=STRICT)
    assert (report.verdicts, report.seconds_a_case, report.whole.added_hours) == (0, None, None)
    assert (report.whole.before.precision.value, report.whole.before.recall.value) == (None, None)
    assert (report.whole.before.flagged, report.whole.after.flagged) == (1, 0)


def test_a_budget_that_a_change_exceeds_is_broken_and_one_that_stood_so_is_not(
    place: Place, house: House, clock: Clock
) -> None:
    judged(place, house, clock, 6, 4)
    place.record(STRICT, *(place.call("calm") for _ in range(9)))
    service = place.service()

    def tight(score: float, **budget: float) -> PolicySet:
        return PolicySet([using("words", severity="medium", params={"min_score": score}, budget=budget)])

    rate = service.run(OPERATOR, tight(0.5, max_alert_rate=0.5), against=CALM)
    assert [(one.what, one.measured, one.of, one.standing) for one in rate.over] == [
        ("max_alert_rate", 0.55, 20, False)
    ]
    assert rate.broken[0].words == "test.words: flags 55% of 20 calls, at most 50% are agreed"
    assert not rate.passes
    assert service.run(OPERATOR, tight(0.8, max_alert_rate=0.5), against=CALM).passes

    precision = service.run(OPERATOR, tight(0.5, min_precision=0.7), against=CALM)
    assert [(one.what, one.measured, one.of) for one in precision.broken] == [("min_precision", 0.6, 10)]
    few = service.run(OPERATOR, tight(0.8, min_precision=1.0), against=STRICT)
    assert few.passes, "six verdicts say nothing yet"

    same = service.run(OPERATOR, tight(0.5, max_alert_rate=0.5), against=STRICT)
    assert [one.standing for one in same.over] == [True]
    assert same.passes
    shadow = PolicySet([using("words", status="shadow", budget={"max_alert_rate": 0.1})])
    assert service.run(OPERATOR, shadow, against=CALM).passes, "what is in shadow costs nobody anything"


def test_the_gate_is_the_backtest(place: Place, house: House, clock: Clock) -> None:
    judged(place, house, clock, 6, 4)
    rollout = RolloutService(house.authority, PolicyGate(place.build, place.service()))
    rollout.ensure(lambda: CALM)
    engineer = house.person(Role.ENGINEER)
    costly = PolicySet([using("words", severity="medium", budget={"max_alert_rate": 0.5})])
    with pytest.raises(GateClosed, match="flags 100% of 11 calls"):
        rollout.propose(engineer, costly)
    made = rollout.propose(engineer, costly, despite="An attack is under way.")
    assert (made.gate["calls"], made.gate["undecided"], made.gate["despite"]) == (11, 0, "An attack is under way.")
    kept = place.service().latest(engineer, costly.digest, CALM.digest)
    assert kept is not None
    assert (kept["id"], kept["by"], kept["passes"]) == (str(made.gate["backtest"]), engineer.name, False)
