"""Schemathesis in an environment of its own, from its lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements-contract.lock"
ENVIRONMENT = ROOT / ".venv-contract"


@pytest.fixture(scope="session")
def contract_tools() -> Path:
    """The folder of that environment's commands, made once and kept beside .venv.

    It is made by `make test-contract`; else the tests are skipped unless that was done before.
    """
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / ".installed"
    with LOCK.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # one test process makes it, the others wait
        if not (stamp.exists() and stamp.read_text() == digest):
            if not os.environ.get("CONTRACT"):
                pytest.skip("Schemathesis is not installed yet: make test-contract")
            pip = (
                str(ENVIRONMENT / "bin" / "python"),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
            )
            _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
            _run(*pip, "--require-hashes", "--no-deps", "--requirement", str(LOCK))
            stamp.write_text(digest)
    return ENVIRONMENT / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"the environment of Schemathesis cannot be made: {done.stderr.strip()[-300:]}")
