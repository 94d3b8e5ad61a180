"""What is stated of a call as a whole: how it went, what its answer is like, and what its user may reach."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governance.detectors.access import AccessDetector
from governance.detectors.behaviour import BehaviourDetector
from governance.detectors.patterns import PatternDetector
from governance.detectors.structure import StructureDetector, repetition, wants_json
from governance.domain.calls import Call, CallKind, Document, EndUser, Message, ToolCall, Usage
from governance.domain.content import Content, ContentKind, PartKind, parts_of
from governance.domain.findings import Finding
from governance.errors import Misconfigured

POLICIES = Path("policies/access")


def call(**fields: Any) -> Call:
    stated: dict[str, Any] = {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "kind": CallKind.LLM,
        "system": "bank",
        "started_at": datetime(2026, 11, 23, tzinfo=UTC),
        "content_captured": True,
        "output": (Message(role="assistant", text="Good day."),),
    }
    return Call(**stated | fields)


def rules(findings: Any) -> set[str]:
    return {finding.rule for finding in findings}


def behaviour(one: Call, **options: Any) -> list[Finding]:
    return list(BehaviourDetector(options).examine_call(one, list(parts_of(one))))


def structure(one: Call) -> list[Finding]:
    return list(StructureDetector().examine_call(one, list(parts_of(one))))


def access(one: Call) -> list[Finding]:
    return list(
        AccessDetector.load(POLICIES, classify=PatternDetector.of(["pii", "secrets"])).examine_call(
            one, list(parts_of(one))
        )
    )


def test_a_quiet_call_has_no_findings() -> None:
    assert not behaviour(call(duration_ms=200.0, usage=Usage(input_tokens=100, output_tokens=20)))
    assert not structure(call())
    assert not access(call())


def test_errors_are_stated_without_their_words() -> None:
    (finding,) = behaviour(call(error="RateLimitError: the prompt 'my PIN is 1234' was refused"))
    assert (finding.category, finding.data["error"]) == ("error", "RateLimitError")


def test_numbers_over_a_threshold_are_stated_with_the_number() -> None:
    slow = call(duration_ms=5_000.0, usage=Usage(input_tokens=900, output_tokens=200))
    assert not behaviour(slow)
    found = {finding.category: finding.data for finding in behaviour(slow, duration_ms=4_000, total_tokens=1_000)}
    assert found["latency"]["duration_ms"] == 5_000.0
    assert found["tokens"]["total_tokens"] == 1_100.0
    assert not behaviour(slow, duration_ms=5_000, total_tokens=1_100)


def test_retries_and_loops_are_stated() -> None:
    assert rules(behaviour(call(attributes={"http.request.resend_count": "2"}))) == {"resent"}
    assert not behaviour(call(attributes={"http.request.resend_count": "many"}))
    again = tuple(Message(role="user", text="Where is my card?") for _ in range(3))
    assert rules(behaviour(call(input=again))) == {"same-message"}
    assert not behaviour(call(input=again[:2]))
    loop = tuple(ToolCall(id=str(number), name="search", arguments='{"q": "x"}') for number in range(3))
    assert rules(behaviour(call(tool_calls=loop))) == {"same-tool-call"}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"output": ()}, {"no-answer"}),
        ({"output": (Message(role="assistant", text=" \n"),)}, {"no-answer"}),
        ({"output": (), "content_captured": False}, set()),
        ({"output": (), "error": "timeout"}, set()),
        ({"output": (), "tool_calls": (ToolCall(name="search"),)}, set()),
        ({"output": (), "kind": CallKind.TOOL}, set()),
        ({"finish_reasons": ("length",)}, {"finish-reason-length"}),
        ({"finish_reasons": ("content_filter",)}, {"finish-reason-filter"}),
    ],
)
def test_answers_that_are_missing_or_cut(fields: dict[str, Any], wanted: set[str]) -> None:
    assert rules(structure(call(**fields))) == wanted


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.output.type": "json"},
        {"llm.invocation_parameters": '{"response_format": {"type": "json_object"}}'},
        {"response_format": {"type": "json_schema"}},
    ],
)
def test_json_that_was_asked_for_must_be_json(attributes: dict[str, Any]) -> None:
    def answered(text: str) -> set[str]:
        return rules(structure(call(attributes=attributes, output=(Message(role="assistant", text=text),))))

    assert wants_json(call(attributes=attributes))
    assert answered('{"a": [1]}') == set()
    assert answered("Sure! {") == {"not-json"}
    assert answered('```json\n{"a": 1}\n```') == {"fenced-json"}
    assert answered("[" * 100_000) == {"too-deep"}


@pytest.mark.parametrize("attributes", [{}, {"gen_ai.output.type": "text"}, {"llm.invocation_parameters": "no json"}])
def test_prose_may_be_prose(attributes: dict[str, Any]) -> None:
    assert not structure(call(attributes=attributes))


def test_long_and_repeating_answers_are_stated() -> None:
    def states(text: str, role: str = "assistant") -> set[str]:
        return rules(
            StructureDetector({"max_characters": 1_000}).examine(
                Content(kind=ContentKind.MESSAGE, role=role, text=text)
            )
        )

    assert states("the same words again and again " * 20) == {"repeats-itself"}
    assert states(" ".join(str(number) for number in range(400))) == {"too-long"}
    assert states("the same words again and again " * 20, role="user") == set()
    assert repetition("a b c") == 0.0


def document(*labels: str) -> Document:
    return Document(id="d1", text="The board will decide on the merger with the northern bank in May.", labels=labels)


@pytest.mark.parametrize(
    ("role", "labels", "wanted"),
    [
        ("customer", (), set()),
        ("customer", ("public",), set()),
        ("", ("internal",), set()),
        ("customer", ("confidential",), {"not-permitted"}),
        ("employee", ("Confidential",), set()),
        ("employee", ("board",), {"restricted-needs-clearance"}),
        ("compliance", ("board",), set()),
        ("compliance", ("hr",), {"hr-files-stay-in-hr"}),
        ("HR", ("hr",), set()),
    ],
)
def test_documents_are_read_by_those_who_may(role: str, labels: tuple[str, ...], wanted: set[str]) -> None:
    found = access(call(user=EndUser(id="u", role=role), documents=(document(*labels),)))
    assert rules(found) == wanted
    for finding in found:
        assert (finding.category, finding.label, finding.part, finding.index) == (
            "access",
            "read",
            PartKind.DOCUMENT,
            0,
        )


def test_tools_that_cannot_be_undone_need_a_role() -> None:
    def used(tool: str, role: str) -> set[str]:
        return rules(access(call(user=EndUser(role=role), tool_calls=(ToolCall(name=tool, arguments="{}"),))))

    assert used("search", "") == set()
    assert used("delete_customer", "customer") == {"irreversible-tools-need-a-role"}
    assert used("delete_customer", "manager") == set()


def test_secrets_are_surfaced_to_nobody_and_numbers_not_to_strangers() -> None:
    def shown(text: str, role: str) -> set[str]:
        return rules(access(call(user=EndUser(role=role), output=(Message(role="assistant", text=text),))))

    assert shown("Use sk_live_ReTllpYQYfIZu2Jnf2lAPFjD.", "admin") == {"secrets-are-not-surfaced"}
    assert shown("The card is 4111 1111 1111 1111.", "guest") == {"identity-numbers-need-a-known-role"}
    assert shown("The card is 4111 1111 1111 1111.", "customer") == set()


def test_cedar_errors_are_no_permission() -> None:
    schema = (POLICIES / "data.cedarschema").read_text()
    with pytest.raises(Misconfigured, match=r"data\.cedar"):
        AccessDetector("permit (principal, action, resource", schema)
    with pytest.raises(Misconfigured, match="does not fit"):
        AccessDetector('permit (principal, action == Action::"fly", resource);', schema)
    with pytest.raises(Misconfigured, match="not a Cedar schema"):
        AccessDetector("permit (principal, action, resource);", "entity")


def test_the_version_covers_the_policies() -> None:
    schema = (POLICIES / "data.cedarschema").read_text()
    one = AccessDetector("permit (principal, action, resource);", schema)
    other = AccessDetector("forbid (principal, action, resource);", schema)
    assert one.version != other.version
