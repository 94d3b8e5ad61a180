"""A write that changes nothing: whether the database takes one now."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from governance.errors import Overloaded
from governance.store.base.database import Database
from governance.store.base.dialects.pool import full
from governance.store.base.in_use import embedded_file
from governance.store.base.unit_of_work import UnitOfWork

WAIT_SECONDS = 1.5
_ROOM_BYTES = 2**20


def try_write(database: Database[UnitOfWork]) -> None:
    """Commits an update that changes nothing. On SQLite it first sees that a MiB can be written beside the file: the
    write-ahead log may have room left for a page where a call has none. Raises `Overloaded` where it cannot."""
    if (folder := folder_of(database)) is not None:
        try:
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                file.write(bytes(_ROOM_BYTES))
        except OSError:
            raise full() from None
    with database.write(wait=WAIT_SECONDS) as transaction:
        transaction.connection.exec_driver_sql("UPDATE id_block SET next = next")


def folder_of(database: Database[UnitOfWork]) -> Path | None:
    """Where an embedded database lies; None for another machine's."""
    file = embedded_file(database.engine.url.render_as_string(hide_password=False))
    return None if file is None else file.parent


def free_bytes(database: Database[UnitOfWork]) -> int | None:
    """Room where an embedded database lies. Raises `Overloaded` where that cannot be told."""
    folder = folder_of(database)
    if folder is None:
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        raise Overloaded("The folder of the database is not there.") from None
