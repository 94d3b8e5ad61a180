"""Policies about the steps of a trace or a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.calls import Call, CallKind, Document, Message, ToolCall
from governance.domain.content import PartKind, parts_of
from governance.domain.decisions import Action, Decision, Outcome, PolicyScope
from governance.domain.findings import DetectorFailure, Finding
from governance.domain.steps import ALONE, OtherSteps, Step
from governance.engine.decide import DecisionEngine
from governance.engine.request import call_from, steps_from
from governance.engine.sequence import MOST_STEPS, content_of, rows
from governance.errors import BadInput
from governance.policy.policy import Policy, PolicySet
from tests.policy.samples import call, finding, policy

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def step(number: int, *, findings: Sequence[Finding] = (), **changes: Any) -> Step:
    values = {"span_id": f"{number:016x}", "started_at": NOON + timedelta(seconds=number), "input": ()} | changes
    made = call(**values)
    parts = tuple(parts_of(made))
    return Step(call=made, parts=parts, content=content_of(parts), findings=tuple(findings))


def read(number: int, text: str = "poison", **changes: Any) -> Step:
    found = finding(part=PartKind.TOOL_RESULT, rule="override") if text == "poison" else None
    tools = (ToolCall(name="fetch", arguments=str(number), result=text),)
    return step(number, kind=CallKind.TOOL, tool_calls=tools, findings=[found] if found else [], **changes)


def sent(number: int, **changes: Any) -> Step:
    return step(number, kind=CallKind.TOOL, tool_calls=(ToolCall(name="send", arguments=str(number)),), **changes)


def plain(number: int, **changes: Any) -> Step:
    return step(number, **{"input": (Message(role="user", text=f"plain {number}"),), **changes})


READ_THEN_SENT = policy(
    scope="trace",
    when="steps.exists(b, 'send' in b.tools && steps.exists(a, a.order < b.order && (a.current || b.current)"
    " && a.findings.exists(f, f.score >= params.min_score)))",
    then={"action": "block", "queue": "security", "explain": "{finding.rule} in {finding.tool}, then {call.tools}"},
)


def decide(current: Step, others: Sequence[Step] = (), *policies: Policy, left_out: int = 0) -> Decision:
    sequence = OtherSteps(others=tuple(others), left_out=left_out) if others or left_out else ALONE
    engine = DecisionEngine(PolicySet(policies or [READ_THEN_SENT]))
    return engine.decide(current.call, current.parts, current.findings, current.failures, sequence)


def test_what_was_read_before_decides_what_may_be_sent() -> None:
    decision = decide(sent(3), [plain(1), read(2)])
    (outcome,) = decision.policies
    assert (decision.action, decision.queue, outcome.scope) == (Action.BLOCK, "security", PolicyScope.TRACE)
    assert outcome.explanation == "override in fetch, then send"
    assert outcome.values["steps"] == "3"
    assert decide(sent(3), [plain(1), read(2, "harmless")]).policies == ()
    assert decide(sent(1), [plain(2), read(3)]).policies == ()


def test_the_step_that_arrives_last_is_decided_whichever_it_is() -> None:
    assert decide(read(2), [plain(1), sent(3)]).action is Action.BLOCK
    assert decide(plain(1), [read(2), sent(3)]).policies == ()


@settings(max_examples=40)
@given(st.permutations([read(2), sent(4), plain(1), plain(3), plain(5), read(6, "harmless")]))
def test_any_order_of_arrival_finds_the_incident_once(arriving: list[Step]) -> None:
    """At each arrival all that came before is known: exactly one call completes the pair."""
    fired = [bool(decide(one, arriving[:number]).policies) for number, one in enumerate(arriving)]
    assert fired.count(True) == 1
    assert arriving[fired.index(True)].call.span_id in (read(2).call.span_id, sent(4).call.span_id)


@settings(max_examples=30)
@given(st.permutations([read(2), plain(1), plain(3), sent(5)]))
def test_the_order_in_which_steps_are_given_does_not_matter(others: list[Step]) -> None:
    assert decide(sent(4), others) == decide(sent(4), [read(2), plain(1), plain(3), sent(5)])


def test_a_trace_is_one_interaction_and_a_session_is_one_systems_conversation() -> None:
    elsewhere = read(1, trace_id="c" * 32, session_id="s")
    current = sent(2, session_id="s")
    assert decide(current, [elsewhere]).policies == ()
    in_session = READ_THEN_SENT.model_copy(update={"scope": PolicyScope.SESSION})
    assert decide(current, [elsewhere], in_session).policies[0].scope is PolicyScope.SESSION
    assert decide(sent(2, session_id="t"), [elsewhere], in_session).policies == ()
    assert decide(current, [read(1, session_id="s", system="other")], in_session).policies == ()
    assert decide(sent(2), [read(1)], in_session).policies  # no session is known: then it is the trace
    assert decide(sent(2), [read(1, system="other")]).policies  # a trace may run through several systems


def test_history_is_not_new() -> None:
    attempts = policy(
        scope="session",
        when="steps.filter(s, s.findings.size() > 0).size() >= 2",
        then={"action": "allow", "queue": "security", "explain": "x"},
    )
    bad, good = Message(role="user", text="bad"), Message(role="user", text="good")

    def turn(number: int, *said: Message, at: Sequence[int]) -> Step:
        found = [finding(index=index) for index in at]
        return step(number, input=said, findings=found, session_id="s", trace_id=f"{number:032x}")

    once = [turn(1, bad, at=[0]), turn(2, bad, good, at=[0])]
    assert decide(turn(3, bad, good, good, at=[0]), once, attempts).policies == ()
    assert decide(turn(3, bad, good, bad, at=[0, 2]), once, attempts).policies
    assert decide(turn(3, bad, at=[0]), once, attempts).policies  # said again, without a history


def test_a_tool_call_that_a_call_carries_is_a_step_after_it() -> None:
    asks = step(
        1,
        kind=CallKind.LLM,
        input=(Message(role="user", text="Go"),),
        documents=(Document(id="d", labels=("external",)),),
        tool_calls=(ToolCall(id="t1", name="fetch", arguments="{}", result="r"), ToolCall(id="t2", name="send")),
    )
    span = step(2, kind=CallKind.TOOL, name="run", tool_calls=(ToolCall(id="t2", name="send", result="done"),))
    found, left_out = rows([asks], span)
    assert left_out == 0
    assert [(row.order, row.kind, row.name, row.tools, row.current) for row in found] == [
        (1, "llm", "", [], False),
        (2, "tool", "fetch", ["fetch"], False),
        (3, "tool", "send", ["send"], False),
        (4, "tool", "run", [], True),  # the same call of the tool: only what it gave back is new
    ]
    assert [document.id for document in found[0].documents] == ["d"]
    assert found[3].seconds == 1.0


def test_the_same_tool_call_again_is_known_by_its_id() -> None:
    first = step(1, kind=CallKind.TOOL, tool_calls=(ToolCall(id="a", name="send", arguments="{}"),))
    again = step(2, kind=CallKind.TOOL, tool_calls=(ToolCall(id="b", name="send", arguments="{}"),))
    nameless = step(3, kind=CallKind.TOOL, tool_calls=(ToolCall(name="send", arguments="{}"),))
    found, _ = rows([first, again], nameless)
    assert [row.tools for row in found] == [["send"], ["send"], []]


def test_a_long_sequence_is_cut_and_says_so() -> None:
    others = [read(1), *(plain(number) for number in range(2, 500))]
    found, left_out = rows(others, sent(500))
    assert (len(found), left_out) == (MOST_STEPS, 300)
    assert found[0].findings  # what was found is kept, however old
    assert [row.order for row in found] == list(range(1, MOST_STEPS + 1))
    outcome = decide(sent(500), others, left_out=7).policies[0]
    assert outcome.values["steps.left_out"] == "307"


def test_what_is_not_known_of_another_step_is_no_all_clear() -> None:
    broken = replace(read(1, "?"), failures=(DetectorFailure(detector="patterns", reason="gone"),))
    unknown = replace(read(1, "?"), parts=(), content=(), unknown="its examination broke off (ValueError)")
    for other in (broken, unknown):
        (outcome,) = decide(sent(2), [other]).policies
        assert (outcome.outcome, outcome.queue) == (Outcome.ERROR, "security")
        assert "another step" in outcome.explanation
    elsewhere = replace(broken, failures=(DetectorFailure(detector="other", reason="gone"),))
    assert decide(sent(2), [elsewhere]).policies == ()


def test_a_condition_that_takes_too_long_over_its_steps_is_an_error() -> None:
    slow = policy(scope="trace", when="steps.all(a, steps.all(b, steps.all(c, a.order + b.order + c.order > 0)))")
    assert decide(plain(100), [plain(number) for number in range(60)], slow).policies[0].outcome is Outcome.ERROR


STEP_CONDITIONS = [
    "steps.size() > 1",
    "steps.exists(s, s.current && s.kind == 'llm')",
    "steps.exists(s, s.user.role == 'customer' && s.name == '')",
    "steps.exists(s, s.failed)",
    "steps.exists(s, s.findings.size() > 0)",
    "steps.exists(s, s.system == call.system && call.inputs > 1)",
    "steps[1].order == 2",
    "steps.all(s, s.documents.size() == 0 && s.tools.size() == 0)",
    "steps.exists(s, s.documents.exists(d, 'external' in d.labels))",
    "steps.exists(s, s.documents.exists(d, d.id == 'b') && s.tools.size() == 0)",
    "steps.exists(s, s.documents.exists(d, has(d.score) && d.score > 0.5))",
    "steps.exists(s, s.documents.filter(d, 'external' in d.labels).exists(e, e.id == 'a'))",
    "steps.exists(s, s.documents.map(d, d).exists(e, e.score > 0.5))",
    "steps.exists(s, s.documents.size() > 0 && s.documents[0].id == 'b')",
    "steps.exists(s, s.documents.exists(d, 'external' in d.labels)) && steps.exists(s, s.model == 'other')",
    "steps.exists(s, s.seconds > 2.0 && 'send' in s.tools)",
    "steps.size() == 1 && call.inputs > 0",
    "steps.exists(s, s.name == 'run')",
]


def retrieved(number: int, id_: str, score: float | None = None, *labels: str, **changes: Any) -> Step:
    documents = (Document(id=id_, text=f"{number}", score=score, labels=labels),)
    return step(number, kind=CallKind.RETRIEVAL, documents=documents, **changes)


STEPS = [
    plain(1), plain(2, error="x"), plain(3, kind=CallKind.LLM), plain(6, model="other"), sent(4), read(5),
    sent(7, name="run"), retrieved(8, "a", 0.9, "external"), retrieved(9, "b", 0.2),
    retrieved(10, "b", None, "external"), retrieved(11, "a", 0.2, "external", "internal"),
]  # fmt: skip


@settings(max_examples=250)
@given(
    st.lists(st.sampled_from(STEP_CONDITIONS), min_size=1, max_size=3),
    st.lists(st.sampled_from(STEPS), max_size=6),
    st.booleans(),
)
def test_what_is_skipped_would_have_said_nothing(conditions: list[str], calls: list[Step], together: bool) -> None:
    """Each policy asked alone, with everything it reads, says what the short ways of all together say."""
    made = [
        policy(id=f"p.n{number}", scope="trace" if number % 2 else "session", when=when, then={"explain": "x"})
        for number, when in enumerate(conditions)
    ]
    engine = DecisionEngine(PolicySet(made))
    for number, current in enumerate(calls):
        others = calls[:number] if together else []
        sequence = OtherSteps(others=tuple(others)) if others else ALONE
        values = (current.call, current.parts, current.findings, current.failures, sequence)
        fired = {one.policy for one in engine.decide(*values).policies}
        for reading in engine.readings(*values):
            try:
                holds = reading.condition.holds(reading.call, reading.findings, reading.steps)
            except Exception:
                holds = True
            assert (reading.policy.id in fired) is holds, reading.policy.when


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("when", STEP_CONDITIONS)
def test_what_is_remembered_of_one_sequence_is_so_of_another(
    when: str, backwards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One engine decides one sequence after the other, and forgets as little as it can; another never remembers."""
    made = PolicySet([policy(scope="trace", when=when, then={"explain": "x"})])
    engine, forgetful = DecisionEngine(made), DecisionEngine(made)
    monkeypatch.setattr(forgetful._telling, "key", lambda _rows: None)
    sequences = [(*others, current) for current in STEPS for others in [(), *((one,) for one in STEPS), STEPS]]
    for *others, current in reversed(sequences) if backwards else sequences:
        around = OtherSteps(others=tuple(one for one in others if one is not current))
        values = (current.call, current.parts, current.findings, current.failures, around)
        assert engine.decide(*values) == forgetful.decide(*values), [step.call.span_id for step in around.others]


