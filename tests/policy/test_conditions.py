from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from governance.domain.calls import Call, Document, EndUser, Release, ToolCall, Usage
from governance.domain.findings import Finding
from governance.policy.conditions import Condition, ConditionFailed, IllTyped, Language, paths_of
from governance.policy.context import MESSAGES, READERS
from governance.policy.explain import CALL, FINDING, fill
from tests.policy.samples import call, finding, policy


def holds(condition: str, about: Call | None = None, findings: list[Finding] | None = None, **changes: Any) -> bool:
    one = policy(when=condition, **changes)
    language = Language([one])
    read = [language.finding(each, alias="phrases", name="d1") for each in findings or []]
    return language.compile(one, condition).holds(language.call(about or call()), read)


FULL = call(
    name="chat",
    session_id="s",
    model="m",
    provider="p",
    release=Release(name="r", model="m", prompt_version="3", retrieval="k", tools="t"),
    usage=Usage(input_tokens=10, output_tokens=2**70, cached_tokens=0),
    duration_ms=12.5,
    error="timeout",
    finish_reasons=("stop",),
    documents=(Document(id="d", text="abc", score=0.5, labels=("hr",)),),
    tool_calls=(ToolCall(name="send"),),
    attributes={"a": 1, "b": [1]},
)


@pytest.mark.parametrize(
    "condition",
    [
        'call.system == "support-bot" && call.kind == "other" && call.name == "chat"',
        'call.user == gov.User{id: "u1", role: "customer"} || call.user.id == "u1"'.replace("gov.", "governance."),
        'call.release.name == "r" && call.release.fingerprint.size() == 16 && call.release.tools == "t"',
        "has(call.usage.cached_tokens) && call.usage.input_tokens == 10 && call.usage.output_tokens > 1000000",
        'has(call.duration_ms) && call.duration_ms == 12.5 && call.error == "timeout"',
        'call.finish_reasons == ["stop"] && call.tools == ["send"]',
        'call.documents[0].labels == ["hr"] && call.documents[0].score == 0.5 && call.documents[0].length == 3',
        'call.attributes["a"] == "1" && "b" in call.attributes && !("c" in call.attributes)',
        "call.inputs == 1 && call.outputs == 0 && call.output_length == 0 && call.content_captured",
        'call.session_id == "s" && call.model == "m" && call.provider == "p"',
    ],
)
def test_a_condition_reads_every_field_of_a_call(condition: str) -> None:
    assert holds(condition, FULL)


def test_what_a_producer_did_not_say_is_absent() -> None:
    assert not holds("has(call.duration_ms) || has(call.usage.input_tokens)")
    assert holds("call.duration_ms == 0.0 && call.usage.input_tokens == 0")


def test_a_condition_reads_every_field_of_a_finding() -> None:
    one = finding(label="x", data={"n": 2, "s": "t", "yes": True, "count": 7})
    assert holds(
        "findings.exists(f, f.detector == 'phrases' && f.category == 'injection' && f.rule == 'override'"
        " && f.pack == 'injection' && f.label == 'x' && f.score == 0.9 && f.part == 'input' && f.index == 0"
        " && f.document == '' && f.tool == '' && f.length == 5 && f.count == 7"
        " && f.data['s'] == 't' && f.data['yes'] == 'true' && f.numbers['n'] == 2.0 && !('yes' in f.numbers))",
        findings=[one],
    )


def test_parameters_have_the_types_they_are_written_in() -> None:
    params = {"yes": True, "n": 3, "x": 0.5, "w": "a", "ws": ["a", "b"], "xs": [1.0, 2.5]}
    assert holds(
        "params.yes && params.n == 3 && params.x == 0.5 && params.w in params.ws && params.xs[1] == 2.5", params=params
    )


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "1",
        "findings",
        "call.nothing == 1",
        "nothing",
        "params.absent == 1",
        "1 +",
        "call.system == 1",
        "((((" * 50,
        "\0",
    ],
)
def test_what_does_not_compile_is_refused_with_its_place(condition: str) -> None:
    one = policy()
    with pytest.raises(IllTyped) as caught:
        Language([one]).compile(one, condition)
    assert all(mistake.line >= 1 and mistake.column >= 1 and mistake.message for mistake in caught.value.mistakes)


def test_an_error_is_never_an_answer() -> None:
    for condition in ('call.tools[0] == "x"', 'call.attributes["x"] == "y"', '"(".matches("(")', "1 / 0 == 1"):
        with pytest.raises(ConditionFailed):
            holds(condition)


def test_a_value_of_another_type_is_never_an_answer() -> None:
    one = policy(when="dyn(1) == dyn(1)")
    made = Language([one]).compile(one, one.when)
    assert isinstance(made, Condition)
    with pytest.raises(IllTyped):
        Language([one]).compile(one, "dyn(true)")


def test_silence_is_claimed_only_when_every_condition_is_false_without_an_error() -> None:
    false, true = policy(id="a.a", when="params.min_score > 1.0"), policy(id="b.b", when="params.min_score < 1.0")
    error = policy(id="c.c", when='call.tools[0] == "x"')
    comment = policy(id="d.d", when="false // no more")
    language = Language([false, true, error, comment])
    context = language.call(call())
    assert language.silent([false, comment]).holds(context)
    assert language.silent([]).holds(context)
    assert not language.silent([false, true]).holds(context)
    assert not language.silent([false, error]).holds(context)
    many = [policy(id=f"p.n{number}", when="params.min_score > 1.0") for number in range(300)]
    assert Language(many).silent(many).holds(Language(many).call(call()))


def test_every_field_of_the_schema_is_read_and_documented() -> None:
    assert set(READERS) == {field.name for field in MESSAGES["Call"]}
    for fields in MESSAGES.values():
        assert all(field.doc.endswith(".") for field in fields)
    # What a call holds and no condition can read, on purpose: its identity, its time and its texts.
    hidden = {"trace_id", "span_id", "parent_span_id", "started_at", "input", "output", "tool_calls"}
    assert {field.name for field in dataclasses.fields(Call)} - hidden <= set(READERS)


def test_only_selections_outside_of_strings_are_recorded() -> None:
    assert paths_of('call.user.role == "call.system" && params.x > 1 // call.model\n && call.tools.size() > 0') == [
        "call.user.role",
        "params.x",
        "call.tools",
    ]


# Explanations


def test_an_explanation_is_filled_once_and_never_read_again() -> None:
    one = policy(
        then={"action": "block", "explain": "{finding.document} {call.user.role} {params.min_score} {nothing}"}
    )
    hostile = call(user=EndUser(role="{finding.rule}{call.system}"))
    assert fill(one, hostile, finding(), name="{params.min_score}") == (
        "{params.min_score} {finding.rule}{call.system} 0.5 {nothing}"
    )


def test_untrusted_values_are_short_and_on_one_line() -> None:
    one = policy(then={"action": "block", "explain": "{finding.document}|{call.user.role}"})
    filled = fill(one, call(user=EndUser(role="a\nb\u202ec\x1b[31m\ud800")), finding(), name="x" * 500)
    document, role = filled.split("|")
    assert len(document) == 80
    assert role == "a b\ufffdc\ufffd[31m\ufffd"


def test_every_placeholder_can_be_filled() -> None:
    names = [f"finding.{name}" for name in FINDING] + [f"call.{name}" for name in CALL]
    for about in (call(), FULL):
        for name in names:
            one = policy(then={"action": "block", "explain": f"{{{name}}}"})
            assert fill(one, about, finding()) != f"{{{name}}}"
            fill(one, about, None)
