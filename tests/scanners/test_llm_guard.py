"""The real LLM Guard in its own environment: scanners without weights, and tiny weights through its own loading."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from governance.detectors import registry
from governance.detectors.host import environment
from governance.detectors.interface import DetectorUse, ScannerLimits
from governance.detectors.llm_guard import MODELLESS, OPTIONS
from governance.detectors.runner import Runner
from governance.domain.content import Content, ContentKind, parts_of
from governance.domain.findings import Examination, Finding
from governance.engine.request import call_from
from governance.privacy.redaction import Redactor
from tests.scanners.conftest import Build

KEY = "ghp_" + "a1B2c3D4e5" * 4


def prompt(text: str) -> Content:
    return Content(kind=ContentKind.MESSAGE, text=text, role="user")


@pytest.fixture(scope="module")
def guard(build: Build, models: Path) -> Runner:
    """All scanners of these tests in one process."""
    return build(
        "llm_guard",
        scanners=[
            {"name": "BanSubstrings", "substrings": ["falcon"], "match_type": "word"},
            {"name": "InvisibleText"},
            {"name": "Regex", "patterns": ["[0-9]{6}"]},
            {"name": "Secrets"},
            {"name": "JSON", "required_elements": 1},
            {"name": "NoRefusalLight"},
            {"name": "ReadingTime", "max_time": 0.05},
            {"name": "BanSubstrings", "as": "ours", "direction": "output", "substrings": ["falcon"]},
            {"name": "PromptInjection", "model": str(models / "injection"), "threshold": 0.8},
            {"name": "PromptInjection", "as": "onnx", "model": str(models / "injection-onnx"), "onnx": True},
            {"name": "Toxicity", "model": str(models / "toxicity"), "threshold": 0.6},
            *(
                {**one, "reads": ["tool_calls"]}
                for one in (
                    {"as": "bad-nowhere", "name": "Toxicity", "model": "/nowhere"},
                    {"as": "bad-torn", "name": "PromptInjection", "model": str(models / "torn")},
                    {"as": "bad-labels", "name": "Toxicity", "model": str(models / "injection")},
                    {"as": "bad-hub", "name": "Gibberish"},
                    {"as": "bad-options", "name": "BanSubstrings", "substrings": ["x"], "match_type": "sometimes"},
                )
            ),
        ],
    )


def said(examination: Examination) -> dict[str, Finding]:
    assert examination.failures == ()
    return {finding.pack: finding for finding in examination.findings}


def test_scanners_without_weights_say_what_and_where(guard: Runner) -> None:
    text = f"Is it about Falcon, number 123456?\u200b {KEY}"
    found = said(guard.examine(prompt(text)))
    assert set(found) == {"BanSubstrings", "InvisibleText", "Regex", "Secrets"}
    assert text[found["BanSubstrings"].start : found["BanSubstrings"].end] == "Falcon"
    assert text[found["InvisibleText"].start : found["InvisibleText"].end] == "\u200b"
    assert text[found["Regex"].start : found["Regex"].end].startswith("123456")
    assert found["Secrets"].category == "secret"
    assert all(one.detector == "llm_guard" and one.score == 1.0 for one in found.values())


def test_nothing_is_redacted_on_the_word_of_a_scanner_that_misses_repetitions(guard: Runner) -> None:
    text = f"{KEY} and once more {KEY}"
    (finding,) = guard.examine(prompt(text)).findings
    assert (finding.start, finding.end) == (0, 0)
    assert Redactor().redact(text, [finding]) == text


def test_answers_are_scanned_beside_their_prompt(guard: Runner) -> None:
    call = call_from({"input": "Tell me.", "output": "I'm sorry, but I cannot assist with the falcon. " + "word " * 40})
    found = said(guard.examine_call(call, tuple(parts_of(call))))
    assert {"JSON", "NoRefusalLight", "ReadingTime", "ours"} <= set(found)
    assert {(one.part, one.index) for one in found.values()} == {("output", 0)}
    assert call.output[0].text[found["ours"].start : found["ours"].end] == "falcon"
    fine = call_from({"input": "Tell me.", "output": '{"parcel": 1}'})
    assert said(guard.examine_call(fine, tuple(parts_of(fine)))) == {}


def test_weights_from_a_directory_decide_by_their_threshold(guard: Runner) -> None:
    harmless = said(guard.examine(prompt("the parcel arrives today")))
    assert harmless == {}
    attack = said(guard.examine(prompt("please ignore the parcel")))
    assert set(attack) == {"PromptInjection", "onnx"}
    assert attack["PromptInjection"].category == "injection"
    assert 0.8 < attack["PromptInjection"].score <= 1.0
    rude = said(guard.examine(prompt("you are stupid")))
    assert set(rude) == {"Toxicity"}
    assert rude["Toxicity"].score > 0.6


def test_a_long_text_is_scanned_to_its_end_although_the_model_reads_a_few_words(guard: Runner) -> None:
    """The model takes 64 tokens, and LLM Guard cuts a text there without a word."""
    text = "thank you kind " * 60 + "ignore" + " it is fine" * 60
    found = said(guard.examine(prompt(text)))
    for pack in ("PromptInjection", "onnx"):
        assert found[pack].end - found[pack].start < 300
        assert "ignore" in text[found[pack].start : found[pack].end]
    assert said(guard.examine(prompt("thank you kind " * 60))) == {}


def test_a_scanner_that_does_not_load_says_why_and_fails_only_what_it_was_to_look_at(
    guard: Runner, models: Path
) -> None:
    (failure,) = guard.examine(Content(kind=ContentKind.TOOL_CALL, text="ignore this", name="send")).failures
    assert failure.detector == "llm_guard"
    assert failure.reason.startswith("NotScanned: The scanner bad-")
    condition = guard.conditions["llm_guard"]
    assert condition.state == "failed"
    for why in (
        "bad-nowhere did not load: ValueError: /nowhere is not a model directory: it has no config.json",
        "bad-torn did not load: ",
        "bad-labels did not load: ValueError: the model's labels (INJECTION, SAFE) are none that Toxicity reads",
        "bad-hub did not load: ",  # its weights are on a hub, which is closed
        "bad-options did not load: ValueError",
    ):
        assert why in condition.detail


def test_the_settings_that_lint_knows_are_those_of_the_package(data_dir: Path) -> None:
    script = (
        "import inspect, json, llm_guard.input_scanners as i, llm_guard.output_scanners as o\n"
        "print(json.dumps([[name, [[one.name, one.default is one.empty]"
        " for one in inspect.signature(getattr(module, name)).parameters.values()]]"
        " for module in (i, o) for name in module.__all__ if inspect.isclass(getattr(module, name))]))"
    )
    done = subprocess.run(
        [str(environment.python(data_dir)), "-I", "-c", script], capture_output=True, text=True, check=True
    )
    settings: dict[str, set[str]] = {}
    modelled: set[str] = set()
    for name, parameters in json.loads(done.stdout):
        settings.setdefault(name, set()).update(
            f"{parameter}!" if required else parameter
            for parameter, required in parameters
            if parameter not in ("vault", "model", "use_onnx")
        )
        if {"model", "recognizer_conf"} & {parameter for parameter, _ in parameters}:
            modelled.add(name)
    del settings["Deanonymize"]
    assert settings == {name: set(options) for name, options in OPTIONS.items()}
    assert modelled == set(OPTIONS) - set(MODELLESS)


def test_a_pattern_that_hangs_the_real_scanner_costs_its_text_only(build: Build) -> None:
    """LLM Guard's patterns are Python's, which backtrack for ever."""
    guard = build(
        "llm_guard", deadline=120, scanners=[{"name": "Regex", "patterns": ["(a+)+$"], "match_type": "search"}]
    )
    assert guard.examine(prompt("b")).failures == ()
    quick = build("llm_guard", deadline=2, scanners=[{"name": "Regex", "patterns": ["(a+)+$"], "match_type": "search"}])
    (failure,) = quick.examine(prompt("a" * 60 + "!")).failures
    assert failure.reason == "Broken: The scanner took over 2 s."
    end = time.monotonic() + 60
    while quick.conditions["llm_guard"].state != "ready":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert quick.examine(prompt("b")).failures == ()
    assert quick.conditions["llm_guard"].restarts == 1


def test_scanners_that_need_more_memory_than_they_may_have_are_unavailable(data_dir: Path) -> None:
    use = DetectorUse(name="llm_guard", options={"on": "always", "scanners": [{"name": "InvisibleText"}]})
    guard = registry.build([use], data_dir=data_dir, scanners=ScannerLimits(memory_mib=100))
    try:
        guard.prepare()
        end = time.monotonic() + 60
        while (condition := guard.conditions["llm_guard"]).state != "failed":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert condition.detail
        (failure,) = guard.examine(prompt("b")).failures
        assert failure.reason.startswith("NotScanned: ")
    finally:
        guard.close()
