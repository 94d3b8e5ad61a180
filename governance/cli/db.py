"""`governance db`: the schema, and backups of the embedded database."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from governance.bootstrap import Application, open_application
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit, plain, progress
from governance.errors import BadInput, Misconfigured, Tampered

if TYPE_CHECKING:
    from governance.store.base.backup import Contents

app = typer.Typer(help="Upgrade, check, back up and restore the database.", no_args_is_help=True, rich_markup_mode=None)
_IDS_LEFT_OUT = 10_000_000


@app.command()
def upgrade(json: JsonFlag = False) -> None:
    """Bring the database to the schema of this version. Safe to repeat, and while others wait to do the same."""
    from governance.store.base import in_use, migrate
    from governance.store.base.database import connect, reachable

    application = open_application()
    file = in_use.embedded_file(application.database_url)
    hold = None if file is None else in_use.hold(file)
    engine = connect(application.database_url)
    reachable(engine)
    done = migrate.upgrade(engine)
    engine.dispose()
    if hold is not None:
        hold.release()
    words = "The database is upgraded." if done else "The database is up to date."
    emit({"upgraded": done, "revision": migrate.head()}, lambda: typer.echo(words), as_json=json)


@app.command()
def check(json: JsonFlag = False) -> None:
    """Say whether the database fits this version and is whole. Exit code 1 when it is damaged."""
    from governance.store.base import condition

    application = open_application()
    try:
        with application.database.read() as connection:
            problems = condition.damage(connection)
    except Misconfigured:
        problems = _damage(application)
        if not problems:
            raise
    finally:
        application.close()
    words = "\n".join(problems) if problems else "The database is whole and fits this version."
    emit({"ok": not problems, "problems": problems}, lambda: typer.echo(words), as_json=json)
    if problems:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the copy; it must not exist.")], json: JsonFlag = False
) -> None:
    """Write a consistent copy of the embedded database, while it is in use. Exit code 1 when the copy is damaged.

    The keys in the data directory are not in it: keep them elsewhere, or the copy cannot be read.
    """
    from governance.store.base import backup as backups
    from governance.store.base import in_use

    database = _embedded(open_application(), "This backs up the embedded database only.", "For PostgreSQL use pg_dump.")
    if file.exists():
        raise BadInput(f"{file} exists.", advice="Choose another name.")
    if not database.is_file():
        raise Misconfigured(f"There is no database at {database}.", advice="Check GOVERNANCE_DATA_DIR.")
    hold = in_use.hold(database)
    try:
        with progress("Backing up") as advance:
            problems = backups.write(database, file, advance)
    finally:
        if hold is not None:
            hold.release()
    size = file.stat().st_size

    def human() -> None:
        typer.echo(f"{file}: {size} bytes. The keys are not in it: keep them too, and apart from it.")
        for problem in problems:
            typer.echo(f"DAMAGED: {plain(problem)}")
        if problems:
            typer.echo("The database itself is damaged. See docs/operations.md, Disaster.")

    emit({"file": str(file), "bytes": size, "problems": problems}, human, as_json=json)
    if problems:
        raise typer.Exit(1)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `governance db backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Put a backup in the place of the embedded database. The database that was there is kept in a folder beside it.

    Nothing may use the database meanwhile: stop the server and its workers. The backup is examined, brought to this
    version's schema and its audit log verified before anything is moved.
    """
    from governance.store.base import backup as backups
    from governance.store.base import in_use

    application = open_application()
    database = _embedded(
        application,
        "This restores the embedded database only.",
        "For PostgreSQL use pg_restore, as docs/operations.md describes.",
    )
    if not file.is_file():
        raise BadInput(f"There is no file {file}.", advice="Name a file that governance db backup wrote.")
    if database.exists() and file.samefile(database):
        raise BadInput(f"{file} is the database itself.", advice="Name a file that governance db backup wrote.")
    if not yes and not sys.stdin.isatty():
        raise BadInput("This replaces the database, and nobody can be asked here.", advice="Add --yes.")
    with in_use.alone(database):
        replaced = backups.contents(database) if database.exists() else None
        with progress("Copying") as advance, backups.staged(file, database, advance) as copied:
            backups.examine(copied, file)
            held = backups.contents(copied)
            if held is None:
                raise BadInput(f"{file} cannot be read as a database of this product.", advice="Name another file.")
            prepared = _prepared(application, copied, file)
            try:
                later = backups.continues(database, copied, held.events)
                again = backups.access_since(database, held.events) if later else {}
                if not yes and not _agreed(file, held, replaced):
                    raise BadInput("Nothing was changed.")
                closed = prepared.restored.record(
                    acting(), events=held.events, replaced=None if replaced is None else replaced.events
                )
            finally:
                prepared.close()
            backups.skip_ids(copied, replaced.next_id if replaced else held.next_id + _IDS_LEFT_OUT)
            backups.settle(copied)
            with in_use.untouched(database):
                aside = backups.exchange(copied, database)
    document = {
        "file": str(file),
        "database": str(database),
        "replaced": None if aside is None else str(aside),
        "events": held.events,
        "last_event_at": held.at,
        "replaced_events": None if replaced is None else replaced.events,
        "events_lost": replaced.events - held.events if replaced is not None and later else None,
        "sessions_closed": closed,
        "access_changes_to_repeat": dict(again),
    }
    emit(document, lambda: _say(document, held, replaced, again), as_json=json)


