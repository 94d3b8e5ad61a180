"""`governance keys`: the key-encryption key, under which every content key is wrapped."""

from __future__ import annotations

from typing import Annotated

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, counted, emit, progress_of
from governance.errors import BadInput

app = typer.Typer(help="Rotate the key-encryption key.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def keys() -> None:
    """Rotate the key-encryption key."""


@app.command()
def rotate(
    finish: Annotated[
        bool, typer.Option("--finish", help="Remove the old key's file, once every process was restarted.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Wrap every content key under a new key-encryption key. Killed in between, it goes on when it is run again.

    Where the key is a file of the data directory, a new one is made, and the old one kept as key-encryption.old.key
    until --finish. Where it is a setting, set the new key and GOVERNANCE_KEY_ENCRYPTION_KEY_OLD first.
    """
    application = running()
    service = application.rotate_keys
    if finish:
        if not application.old_key_file.exists():
            raise BadInput("There is no old key's file.", advice="Remove GOVERNANCE_KEY_ENCRYPTION_KEY_OLD yourself.")
        service.check_finished(acting())
        application.old_key_file.unlink()
        emit({"finished": True}, lambda: typer.echo("The old key's file is removed."), as_json=as_json)
        return
    service.require(acting())
    application.make_new_key()
    with progress_of("Wrapping keys") as heard:
        changed = service.run(acting(), heard)
    file = application.old_key_file if application.old_key_file.exists() else None

    def human() -> None:
        typer.echo(f"{counted(changed, 'content key')} wrapped by the new key-encryption key.")
        if file is not None:
            typer.echo(f"The old key is in {file}. Restart every process, run this again, then: keys rotate --finish.")
        else:
            typer.echo("Restart every process without GOVERNANCE_KEY_ENCRYPTION_KEY_OLD.")
        typer.echo("Backups made before need the old key: keep it with them, as long as you keep them.")

    emit({"rewrapped": changed, "old_key_file": None if file is None else str(file)}, human, as_json=as_json)
