"""The Dockerfile: what it copies is there, is let through, and is enough to build the wheel. No engine is needed."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, cast

from governance.api.health import health_routes
from governance.api.metrics import Metrics
from tests.deploy.settings import DOCUMENTED, ROOT

TEXT = (ROOT / "Dockerfile").read_text("utf-8")
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
COPIED = [
    source for line in LINES if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]
]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: the last pattern that fits decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep, pattern = pattern.startswith("!"), pattern.lstrip("!")
        if fnmatch.fnmatch(path, pattern.removeprefix("**/")) or fnmatch.fnmatch(path, pattern):
            out = not keep
    return out


def test_what_is_copied_is_there_and_let_through() -> None:
    assert COPIED
    for source in COPIED:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    for secret in (".env", "var", ".git", "deploy", "tests"):
        assert ignored(secret), secret


def test_what_is_copied_is_enough_for_the_wheel(tmp_path: Path) -> None:
    context = tmp_path / "src"
    context.mkdir()
    for source in COPIED:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, context / source)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=context,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("governance/cli/__init__.py", "governance/_console/main.py", "governance/_migrations/env.py"):
        assert part in names
    assert any(name.startswith("governance/_policies/access/") for name in names)


def test_it_installs_from_the_lock_alone() -> None:
    installs = [line for line in LINES if "pip install" in line]
    assert len(installs) == 2
    assert all("--no-deps" in line for line in installs)
    assert "--require-hashes" in installs[0]
    assert "--no-build-isolation" in installs[1]
    assert "hatchling==" in (ROOT / "requirements.lock").read_text()


def test_it_runs_without_rights_and_reports_its_health() -> None:
    final = LINES[[place for place, line in enumerate(LINES) if line.startswith("FROM ")][-1] :]
    assert "USER 10001:10001" in final
    assert final.index("USER 10001:10001") < next(i for i, line in enumerate(final) if line.startswith("CMD"))
    (check,) = (line for line in final if line.startswith("HEALTHCHECK"))
    path = re.search(r"127\.0\.0\.1:8501(/\w+)", check)
    assert path
    assert path[1] in {route.path for route in health_routes(cast("Any", None), Metrics())}
    assert set(re.findall(r"GOVERNANCE_[A-Z_]+", TEXT)) <= DOCUMENTED
