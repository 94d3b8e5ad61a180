"""`governance policy backtest`: a policy set tried on recorded calls and golden data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.options import moment
from governance.cli.output import JsonFlag, counted, emit, plain, progress_of, table
from governance.cli.policies.rollout import FILES, FORCE, named_set
from governance.errors import BadInput, Conflict
from governance.policy.policy import PolicySet
from governance.services.policies.backtest.report import BacktestReport, Change, PolicyChange
from governance.services.policies.backtest.run import DAYS
from governance.services.policies.golden import Golden, GoldenCase, GoldenReport, read
from governance.services.policies.share import Share, percent

_MOST_PROCESSES = 4
_SHOWN = 5
_ROWS = 20
"""Policies that are listed; the document has all."""


def backtest(
    what: Annotated[
        str, typer.Argument(help="What is tried: a folder, a rollout's number or a digest.", metavar="[FOLDER]")
    ] = FILES,
    against: Annotated[str, typer.Option("--against", help="What it is compared with, named likewise.")] = FORCE,
    since: Annotated[str, typer.Option(help="From this day or time on (RFC 3339; UTC unless it says otherwise).")] = "",
    until: Annotated[str, typer.Option(help="Up to, without, this day or time; default: now.")] = "",
    days: Annotated[int | None, typer.Option(help="The last N days instead.", min=1, max=3660)] = None,
    system: Annotated[str, typer.Option(help="Only this system's calls.")] = "",
    golden: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labelled calls too: one JSON object a line, with `expect`.")
    ] = None,
    examine: Annotated[
        int, typer.Option(metavar="N", min=0, help="Look again at up to N calls whose findings are out of date.")
    ] = 0,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="Processes that count.")] = None,
    as_json: JsonFlag = False,
) -> int:
    """Try policies on recorded calls, from what was found in them, beside the set in force; nothing is changed.

    Exit 1 when a budget of a policy would be exceeded, or a golden call that is answered rightly today no more.
    """
    application = running()
    if since and days is not None:
        raise BadInput("--since and --days both say where the range begins.", advice="Give one of them.")
    candidate, tried = named_set(application, what)
    other, beside = _against(against)
    labelled = _golden(golden) if golden is not None else []
    service = application.backtest
    span = service.span(
        since=moment("--since", since), until=moment("--until", until), days=days or DAYS, system=system
    )
    with progress_of("Deciding") as progress:
        report = service.run(
            acting(),
            candidate,
            against=other,
            span=span,
            examine=examine,
            processes=processes or counting(),
            golden=labelled,
            progress=progress,
        )
    emit(report.document(), lambda: _show(report, tried, beside, golden), as_json=as_json)
    return 0 if report.passes else 1


def counting() -> int:
    """Processes that count unless somebody says how many."""
    return min(_MOST_PROCESSES, os.cpu_count() or 1)


def _against(name: str) -> tuple[PolicySet, str]:
    """The set to compare with; where nothing is in force yet, none at all."""
    try:
        return named_set(running(), name)
    except Conflict:
        if name != FORCE:
            raise
        return PolicySet([]), "nothing: no set is in force yet"


def _golden(path: Path) -> Sequence[Golden]:
    try:
        with path.open("rb") as stream:
            return read(str(path), stream)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None


def _show(report: BacktestReport, tried: str, beside: str, golden: Path | None) -> None:
    typer.echo(f"Tried: {plain(tried)} ({report.candidate[:12]}). Compared with: {plain(beside)}.")
    where = f" of {plain(report.span.system)}" if report.span.system else ""
    examined = f", {report.examined:,} of them looked at again" if report.examined else ""
    typer.echo(
        f"{counted(report.calls, 'call')}{where} from {report.span.since:%Y-%m-%d %H:%M} to "
        f"{report.span.until:%Y-%m-%d %H:%M} UTC decided in {report.seconds:.1f} s{examined}."
    )
    for line in undecided(report):
        typer.echo(line)
    if report.calls:
        _show_traffic(report)
    if report.golden is not None:
        _show_golden(report.golden, str(golden))
    for one in report.over:
        mark = "Over its budget already, and no worse" if one.standing else "BUDGET EXCEEDED"
        typer.echo(f"{mark}: {one.words}.")


def undecided(report: BacktestReport) -> list[str]:
    """What was not decided, and what can be done about it, a sentence each."""
    said = []
    if report.stale:
        said.append(
            f"Not decided: {counted(report.stale, 'call')} whose findings are not those of today's detectors, or that "
            "cannot be read any more. --examine N looks again at up to N of them."
        )
    if report.unchecked:
        said.append(f"Not decided: {counted(report.unchecked, 'call')} that could not be checked in the first place.")
    if report.waiting:
        said.append(f"Not decided: {counted(report.waiting, 'call')} still waiting for the check.")
    return said


def _show_traffic(report: BacktestReport) -> None:
    whole = report.whole
    typer.echo("")
    table(
        ["", "In force", "Tried", "Change"],
        [
            ["Flagged", f"{whole.before.flagged:,}", f"{whole.after.flagged:,}", _flagged(whole)],
            ["Alert rate", _share(whole.before.rate), _share(whole.after.rate), ""],
            ["For review", f"{whole.before.queued:,}", f"{whole.after.queued:,}", ""],
            ["Precision", _share(whole.before.precision), _share(whole.after.precision), ""],
            ["Recall of known violations", _share(whole.before.recall), _share(whole.after.recall), ""],
            ["Reviewers' hours a week", _hours(whole.before.hours), _hours(whole.after.hours), _added(whole)],
            ["Acted on more or less strictly", "", "", f"{whole.stricter:,} more, {whole.milder:,} less"],
        ],
    )
    if report.seconds_a_case is None:
        typer.echo("Hours are not known: no verdict on a flagged case was given in the last 90 days.")
    else:
        cases = "" if report.cases_a_queued_call == 1 else f", {report.cases_a_queued_call:.2f} cases a queued call"
        verdicts = counted(report.verdicts, "verdict")
        typer.echo(f"Hours by {verdicts}: {report.seconds_a_case:.0f} s from claim to verdict{cases}.")
    _examples("Newly flagged", whole.newly, whole.newly_examples)
    _examples("No longer flagged", whole.no_longer, whole.no_longer_examples)
    if len(report.systems) > 1:
        typer.echo("")
        table(
            ["System", "Calls", "In force", "Tried", "Change", "Precision", "Hours a week"],
            [
                [
                    one.name, f"{one.calls:,}", _rate(one.before.rate), _rate(one.after.rate), _flagged(one),
                    _short(one.after.precision), _added(one),
                ]
                for one in report.systems
            ],
        )  # fmt: skip
    changed = [one for one in report.policies if _differs(one)]
    if changed:
        typer.echo("")
        table(
            ["Policy", "Calls", "In force", "Tried", "Change", "Precision", "Hours a week"],
            [
                [
                    _name(one), f"{one.change.calls:,}", _rate(one.change.before.rate), _rate(one.change.after.rate),
                    _flagged(one.change), _short(one.change.after.precision), _added(one.change),
                ]
                for one in changed[:_ROWS]
            ],
        )  # fmt: skip
        if len(changed) > _ROWS:
            typer.echo(f"and {len(changed) - _ROWS} more policies: --json has all.")
        for one in changed[:_ROWS]:
            _examples(f"{one.change.name}: newly", one.change.newly, one.change.newly_examples)
            _examples(f"{one.change.name}: no longer", one.change.no_longer, one.change.no_longer_examples)
    else:
        typer.echo("No policy fires on other calls than today.")


def _differs(one: PolicyChange) -> bool:
    change = one.change
    return bool(change.newly or change.no_longer or change.stricter or change.milder or one.was != one.now)


def _name(one: PolicyChange) -> str:
    if one.was == one.now:
        return one.change.name
    if not one.was or not one.now:
        return f"{one.change.name} ({'new' if one.now else 'removed'})"
    return f"{one.change.name} ({one.was} → {one.now})"


def _flagged(one: Change) -> str:
    return f"+{one.newly:,} −{one.no_longer:,}" if one.newly or one.no_longer else "none"


def _examples(words: str, count: int, calls: Sequence[int]) -> None:
    if calls:
        shown = ", ".join(str(call) for call in calls[:_SHOWN])
        typer.echo(f"{words}: {counted(count, 'call')}, for example {shown} (governance calls show ID).")


def _share(one: Share) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "not known"
    return f"{percent(one.value)} ({percent(one.low)} to {percent(one.high)}; {one.hits:,} of {one.of:,})"


def _rate(one: Share) -> str:
    return "–" if one.value is None else f"{percent(one.value)} ({one.hits:,})"


def _short(one: Share) -> str:
    return "–" if one.value is None else f"{percent(one.value)} of {one.of:,}"


def _hours(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f}"


def _added(one: Change) -> str:
    return "" if one.added_hours is None else f"{one.added_hours:+.1f}"


def _show_golden(told: GoldenReport, file: str) -> None:
    typer.echo("")
    table(
        [f"{counted(told.calls, 'golden call')}", "In force", "Tried"],
        [
            ["As expected", _share(told.before.right), _share(told.after.right)],
            ["Precision", _share(told.before.precision), _share(told.after.precision)],
            ["Recall", _share(told.before.recall), _share(told.after.recall)],
        ],
    )
    _cases("RIGHT TODAY, AND WRONG THEN", told.lost, told.lost_cases, file)
    _cases("Wrong today, and right then", told.won, told.won_cases, file)


def _cases(words: str, count: int, cases: Sequence[GoldenCase], file: str) -> None:
    if not count:
        return
    typer.echo(f"{words}: {counted(count, 'golden call')}.")
    for one in cases[:_SHOWN]:
        named = f" {plain(one.name)}" if one.name else ""
        typer.echo(f"  {plain(file)}:{one.line}:{named} expected {one.expect}: {one.before} → {one.after}")


def add(app: typer.Typer) -> None:
    """Registers the command."""
    app.command()(backtest)
