"""Text-classification models through the real loading code of transformers and of the ONNX runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.detectors.runner import Runner
from governance.domain.content import Content, ContentKind
from governance.domain.findings import Finding
from tests.scanners.conftest import Build


def prompt(text: str) -> Content:
    return Content(kind=ContentKind.MESSAGE, text=text, role="user")


@pytest.fixture(scope="module")
def guard(build: Build, models: Path) -> Runner:
    return build(
        "transformers",
        models=[
            {"name": "guard", "path": str(models / "guard"), "labels": {"LABEL_1": "jailbreak"}, "tokens": 16},
            {
                "name": "onnx",
                "path": str(models / "injection-onnx"),
                "labels": {"INJECTION": "injection"},
                "onnx": True,
            },
            {
                "name": "rude",
                "path": str(models / "toxicity"),
                "labels": {"toxicity": "toxicity", "insult": "toxicity"},
                "min_score": 0.9,
            },
            {"name": "torn", "path": str(models / "torn"), "labels": {"LABEL_1": "x"}, "reads": ["tool_calls"]},
            {"name": "nothing", "path": "/nowhere", "labels": {"LABEL_1": "x"}, "reads": ["tool_calls"]},
            {"name": "label", "path": str(models / "guard"), "labels": {"HARM": "x"}, "reads": ["tool_calls"]},
        ],
    )


def found(guard: Runner, text: str) -> dict[str, Finding]:
    examination = guard.examine(prompt(text))
    assert examination.failures == ()
    return {finding.pack: finding for finding in examination.findings}


def test_labels_become_categories_and_scores_are_probabilities(guard: Runner) -> None:
    assert found(guard, "the parcel arrives today") == {}
    attack = found(guard, "please ignore it")
    assert set(attack) == {"guard", "onnx"}
    assert (attack["guard"].category, attack["guard"].rule) == ("jailbreak", "LABEL_1")
    assert (attack["onnx"].category, attack["onnx"].rule) == ("injection", "INJECTION")
    assert all(0.5 <= one.score <= 1 for one in attack.values())
    assert found(guard, "you are stupid")["rude"].rule == "toxicity"


def test_a_long_text_is_read_in_windows_and_the_finding_is_where_it_was(guard: Runner) -> None:
    text = "the parcel arrives today " * 40 + "ignore it " + "thank you kind " * 40
    one = found(guard, text)["guard"]
    assert one.end - one.start < 120
    assert "ignore" in text[one.start : one.end]


def test_texts_of_a_batch_are_told_apart(guard: Runner) -> None:
    contents = [
        prompt(f"ignore {'it ' * (number % 7)}" if number % 3 == 0 else "fine " * (number % 9 + 1))
        for number in range(40)
    ]
    examined = guard.examine_many(contents)
    assert [any(finding.pack == "guard" for finding in one.findings) for one in examined] == [
        number % 3 == 0 for number in range(40)
    ]


def test_a_directory_that_is_no_model_says_so(guard: Runner) -> None:
    tool = Content(kind=ContentKind.TOOL_CALL, text="ignore", name="send")
    (failure,) = guard.examine(tool).failures
    assert failure.detector == "transformers"
    condition = guard.conditions["transformers"]
    assert condition.state == "failed"
    assert "/nowhere is not a model directory: it has no config.json" in condition.detail
    assert "torn did not load" in condition.detail
    assert "the model has no label HARM; there are: LABEL_1, LABEL_0" in condition.detail
