"""`governance detectors`: a list by itself, in words or as one JSON document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from governance.cli import main


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize("words", [["detectors"], ["detectors", "list"]])
def test_the_list_needs_no_further_word(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--json"])
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    listed = json.loads(printed.out)
    assert {one["name"] for one in listed["detectors"]} >= {"access", "behaviour", "patterns", "structure"}
    assert all(one["version"] for one in listed["detectors"])
