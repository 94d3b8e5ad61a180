from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Clock
from tests.privacy.house import House, open_house


@pytest.fixture
def house(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[House]:
    """An installation, once on each database."""
    made = open_house(tmp_path, database_url, clock)
    yield made
    made.application.close()


@pytest.fixture
def sqlite_house(sqlite_url: str, tmp_path: Path, clock: Clock) -> Iterator[House]:
    """An installation on SQLite, whose files can be read byte by byte."""
    made = open_house(tmp_path, sqlite_url, clock)
    yield made
    made.application.close()
