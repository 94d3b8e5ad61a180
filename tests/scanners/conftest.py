"""The scanners' real environment, made once and kept beside .venv, and tiny models made with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from governance.detectors import registry
from governance.detectors.host import environment
from governance.detectors.interface import DetectorUse
from governance.detectors.runner import Runner
from tests import environments

Build = Callable[..., Runner]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """A data directory with the scanners installed as `governance detectors install` does.

    They are installed (some 2 GB, minutes) by `make test-scanners` and in CI, where a failure to do so fails the tests.
    Else the tests are skipped unless that was done before.
    """
    wanted = environments.CI or bool(os.environ.get("SCANNERS"))
    with environments.alone(environment.lock_file()):
        missing = environment.installed(environments.SCANNERS) != environment.lock_digest()
    if missing and not wanted:
        pytest.skip("the scanners' environment is not made yet: make test-scanners")
    try:
        environments.make_scanners()
    except environments.NotMade as error:
        pytest.fail(str(error))
    return environments.SCANNERS


@pytest.fixture(scope="session")
def models(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models: see `make_models`."""
    folder = tmp_path_factory.mktemp("models")
    script = Path(__file__).with_name("make_models.py")
    done = subprocess.run(
        [str(environment.python(data_dir)), "-I", str(script), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def build(data_dir: Path) -> Iterator[Build]:
    """`build(name, **options)`: a runner with that detector, looking at everything; closed after the file."""
    runners: list[Runner] = []

    def build(name: str, **options: object) -> Runner:
        use = DetectorUse(name=name, options={"on": "always", "deadline": 120, **options})  # type: ignore[dict-item]
        assert registry.problems(use) == []
        runner = registry.build([use], data_dir=data_dir)
        runners.append(runner)
        return runner

    yield build
    for runner in runners:
        runner.close()
