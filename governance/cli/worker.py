"""`governance worker`: a further checking process, on any machine that reaches the database."""

from __future__ import annotations

from typing import Annotated

import typer

from governance.bootstrap import open_application
from governance.cli import logs

app = typer.Typer(rich_markup_mode=None)


@app.command()
def worker(
    parent: Annotated[int | None, typer.Option(hidden=True, help="Ends when this file descriptor closes.")] = None,
) -> None:
    """Run a further checking process, until it is told to stop (Ctrl+C or SIGTERM).

    On SQLite several processes take turns; on PostgreSQL they may run on any number of machines.
    """
    logs.configure()
    application = open_application()
    from governance import worker as checking

    try:
        checking.run(application, parent=parent)
    finally:
        application.close()
