"""A policy set that was changed in the database decides nothing: no process loads it, and running ones say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.api.health import readiness
from governance.bootstrap import Application, Settings
from governance.cli.doctor import examine
from governance.domain.people import operator
from governance.errors import Tampered
from tests.audit.stated import OVERRIDE, Clock, call, write_policies

SWITCHED_OFF = """UPDATE policy_set SET policies = replace(policies, '"status":"enforce"', '"status":"shadow"')"""


@pytest.fixture
def opened(tmp_path: Path, database_url: str) -> Iterator[list[Application]]:
    write_policies(tmp_path / "policies")
    made: list[Application] = []
    yield made
    for one in made:
        one.close()


def start(opened: list[Application], tmp_path: Path, url: str) -> Application:
    settings = Settings(
        data_dir=tmp_path / "var", policies=tmp_path / "policies", database_url=url, _env_file=None  # type: ignore[call-arg]
    )  # fmt: skip
    opened.append(Application(settings, clock=Clock()))
    return opened[-1]


def test_policies_that_are_switched_off_in_the_database(
    opened: list[Application], tmp_path: Path, database_url: str
) -> None:
    running = start(opened, tmp_path, database_url)
    running.in_force.current()
    assert running.inline.check(call(1, OVERRIDE)).decision["action"] == "block"
    assert {one.name: one.ok for one in readiness(running)}["policies"]

    with running.engine.begin() as connection:
        assert connection.exec_driver_sql(SWITCHED_OFF).rowcount == 1

    assert running.inline.check(call(2, OVERRIDE)).decision["action"] == "block", "it goes on with what it has loaded"
    (check,) = (one for one in readiness(running) if one.name == "policies")
    assert (check.ok, check.vital) == (False, True)
    assert "changed in the database" in check.detail
    (verdict,) = (one for one in examine(running, 8501) if one.check == "policies in force")
    assert verdict.state == "wrong"

    with pytest.raises(Tampered, match="was changed in the database"):
        start(opened, tmp_path, database_url).in_force.current()


def test_an_altered_set_comes_into_force_by_no_step(
    opened: list[Application], tmp_path: Path, database_url: str
) -> None:
    application = start(opened, tmp_path, database_url)
    application.in_force.current()
    write_policies(tmp_path / "policies", score=0.7)
    root, other = operator("root"), operator("other")
    rollout = application.rollout.propose(root, application.policy_files)
    with application.engine.begin() as connection:
        connection.exec_driver_sql(SWITCHED_OFF + f" WHERE id = {rollout.policy_set_id}")
    with pytest.raises(Tampered):
        application.rollout.approve(other, rollout.id)
