"""Names and places are found by the real analyzer and model, offline, and where the extra is missing that is said."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from governance.detectors import registry
from governance.detectors.interface import DetectorUse
from governance.domain.content import Content, ContentKind

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def answers(ner_python: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(ner_python), "-m", "tests.ner.examined"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded: list[dict[str, Any]] = json.loads(done.stdout)
    return loaded


def test_names_places_and_organisations_are_found_offline(answers: list[dict[str, Any]]) -> None:
    first, second, third, *_ = answers
    assert ["presidio", "name", "Anna Schmidt"] in first["found"]
    assert ["presidio", "place", "Berlin"] in first["found"]
    assert first["redacted"] == "My name is [name] and I moved from [place] to [place] last year."
    assert ["patterns", "email", "jane.doe@example.com"] in second["found"]
    assert ["presidio", "name", "Michael Johnson"] in second["found"]
    assert third["found"] == []
    assert not any(one["failures"] for one in answers)


def test_places_are_of_the_original_in_any_text(answers: list[dict[str, Any]]) -> None:
    *_, broken, long = answers
    assert ["presidio", "name", "Anna Schmidt"] in broken["found"]
    assert ["presidio", "name", "Barack Obama"] in long["found"]


def test_what_is_not_flagged_is_skipped_and_said(answers: list[dict[str, Any]]) -> None:
    first, second, *_ = answers
    assert first["skipped"] == ["presidio"]
    assert second["skipped"] == []


@pytest.mark.skipif(importlib.util.find_spec("presidio_analyzer") is not None, reason="the extra is installed here")
def test_without_the_extra_it_is_unavailable_and_said() -> None:
    runner = registry.build([DetectorUse(name="presidio", options={"on": "always"})])
    examination = runner.examine(Content(kind=ContentKind.MESSAGE, text="Anna Schmidt", role="user"))
    assert examination.findings == ()
    assert [one.detector for one in examination.failures] == ["presidio"]
    assert "not installed" in examination.failures[0].reason


def test_an_unknown_entity_is_told() -> None:
    (problem,) = registry.problems(DetectorUse(name="presidio", options={"entities": ["PERSONS"]}))
    assert "there are: LOCATION" in problem
