"""`governance policy controls`: which controls of outside frameworks the policies are mapped to, and the gaps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.options import moment
from governance.cli.output import JsonFlag, counted, plain, table
from governance.errors import BadInput
from governance.policy.load import load
from governance.services.policies.controls.coverage import NOTE, ControlCoverage, FrameworkCoverage, Report
from governance.services.policies.controls.report import Asked, ReportForm, chosen, day, of_files, rendered


class Format(StrEnum):
    """What is printed: words for people, or one of the forms of a file."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    OSCAL = "oscal"


def controls(
    framework: Annotated[str, typer.Option(help="Only this framework, for example owasp_llm.")] = "",
    since: Annotated[str, typer.Option(help="Figures from this day on (UTC); default: 30 days.")] = "",
    until: Annotated[str, typer.Option(help="Figures up to, without, this day; default: today included.")] = "",
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option(help="Write it to this file; an event of the audit log.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--policies", help="A folder instead of what is in force: without figures.")
    ] = None,
    untested: Annotated[bool, typer.Option("--no-tests", help="Do not run the policies' tests.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show which controls policies are mapped to, with tests, hits, verdicts, evidence and gaps."""
    chosen(framework)
    asked = Asked(
        framework=framework,
        since=day(moment("--since", since), "--since"),
        until=day(moment("--until", until), "--until"),
    )
    wanted = _wanted(form, as_json=as_json, out=out)
    if out is not None and out.exists():
        raise BadInput(f"{out} exists already.", advice="Name another file: nothing is written over.")
    application = running()
    if folder is not None:
        if since or until:
            raise BadInput("A folder has no figures.", advice="Leave out --since and --until, or --policies.")
        policy_set = load(folder)
        trials = None if untested else application.run_tests(policy_set)
        report = of_files(policy_set, asked, trials=trials, now=application.clock())
        _give(report, wanted, None if wanted is None else rendered(report, wanted), out)
        return
    policy_set = application.controls.policies()
    trials = None if untested else application.run_tests(policy_set)
    if out is None or wanted is None:
        report = application.controls.report(acting(), asked, policy_set=policy_set, trials=trials)
        _give(report, wanted, None if wanted is None else rendered(report, wanted), None)
    else:
        made = application.controls.file(acting(), asked, wanted, policy_set=policy_set, trials=trials)
        _write(out, made)


def _wanted(form: Format, *, as_json: bool, out: Path | None) -> ReportForm | None:
    """The form of a file, or None for words on the terminal."""
    if as_json and form not in (Format.TEXT, Format.JSON):
        raise BadInput(f"--json and --format {form} are two forms.", advice="Leave one out.")
    if as_json or form is Format.JSON:
        return ReportForm.JSON
    if form is Format.TEXT:
        if out is not None:
            raise BadInput("A file needs a form.", advice="Add --format json, csv or oscal.")
        return None
    return ReportForm(form.value)


def _give(report: Report, wanted: ReportForm | None, made: bytes | None, out: Path | None) -> None:
    if wanted is None or made is None:
        _show(report)
    elif out is not None:
        _write(out, made)
    else:
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()


def _write(out: Path, made: bytes) -> None:
    try:
        with out.open("xb") as file:
            file.write(made)
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror}.") from None
    typer.echo(f"{out}: {len(made):,} bytes.")


def _show(report: Report) -> None:
    for part in report.frameworks:
        _show_framework(part)
    if len(report.frameworks) == 1:
        _show_policies(report)
    of = "in force" if report.in_force else "of the files"
    typer.echo(f"Policy set {report.policy_set[:12]} ({of}). {NOTE}")
    if report.period is not None:
        scope = "" if report.systems is None else f" of {', '.join(report.systems)}"
        typer.echo(
            f"Figures of {report.period.since} to before {report.period.until} (UTC), "
            f"{counted(report.calls or 0, 'call')} decided{plain(scope)}."
        )


def _show_framework(part: FrameworkCoverage) -> None:
    framework = part.framework
    typer.echo(f"{framework.title} ({framework.version}): {part.mapped} of {part.expected} controls are mapped.")
    shown = [one for one in part.controls if not one.outside]
    table(
        ["Control", "Title", "Policies", "Tests", "Hits", "Violations", "Gaps"],
        [_row(one) for one in shown],
        empty="No policy is mapped to it.",
    )
    if outside := len(part.controls) - len(shown):
        more = counted(outside, "more control")
        typer.echo(f"{more}: for the organisation or the product itself, not for policies on calls.")
    typer.echo("")


def _row(one: ControlCoverage) -> Sequence[object]:
    figures = any(policy.hits is not None for policy in one.policies)
    hits = one.hits
    return [
        one.control.id,
        one.control.title,
        len(one.policies) or None,
        one.tests if one.policies else None,
        hits.fired + hits.shadow_fired if figures else None,
        f"{hits.violations} of {hits.verdicts}" if figures and hits.verdicts else None,
        " ".join(gap.words for gap in one.gaps) or None,
    ]


def _show_policies(report: Report) -> None:
    for policy in report.policies:
        typer.echo(plain(f"{policy.id}: {policy.title}. Evidence: {policy.evidence}"))
    typer.echo("")


def add(app: typer.Typer) -> None:
    """Adds the command to `governance policy`."""
    app.command("controls")(controls)
