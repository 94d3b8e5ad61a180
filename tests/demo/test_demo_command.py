"""`governance demo` from end to end, with the policies that come with the product and no server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from governance.bootstrap import Application, open_application, run_as
from governance.bootstrap.settings import Settings
from governance.cli import main
from governance.demo.script import Conversation, conversations
from governance.domain.people import operator
from governance.store.calls import queries as call_queries

ROOT = Path(__file__).parents[2]
SPARED = {"slow answer", "wrong answer", "provider error"}
"""Families that open no case by policy: a report tells of a wrong answer, the others are figures (shadow policies)."""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An installation into which `governance demo` was sent once; no server answers at its address."""
    folder = tmp_path_factory.mktemp("demo")
    settings = Settings(_env_file=None, data_dir=folder, policies=ROOT / "policies")  # type: ignore[call-arg]
    application = open_application(settings)
    run_as(application)
    yield application
    run_as(None)
    application.close()


def demo(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    with pytest.raises(SystemExit) as left:
        main(["demo", "--json"])
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    document: dict[str, int] = json.loads(printed.out)
    return document


def test_it_sends_checks_and_flags_then_adds_nothing(
    application: Application, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.cli.demo.LOCAL", "")
    first = demo(capsys)
    assert first["new"] == first["calls"] > 1_000
    assert first["waiting"] == 0
    assert first["reports"] == 2
    assert first["cases"] > 20

    second = demo(capsys)
    assert second["new"] == 0
    assert {key: second[key] for key in ("calls", "flagged", "cases", "reports")} == {
        key: first[key] for key in ("calls", "flagged", "cases", "reports")
    }
    assert all(key.revoked_at for key in application.keys.list(operator("test")))
    _every_family_is_flagged_and_nothing_ordinary_is(application)


def _every_family_is_flagged_and_nothing_ordinary_is(application: Application) -> None:
    noted = json.loads((application.data_dir / "demo.json").read_text())
    held = list(conversations(datetime.fromisoformat(noted["until"])))
    missed = {one.family for one in held if one.family} - SPARED
    alarms = []
    for one in held:
        if _flagged(application, one):
            assert one.family or one.hard_negative, one.turns[0].question
            missed.discard(one.family)
            alarms += [one] if one.hard_negative else []
    assert not missed
    # Quoted attacks look like attacks to patterns; telling them apart is what reviewers are for.
    assert len(alarms) <= len([one for one in held if one.hard_negative]) / 2


def _flagged(application: Application, one: Conversation) -> bool:
    with application.database.read() as connection:
        return any(step.flagged for turn in one.turns for step in call_queries.trace(connection, turn.trace_id.hex()))
