from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pytest

from governance.detectors.interface import CallSubject
from governance.domain.calls import Document, Message, ToolCall
from governance.domain.content import Content, PartKind, parts_of
from governance.domain.decisions import Action, Operator
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.engine.act import BLOCKED, consequence, record_of
from governance.engine.check import Checker
from governance.engine.decide import DecisionEngine
from governance.engine.request import call_from
from governance.errors import BadInput
from governance.policy.policy import Policy, PolicySet
from tests.policy.samples import call, policy


class Words:
    """Finds the word "bad"; counts what it was asked."""

    def __init__(self) -> None:
        self.examined: list[str] = []

    def examine(self, content: Content) -> Examination:
        self.examined.append(content.text)
        at = content.text.find("bad")
        if at < 0:
            return Examination()
        found = Finding(
            detector="patterns", pack="injection", category="injection", rule="bad", score=1.0, start=at, end=at + 3
        )
        return Examination(findings=(found,))

    def examine_many(self, contents: Sequence[Content]) -> list[Examination]:
        return [self.examine(content) for content in contents]

    def examine_calls(self, subjects: Sequence[CallSubject]) -> list[Examination]:
        gone = Examination(failures=(DetectorFailure(detector="patterns", reason="gone"),))
        return [gone if subject.call.error else Examination() for subject in subjects]


CONVERSATION = call(
    input=(
        Message(role="system", text="Be kind."),
        Message(role="user", text="bad"),
        Message(role="assistant", text="No."),
        Message(role="user", text="bad"),
    ),
    documents=(Document(id="d1", text="good"), Document(id="d2", text="very bad")),
    tool_calls=(ToolCall(name="send", arguments="{}", result="bad"),),
)


def test_the_same_content_is_examined_once_and_found_in_each_of_its_places() -> None:
    words = Words()
    checked = Checker(words, DecisionEngine(PolicySet([policy()]))).check(CONVERSATION)
    assert words.examined.count("bad") == 2  # as a message and as a tool's result: not the same content
    assert {(one.part, one.index, one.start) for one in checked.findings} == {
        (PartKind.INPUT, 0, 0),
        (PartKind.INPUT, 1, 0),
        (PartKind.DOCUMENT, 1, 5),
        (PartKind.TOOL_RESULT, 0, 0),
    }
    assert checked.decision.action is Action.BLOCK


def test_what_is_known_is_not_examined_again() -> None:
    words = Words()
    checker = Checker(words, DecisionEngine(PolicySet([policy()])))
    first = checker.check(CONVERSATION)
    words.examined.clear()
    again = checker.check(CONVERSATION, first.examinations)
    assert words.examined == []
    assert again.examinations == {}
    assert again.findings == first.findings
    assert again.decision == first.decision


def test_failures_of_the_call_reach_the_decision() -> None:
    checked = Checker(Words(), DecisionEngine(PolicySet([policy()]))).check(call(error="500"))
    assert checked.decision.queue == "security"
    assert checked.failures == (DetectorFailure(detector="patterns", reason="gone"),)


def test_an_explanation_names_the_document() -> None:
    about = policy(
        applies_to={"parts": ["document"]}, then={"action": "block", "explain": "{finding.document}: {finding.part}"}
    )
    checked = Checker(Words(), DecisionEngine(PolicySet([about]))).check(CONVERSATION)
    assert checked.decision.explanation == "d2: document"


def _stars(
    text: str, findings: Sequence[Finding], operators: Mapping[str, Operator] = MappingProxyType({}), record: str = ""
) -> str:
    assert record == record_of(CONVERSATION)
    for one in findings:
        text = text[: one.start] + "*" * (one.end - one.start) + text[one.end :]
    return text


def test_redaction_touches_only_what_the_redacting_policies_found() -> None:
    redacting = policy(then={"action": "redact", "explain": "x"}, applies_to={"parts": ["input"]})
    checked = Checker(Words(), DecisionEngine(PolicySet([redacting]))).check(CONVERSATION)
    made = consequence(checked.decision, PolicySet([redacting]), CONVERSATION, checked.parts, checked.findings, _stars)
    assert made.safe_response is None
    assert made.redacted is not None
    assert [one.text for one in made.redacted] == ["Be kind.", "***", "No.", "***"]


def test_the_policies_say_how_and_of_two_the_one_that_shows_less_counts() -> None:
    said: list[Mapping[str, Operator]] = []

    def note(
        text: str,
        findings: Sequence[Finding],
        operators: Mapping[str, Operator] = MappingProxyType({}),
        record: str = "",
    ) -> str:
        said.append(operators)
        return text

    def redacting(number: int, **how: str) -> Policy:
        then = {"action": "redact", "explain": "x", "redact": how}
        return policy(id=f"test.{number}", then=then)

    policies = PolicySet([redacting(1, email="mask", pii="hash"), redacting(2, email="encrypt", iban="mask")])
    checked = Checker(Words(), DecisionEngine(policies)).check(CONVERSATION)
    consequence(checked.decision, policies, CONVERSATION, checked.parts, checked.findings, note)
    assert said
    assert all(one == {"email": "encrypt", "pii": "hash", "iban": "mask"} for one in said)


def test_a_safe_default_gives_its_text_and_a_block_always_gives_one() -> None:
    safe = policy(then={"action": "safe_default", "explain": "x", "safe_response": "Please call us."})
    for one, expected in ((safe, "Please call us."), (policy(), BLOCKED)):
        policies = PolicySet([one])
        checked = Checker(Words(), DecisionEngine(policies)).check(CONVERSATION)
        made = consequence(checked.decision, policies, CONVERSATION, checked.parts, checked.findings, _stars)
        assert (made.redacted, made.safe_response) == (None, expected)


def test_an_allowed_call_has_no_consequence() -> None:
    policies = PolicySet([policy()])
    about = call()
    checked = Checker(Words(), DecisionEngine(policies)).check(about)
    made = consequence(checked.decision, policies, about, checked.parts, checked.findings, _stars)
    assert (made.redacted, made.safe_response) == (None, None)


def test_a_bare_text_is_what_the_user_asked_or_what_was_answered() -> None:
    asked = call_from({"text": "hi"})
    assert [(part.kind, part.content.text) for part in parts_of(asked)] == [(PartKind.INPUT, "hi")]
    answered = call_from({"text": "hi", "direction": "output", "user": {"role": "staff"}})
    assert [(part.kind, part.content.text) for part in parts_of(answered)] == [(PartKind.OUTPUT, "hi")]
    assert answered.user.role == "staff"


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {"text": 1},
        {"text": "x", "direction": "sideways"},
        {"documents": "x"},
        {"documents": [1]},
        {"documents": [{"text": "x", "score": "high"}]},
        {"input": [{"role": 1}]},
        {"tool_calls": ["x"]},
        {"user": 3},
        {"usage": {"input_tokens": -1}},
        {"kind": "dream"},
        {"content_captured": "yes"},
        {"duration_ms": True},
    ],
)
def test_a_value_that_is_no_call_is_refused_by_name(value: object) -> None:
    with pytest.raises(BadInput):
        call_from(value)


def test_unknown_keys_are_refused_only_where_they_are_surely_mistakes() -> None:
    assert call_from({"text": "x", "label": 1}).input[0].text == "x"
    with pytest.raises(BadInput, match="label"):
        call_from({"text": "x", "label": 1}, strict=True)
