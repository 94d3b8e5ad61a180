"""The console's pages under `AppTest`, against a real application over a fresh SQLite database."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from governance import bootstrap
from governance.bootstrap.settings import Settings
from tests.conftest import Clock
from tests.console.world import World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import streamlit as st
    from streamlit.testing.v1 import AppTest

MAIN = bootstrap.console_package() / "main.py"


@pytest.fixture(autouse=True)
def the_tests_own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit puts each script in the place of `__main__`, and a process that a later test spawns would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def world(sqlite_template: Path, tmp_path: Path, clock: Clock) -> Iterator[World]:
    """People of every role, and nothing else yet; this process's application."""
    shutil.copy(sqlite_template, tmp_path / "governance.db")
    settings = Settings(data_dir=tmp_path, _env_file=None)  # type: ignore[call-arg]
    application = bootstrap.open_application(settings, clock=clock)
    bootstrap.run_as(application)
    made = World(application, clock())
    made.everybody()
    yield made
    bootstrap.run_as(None)
    application.close()
    st.cache_data.clear()


Page = Callable[..., Any]


@pytest.fixture
def page(world: World) -> Page:
    """`page("queue", "reviewer", view="Mine")` draws a page as that person sees it."""

    def draw(name: str, who: str = "", /, **query: str) -> AppTest:
        test = AppTest.from_file(str(MAIN), default_timeout=30)
        test.user = {"session": world.token.get(who, "")}
        for key, value in query.items():
            test.query_params[key] = value
        if name:
            test.switch_page(f"views/{name}.py")
            for key, value in query.items():
                test.query_params[key] = value
        return test.run()

    return draw


@pytest.fixture(autouse=True)
def _leaves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world of these tests is written by SQL, past the log: verifying it compares the log with itself alone."""
    monkeypatch.setattr("governance.services.evidence.verify.check_state", lambda snapshot: ())
