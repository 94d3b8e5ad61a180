"""An environment with the extra `ner`: what its lock adds to the tests' own packages, which it sees too."""

from __future__ import annotations

import fcntl
import hashlib
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements-ner.lock"
ENVIRONMENT = ROOT / ".venv-ner"


@pytest.fixture(scope="session")
def ner_python() -> Path:
    """The interpreter of that environment, made once and kept beside .venv.

    It is made by `make test-ner` and in CI, where a failure to do so fails the tests. Else the tests are skipped unless
    that was done before.
    """
    wanted = bool(os.environ.get("CI") or os.environ.get("NER"))
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = ENVIRONMENT / ".installed"
    python = ENVIRONMENT / "bin" / "python"
    with LOCK.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # one test process makes it, the others wait
        if not (stamp.exists() and stamp.read_text() == digest):
            if not wanted:
                pytest.skip("the environment with the extra is not made yet: make test-ner")
            _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
            version = f"python{sys.version_info.major}.{sys.version_info.minor}"
            seen = ENVIRONMENT / "lib" / version / "site-packages" / "tests-own.pth"
            seen.write_text("\n".join(site.getsitepackages()), "utf-8")
            pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
            _run(*pip, "--require-hashes", "--no-deps", "--requirement", str(LOCK))
            stamp.write_text(digest)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"the environment with the extra cannot be made: {done.stderr.strip()[-300:]}")