def _damage(application: Application) -> list[str]:
    """What SQLite finds wrong with a file that cannot be opened as the product's database."""
    from governance.store.base import backup as backups
    from governance.store.base import in_use

    file = in_use.embedded_file(application.database_url)
    return backups.damage(file) if file is not None and file.is_file() else []


def _embedded(application: Application, refusal: str, advice: str) -> Path:
    """The file of the embedded database. Raises `BadInput` where the database is another."""
    from governance.store.base import in_use

    found = in_use.embedded_file(application.database_url)
    if found is None:
        raise BadInput(refusal, advice=advice)
    return found


def _prepared(application: Application, copied: Path, named: Path) -> Application:
    """The copy, opened with this installation's keys, at this version's schema, its audit log verified.

    Raises `BadInput` where it is another installation's or a newer version's, `Tampered` for a log that fails.
    """
    from governance.store.base.backup import UNFIT

    settings = application.settings.model_copy(update={"database_url": f"sqlite:///{copied}"})
    prepared = Application(settings, clock=application.clock, migrate=True)
    try:
        try:
            with progress("Verifying the log") as advance:
                found = prepared.verify.verify(acting(), advance=advance)
        except Misconfigured as error:
            words = error.message.replace("The database", "The backup").replace("this database", "this backup")
            raise BadInput(f"{named}: {words}", advice=f"{error.advice} Nothing was changed.") from None
        except UNFIT as error:
            raise BadInput(
                f"{named} cannot be used: its tables are not those of this product ({type(error).__name__}).",
                advice="Use another backup; nothing was changed.",
            ) from None
        if not found.ok:
            raise Tampered(
                f"The audit log in {named} does not verify ({', '.join(found.failed)}); nothing was changed.",
                advice="Use another backup, and keep this one as evidence.",
            )
    except BaseException:
        prepared.close()
        raise
    return prepared


def _agreed(file: Path, held: Contents, replaced: Contents | None) -> bool:
    typer.echo(f"{file} holds {_words(held)}.", err=True)
    if replaced is None:
        typer.echo("The database in place is missing, or cannot be read.", err=True)
    else:
        typer.echo(f"It replaces a database with {_words(replaced)}.", err=True)
    return typer.confirm("Restore it?", default=False, err=True)


def _words(contents: Contents) -> str:
    latest = f", the last of {contents.at:%Y-%m-%d %H:%M:%S} UTC" if contents.at else ""
    return counted(contents.events, "audit event") + latest


def _say(document: Mapping[str, object], held: Contents, replaced: Contents | None, again: Mapping[str, int]) -> None:
    typer.echo(f"Restored {document['file']}: {_words(held)}. The audit log verifies.")
    if document["replaced"]:
        typer.echo(f"The database that was there is kept in {document['replaced']}.")
    if replaced is None:
        typer.echo("How much was lost cannot be told: the database that was there is missing, or cannot be read.")
    elif document["events_lost"] is None:
        typer.echo(f"The database that was there had another log, of {counted(replaced.events, 'event')}.")
    elif replaced.events > held.events:
        typer.echo(f"Gone from this database, since the backup: {counted(replaced.events - held.events, 'event')}.")
    typer.echo("The restore is an audit event. A checkpoint kept from after the backup will not fit this log: say why.")
    typer.echo("Everybody must sign in again. API keys, accounts and roles are as they were at the backup.")
    for kind, count in again.items():
        typer.echo(f"Since then there were {count} of {kind}: do these again.")
