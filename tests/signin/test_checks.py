"""`governance doctor --sign-in` against a real provider, right and wrong; and what the Admin page shows of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from governance.access.claims import read
from governance.bootstrap import Application
from governance.bootstrap.settings import Settings
from governance.cli import doctor
from governance.cli.people.sign_in import examine
from tests.signin.provider import CLIENT, Provider

PUBLIC = "https://gov.example.org"
CALLBACK = f"{PUBLIC}/signin/callback"

Make = Callable[..., Application]


@pytest.fixture
def make(tmp_path: Path, sqlite_template: Path, provider: Provider) -> Iterator[Make]:
    shutil.copy(sqlite_template, tmp_path / "governance.db")
    made: list[Application] = []

    def build(clock: Callable[[], datetime] = lambda: datetime.now(UTC), **settings: Any) -> Application:
        given = {
            "data_dir": tmp_path,
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT[0],
            "oidc_client_secret": CLIENT[1],
            "public_url": PUBLIC,
            "trusted_proxies": "10.0.0.0/8",
        }
        made.append(Application(Settings(_env_file=None, **given | settings), clock=clock))  # type: ignore[call-arg, arg-type]
        return made[-1]

    provider.redirects = {CALLBACK}
    yield build
    for application in made:
        application.close()


def states(application: Application) -> dict[str, str]:
    return {verdict.check: verdict.state for verdict in examine(application)[0]}


def test_an_installation_that_is_right_is_said_to_be(make: Make) -> None:
    verdicts, latest = examine(make())
    assert {verdict.state for verdict in verdicts} == {"ok"}
    assert {verdict.check for verdict in verdicts} == {
        "address", "proxies", "role map", "issuer", "clock", "discovery", "keys", "client", "redirect address",
        "last sign-ins",
    }  # fmt: skip
    assert not latest


@pytest.mark.parametrize(
    ("settings", "spoil", "check", "state"),
    [
        ({"oidc_client_secret": "another"}, None, "client", "wrong"),
        ({"oidc_client_id": "another"}, None, "client", "wrong"),
        ({}, lambda provider: setattr(provider, "redirects", {"https://other.example/x"}), "redirect address", "wrong"),
        ({}, lambda provider: setattr(provider, "published_issuer", "https://evil.example"), "issuer", "wrong"),
        ({}, lambda provider: setattr(provider, "padding", 5 << 20), "issuer", "wrong"),
        ({}, lambda provider: provider.stop(), "issuer", "wrong"),
        ({"clock": lambda: datetime.now(UTC) + timedelta(minutes=10)}, None, "clock", "wrong"),
        ({"clock": lambda: datetime.now(UTC) - timedelta(minutes=1)}, None, "clock", "warning"),
        ({"public_url": ""}, None, "address", "warning"),
        ({"trusted_proxies": ""}, None, "proxies", "warning"),
        ({"oidc_issuer": "", "public_url": ""}, None, "sign-in", "ok"),
    ],
)
def test_what_is_wrong_is_named(
    make: Make,
    provider: Provider,
    settings: dict[str, Any],
    spoil: Callable[[Provider], object] | None,
    check: str,
    state: str,
) -> None:
    if spoil:
        spoil(provider)
    assert states(make(**settings))[check] == state


def test_the_last_sign_ins_are_told_with_what_came_and_what_followed(make: Make, provider: Provider) -> None:
    application = make()
    for subject, came in (("a", {"groups": ["reviewer", "\x1b[2Jstaff"]}), ("b", {"groups": 5}), ("c", {})):
        application.people.signed_in_elsewhere(provider.issuer, subject, name=subject, claim=read(came, "groups"))
    verdicts, latest = examine(application)
    told = [verdict for verdict in verdicts if verdict.check == "sign-in"]
    assert [one.person for one in latest] == ["c", "b", "a"]
    assert [verdict.state for verdict in told] == ["warning", "warning", "ok"]
    assert "it came as a number" in told[1].says
    assert "'reviewer'" in told[2].says
    assert "it gave reviewer" in told[2].says
    assert "\x1b" not in told[2].says


def test_the_command_says_so_and_fails_when_something_is_wrong(
    make: Make, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    for name, value in made.settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(doctor.app, ["--sign-in", "--json"])
    assert (answer.exit_code, json.loads(answer.stdout)["ok"]) == (0, True), answer.stdout
    assert CLIENT[1] not in answer.stdout
    provider.redirects = {"https://other.example/x"}
    answer = CliRunner().invoke(doctor.app, ["--sign-in"])
    assert answer.exit_code == 1
    assert f"Register {CALLBACK}" in answer.stdout
