"""Python environments that some tests need beside `.venv`: made once from their locks, and kept.

`python -m tests.environments` (`make environments`) makes all that CI asks for. A test session that finds one of them
missing makes it when it must (`wanted`), else its tests are skipped with the reason.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import site
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.detectors.host import environment as scanners
from governance.errors import Misconfigured

ROOT = Path(__file__).parents[1]
CI = bool(os.environ.get("CI"))


class NotMade(Exception):
    """Why an environment could not be made."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """`lock` is its locked requirements; `sees_ours`: it also sees the packages of the tests' own environment."""

    folder: Path
    lock: Path
    sees_ours: bool = False

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def get(self, *, wanted: bool, otherwise: str) -> Path:
        """Its folder of programs. Where it is missing and not `wanted`, the test is skipped with `otherwise`; where it
        cannot be made, the test fails."""
        with alone(self.lock):
            if not self._stands():
                if not wanted:
                    pytest.skip(otherwise)
                try:
                    self._make()
                except NotMade as error:
                    pytest.fail(str(error))
        return self.bin

    def python(self, whose: str) -> Path:
        """Its interpreter. Where it cannot be made (no network, no index), the test is skipped; never in CI."""
        try:
            self.make()
        except NotMade as error:
            reason = f"the environment of {whose} cannot be made: {error}"
            if CI:
                pytest.fail(reason)
            pytest.skip(reason)
        return self.bin / "python"

    def make(self) -> None:
        """Makes it unless it is there. Raises `NotMade`."""
        with alone(self.lock):
            if not self._stands():
                self._make()

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    def _stands(self) -> bool:
        stamp = self.folder / ".installed"
        return stamp.exists() and stamp.read_text("ascii") == self._digest

    def _make(self) -> None:
        run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        if self.sees_ours:
            version = f"python{sys.version_info.major}.{sys.version_info.minor}"
            seen = self.folder / "lib" / version / "site-packages" / "tests-own.pth"
            seen.write_text("\n".join(site.getsitepackages()), "utf-8")
        pip = (str(self.bin / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        # What is imported is compiled then; most never is.
        run(*pip, "--no-compile", "--require-hashes", "--no-deps", "--requirement", str(self.lock))
        (self.folder / ".installed").write_text(self._digest, "ascii")


def run(*command: str) -> None:
    """Raises `NotMade` with the last words of a program that fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMade(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()[-300:]}")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Of several test processes one at a time; the others wait."""
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


INSTRUMENTED = Environment(folder=ROOT / ".venv-instrumented", lock=ROOT / "requirements-instrumented.lock")
NER = Environment(folder=ROOT / ".venv-ner", lock=ROOT / "requirements-ner.lock", sees_ours=True)
OSCAL = Environment(folder=ROOT / ".venv-oscal", lock=ROOT / "requirements-oscal.lock")
CONTRACT = Environment(folder=ROOT / ".venv-contract", lock=ROOT / "requirements-contract.lock")
SCANNERS = ROOT / ".venv-scanners"


def make_scanners() -> None:
    """The model scanners' environment as `governance detectors install` makes it (some 2 GB). Raises `NotMade`."""
    with alone(scanners.lock_file()):
        if scanners.installed(SCANNERS) == scanners.lock_digest():
            return
        try:
            scanners.install(SCANNERS, say=lambda _: None)
        except Misconfigured as error:
            raise NotMade(str(error)) from None


def main() -> None:
    makers: tuple[Callable[[], None], ...] = (INSTRUMENTED.make, NER.make, OSCAL.make, make_scanners)
    for make in makers:
        try:
            make()
        except NotMade as error:
            raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
