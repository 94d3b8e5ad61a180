"""What is named as the smallest change of a parameter flips the condition, and nothing nearer does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.calls import ToolCall, Usage
from governance.domain.findings import Finding
from governance.engine.flips import Flip, flips
from governance.policy.conditions import Language
from tests.policy.samples import call, policy


def found(when: str, params: dict[str, Any], *findings: Finding, **about: Any) -> tuple[Flip, ...]:
    one = policy(when=when, params=params)
    language = Language([one])
    read = [language.finding(item, alias=item.detector, name="") for item in findings]
    return flips(language.compile(one, one.when), one.params, language.call(call(**about)), read)


def scored(score: float, count: int = 1) -> Finding:
    data: dict[str, str | float | bool] = {"count": float(count)} if count > 1 else {}
    return Finding(detector="phrases", category="injection", rule="r", score=score, data=data)


THRESHOLD = "findings.exists(f, f.score >= params.min_score)"


@pytest.mark.parametrize(
    ("when", "params", "to", "holds"),
    [
        (THRESHOLD, {"min_score": 0.8}, 0.91, False),
        (THRESHOLD, {"min_score": 0.95}, 0.9, True),
        ("findings.exists(f, f.score > params.min_score)", {"min_score": 0.8}, 0.9, False),
        ("findings.size() >= params.most", {"most": 1}, 2, False),
        ("findings.size() >= params.most", {"most": 5}, 1, True),
        ("call.duration_ms > params.slow", {"slow": 1000.0}, 4200.5, False),
        ("call.usage.input_tokens + call.usage.output_tokens > params.most", {"most": 100}, 1500, False),
        ("params.strict", {"strict": True}, False, False),
        ("call.user.role in params.roles", {"roles": ["customer", "guest"]}, ["guest"], False),
        ("call.tools.exists(t, t in params.tools)", {"tools": ["pay"]}, ["pay", "send_mail"], True),
    ],
)
def test_the_smallest_change_is_named(when: str, params: dict[str, Any], to: object, holds: bool) -> None:
    (flip,) = found(
        when,
        params,
        scored(0.9),
        duration_ms=4200.5,
        usage=Usage(input_tokens=1000, output_tokens=500),
        tool_calls=(ToolCall(name="send_mail"),),
    )
    assert (flip.to, flip.holds) == (to, holds)
    assert type(flip.to) is type(flip.value)


@pytest.mark.parametrize(
    ("when", "params"),
    [
        ("true || params.min_score > 2.0", {"min_score": 0.5}),
        ('call.tools[0] == "x" && params.min_score > 0.5', {"min_score": 0.4}),
        ("call.name == params.word", {"word": "other"}),
        ("call.system == 'x'", {}),
    ],
)
def test_nothing_is_named_where_no_such_change_flips(when: str, params: dict[str, Any]) -> None:
    assert found(when, params, scored(0.9)) == ()


def test_what_a_producer_sent_as_an_attribute_is_no_value_for_a_file() -> None:
    when = "call.attributes.exists(k, call.attributes[k] in params.names)"
    assert found(when, {"names": ["a"]}, attributes={"note": "a customer's words"}) == ()


@given(
    st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=6),
    st.floats(0, 1, allow_nan=False),
    st.sampled_from([">=", ">"]),
)
def test_a_threshold_flips_at_the_named_value_and_not_a_hundredth_before(
    scores: list[float], threshold: float, sign: str
) -> None:
    when = f"findings.exists(f, f.score {sign} params.min_score)"
    (flip,) = found(when, {"min_score": threshold}, *(scored(score) for score in scores))

    def holds(value: float) -> bool:
        return any(score >= value if sign == ">=" else score > value for score in scores)

    assert isinstance(flip.to, float)
    assert holds(flip.to) is flip.holds is not holds(threshold)
    top = max(scores)
    assert abs(flip.to - top) <= 0.01 + 1e-12


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_whole_numbers_flip_exactly(length: int, threshold: int) -> None:
    (flip,) = found("call.usage.input_tokens >= params.most", {"most": threshold}, usage=Usage(input_tokens=length))
    assert flip.to == (length + 1 if length >= threshold else length)
