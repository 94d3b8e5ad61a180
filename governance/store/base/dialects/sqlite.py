"""The engine on SQLite: pragmas, file mode, and what of its errors passes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExceptionContext

from governance.errors import Misconfigured, Overloaded
from governance.store.base import patience
from governance.store.base.dialects.pool import Pool, full, locked, unavailable

# https://sqlite.org/rescode.html
_PASSING = {7, 10}  # SQLITE_NOMEM, SQLITE_IOERR
_LOCKED = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
_FULL = 13
_DAMAGED = {11, 26}  # SQLITE_CORRUPT, SQLITE_NOTADB


def connect(url: sa.URL) -> sa.Engine:
    """An engine on a file, made with mode 0600 where it is absent. Raises `Misconfigured`."""
    if not url.database or url.database == ":memory:":
        raise Misconfigured(
            "A database in memory cannot be shared by the server and its worker.", advice="Name a file."
        )
    folder = Path(url.database).parent
    if not folder.is_dir():
        raise Misconfigured(
            f"The data directory {folder} does not exist.", advice="Create it, or set GOVERNANCE_DATA_DIR."
        )
    _private(Path(url.database))
    usual = int(patience.LONGEST_SECONDS * 1_000)
    # isolation_level=None: the driver begins no transaction of its own, `begin` says which.
    engine = sa.create_engine(
        url,
        poolclass=Pool,
        pool_size=10,
        max_overflow=40,
        pool_timeout=4,
        connect_args={"timeout": patience.LONGEST_SECONDS, "isolation_level": None, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            "page_size=8192",  # of a new database: fewer pages to write for texts of a few KB
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",
            "cache_size=-8000",  # KiB a connection, and there are many
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "checkout")
    def _limit(connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
        wait = int(patience.left() * 1_000)
        if record.info.get("wait", usual) != wait:
            connection.execute(f"PRAGMA busy_timeout={wait}").close()
            record.info["wait"] = wait

    @sa.event.listens_for(engine, "handle_error")
    def _say(context: ExceptionContext) -> Overloaded | Misconfigured | None:
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return Misconfigured(
                "The database file is damaged, or is no database.", advice="Restore a backup (docs/operations.md)."
            )
        if code == _FULL:
            return full()
        if code in _LOCKED:
            return locked()
        return unavailable() if code in _PASSING else None

    return engine


def is_locked(error: BaseException | None) -> bool:
    """Whether a driver's error says that another process holds the database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKED


def _private(file: Path) -> None:
    """Makes an absent database with mode 0600; its write-ahead log and shared memory get the same from SQLite."""
    with suppress(OSError):  # it is there; or it cannot be made, which `reachable` says in words
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
