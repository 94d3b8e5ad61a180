"""Reviewing on the page: claim, decide, escalate, approve, conflicts, and original text."""

from __future__ import annotations

from datetime import timedelta

from governance.domain.content import PartKind
from governance.domain.review import CaseState, ReasonCode, VerdictOutcome
from governance.store.review import queries as cases
from tests.conftest import Clock
from tests.console.conftest import Page
from tests.console.test_pages import button, labels, spoken, title
from tests.console.world import World


def state(world: World, number: int) -> CaseState:
    with world.application.database.read() as connection:
        found = cases.find(connection, number)
    assert found is not None
    return found.state


def outcome(world: World, number: int) -> str:
    with world.application.database.read() as connection:
        return cases.verdicts(connection, number)[0].outcome


def test_claiming_gives_the_verdict_bar(world: World, page: Page) -> None:
    case = world.case()
    test = page("case", "reviewer", id=str(case))
    button(test, "Claim and review").click().run()
    assert state(world, case) is CaseState.CLAIMED
    assert {"Violation", "False alarm", "Escalate", "Skip"} <= set(labels(test))
    assert "held by you for another 20 min" in spoken(test)


def test_a_verdict_with_its_reason_goes_on_to_the_next_case(world: World, page: Page) -> None:
    first, second = world.case(due=timedelta(hours=1)), world.case(due=timedelta(hours=2))
    test = page("case", "reviewer", id=str(first))
    button(test, "Claim and review").click().run()
    test.selectbox(key=f"reason-{first}").set_value(ReasonCode.HARMLESS)
    button(test, "False alarm").click().run()
    assert not test.exception
    assert (state(world, first), outcome(world, first)) == (CaseState.DECIDED, "false_alarm")
    assert state(world, second) is CaseState.CLAIMED
    assert test.toast[0].value == f"Case {first}: false alarm. Saved."


def test_a_verdict_without_a_fitting_reason_asks_for_one(world: World, page: Page) -> None:
    case = world.case()
    test = page("case", "reviewer", id=str(case))
    button(test, "Claim and review").click().run()
    button(test, "Violation").click().run()
    assert state(world, case) is CaseState.CLAIMED
    assert "Why is it a violation?" in spoken(test)
    other = button(test, "Something else")
    assert other.disabled
    assert other.help == "Write a note first"
    button(test, "It broke a rule").click().run()
    assert outcome(world, case) == "violation"


def test_what_somebody_else_holds_is_said_kindly(world: World, page: Page) -> None:
    case = world.case()
    world.application.review.claim(world.people["senior_reviewer"], case)
    test = page("case", "reviewer", id=str(case))
    assert "is working on this case" in spoken(test)
    claim = button(test, "Claim")
    assert claim.disabled
    assert "holds it now" in claim.help


def test_a_decision_in_another_window_is_a_message_and_no_second_verdict(world: World, page: Page) -> None:
    case = world.case()
    test = page("case", "reviewer", id=str(case))
    button(test, "Claim and review").click().run()
    again = world.application.review.claim(world.people["reviewer"], case)
    world.application.review.decide(
        world.people["reviewer"],
        case,
        again.lease_token,
        outcome=VerdictOutcome.VIOLATION,
        reason=ReasonCode.ATTACK,
    )
    test.selectbox(key=f"reason-{case}").set_value(ReasonCode.HARMLESS)
    button(test, "False alarm").click().run()
    assert not test.exception
    assert outcome(world, case) == "violation"
    assert "decided already" in spoken(test)


def test_a_lease_that_ran_out_loses_no_words_and_says_so(world: World, page: Page, clock: Clock) -> None:
    case = world.case()
    test = page("case", "reviewer", id=str(case))
    button(test, "Claim and review").click().run()
    clock.forward(minutes=30)
    test.run()
    assert "nobody holds it" in spoken(test)
    assert not button(test, "Claim and review").disabled


def test_escalating_needs_a_note_and_then_a_senior(world: World, page: Page) -> None:
    case = world.case()
    test = page("case", "reviewer", id=str(case))
    button(test, "Claim and review").click().run()
    button(test, "Escalate").click().run()
    assert state(world, case) is CaseState.CLAIMED
    assert "An escalation needs a note" in spoken(test)
    test.text_input(key=f"note-{case}").set_value("Is this advice?")
    button(test, "Escalate").click().run()
    assert state(world, case) is CaseState.ESCALATED
    blocked = button(page("case", "reviewer", id=str(case)), "Claim and review")
    assert blocked.disabled
    assert blocked.help == "You escalated it; a senior decides"
    senior = page("case", "senior_reviewer", id=str(case))
    assert "Is this advice?" in spoken(senior)
    assert not button(senior, "Claim and review").disabled


def test_a_severe_violation_waits_for_a_second_person(world: World, page: Page) -> None:
    case = world.case(severity="critical")
    review = world.application.review
    author = world.people["senior_reviewer"]
    claim = review.claim(author, case)
    review.decide(author, case, claim.lease_token, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.ATTACK)
    own = page("case", "senior_reviewer", id=str(case))
    assert button(own, "Approve").disabled
    assert button(own, "Approve").help == "Somebody else must approve your verdict"
    other = page("case", "compliance_officer", id=str(case))
    button(other, "Return").click().run()
    assert "needs a note" in spoken(other)
    assert state(world, case) is CaseState.APPROVAL
    button(other, "Approve").click().run()
    assert state(world, case) is CaseState.DECIDED


