"""What goes on the Case page, and in which order and words: without a page or a database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.calls import steps
from app.calls import transcript as evidence
from app.components import ui
from app.shell import words
from governance.detectors.patterns.packs import load_pack, pack_names
from governance.domain.calls import CallKind
from governance.services.calls.read import ShownPart, TraceStep
from governance.store.calls import parts


def shown(*frames: Sequence[object]) -> list[ShownPart]:
    """Parts from frames as they are stored, their text the message's number."""
    return [
        ShownPart(part=part, text=str(part.message_id), erased=False)
        for part in parts.decode(json.dumps([[kind, number, *rest] for number, (kind, *rest) in enumerate(frames)]))
    ]


def order(*frames: Sequence[object]) -> tuple[list[str | None], list[str | None]]:
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


def step(name: str, depth: int) -> TraceStep:
    return TraceStep(
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
    uncached: Any = ui.waterfall_spec
    spec = uncached.__wrapped__(bars, "step 0", "light")
    assert spec["layer"][0]["encoding"]["y"]["axis"]["labelOverlap"] is False
    assert (spec["height"] - 34) / number >= 20


@pytest.mark.parametrize(
    ("said", "rule", "reads"),
    [
        (
            "The answer holds a secret (token, rule github-token).",
            "github-token",
            "The answer holds a secret (GitHub token).",
        ),
        (
            "Document cv-1 carries instructions to the model (rule override-en).",
            "override-en",
            "Document cv-1 carries instructions to the model: orders to ignore instructions (English).",
        ),
        (
            "gpt-4o refused (refusal-en), though nothing in the prompt called for it.",
            "refusal-en",
            "gpt-4o refused (refusal, English), though nothing in the prompt called for it.",
        ),
        (
            "Document a may not be read by the role manager (hr-files-stay-in-hr).",
            "hr-files-stay-in-hr",
            "Document a may not be read by the role manager (HR files stay in HR).",
        ),
        ("The call failed (status 500).", "", "The call failed (status 500)."),
    ],
)
def test_an_explanation_names_no_rule_by_its_identifier(said: str, rule: str, reads: str) -> None:
    assert words.explanation(said, [rule] if rule else []) == reads


def test_every_rule_that_is_shipped_reads_as_words() -> None:
    for pack in map(load_pack, pack_names()):
        for rule in pack.rules:
            assert "-" not in words.rule(rule.id)
            assert "_" not in words.rule(rule.id)


@pytest.mark.parametrize(
    ("said", "reads"),
    [
        (
            "Not decided: the detector llm_guard did not run (unavailable: The scanners (0.3) are absent. govern…).",
            "Not decided: LLM Guard did not answer.",
        ),
        (
            "Not decided: the detector patterns did not run (a); the detector judge did not run on another step (b).",
            "Not decided: text patterns did not answer; a model as judge did not answer on another step.",
        ),
        ("Not decided: no such key: x.", "Not decided: no such key: x."),
    ],
)
def test_what_could_not_be_judged_names_no_detector_by_its_identifier(said: str, reads: str) -> None:
    assert words.undecided(said) == reads


def test_what_a_condition_read_has_a_plain_label() -> None:
    policy = {
        "title": "t",
        "outcome": "fired",
        "status": "enforce",
        "action": "block",
        "severity": "high",
        "values": {"params.min_score": "0.8", "params.not_these": "prompt_leak", "call.user.role": "private_client"},
    }
    (fired,) = evidence.fired({"policies": [policy], "findings": []})
    assert fired.values == {"Threshold": "0.8", "Other than": "prompt leak", "Person's role": "private_client"}


def test_a_framework_is_named_once_before_its_numbers() -> None:
    serves = {"owasp_llm": ["LLM02"], "owasp_asi": ["ASI03"], "eu_ai_act": ["15"]}
    assert words.controls(serves) == "OWASP LLM02, ASI03, EU AI Act article 15"


def test_a_call_without_parts_is_an_exchange_without_parts() -> None:
    assert order() == ([], [])
