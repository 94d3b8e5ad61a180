"""`governance retention`: how long what is kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit, table
from governance.domain.privacy import RetentionClass, RetentionRule
from governance.errors import BadInput
from governance.privacy.retention import FLOORS

app = typer.Typer(help="Show, change and apply retention rules.", no_args_is_help=True, rich_markup_mode=None)
_Class = Annotated[str, typer.Argument(metavar="CLASS", help=f"One of: {', '.join(RetentionClass)}.")]
_System = Annotated[str, typer.Option("--system", help="Only this system; else all without a rule of their own.")]


@app.command()
def show(as_json: JsonFlag = False) -> None:
    """Show the rules. Without a rule things are kept until somebody erases them."""
    found = running().retention.rules(acting())

    def human() -> None:
        rows = [(one.system or "all others", one.subject, one.days, one.changed_name, one.changed_at) for one in found]
        table(("System", "Class", "Days", "Changed by", "At"), rows, empty="No rule: everything is kept.")
        typer.echo("Floors: " + ", ".join(f"{name} {counted(days, 'day')}" for name, days in FLOORS.items()) + ".")

    emit([document(one) for one in found], human, as_json=as_json)


@app.command("set")
def set_rule(
    subject: _Class,
    days: Annotated[int, typer.Argument(help="How long, counted from the last call.")],
    system: _System = "",
    as_json: JsonFlag = False,
) -> None:
    """Change a rule."""
    rule = running().retention.set(acting(), _class(subject), days, system=system)
    emit(document(rule), lambda: typer.echo(f"{subject} is kept for {counted(days, 'day')}."), as_json=as_json)


@app.command()
def remove(subject: _Class, system: _System = "", as_json: JsonFlag = False) -> None:
    """Take a rule back: what it was about is kept."""
    running().retention.remove(acting(), _class(subject), system=system)
    emit({"system": system, "class": subject}, lambda: typer.echo("The rule is gone."), as_json=as_json)


@app.command()
def run(as_json: JsonFlag = False) -> None:
    """Apply the rules now; a job does it daily."""
    done = running().retention.run(acting())
    emit(
        {"conversations": done.conversations, "reports": done.reports, "held": done.held},
        lambda: typer.echo(
            f"Erased {counted(done.conversations, 'conversation')} and {counted(done.reports, 'report')}; "
            f"{done.held} kept by legal holds."
        ),
        as_json=as_json,
    )


def _class(text: str) -> RetentionClass:
    if text not in set(RetentionClass):
        raise BadInput(f"There is no class {text[:40]!r}.", advice=f"Classes are {', '.join(RetentionClass)}.")
    return RetentionClass(text)


def document(one: RetentionRule) -> dict[str, Any]:
    """A rule as `--json` prints it."""
    return {
        "system": one.system,
        "class": one.subject,
        "days": one.days,
        "changed_by": one.changed_by,
        "changed_at": one.changed_at,
    }
