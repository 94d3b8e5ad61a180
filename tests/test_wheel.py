"""The wheel works outside the checkout: console, migrations and default policies travel inside the package."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; the backend is the locked one, so that nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and, beside it, this environment's dependencies; gives its `governance`.

    The dependencies are borrowed by name, so that this environment's editable install of the checkout stays out.
    """
    home = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)
    python = home / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site,) = home.glob("lib/python*/site-packages")
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if (
            not item.name.endswith(".pth")
            and not item.name.startswith("governance")
            and not (site / item.name).exists()
        ):
            (site / item.name).symlink_to(item)
    return home / "bin" / "governance"


def test_the_scanners_lock_and_program_travel_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "governance/_requirements-llm-guard.lock" in names
    assert {"program.py", "engine_llm_guard.py", "engine_transformers.py"} <= {
        name.rpartition("/")[2] for name in names if name.startswith("governance/detectors/host/")
    }


def test_the_weights_of_the_models_travel_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
    folder = ROOT / "governance" / "detectors" / "linear"
    for name in ("injection.weights", "toxicity.weights", "words.yaml"):
        assert sizes[f"governance/detectors/linear/{name}"] == (folder / name).stat().st_size


def run(governance: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(governance), *arguments], cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False
    )


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOVERNANCE_", "PYTHON"))}
    return kept | {"GOVERNANCE_DATA_DIR": str(folder / "data")}


def test_the_wheel_has_one_top_level_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"governance"}
    for needed in ("governance/_console/main.py", "governance/_migrations/env.py", "governance/demo/scripts/hr.yaml"):
        assert needed in names
    assert any(name.startswith("governance/_policies/") and name.endswith(".yaml") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("governance/_console/tests")]


def test_the_image_is_built_from_files_that_reach_the_builder() -> None:
    """`.dockerignore` keeps everything out that it does not name; `COPY` of anything else would end the build."""
    named = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [one for line in lines if line.startswith("COPY ") and "--from" not in line for one in line.split()[1:-1]]
    assert copied
    for one in copied:
        assert (ROOT / one).exists(), one
        assert one in named, one


def test_the_command_answers(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, tmp_path, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "serve" in answer.stdout


def test_the_packaged_policies_pass_their_own_tests(installed: Path, tmp_path: Path) -> None:
    answer = run(installed, tmp_path, "policy", "test")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_it_serves(installed: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(installed), "serve", "--port", str(port)],
            cwd=tmp_path,
            env=_environment(tmp_path),
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"http://127.0.0.1:{port}/healthz"):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.2)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert "text/html" in page.headers["content-type"]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
