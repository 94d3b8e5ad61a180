"""`governance policy backtest`, whole: real detectors, real processes, on either database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governance.bootstrap import Application, open_application, run_as
from governance.bootstrap.settings import Settings
from governance.cli import main
from governance.domain.calls import Call, CallKind, Message
from governance.domain.people import operator
from governance.policy.load import load
from governance.services.policies.backtest import counting
from governance.services.policies.backtest import run as backtest
from governance.store.base import tables as t
from tests.services.test_suggest import ATTACK, POLICY, QUOTED

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    made.mkdir()
    (made / "words.yaml").write_text(POLICY.replace("0.3}", "0.95}"), "utf-8")
    return made


@pytest.fixture
def lower(folder: Path, tmp_path: Path) -> Path:
    """A change of the files: the threshold is lower, and what it may cost is stated."""
    made = shutil.copytree(folder, tmp_path / "lower")
    (made / "words.yaml").write_text(POLICY + "budget: {max_alert_rate: 0.5}\n", "utf-8")
    return made


@pytest.fixture
def application(tmp_path: Path, folder: Path, database_url: str) -> Iterator[Application]:
    settings = Settings(data_dir=tmp_path / "var", policies=folder, database_url=database_url, _env_file=None)  # type: ignore[call-arg]
    made = open_application(settings)
    run_as(made)
    yield made
    run_as(None)
    made.close()


@pytest.fixture
def command(application: Application, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["policy", "backtest", *(str(one) for one in arguments)])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), json.loads(out) if "--json" in arguments and out else out, err

    return run


def check(application: Application, *texts: str, first: int = 0) -> list[int]:
    """Calls in which users say this, checked by what is in force."""
    made = []
    for number, text in enumerate(texts, first):
        call = Call(
            trace_id=f"{number + 1:032x}",
            span_id=f"{number + 1:016x}",
            kind=CallKind.GUARDRAIL,
            system="support-bot",
            started_at=datetime.now(UTC),
            content_captured=True,
            input=(Message(role="user", text=text),),
        )
        made.append(application.inline.check(call).call_id)
    return made


def test_a_change_is_tried_and_its_budget_is_the_exit_code(
    application: Application, command: Command, lower: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = check(application, ATTACK, QUOTED, "Where is my parcel?")
    code, told, error = command(lower, "--json")
    assert (code, error) == (1, "")
    assert (told["calls"], told["passes"]) == (3, False)
    assert told["whole"]["newly_examples"]
    assert {int(one) for one in told["whole"]["newly_examples"]} <= set(calls)
    assert [one["budget"] for one in told["over_budget"]] == ["max_alert_rate"]
    code, printed, _ = command(lower)
    assert code == 1
    assert "BUDGET EXCEEDED: injection.words: flags 66.7% of 3 calls, at most 50% are agreed." in printed
    assert "Newly flagged:" in printed
    assert "Hours are not known" in printed
    assert command("--days", "7", "--json")[0] == 0, "the files are what is in force"

    # The same from several processes: they count parts, and the parts add up.
    monkeypatch.setattr(backtest, "SLICE", 1)
    monkeypatch.setattr(backtest, "ALONE", 1)
    code, again, error = command(lower, "--json", "--processes", "2")
    assert (code, error) == (1, "")
    for name in ("whole", "policies", "systems", "days", "over_budget", "undecided"):
        assert again[name] == told[name]


def test_golden_calls_are_judged_also_without_any_traffic(command: Command, lower: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    some = [{"id": "attack", "text": ATTACK, "expect": "block"}, {"id": "quoted", "text": QUOTED, "expect": "allow"}]
    golden.write_text("\n".join(json.dumps(one) for one in some), "utf-8")
    code, told, _ = command(lower, "--golden", golden, "--json")
    assert (code, told["calls"], told["golden"]["calls"]) == (1, 0, 2)
    assert [one["id"] for one in told["golden"]["lost_calls"]] == ["quoted"]
    code, printed, _ = command(lower, "--golden", golden)
    assert code == 1
    assert f"{golden}:2: quoted expected allow: allow → block, queue security" in printed
    golden.write_text('{"text": "x"}\n', "utf-8")
    code, _, error = command(lower, "--golden", golden)
    assert code == 2
    assert f"{golden}:1: the call has no label." in error


def test_wrong_use_is_said(command: Command, tmp_path: Path) -> None:
    for arguments, words in (
        (["--since", "yesterday"], "--since 'yesterday' is not a day or a time"),
        (["--since", "2026-11-01", "--days", "3"], "both say where the range begins"),
        (["--system", "nobody"], "There is no system 'nobody'"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "The range is empty"),
        (["--golden", str(tmp_path / "absent")], "cannot be read"),
        (["no-such-folder"], "neither the number of a rollout"),
    ):
        code, _, error = command(*arguments)
        assert (code, words in error) == (2, True), error


def test_what_a_counting_process_cannot_do_is_an_error_and_not_a_smaller_report(
    application: Application, command: Command, lower: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(application, ATTACK, QUOTED)
    monkeypatch.setattr(backtest, "SLICE", 1)
    monkeypatch.setattr(backtest, "ALONE", 1)
    monkeypatch.setattr(
        application, "settings", application.settings.model_copy(update={"database_url": "sqlite:////none/x"})
    )
    code, out, error = command(lower, "--processes", "2")
    assert (code, out) == (2, "")
    assert "The data directory /none does not exist." in error


@pytest.mark.parametrize("processes", [1, 2])
def test_all_that_is_read_is_of_one_moment_whatever_is_written_meanwhile(
    application: Application, lower: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    ids = check(application, ATTACK, QUOTED, "Where is my parcel?", QUOTED + " Twice.", "Thank you")
    monkeypatch.setattr(backtest, "SLICE", 1)
    monkeypatch.setattr(backtest, "ALONE", 1)
    span = application.backtest.span(until=datetime.now(UTC) + timedelta(days=1))
    candidate = load(lower)

    def tried() -> dict[str, Any]:
        report = application.backtest.run(operator("tests"), candidate, span=span, processes=processes)
        return {
            name: value for name, value in report.document().items() if name not in ("id", "at", "seconds", "handling")
        }

    def write() -> None:
        """What others commit while it counts: a decision that falls, calls that are elsewhere, further calls."""
        with application.database.write() as tx:
            c = tx.connection
            c.execute(sa.update(t.call).where(t.call.c.id == ids[1]).values(status="recorded"))
            c.execute(sa.delete(t.decision).where(t.decision.c.call_id == ids[3]))
            c.execute(sa.update(t.call).where(t.call.c.id == ids[4]).values(started_at=t.call.c.started_at - 10**10))
        check(application, *(QUOTED for _ in range(8)), first=100)

    before = tried()
    assert (before["calls"], before["whole"]["newly_flagged"]) == (5, 3)
    for counter in (counting.InProcess, counting.Processes):
        count = counter.all

        def written(*args: Any, count: Any = count) -> None:
            if args[1] == "count":
                write()
            count(*args)

        monkeypatch.setattr(counter, "all", written)
    assert tried() == before
    monkeypatch.undo()
    monkeypatch.setattr(backtest, "SLICE", 1)
    after = tried()
    assert (after["calls"], after["undecided"]) == (11, {"stale": 0, "unchecked": 1, "waiting": 1})
    assert application.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
