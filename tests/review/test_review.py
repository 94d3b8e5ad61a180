"""A case from its opening to its verdict, through the service, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

import pytest

from governance.domain.decisions import Severity
from governance.domain.people import SERVICE, Role, operator
from governance.domain.review import CaseState, ReasonCode, VerdictOutcome
from governance.errors import BadInput, Conflict, NotFound, Refused
from governance.store.base import tables as t
from tests.review.conftest import LEASE, House


class Verdict(TypedDict):
    outcome: VerdictOutcome
    reason: ReasonCode


VIOLATION: Verdict = {"outcome": VerdictOutcome.VIOLATION, "reason": ReasonCode.ATTACK}
FALSE_ALARM: Verdict = {"outcome": VerdictOutcome.FALSE_ALARM, "reason": ReasonCode.QUOTED}


def test_a_case_is_claimed_decided_and_closed(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    assert claim.case.state is CaseState.CLAIMED
    assert claim.case.claimed_by == reviewer.id
    assert claim.case.lease_until == house.clock.now + LEASE
    house.clock.forward(minutes=3)
    verdict = house.review.decide(reviewer, case, claim.lease_token, note=" Clear.\x00 ", **VIOLATION)
    assert (verdict.by, verdict.note) == (reviewer.id, "Clear.")
    row = house.row(case)
    assert (row.state, row.claimed_by, row.lease_hash) == ("decided", None, None)
    assert row.closed_at is not None
    with house.database.read() as connection:
        assert connection.execute(t.verdict.select()).one().seconds == 180


def test_each_step_is_an_event_by_its_actor(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.review.release(reviewer, case, claim.lease_token)
    claim = house.review.claim(reviewer, case)
    house.review.decide(reviewer, case, claim.lease_token, **FALSE_ALARM)
    steps = house.events("case.opened", "case.claimed", "case.released", "verdict.given")
    assert [step["kind"] for step in steps] == [
        "case.opened",
        "case.claimed",
        "case.released",
        "case.claimed",
        "verdict.given",
    ]
    assert {step["subject"] for step in steps} == {f"case:{case}"}
    assert steps[0]["actor"] == "service:0"
    assert {step["actor"] for step in steps[1:]} == {f"person:{reviewer.id}"}
    assert {name: value for name, value in steps[-1]["data"].items() if name != "rows"} == {
        "outcome": "false_alarm",
        "reason": "quoted",
        "final": True,
    }


def test_notes_are_kept_without_what_must_not_be_shown(house: House) -> None:
    case, reviewer = house.case(severity=Severity.CRITICAL), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.review.decide(reviewer, case, claim.lease_token, note="shows secret-words", **VIOLATION)
    senior = house.person(Role.SENIOR_REVIEWER)
    house.review.return_verdict(senior, case, "secret-words are his own")
    claim = house.review.claim(reviewer, case)
    house.review.escalate(reviewer, case, claim.lease_token, "are secret-words ours?")
    with house.database.read() as connection:
        kept = {
            row.note for row in (*connection.execute(t.verdict.select()), *connection.execute(t.case_note.select()))
        }
    assert kept == {"shows [redacted]", "[redacted] are his own", "are [redacted] ours?"}


def test_notes_and_names_stay_out_of_the_log(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.review.escalate(reviewer, case, claim.lease_token, "Anna Smith wrote this")
    assert "Anna Smith" not in str(house.events())
    assert reviewer.name not in str(house.events())
    with house.database.read() as connection:
        assert connection.execute(t.case_note.select()).one().note == "Anna Smith wrote this"


def test_a_held_case_says_who_holds_it(house: House) -> None:
    case, first, second = house.case(), house.person(Role.REVIEWER), house.person(Role.REVIEWER)
    house.review.claim(first, case)
    with pytest.raises(Conflict, match=f"{first.name} holds this case until 10:00 UTC"):
        house.review.claim(second, case)


def test_a_lease_that_ran_out_frees_the_case(house: House) -> None:
    case, first, second = house.case(), house.person(Role.REVIEWER), house.person(Role.REVIEWER)
    late = house.review.claim(first, case)
    house.clock.forward(minutes=20)
    with pytest.raises(Conflict, match="ran out"):
        house.review.decide(first, case, late.lease_token, **FALSE_ALARM)
    assert house.review.next_case(second) is not None
    claim = house.review.claim(second, case)
    with pytest.raises(Conflict, match=f"{second.name} holds"):
        house.review.decide(first, case, late.lease_token, **FALSE_ALARM)
    house.review.decide(second, case, claim.lease_token, **FALSE_ALARM)


def test_renewing_keeps_the_case(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.clock.forward(minutes=19)
    assert house.review.renew(reviewer, case, claim.lease_token) == house.clock.now + LEASE
    house.clock.forward(minutes=19)
    house.review.decide(reviewer, case, claim.lease_token, **FALSE_ALARM)


def test_going_on_in_another_window_voids_the_first(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    first = house.review.claim(reviewer, case)
    second = house.review.claim(reviewer, case)
    with pytest.raises(Conflict, match="another window"):
        house.review.decide(reviewer, case, first.lease_token, **FALSE_ALARM)
    house.review.decide(reviewer, case, second.lease_token, **FALSE_ALARM)
    assert house.count(t.verdict) == 1


@pytest.mark.parametrize("token", ["", "x" * 43])
def test_a_wrong_lease_token_changes_nothing(house: House, token: str) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    house.review.claim(reviewer, case)
    before = house.row(case)
    for act in (
        lambda: house.review.decide(reviewer, case, token, **FALSE_ALARM),
        lambda: house.review.release(reviewer, case, token),
        lambda: house.review.renew(reviewer, case, token),
        lambda: house.review.escalate(reviewer, case, token, "Look"),
    ):
        with pytest.raises(Conflict):
            act()
    assert house.row(case) == before


def test_a_decided_case_takes_no_second_verdict(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.review.decide(reviewer, case, claim.lease_token, **FALSE_ALARM)
    with pytest.raises(Conflict, match="decided already"):
        house.review.decide(reviewer, case, claim.lease_token, **VIOLATION)
    with pytest.raises(Conflict, match="decided already"):
        house.review.claim(reviewer, case)
    assert house.count(t.verdict) == 1


def test_a_severe_verdict_waits_for_a_second_person(house: House) -> None:
    case = house.case(Severity.CRITICAL)
    first, second = house.person(Role.SENIOR_REVIEWER), house.person(Role.SENIOR_REVIEWER)
    claim = house.review.claim(first, case)
    house.review.decide(first, case, claim.lease_token, **VIOLATION)
    assert house.row(case).state == "approval"
    with pytest.raises(Refused, match="your own work"):
        house.review.approve(first, case)
    with pytest.raises(Refused, match="your own work"):
        house.review.return_verdict(first, case, "Again")
    assert house.row(case).state == "approval"
    verdict = house.review.approve(second, case)
    assert (verdict.by, verdict.approved_by) == (first.id, second.id)
    assert house.row(case).state == "decided"
    with pytest.raises(Conflict):
        house.review.approve(second, case)


def test_a_critical_false_alarm_needs_no_second_person(house: House) -> None:
    case, reviewer = house.case(Severity.CRITICAL), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.review.decide(reviewer, case, claim.lease_token, **FALSE_ALARM)
    assert house.row(case).state == "decided"


def test_a_returned_verdict_stays_as_history_and_the_case_is_open_again(house: House) -> None:
    case = house.case(Severity.CRITICAL)
    reviewer, senior = house.person(Role.REVIEWER), house.person(Role.SENIOR_REVIEWER)
    claim = house.review.claim(reviewer, case)
    house.review.decide(reviewer, case, claim.lease_token, **VIOLATION)
    with pytest.raises(BadInput, match="note"):
        house.review.return_verdict(senior, case, " ")
    house.review.return_verdict(senior, case, "Read the second turn.")
    assert house.row(case).state == "open"
    claim = house.review.claim(reviewer, case)
    house.review.decide(reviewer, case, claim.lease_token, **FALSE_ALARM)
    assert house.row(case).state == "decided"
    with house.database.read() as connection:
        rows = connection.execute(t.verdict.select().order_by(t.verdict.c.id)).all()
    assert [(row.outcome, row.returned_by) for row in rows] == [("violation", senior.id), ("false_alarm", None)]


def test_an_escalated_case_is_a_seniors_until_it_is_decided(house: House) -> None:
    case = house.case()
    reviewer, senior = house.person(Role.REVIEWER), house.person(Role.SENIOR_REVIEWER)
    claim = house.review.claim(reviewer, case)
    with pytest.raises(BadInput, match="note"):
        house.review.escalate(reviewer, case, claim.lease_token, "\n")
    house.review.escalate(reviewer, case, claim.lease_token, "Is this ours?")
    with pytest.raises(Refused):
        house.review.claim(reviewer, case)
    assert house.review.next_case(reviewer) is None
    claim = house.review.claim(senior, case)
    house.clock.forward(minutes=21)
    with pytest.raises(Refused):
        house.review.claim(reviewer, case)
    claim = house.review.claim(house.person(Role.COMPLIANCE_OFFICER), case)
    assert house.row(case).escalated


def test_nobody_settles_their_own_escalation(house: House) -> None:
    case, senior = house.case(), house.person(Role.SENIOR_REVIEWER)
    claim = house.review.claim(senior, case)
    house.review.escalate(senior, case, claim.lease_token, "I know them")
    assert house.review.next_case(senior) is None
    with pytest.raises(Refused, match="your own work"):
        house.review.claim(senior, case)


@pytest.mark.parametrize("role", [Role.COMPLIANCE_OFFICER, Role.AUDITOR, Role.ENGINEER, Role.ADMIN])
def test_who_does_not_review_is_refused_and_the_attempt_is_on_record(house: House, role: Role) -> None:
    case, somebody = house.case(), house.person(role)
    with pytest.raises(Refused):
        house.review.claim(somebody, case)
    assert house.row(case).state == "open"
    (refusal,) = house.events("action.refused")
    assert refusal["actor"] == f"person:{somebody.id}"
    assert refusal["subject"] == f"case:{case}"
    assert refusal["data"]["wanted"] == "claim_case"


def test_a_refused_decision_undoes_the_rest_but_keeps_the_refusal(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    demoted = house.person(Role.AUDITOR)
    before = len(house.events())
    with pytest.raises(Refused):
        house.review.decide(demoted, case, claim.lease_token, **VIOLATION)
    assert house.count(t.verdict) == 0
    assert [event["kind"] for event in house.events()[before:]] == ["action.refused"]


@pytest.mark.parametrize("actor", [operator("root"), SERVICE])
def test_only_a_person_can_judge(house: House, actor: object) -> None:
    case = house.case()
    with pytest.raises(Refused, match="signed in"):
        house.review.claim(actor, case)  # type: ignore[arg-type]


def test_a_binding_for_one_system_is_for_that_system(house: House) -> None:
    theirs, other = house.case(system="hr-bot"), house.case(Severity.CRITICAL, system="support-bot")
    reviewer = house.person(Role.REVIEWER, system="hr-bot")
    found = house.review.next_case(reviewer)
    assert found is not None
    assert found.id == theirs
    with pytest.raises(Refused, match="support-bot"):
        house.review.claim(reviewer, other)
    claim = house.review.claim_next(reviewer)
    assert claim is not None
    house.review.decide(reviewer, theirs, claim.lease_token, **FALSE_ALARM)
    assert house.review.claim_next(reviewer) is None


def test_the_next_case_is_the_most_urgent_and_ones_own_comes_first(house: House) -> None:
    low, high = house.case(Severity.LOW), house.case(Severity.HIGH)
    house.clock.forward(minutes=1)
    later, critical = house.case(Severity.HIGH), house.case(Severity.CRITICAL)
    first, second = house.person(Role.REVIEWER), house.person(Role.REVIEWER)
    order = []
    for _ in range(4):
        claim = house.review.claim_next(second)
        assert claim is not None
        order.append(claim.case.id)
        house.review.decide(second, claim.case.id, claim.lease_token, **FALSE_ALARM)
    assert order == [critical, high, later, low]
    mine, _ = house.case(Severity.LOW), house.case(Severity.CRITICAL)
    house.review.claim(first, mine)
    found = house.review.next_case(first)
    assert found is not None
    assert found.id == mine


def test_a_passed_case_is_not_the_next_one(house: House) -> None:
    first, second = house.case(Severity.CRITICAL), house.case(Severity.HIGH)
    reviewer = house.person(Role.REVIEWER)
    found = house.review.next_case(reviewer, passed=[first])
    assert found is not None
    assert found.id == second
    claim = house.review.claim_next(reviewer, passed=[first])
    assert claim is not None
    assert claim.case.id == second
    assert house.review.next_case(reviewer, passed=[first, second]) is None


def test_of_equal_urgency_the_more_reported_comes_first(house: House) -> None:
    once, often = house.case(), house.case()
    with house.database.write() as tx:
        assert tx.cases.count_report(often)
    found = house.review.next_case(house.person(Role.REVIEWER))
    assert found is not None
    assert (found.id, once) == (often, min(once, often))


def test_the_next_case_can_be_of_one_queue(house: House) -> None:
    house.case(Severity.CRITICAL)
    call = house.call()
    privacy = house.flag(call, Severity.LOW, queue="privacy")
    found = house.review.next_case(house.person(Role.REVIEWER), queue="privacy")
    assert found is not None
    assert found.id == privacy


def test_a_reason_must_fit_the_verdict(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    claim = house.review.claim(reviewer, case)
    with pytest.raises(BadInput, match="does not fit"):
        house.review.decide(
            reviewer, case, claim.lease_token, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.HARMLESS
        )
    with pytest.raises(BadInput, match="note"):
        house.review.decide(
            reviewer, case, claim.lease_token, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.OTHER
        )
    assert (house.row(case).state, house.count(t.verdict)) == ("claimed", 0)


def test_there_must_be_such_a_case(house: House) -> None:
    with pytest.raises(NotFound, match="no case 4711"):
        house.review.claim(house.person(Role.REVIEWER), 4711)


def test_a_second_decision_joins_the_open_case_and_can_only_raise_it(house: House) -> None:
    call = house.call()
    case = house.flag(call, Severity.MEDIUM)
    assert case is not None
    assert house.row(case).due_at == (house.row(case).opened_at + timedelta(days=3) // timedelta(microseconds=1))
    house.clock.forward(hours=1)
    assert house.flag(call, Severity.CRITICAL, queue="safety") == case
    raised = house.row(case)
    assert (raised.severity, raised.queue, raised.policy) == (4, "safety", "injection.critical")
    assert raised.due_at == raised.opened_at + timedelta(hours=5) // timedelta(microseconds=1)
    assert house.flag(call, Severity.LOW) == case
    assert house.row(case) == raised
    assert house.count(t.case) == len(house.events("case.opened")) == 1


def test_a_case_that_becomes_critical_in_review_needs_the_second_person(house: House) -> None:
    call, reviewer = house.call(), house.person(Role.REVIEWER)
    case = house.flag(call, Severity.MEDIUM)
    assert case is not None
    claim = house.review.claim(reviewer, case)
    house.flag(call, Severity.CRITICAL)
    house.review.decide(reviewer, case, claim.lease_token, **VIOLATION)
    assert house.row(case).state == "approval"


def test_after_the_verdict_a_new_decision_opens_a_new_case(house: House) -> None:
    call, reviewer = house.call(), house.person(Role.REVIEWER)
    first = house.flag(call, Severity.MEDIUM)
    assert first is not None
    claim = house.review.claim(reviewer, first)
    house.review.decide(reviewer, first, claim.lease_token, **FALSE_ALARM)
    second = house.flag(call, Severity.MEDIUM)
    assert second is not None
    assert second != first
    assert house.row(second).state == "open"


def test_no_queue_no_case(house: House) -> None:
    assert house.flag(house.call(), Severity.HIGH, queue="") is None
    assert house.count(t.case) == 0
