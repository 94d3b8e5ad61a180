"""What pages keep for a while is kept by what its readers may see: nobody is shown what was read for another."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.overview import figures
from app.policies import live
from app.shell import session
from governance.bootstrap import resource
from governance.domain.people import Actor, Permission, Role, RoleBinding
from tests.console.conftest import Page
from tests.console.test_pages import listed, spoken
from tests.console.world import SYSTEMS, World

OURS, THEIRS = SYSTEMS[1], SYSTEMS[0]


@pytest.fixture
def two(world: World) -> World:
    """Three cases of one system, one of another, and people who see one, the other, both or all."""
    for _ in range(3):
        world.case(THEIRS)
    world.case(OURS)
    world.person("other", RoleBinding(role=Role.REVIEWER, system=THEIRS))
    world.person("same", RoleBinding(role=Role.AUDITOR, system=OURS))
    world.person("both", *(RoleBinding(role=Role.REVIEWER, system=system) for system in (OURS, THEIRS)))
    return world


@pytest.fixture
def at_page(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Actor]:
    """Puts a person at the page, as a run of it would."""

    def sit(name: str) -> Actor:
        monkeypatch.setattr(session, "actor", lambda: world.people[name])
        return world.people[name]

    return sit


SEEN = {"reviewer": 4, "limited": 1, "other": 3, "same": 1, "both": 4}
ORDERS = [list(SEEN), list(reversed(SEEN)), ["limited", "reviewer", "other", "both", "same"]]


@pytest.mark.parametrize("order", ORDERS, ids=["widest-first", "widest-last", "mixed"])
def test_figures_that_are_kept_are_those_of_the_reader(
    two: World, at_page: Callable[[str], Actor], order: list[str]
) -> None:
    now = two.now
    for name in [*order, *order]:
        at_page(name)
        assert sum(load.cases for load in figures.loads(now)) == SEEN[name], name
        assert sum(day.calls for day in figures.days(int(now.timestamp() // 86400))[0]) == SEEN[name], name
        assert figures.week(now).calls == SEEN[name]
        expected = {"limited": [OURS], "same": [OURS], "other": [THEIRS]}.get(name, sorted([OURS, THEIRS]))
        assert session.systems() == expected
        assert live.figures().by_policy == {}


def test_those_who_see_the_same_share_what_was_read(two: World, at_page: Callable[[str], Actor]) -> None:
    at_page("limited")
    figures.loads(two.now)
    asked: list[Actor] = []
    reading = two.application.read_cases
    two.application.__dict__["read_cases"] = _Noting(reading, asked)
    at_page("same")
    assert sum(load.cases for load in figures.loads(two.now)) == 1
    assert asked == [], "as fresh as for the other, without another query"
    at_page("other")
    figures.loads(two.now)
    assert [who.name for who in asked] == ["other"]


class _Noting:
    def __init__(self, inner: Any, asked: list[Actor]) -> None:
        self._inner = inner
        self._asked = asked

    def loads(self, actor: Actor, until: Any) -> Any:
        self._asked.append(actor)
        return self._inner.loads(actor, until)


@pytest.mark.parametrize("name", ["overview", "queue", "calls"])
def test_a_page_drawn_after_anothers_shows_nothing_of_theirs(two: World, page: Page, name: str) -> None:
    page(name, "reviewer")
    page(name, "other")
    test = page(name, "limited")
    assert THEIRS not in spoken(test)
    assert {row["System"] for row in listed(test) if "System" in row} <= {OURS}
    offered = {option for one in test.multiselect if one.label == "System" for option in one.options}
    assert offered <= {OURS}


def test_the_trail_of_one_system_is_that_of_nobody_else(two: World, page: Page) -> None:
    page("audit", "auditor")
    test = page("audit", "same")
    about = {row["About"] for row in listed(test)}
    assert f"Case {two.cases[-1]}" in about
    assert not about & {f"Case {number}" for number in two.cases[:-1]}
    (system,) = [one for one in test.selectbox if one.label == "System"]
    assert list(system.options) == ["All systems", OURS]


def cached() -> Iterator[tuple[Path, ast.FunctionDef]]:
    """Every function of the console whose results Streamlit keeps."""
    for path in sorted(resource("app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("cache_" in ast.unparse(one) for one in node.decorator_list):
                yield path, node


def test_whatever_is_read_for_somebody_is_kept_under_their_scope() -> None:
    reading = [(path, node) for path, node in cached() if ".read_" in ast.unparse(node)]
    assert len(reading) >= 6
    for path, node in reading:
        names = [argument.arg for argument in node.args.args]
        assert {"source", "scope"} <= set(names), f"{path.name}:{node.lineno} {node.name}"
    for path, node in cached():
        assert "read_" not in ast.unparse(node) or "_who" in ast.unparse(node.args), f"{path.name}:{node.name}"


def test_scope_is_of_the_permission_that_is_asked(two: World, at_page: Callable[[str], Actor]) -> None:
    at_page("same")
    assert session.scope(Permission.READ_AUDIT) == (two.system(OURS),)
    at_page("admin")
    assert session.scope(Permission.READ_AUDIT, Permission.READ_CALLS) is None
    assert session.systems() == []
