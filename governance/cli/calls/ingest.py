"""`governance ingest`: calls out of files, through the same decoding and recording as those that come over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import running
from governance.cli.output import JsonFlag, emit, plain, progress
from governance.errors import BadInput
from governance.ingest.batch import Batch
from governance.ingest.files import FORMATS, Importer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SHOWN = 50


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to import, also gzipped.")],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "auto",
    system: Annotated[str, typer.Option(help="The system of all calls, whatever the files say.")] = "",
    as_json: JsonFlag = False,
) -> int:
    """Import calls from files; what is there already is not imported again. Exit 2 when some of it cannot be read."""
    importer = Importer(format, system=system)
    recorder = running().recorder
    counts = {"new": 0, "repeated": 0, "conflicts": 0, "rejected": 0}
    problems: list[str] = []
    with progress("Importing") as advance:
        for batch in _batches(importer, files, problems):
            counts["rejected"] += batch.rejected
            problems.extend(batch.problems[: max(0, SHOWN - len(problems))])
            if batch.calls or batch.content_events:
                receipt = recorder.record(batch)
                counts["new"] += receipt.new
                counts["repeated"] += receipt.repeated
                counts["conflicts"] += receipt.conflicts
                advance(len(batch.calls))
    for problem in problems:
        sys.stderr.write(f"governance: {plain(problem)}\n")

    def human() -> None:
        typer.echo(
            f"{counts['new']} new, {counts['repeated']} there already, {counts['conflicts']} in conflict, "
            f"{counts['rejected']} rejected."
        )

    emit({**counts, "problems": problems}, human, as_json=as_json)
    return 2 if problems else 0


def _batches(importer: Importer, files: list[Path], problems: list[str]) -> Iterator[Batch]:
    """A file that cannot be read does not keep the others out."""
    for file in files:
        try:
            yield from importer.decode(file, name=str(file))
        except BadInput as error:
            problems.append(str(error))
    yield from importer.finish()
