"""What is said to be always or never true is: checked against CEL itself."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.calls import CallKind, EndUser
from governance.domain.content import PartKind
from governance.policy.conditions import ConditionFailed, Language
from governance.policy.constants import constants
from tests.policy.samples import call, finding, policy


def said(condition: str, **changes: Any) -> dict[str, bool]:
    one = policy(when=condition, **changes)
    Language([one]).compile(one, condition)
    return {found.part.text: found.value for found in constants(one)}


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("true", True),
        ("1 > 2", False),
        ("params.min_score > 0.9", False),
        ("params.min_score >= 0.5", True),
        ("call.inputs >= 0", True),
        ("call.inputs > 3 && call.inputs < 4", False),
        ("call.documents.size() < 0", False),
        ('call.kind == "lmm"', False),
        ('call.name == "a" && call.name == "b"', False),
        ('call.name != "a" || call.name != "b"', True),
        ('call.name in ["a"] && call.name != "a"', False),
        ("call.content_captured || !call.content_captured", True),
        ("call.content_captured && !(call.content_captured)", False),
        ("findings.exists(f, f.score > 1.0)", False),
        ("findings.all(f, f.score <= 1.0)", True),
        ("findings.exists(f, f.score < 0.2 && f.score > 0.8)", False),
        ('findings.exists(f, f.part == "documnt")', False),
        ("findings.exists(f, f.count >= 1 && false)", False),
        ("call.inputs > 1 ? call.inputs > 0 : call.inputs < 2", True),
    ],
)
def test_a_constant_condition_is_found(condition: str, value: bool) -> None:
    assert said(condition) == {condition: value}


@pytest.mark.parametrize(
    "condition",
    [
        "findings.exists(f, f.score >= params.min_score)",
        "findings.exists(f, f.score >= 1.0) || findings.exists(f, f.score <= 0.0)",
        "findings.exists(f, f.score > 0.8) && findings.exists(f, f.score < 0.2)",
        "findings.all(f, f.score > 0.5)",
        "call.inputs > 3 && call.inputs < 5",
        "call.duration_ms > 1.0 || call.duration_ms <= 1.0",  # not a number is neither
        'call.name == "a" && call.model == "b"',
        'call.kind == "llm" || call.kind == "tool"',
        '"a" in call.attributes && call.attributes["a"] == "b"',
        "call.documents.map(f, f.score).exists(s, s > 1.5)",  # a retriever's score is no detector's
        "call.documents.exists(f, f.score > 1.5)",
        'call.error == "\\\\d" && call.error == "x\\t"',
        "call.name < 'a' && call.name > 'b'",
        "findings.exists(f, f.index == 0 && f.length > 0)",
        " && ".join(f"call.attributes['{number}'] == 'x'" for number in range(40)),
    ],
)
def test_what_can_be_both_is_left_alone(condition: str) -> None:
    assert said(condition) == {}


def test_only_the_largest_constant_part_is_named() -> None:
    condition = "findings.exists(f, f.score >= 0.0 && f.label == 'x') && call.inputs > 1"
    assert said(condition) == {"f.score >= 0.0": True}


def test_applies_to_says_what_can_be() -> None:
    assert said('call.system == "b"', applies_to={"systems": ["a"]}) == {'call.system == "b"': False}
    assert said('call.system == "b"', applies_to={"systems": ["b*"]}) == {}
    assert said('call.kind == "llm"', applies_to={"kinds": ["llm"]}) == {'call.kind == "llm"': True}
    assert said('findings.exists(f, f.part == "output")', applies_to={"parts": ["input"]}) == {
        'findings.exists(f, f.part == "output")': False
    }


LEAVES = st.sampled_from(
    [
        "call.inputs > 1",
        "call.inputs == 1",
        "call.inputs < 1",
        'call.kind == "llm"',
        'call.kind in ["tool", "llm"]',
        'call.user.role == "a"',
        'call.user.role in ["a", "b"]',
        "params.min_score > 0.4",
        "call.content_captured",
        "findings.exists(f, f.score > 0.5)",
        "findings.exists(f, f.score > 0.5 && f.score < 0.5)",
        "findings.all(f, f.score >= 0.0)",
        'findings.exists(f, f.part == "input" || f.count > 1)',
        "true",
    ]
)
CONDITIONS: st.SearchStrategy[str] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda some: f"(({some[0]}) {some[1]} ({some[2]}))"),
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner, inner).map(lambda some: f"({some[0]}) ? ({some[1]}) : ({some[2]})"),
    ),
    max_leaves=6,
)
CALLS = st.builds(
    lambda kind, role, inputs, captured: call(
        kind=kind, user=EndUser(role=role), input=call().input * inputs, content_captured=captured
    ),
    st.sampled_from(list(CallKind)),
    st.sampled_from(["", "a", "b", "c"]),
    st.integers(0, 3),
    st.booleans(),
)
FINDINGS = st.lists(
    st.builds(finding, score=st.sampled_from([0.0, 0.3, 0.5, 0.9]), part=st.sampled_from([PartKind.INPUT, None])),
    max_size=2,
)


@settings(max_examples=120)
@given(CONDITIONS, CALLS, FINDINGS)
def test_cel_never_says_otherwise(condition: str, about: Any, findings: list[Any]) -> None:
    one = policy(when=condition)
    language = Language([one])
    found = {part.part.text: part.value for part in constants(one)}
    value = found.get(condition.strip().removeprefix("(").removesuffix(")"), found.get(condition))
    if value is None:
        return
    read = [language.finding(each, alias="phrases", name="") for each in findings]
    with contextlib.suppress(ConditionFailed):
        assert language.compile(one, condition).holds(language.call(about), read) is value


def test_a_condition_that_is_built_to_be_slow_costs_little() -> None:
    free = [f"call.attributes['{number}'] == call.name" for number in range(12)]
    wide = " || ".join(f"({one} && {other})" for one in free for other in free[:6])
    nested = "findings.exists(f, f.score > 0.5 && " * 8 + "call.inputs == 1" + ")" * 8
    began = time.process_time()
    for condition in (wide, f"({wide}) && ({nested})", nested, "!" * 500 + "(" + wide + ")"):
        constants(policy(when=condition))
    assert time.process_time() - began < 5
