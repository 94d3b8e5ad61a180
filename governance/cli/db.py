"""`governance db`: the schema, and backups of the embedded database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from governance.bootstrap import open_application
from governance.cli.output import JsonFlag, emit, progress
from governance.errors import BadInput, Misconfigured

app = typer.Typer(help="Upgrade, check and back up the database.", no_args_is_help=True, rich_markup_mode=None)
_PAGES = 2_000


@app.command()
def upgrade(json: JsonFlag = False) -> None:
    """Bring the database to the schema of this version. Safe to repeat, and while others wait to do the same."""
    from governance.store.base import migrate
    from governance.store.base.database import connect, reachable

    application = open_application()
    engine = connect(application.database_url)
    reachable(engine)
    done = migrate.upgrade(engine)
    engine.dispose()
    words = "The database is upgraded." if done else "The database is up to date."
    emit({"upgraded": done, "revision": migrate.head()}, lambda: typer.echo(words), as_json=json)


@app.command()
def check(json: JsonFlag = False) -> None:
    """Say whether the database fits this version and is whole. Exit code 1 when it is damaged."""
    from governance.store.base import condition

    application = open_application()
    with application.database.read() as connection:
        problems = condition.damage(connection)
    application.close()
    words = "\n".join(problems) if problems else "The database is whole and fits this version."
    emit({"ok": not problems, "problems": problems}, lambda: typer.echo(words), as_json=json)
    if problems:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the copy; it must not exist.")], json: JsonFlag = False
) -> None:
    """Write a consistent copy of the embedded database, while it is in use.

    The keys in the data directory are not in it: keep them elsewhere, or the copy cannot be read.
    """
    application = open_application()
    url = application.database_url
    if not url.startswith("sqlite:///"):
        raise BadInput("This backs up the embedded database only.", advice="For PostgreSQL use pg_dump.")
    source_file = Path(url.removeprefix("sqlite:///"))
    if file.exists():
        raise BadInput(f"{file} exists.", advice="Choose another name.")
    if not source_file.is_file():
        raise Misconfigured(f"There is no database at {source_file}.", advice="Check GOVERNANCE_DATA_DIR.")
    part = file.with_name(file.name + ".part")
    try:
        part.touch(mode=0o600)
        with progress("Backing up") as advance:
            _copy(source_file, part, advance)
        part.rename(file)
    except (OSError, sqlite3.Error) as error:
        raise BadInput(f"{file} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    finally:
        part.unlink(missing_ok=True)
    size = file.stat().st_size
    emit(
        {"file": str(file), "bytes": size},
        lambda: typer.echo(f"{file}: {size} bytes. Keep the key files apart from it."),
        as_json=json,
    )


def _copy(source_file: Path, target_file: Path, advance: Callable[[int], None]) -> None:
    """SQLite's online backup, which writers do not have to wait for.

    Of one snapshot, held from the start: otherwise each write of another process would have it begin anew.
    """
    source = sqlite3.connect(f"file:{source_file}?mode=ro", uri=True, isolation_level=None)
    target = sqlite3.connect(target_file)
    try:
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master").fetchone()
        source.backup(target, pages=_PAGES, progress=lambda *_: advance(_PAGES))
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()
        source.close()
