"""Schemathesis in an environment of its own, from its lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import environments


@pytest.fixture(scope="session")
def contract_tools() -> Path:
    """The folder of that environment's commands; made by `make test-contract`."""
    return environments.CONTRACT.get(
        wanted=bool(os.environ.get("CONTRACT")), otherwise="Schemathesis is not installed yet: make test-contract"
    )