def test_policies_about_a_call_know_no_steps() -> None:
    from governance.policy.conditions import IllTyped

    with pytest.raises(IllTyped, match="undeclared reference to 'steps'"):
        DecisionEngine(PolicySet([policy(when="steps.size() > 0")]))


def test_steps_of_a_json_call_take_over_what_they_do_not_say() -> None:
    value = {
        "system": "bot", "session_id": "s", "user": {"role": "staff"}, "text": "x",
        "steps": [{"text": "a"}, {"text": "b", "system": "other", "trace_id": "d" * 32, "user": {"role": "r"}}],
    }  # fmt: skip
    current = call_from(value)
    first, second = steps_from(value, current)
    assert (first.system, first.session_id, first.user.role, first.trace_id) == ("bot", "s", "staff", current.trace_id)
    assert (second.system, second.user.role, second.trace_id) == ("other", "r", "d" * 32)
    assert first.started_at < second.started_at < current.started_at


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("x", "steps must be a list"),
        ([1], r"steps\[0\] must be a call"),
        ([{"steps": []}], "steps of its own"),
        ([{"text": 1}], r"steps\[0\]: text must be a string"),
        ([{}] * (MOST_STEPS + 1), "at most"),
    ],
)
def test_bad_steps_are_said(steps: object, words: str) -> None:
    value = {"text": "x", "steps": steps}
    with pytest.raises(BadInput, match=words):
        steps_from(value, call_from({"text": "x"}))
    assert isinstance(call_from(value), Call)
