"""Conditions taken apart: every part is found at its place, and CEL says what it came to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.policy.conditions import IllTyped, Language
from governance.policy.subconditions import DEEPEST, Observation, SubConditions, split
from tests.policy.samples import call, finding, policy

TRUE, FALSE, FAILED = Observation(true=True), Observation(false=True), Observation(failed=True)
BOTH = Observation(true=True, false=True)


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("a", ["a"]),
        ("(a || b) && c", ["(a || b) && c", "a || b", "a", "b", "c"]),
        ("a && b || c", ["a && b || c", "a && b", "a", "b", "c"]),
        ("!a", ["a"]),
        ("!(a && !b)", ["a && !b", "a", "b"]),
        ("!a == b", ["!a == b", "a"]),
        ("a ? b : c && d", ["a ? b : c && d", "a", "b", "c && d", "c", "d"]),
        ("a ? b : c ? d : e", ["a ? b : c ? d : e", "a", "b", "c ? d : e", "c", "d", "e"]),
        ("(a ? 1 : 2) > 1", ["(a ? 1 : 2) > 1", "a"]),
        ("f.x.exists(g, g.y && z)", ["f.x.exists(g, g.y && z)", "g.y && z", "g.y", "z"]),
        ("f.filter(g, g.a).size() > 1", ["f.filter(g, g.a).size() > 1", "g.a"]),
        ("f.map(g, g.a, g.b ? 1 : 2).size() > 1", ["f.map(g, g.a, g.b ? 1 : 2).size() > 1", "g.a", "g.b"]),
        ("f.map(g, g.a).exists(h, h > 1)", ["f.map(g, g.a).exists(h, h > 1)", "h > 1"]),
        ("a in [1, 2] && has(b.c)", ["a in [1, 2] && has(b.c)", "a in [1, 2]", "has(b.c)"]),
        ('s == "a && b" || t == \'"||\'', ['s == "a && b" || t == \'"||\'', 's == "a && b"', "t == '\"||'"]),
        ('s == r"\\" && t', ['s == r"\\" && t', 's == r"\\"', "t"]),
        ("a // b && c\n && d", ["a // b && c\n && d", "a", "d"]),
        ('m["a?b:c"] == {"x": a && b}["x"]', ['m["a?b:c"] == {"x": a && b}["x"]', "a", "b"]),
    ],
)
def test_a_condition_has_these_parts_at_these_places(condition: str, parts: list[str]) -> None:
    found = split(condition)
    expected = parts if parts[0] == condition or condition.startswith("!") else [condition, *parts]
    assert [one.text for one in found] == expected
    assert all(condition[one.start : one.end] == one.text for one in found)


def test_a_part_knows_the_quantifiers_around_it() -> None:
    condition = "call.documents.exists(d, d.labels.filter(l, l != '').all(l2, l2 == d.id))"
    *_, inner = split(condition)
    assert inner.text == "l2 == d.id"
    assert [(one.range, one.name) for one in inner.within] == [
        ("call.documents", "d"),
        ("d.labels.filter(l, l != '')", "l2"),
    ]


def observed(condition: str, *scores: float) -> dict[str, Observation]:
    one = policy(when=condition)
    language = Language([one])
    parts = SubConditions(language, one)
    read = [language.finding(finding(score=score), alias="phrases", name="") for score in scores]
    return {
        item.text: seen
        for item, seen in zip(parts.items, parts.observe(language.call(call()), read), strict=True)
        if item.text != condition
    }


def test_every_part_is_asked_also_where_the_whole_is_known_without_it() -> None:
    assert observed('call.system == "x" && call.user.role == "customer"') == {
        'call.system == "x"': FALSE,
        'call.user.role == "customer"': TRUE,
    }
    assert observed('call.tools[0] == "x" || true') == {'call.tools[0] == "x"': FAILED, "true": TRUE}


def test_within_a_quantifier_a_part_may_be_both() -> None:
    condition = "findings.exists(f, f.score > 0.5 && f.rule == 'override')"
    predicate = "f.score > 0.5 && f.rule == 'override'"
    assert observed(condition) == dict.fromkeys((predicate, "f.score > 0.5", "f.rule == 'override'"), Observation())
    assert observed(condition, 0.1, 0.9) == {
        predicate: BOTH,
        "f.score > 0.5": BOTH,
        "f.rule == 'override'": TRUE,
    }
    assert observed("findings.exists(f, f.data['x'] == 'y')", 0.9) == {"f.data['x'] == 'y'": FAILED}


def test_what_does_not_compile_is_refused() -> None:
    one = policy()
    with pytest.raises(IllTyped):
        SubConditions(Language([one]), one, "call.nothing")


def join(sign: str) -> st.SearchStrategy[str]:
    return st.lists(st.deferred(lambda: EXPRESSIONS), min_size=2, max_size=3).map(
        lambda some: f" {sign}\n".join(f"({one})" for one in some)
    )


ATOMS = st.sampled_from(
    [
        "true",
        "false",
        'call.system == "a && b"',
        'call.user.role in ["x", "customer"]',
        "has(call.usage.input_tokens)",
        "findings.size() == 0",
        "params.min_score >= 0.5",
        r"'x' != r'\d'",
    ]
)
EXPRESSIONS: st.SearchStrategy[str] = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({parts[0]}) {parts[1]} {parts[2]}"),
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]}) ? ({parts[1]}) : {parts[2]}"),
        st.tuples(st.sampled_from(["exists", "all", "exists_one"]), inner).map(
            lambda parts: f"findings.{parts[0]}(f, f.score > 0.5 && ({parts[1]}))"
        ),
        inner.map(lambda one: f"call.documents.map(d, d.labels.filter(l, {one}).size()).exists(n, n > 1)"),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS)
def test_every_part_of_any_condition_compiles_and_the_whole_is_the_whole(condition: str) -> None:
    one = policy(when=condition)
    language = Language([one])
    parts = SubConditions(language, one)
    assert parts.items == split(condition)
    read = [language.finding(finding(score=score), alias="phrases", name="") for score in (0.2, 0.9)]
    context = language.call(call())
    seen = parts.observe(context, read)
    whole = language.compile(one, condition).holds(context, read)
    negated = 0
    inner = condition
    while inner.startswith("!("):  # each `!(...)` is about what is in it
        inner, negated = inner[2:-1], negated + 1
    top = next((value for item, value in zip(parts.items, seen, strict=True) if item.text == inner), None)
    if top is not None:
        assert top == Observation(true=whole is not bool(negated % 2), false=whole is bool(negated % 2))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab.()[]{}!&|?:,<=>\"'r/\\ \n+-in1x", max_size=60))
def test_any_text_is_taken_apart_without_an_error(text: str) -> None:
    assert all(text[one.start : one.end] == one.text for one in split(text))


def test_deep_nesting_is_bounded() -> None:
    """CEL compiles none of these; a short text must not cost much all the same."""
    assert len(split("(" * 3000 + "a" + ")" * 3000)) <= DEEPEST + 1
    assert len(split("!" * 3000 + "a")) <= DEEPEST + 1
    assert len(split("f.exists(a, " * 600 + "b" + ")" * 600)) <= DEEPEST + 1
