"""`governance subject`: what is held about an end user."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit

app = typer.Typer(help="Export what is held about an end user.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def subject() -> None:
    """Export what is held about an end user."""


@app.command()
def export(
    who: Annotated[str, typer.Argument(metavar="ID", help="The end user's id, as the application sends it.")],
    out: Annotated[Path, typer.Option("--out", help="The JSON file to write.")],
    system: Annotated[str, typer.Option(help="Only of this system.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Write all calls of an end user, with their original content, into a file that only you may read."""
    count = running().export_subject.to_file(acting(), who, out, system=system)
    emit(
        {"file": str(out), "calls": count},
        lambda: typer.echo(f"{out}: {counted(count, 'call')}. It holds original content: hand it over safely."),
        as_json=as_json,
    )
