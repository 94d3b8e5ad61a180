"""kill -9 in an export: nothing readable is left, neither beside the target nor where temporary files lie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import Serving

_BESIDE = {"governance.db-wal", "governance.db-shm", "key-encryption.key"}  # made by a command that opens the database

# Killed when the parts are written (`parts`), or when the whole package is and only its name is missing (`named`).
_KILLED = """
import os, signal, sys
from governance.audit import package
from governance.services.evidence import new_file
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "parts":
    package.PackageWriter.finish = die
else:
    new_file._publish = die
from governance.cli import main
main(["export", "--out", sys.argv[2]])
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="Only Linux has files without a name; see decision 0113.")
def test_nothing_is_left_of_an_export_that_was_killed(tmp_path: Path) -> None:
    data, target, temporary = tmp_path / "data", tmp_path / "target", tmp_path / "temporary"
    for folder in (data, target, temporary):
        folder.mkdir()
    serving = Serving(data, TMPDIR=str(temporary))
    serving.run("user", "add", "anna", "--role", "auditor", "--json")
    before = {one.name for one in data.iterdir()}
    for moment in ("parts", "named"):
        killed = subprocess.run(
            [sys.executable, "-c", _KILLED, moment, str(target / "evidence.zip")], env=serving.environment, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        assert not list(target.iterdir())
        assert not list(temporary.iterdir())
        assert {one.name for one in data.iterdir()} <= before | _BESIDE
    done = serving.run("export", "--out", str(target / "evidence.zip"))
    assert [one.name for one in target.iterdir()] == ["evidence.zip"], done.stderr
    assert (target / "evidence.zip").stat().st_mode & 0o777 == 0o600
    key = json.loads(serving.run("audit", "status", "--json").stdout)["key"]
    assert serving.run("audit", "verify", str(target / "evidence.zip"), "--key", key).returncode == 0
