"""What goes on the Case page, and in which order and words: without a page or a database."""

from __future__ import annotations

import json

import pytest

from app import evidence, steps
from app.components import ui
from governance.domain.calls import CallKind
from governance.store import parts
from governance.store.queries.calls import ShownPart, Step


def shown(*frames: list[object]) -> list[ShownPart]:
    """Parts from frames as they are stored, their text the message's number."""
    return [
        ShownPart(part=part, text=str(part.message_id), erased=False)
        for part in parts.decode(json.dumps([[kind, number, *rest] for number, (kind, *rest) in enumerate(frames)]))
    ]


def order(*frames: list[object]) -> tuple[list[str | None], list[str | None]]:
    before, answer = evidence.exchange(shown(*frames))
    return [one.text for one in before], [one.text for one in answer]


def test_a_tool_call_stands_before_the_message_that_answers_it_and_both_before_the_answer() -> None:
    asked = ["tool_call", "read_file", "text", "call_1"]
    assert order(["system", "system"], ["input", "user"], ["tool_message", "tool"], ["output", "assistant"], asked) == (
        ["0", "1", "4", "2"],
        ["3"],
    )


def test_a_tool_call_that_nothing_answers_yet_belongs_to_the_answer() -> None:
    first, second = ["tool_call", "run", "text", "call_1"], ["tool_call", "edit", "text", "call_2"]
    assert order(["input", "user"], ["output", "assistant"], first) == (["0"], ["1", "2"])
    assert order(["input", "user"], ["tool_message", "tool"], first, second) == (["0", "2", "1"], ["3"])


def test_what_was_retrieved_and_what_a_tool_gave_back_come_before_the_answer() -> None:
    assert order(
        ["input", "user"], ["output", "assistant"], ["document", "terms"], ["tool_call", "f"], ["tool_result", "f"]
    ) == (["0", "2", "3", "4"], ["1"])


def test_no_part_is_lost_when_results_outnumber_calls() -> None:
    before, answer = order(["tool_message", "tool"], ["tool_message", "tool"], ["tool_call", "f", "text", "x"])
    assert (before, answer) == (["2", "0", "1"], [])


def step(name: str, depth: int) -> Step:
    return Step(
        id=1,
        name=name,
        kind=CallKind.LLM,
        depth=depth,
        offset_ms=0.0,
        duration_ms=10.0,
        flagged=False,
        failed=False,
        input_tokens=0,
        output_tokens=0,
    )


def test_steps_of_the_same_name_are_told_apart_wherever_they_stand() -> None:
    assert list(steps.labels([step("chat", 0), step("chat", 1), step("chat", 1)])) == [
        "chat",
        "\u2003chat (2)",
        "\u2003chat (3)",
    ]


@pytest.mark.parametrize("number", [2, 3, 40])
def test_every_step_of_a_chart_has_its_label_and_room_for_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tones = ("text", "gray", "red", "orange", "soft", "quiet")
    monkeypatch.setattr(ui, "tones", lambda: dict.fromkeys(tones, "#808080"))
    bars = tuple((f"step {one}", 0.0, 10.0, "usual") for one in range(number))
    spec = ui.waterfall_spec.__wrapped__(bars, "step 0", "light")
    assert spec["layer"][0]["encoding"]["y"]["axis"]["labelOverlap"] is False
    assert (spec["height"] - 34) / number >= 20
