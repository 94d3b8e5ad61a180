"""What was named must exist: the commands, over a real application."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.bootstrap import Application, Settings, open_application, run_as
from governance.cli import main
from governance.domain.calls import Call, CallKind, Message
from governance.services.named import nearest, unknown
from tests.policy.samples import GOOD
from tests.review.conftest import QUICK

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """With one policy, and one call of support-bot."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "policies").mkdir()
    (folder / "policies" / "direct.yaml").write_text(GOOD, "utf-8")
    settings = Settings(data_dir=folder / "var", policies=folder / "policies", _env_file=None)  # type: ignore[call-arg]
    made = open_application(settings)
    made.people._hasher = QUICK
    record(made, "support-bot")
    yield made
    made.close()


@pytest.fixture
def command(
    application: Application, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    monkeypatch.setenv("GOVERNANCE_DATA_DIR", str(application.settings.data_dir))
    monkeypatch.setenv("GOVERNANCE_POLICIES", str(application.settings.policies))
    run_as(application)

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), json.loads(out) if "--json" in arguments and out else out, err

    yield run
    run_as(None)


def record(application: Application, system: str) -> None:
    call = Call(
        trace_id="ab" * 16,
        span_id="cd" * 8,
        kind=CallKind.LLM,
        name="chat",
        system=system,
        started_at=application.clock(),
        content_captured=True,
        input=(Message(role="user", text="Where is my parcel?"),),
    )
    application.inline.check(call)


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("suport-bot", ["support-bot", "hr"], "Did you mean 'support-bot'?"),
        ("Support-Bot", ["support-bot"], "Did you mean 'support-bot'?"),
        ("billing", ["support-bot", "hr"], "There are: hr, support-bot."),
        ("x", [], ""),
        ("q", [f"system-{n:02}" for n in range(12)], "system-07 and 4 more."),
    ],
)
def test_near_names_are_suggested(name: str, known: list[str], words: str) -> None:
    assert nearest(name, known).endswith(words)


@given(st.text(max_size=300), st.lists(st.text(max_size=100), max_size=20))
def test_any_name_gives_an_error_of_a_bounded_length(name: str, known: list[str]) -> None:
    said = str(unknown("system", name, known))
    assert said.startswith("There is no system ")
    assert len(said) < 6_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "--out", "e.zip", "--system", "suport-bot"], "no system 'suport-bot'. Did you mean 'support-bot'?"),
        (["export", "--out", "e.zip", "--policy", "injection.dirct"], "Did you mean 'injection.direct'?"),
        (["export", "--out", "e.zip", "--case", "999"], "There is no case 999."),
        (["export", "--out", "e.zip", "--kind", "verdict.give"], "Did you mean 'verdict.given'"),
        (["export", "--out", "e.zip", "--since", "2026-02-30"], "--since '2026-02-30' is not a day or a time"),
        (["export", "--out", "e.zip", "--since", "yesterday"], "is not a day or a time"),
        (["export", "--out", "e.zip", "--since", "2026-03-01", "--until", "2026-02-01"], "--since is not before"),
        # A day begins in UTC where no zone is given: this is the same moment twice.
        (
            ["export", "--out", "e.zip", "--since", "2026-03-01T01:00:00+01:00", "--until", "2026-03-01"],
            "--since is not before",
        ),
        (["calls", "list", "--system", "suport-bot"], "Did you mean 'support-bot'?"),
        (["calls", "list", "--status", "done"], "There is no status 'done'"),
        (["cases", "list", "--queue", "securty"], "Did you mean 'security'?"),
        (["cases", "list", "--state", "done"], "There is no open state 'done'"),
        (["cases", "show", "999"], "There is no case 999"),
        (["policy", "show", "injection.dirct"], "Did you mean 'injection.direct'?"),
        (["policy", "test", "--policy", "injection.dirct"], "Did you mean 'injection.direct'?"),
        (["policy", "backtest", "--system", "suport-bot"], "Did you mean 'support-bot'?"),
        (["policy", "backtest", "--since", "2026-13-01"], "is not a day or a time"),
    ],
)
def test_a_wrong_name_or_period_is_exit_2_with_a_sentence(
    command: Command,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, error = command(*arguments)
    assert (code, out) == (2, "")
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "e.zip").exists()


def test_an_empty_package_is_said_and_verified_as_such(command: Command, tmp_path: Path) -> None:
    target = str(tmp_path / "e.zip")
    code, out, _ = command("export", "--out", target, "--policy", "injection.direct")
    assert code == 0
    assert out.splitlines()[0].startswith(f"{target} HOLDS NOTHING.")
    key = command("audit", "status", "--json")[1]["key"]
    code, out, _ = command("audit", "verify", target, "--key", key)
    assert code == 0
    assert out.splitlines()[-1] == "Verified: the package is genuine, and there is nothing in it."
    assert command("audit", "verify", target, "--key", key, "--json")[1]["empty"] is True
    assert zipfile.ZipFile(target).read("README.txt").startswith(b"THIS PACKAGE HOLDS NOTHING")
    code, _, error = command("export", "--out", target)
    assert code == 2
    assert "exists already" in error
    other = str(tmp_path / "whole.zip")
    assert command("export", "--out", other, "--json")[1]["empty"] is False
    code, out, _ = command("audit", "verify", other, "--key", key)
    assert (code, out.splitlines()[-1]) == (0, "Verified: nothing was changed.")
    code, out, _ = command("audit", "verify", other)
    assert code == 1
    assert out.splitlines()[-1].startswith("NOT PROVEN: key.")
    code, out, _ = command("audit", "verify", other, "--key", "own")
    assert code == 0
    assert out.splitlines()[-1].startswith("CONSISTENT")


def test_queues_of_policies_and_reports_are_known_before_they_hold_a_case(command: Command) -> None:
    for queue in ("security", "quality"):
        assert command("cases", "list", "--queue", queue, "--json")[:2] == (0, [])


@pytest.mark.parametrize("given", [b"", b"\n", b"\n \n\r\n"])
def test_a_batch_of_nothing_is_an_error(command: Command, tmp_path: Path, given: bytes) -> None:
    (tmp_path / "in.jsonl").write_bytes(given)
    code, out, error = command("check", str(tmp_path / "in.jsonl"), "--jsonl")
    assert (code, out) == (2, "")
    assert "nothing to check" in error


def test_a_batch_of_one_line_is_none(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n" + json.dumps({"id": 1, "text": "Hello"}))
    code, out, _ = command("check", str(tmp_path / "in.jsonl"), "--jsonl")
    assert code == 0
    assert json.loads(out)["id"] == 1
