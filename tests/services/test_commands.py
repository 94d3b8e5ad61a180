"""`governance user` and `governance key`, as scripts call them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.bootstrap import Application, open_application, run_as
from governance.bootstrap.settings import Settings, load
from governance.cli import main
from governance.cli.output import dump
from governance.domain.people import Scope
from governance.errors import Misconfigured, Unauthenticated
from tests.review.conftest import POLICIES, QUICK

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made = open_application(Settings(data_dir=tmp_path / "var", policies=POLICIES, _env_file=None))  # type: ignore[call-arg]
    made.people._hasher = QUICK
    run_as(made)
    yield made
    run_as(None)
    made.close()


@pytest.fixture
def command(application: Application, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), json.loads(out) if "--json" in arguments and out else out, err

    return run


def test_an_account_signs_in_with_the_printed_password_until_it_is_disabled(
    application: Application, command: Command
) -> None:
    code, made, _ = command("user", "add", "dana", "--role", "reviewer,auditor", "--system", "hr-bot", "--json")
    assert code == 0
    assert made["roles"] == [{"role": "auditor", "system": "hr-bot"}, {"role": "reviewer", "system": "hr-bot"}]
    application.sessions.sign_in_local("dana", made["password"])
    code, changed, _ = command("user", "password", "dana", "--json")
    assert changed["password"] != made["password"]
    application.sessions.sign_in_local("dana", changed["password"])
    assert command("user", "disable", "dana")[0] == 0
    with pytest.raises(Unauthenticated):
        application.sessions.sign_in_local("dana", changed["password"])
    assert command("user", "list", "--json")[1][0]["disabled_at"] is not None


def test_roles_are_replaced_where_they_are_named(command: Command) -> None:
    command("user", "add", "dana", "--role", "reviewer", "--system", "hr-bot")
    _, shown, _ = command("user", "roles", "dana", "--role", "engineer", "--json")
    assert {(role["role"], role["system"]) for role in shown["roles"]} == {("reviewer", "hr-bot"), ("engineer", "")}


def test_a_key_works_until_it_is_revoked(application: Application, command: Command) -> None:
    code, made, _ = command("key", "create", "--scope", "ingest,check", "--expires", "90d", "--json")
    assert code == 0
    assert application.keys.authenticate(f"Bearer {made['key']}").scopes == (Scope.INGEST, Scope.CHECK)
    assert made["key"] not in str(command("key", "list", "--json")[1])
    assert command("key", "revoke", str(made["id"]))[0] == 0
    with pytest.raises(Unauthenticated):
        application.keys.authenticate(f"Bearer {made['key']}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "dana", "--role", "boss"),
        ("user", "disable", "nobody"),
        ("key", "create", "--scope", "everything"),
        ("key", "create", "--scope", "ingest", "--expires", "soon"),
        ("key", "revoke", "17"),
        ("cases", "show", "17"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(command: Command, arguments: tuple[str, ...]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("governance: ")
    assert err.count("\n") == 1


def test_json_too_obeys_nobody_on_a_terminal() -> None:
    hostile = "\x1b[31m \x9b31m \u202eevil\u2066 \u200e \x7f"
    written = dump({"name": hostile})
    assert all(character in "\n " or character.isprintable() for character in written)
    assert json.loads(written) == {"name": hostile}


def test_a_setting_left_empty_is_one_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA_DIR", "LEASE_MINUTES", "ROLE_MAP"):
        monkeypatch.setenv(f"GOVERNANCE_{name}", "")
    found = Settings(_env_file=None)  # type: ignore[call-arg]
    assert (found.data_dir, found.lease_minutes, found.role_map) == (Path("var"), 20, {})


def test_a_wrong_setting_is_named_in_words_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_ROLE_MAP", "staff=king")
    with pytest.raises(Misconfigured, match=r"^GOVERNANCE_ROLE_MAP: 'staff=king' is no group=role"):
        load()


def test_a_named_policy_folder_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GOVERNANCE_POLICIES", raising=False)
    assert open_application(load()).policies_dir == POLICIES  # none here, none named
    assert "GOVERNANCE_POLICIES" not in load().environment()
    monkeypatch.setenv("GOVERNANCE_POLICIES", "polices")
    with pytest.raises(Misconfigured, match="policy folder polices does not exist"):
        _ = open_application(load()).policies_dir
    (tmp_path / "polices").mkdir()
    assert load().environment()["GOVERNANCE_POLICIES"] == str(tmp_path / "polices")
