"""`access/console.cedar` changes as policies do: proposed, approved by another person, in force; never by the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from governance.bootstrap import Application, Settings, resource
from governance.cli.doctor import examine
from governance.domain.people import Actor, ActorKind, Permission, Role, RoleBinding, operator
from governance.errors import BadInput, Refused, Tampered
from governance.store.base import tables as t
from tests.audit.stated import Clock, write_policies

ROOT, OTHER = operator("root"), operator("other")
ENGINEER = Actor(kind=ActorKind.PERSON, id=7, name="Eva", bindings=(RoleBinding(role=Role.ENGINEER),))
MORE = """
@id("engineers manage")
permit (principal, action == Action::"manage_access", resource)
when { principal has engineer && resource in principal.engineer };
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Application]]:
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
    opened[-1].in_force.current()
    opened[-1].permissions._every = 0
    return opened[-1]


def write(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "policies" / "access"
    folder.mkdir(exist_ok=True)
    (folder / "console.cedar").write_text(text, "utf-8")


def packaged() -> str:
    return (resource("policies") / "access" / "console.cedar").read_text("utf-8")


def may(application: Application) -> bool:
    return application.permissions.allowed(ENGINEER, Permission.MANAGE_ACCESS)


def test_a_changed_file_gives_rights_only_after_another_persons_approval(
    opened: list[Application], tmp_path: Path, database_url: str
) -> None:
    running = start(opened, tmp_path, database_url)
    write(tmp_path, packaged() + MORE)
    assert not may(running)
    again = start(opened, tmp_path, database_url)
    assert not may(again), "a start does not take the file either"
    (said,) = (one for one in examine(again, 8501) if one.check == "policies in force")
    assert "access file" in said.says

    rollout = again.rollout.propose(ROOT, again.policy_files)
    with pytest.raises(Refused):
        again.rollout.approve(ROOT, rollout.id)
    again.rollout.approve(OTHER, rollout.id)
    assert not may(running)
    again.rollout.enforce(ROOT, rollout.id, note="agreed")
    assert may(running)
    again.rollout.rollback(ROOT, reason="not agreed")
    assert not may(running)
    with again.engine.connect() as connection:
        leaves = connection.execute(
            sa.select(t.audit_event.c.leaf).where(t.audit_event.c.kind == "policy_set.proposed")
        ).scalars()
        (data,) = [json.loads(leaf)["data"] for leaf in leaves]
    assert {"file": "access/console.cedar", "change": "changed"} in data["changes"]


def test_permissions_that_lock_everybody_out_are_not_proposed(
    opened: list[Application], tmp_path: Path, database_url: str
) -> None:
    application = start(opened, tmp_path, database_url)
    write(tmp_path, packaged() + '\nforbid (principal, action == Action::"approve_policy", resource);\n')
    with pytest.raises(BadInput, match="nobody could change it again"):
        application.rollout.propose(ROOT, application.policy_files)


def test_rights_that_are_written_into_the_stored_set_do_not_count(
    opened: list[Application], tmp_path: Path, database_url: str
) -> None:
    running = start(opened, tmp_path, database_url)
    assert not may(running)
    with running.engine.begin() as connection:
        text = connection.execute(sa.select(t.policy_set.c.policies)).scalar_one()
        document = json.loads(text)
        document["access"]["access/console.cedar"] += MORE
        connection.execute(t.policy_set.update().values(policies=json.dumps(document)))
    assert not may(running)
    settings = running.settings
    opened.append(Application(settings, clock=Clock()))
    with pytest.raises(Tampered, match="was changed in the database"):
        may(opened[-1])
