"""`governance ingest`, as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.ingest.building import BODIES


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "governance", "ingest", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "GOVERNANCE_DATA_DIR": str(tmp_path / "data")},
    )


def test_files_are_imported_once_and_bad_lines_are_named(tmp_path: Path) -> None:
    lines = tmp_path / "calls.jsonl"
    lines.write_text('{"id": 1, "text": "Hello"}\n{broken\n{"id": 2, "text": "Goodbye"}\n')
    body = str(BODIES / "openinference-openai-gzip.traces.01.bin")
    first = run(tmp_path, str(lines), body, "--json")
    assert first.returncode == 2
    assert {key: value for key, value in json.loads(first.stdout).items() if key != "problems"} == {
        "new": 14,
        "repeated": 0,
        "conflicts": 0,
        "rejected": 1,
    }
    assert f"{lines}:2: no JSON" in first.stderr
    assert "Traceback" not in first.stderr
    again = run(tmp_path, body)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "0 new, 12 there already, 0 in conflict, 0 rejected.\n"


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, str(tmp_path / "none.jsonl"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be read (No such file or directory)" in done.stderr