def test_a_skipped_case_does_not_come_back_before_the_others(world: World, page: Page) -> None:
    first, second, third = (world.case(due=timedelta(hours=hours)) for hours in (1, 2, 3))
    test = page("case", "reviewer", id=str(first))
    button(test, "Claim and review").click().run()
    button(test, "Skip").click().run()
    assert not test.exception
    assert state(world, first) is CaseState.OPEN
    assert state(world, second) is CaseState.CLAIMED
    for case, after in ((second, third), (third, None)):
        test.selectbox(key=f"reason-{case}").set_value(ReasonCode.HARMLESS)
        button(test, "False alarm").click().run()
        assert state(world, first) is CaseState.OPEN
        assert after is None or state(world, after) is CaseState.CLAIMED
    assert test.toast[0].value == "Only cases that you skipped are left."
    queue = page("queue", "reviewer")
    assert "You skipped it before; nothing else waits for you." in spoken(queue)
    button(queue, "Start reviewing").click().run()
    assert state(world, first) is CaseState.CLAIMED


def test_a_skipped_case_is_left_to_others_for_a_while_only(world: World, page: Page, clock: Clock) -> None:
    first, second = world.case(due=timedelta(hours=5)), world.case(due=timedelta(hours=6))
    test = page("case", "reviewer", id=str(first))
    button(test, "Claim and review").click().run()
    button(test, "Skip").click().run()
    assert f"Case {second}" in spoken(page("queue", "reviewer")), "the one that the reviewer holds"
    assert f"Case {first}:" in spoken(page("queue", "senior_reviewer"))
    clock.forward(minutes=61)
    assert f"Case {first}:" in spoken(page("queue", "reviewer"))


def test_original_text_is_for_who_holds_the_case(world: World, page: Page) -> None:
    case = world.case()
    test = page("case", "reviewer", id=str(case))
    show = button(test, "Show original text")
    assert show.disabled
    assert show.help == "Claim the case first"
    button(test, "Claim and review").click().run()
    assert not button(test, "Show original text").disabled
    engineer = button(page("case", "engineer", id=str(case)), "Show original text")
    assert engineer.disabled
    assert engineer.help == "Your role may not see original text"


def test_harmful_text_stays_folded_until_asked_for(world: World, page: Page) -> None:
    case = world.case(category="violence", answer="words that hurt")
    test = page("case", "reviewer", id=str(case))
    assert any(label.startswith("Show folded text") for label in labels(test))
    button(test, "Show folded text").click().run()
    assert not any(label.startswith("Show folded text") for label in labels(test))


def test_a_reviewer_sees_how_many_hard_cases_the_day_held(world: World, page: Page, clock: Clock) -> None:
    world.case()
    first, second = (world.case(category="violence", policy="safety.violence") for _number in range(2))
    assert "hard to read" not in spoken(page("queue", "reviewer"))
    review, who = world.application.review, world.people["reviewer"]
    claim = review.claim(who, first)
    assert "1 case of your day was hard to read" in spoken(page("queue", "reviewer"))
    review.decide(who, first, claim.lease_token, outcome=VerdictOutcome.FALSE_ALARM, reason=ReasonCode.HARMLESS)
    review.escalate(who, second, review.claim(who, second).lease_token, "Is this meant?")
    assert "2 cases of your day were hard to read" in spoken(page("queue", "reviewer"))
    assert "Your day held 2 cases with text that is hard to read." in spoken(page("case", "reviewer", id=str(second)))
    assert "of your day" not in spoken(page("queue", "senior_reviewer"))
    clock.forward(days=1)
    assert "hard to read" not in spoken(page("queue", "reviewer"))


def test_steps_of_a_trace_are_listed_below_their_parents(world: World, page: Page) -> None:
    trace, root = b"t" * 16, b"r" * 8
    world.call(kind="agent", name="claims_agent", trace=trace, span=root, ago=timedelta(minutes=9))
    world.call(
        kind="tool",
        name="update_payout",
        trace=trace,
        parent=root,
        ago=timedelta(minutes=8),
        said=[(PartKind.TOOL_CALL, "update_payout", "{claim: 7}"), (PartKind.TOOL_RESULT, "update_payout", "done")],
    )
    test = page("call", "engineer", id=str(world.calls[1]))
    assert title(test) == "Nothing was flagged in this call"
    assert test.selectbox(key=f"call-{world.calls[1]}-step").options == ["claims_agent", "\u2003update_payout"]
    assert [code.value for code in test.code] == [
        "Tool call update_payout:\n{claim: 7}",
        "Tool result update_payout:\ndone",
    ]


def test_further_calls_of_an_incident_and_their_case_lead_to_each_other(world: World, page: Page) -> None:
    case = world.case()
    alone = page("case", "reviewer", id=str(case))
    assert not any("Also seen" in expander.label for expander in alone.expander)
    further = [world.call(name=f"chat {number}", action="block", queue="security") for number in range(2)]
    with world.application.database.write() as tx:
        for call in further:
            tx.cases.add_call(case, call)
    test = page("case", "reviewer", id=str(case))
    assert not test.exception
    assert "Also seen in 2 further calls" in [expander.label for expander in test.expander]
    assert "chat 1" in spoken(test)
    joined = page("call", "engineer", id=str(further[0]))
    assert not joined.exception
    assert "Document carries instructions · open" in spoken(joined)


def test_further_calls_are_bounded_and_only_of_systems_one_may_see(world: World) -> None:
    case = world.case()
    further = [world.call() for _number in range(3)]
    with world.application.database.write() as tx:
        for call in further:
            tx.cases.add_call(case, call)
    with world.application.database.read() as connection:
        found, more = cases.further_calls(connection, case, None, most=2)
        assert ([one.id for one in found], more) == (further[:2], True)
        assert cases.further_calls(connection, case, (world.system("HR assistant"),)) == ([], False)
