"""An environment with the extra `ner`: what its lock adds to the tests' own packages, which it sees too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import environments


@pytest.fixture(scope="session")
def ner_python() -> Path:
    """The interpreter of that environment; made by `make test-ner` and in CI."""
    found = environments.NER.get(
        wanted=environments.CI or bool(os.environ.get("NER")),
        otherwise="the environment with the extra is not made yet: make test-ner",
    )
    return found / "python"
