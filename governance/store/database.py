"""One database, SQLite or PostgreSQL, behind one face: `read()` for a snapshot, `write()` for a unit of work.

A unit of work commits once. Its audit events are written, and on SQLite sealed, in the same transaction as the rows
they speak of, so neither exists without the other.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from governance.domain.events import Event
from governance.errors import Misconfigured, Overloaded
from governance.store.backtests import SqlBacktests
from governance.store.base import patience
from governance.store.cases import SqlCases
from governance.store.ids import IdAllocator
from governance.store.people import SqlKeys, SqlPeople, SqlSessions
from governance.store.reports import SqlReports, SqlReveals
from governance.store.rollouts import SqlRollouts
from governance.store.unit_of_work import UnitOfWork

_SNAPSHOT = re.compile(r"[0-9A-F]+(?:-[0-9A-F]+)*")


class AuditWriter(Protocol):
    """Writes events into the log within the caller's transaction; `discard` forgets what a rollback undid."""

    def write(self, connection: sa.Connection, events: Sequence[Event]) -> None: ...

    def discard(self) -> None: ...


class Transaction(UnitOfWork):
    """A unit of work with the repositories that act in it."""

    @cached_property
    def cases(self) -> SqlCases:
        return SqlCases(self)

    @cached_property
    def people(self) -> SqlPeople:
        return SqlPeople(self)

    @cached_property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self)

    @cached_property
    def keys(self) -> SqlKeys:
        return SqlKeys(self)

    @cached_property
    def reports(self) -> SqlReports:
        return SqlReports(self)

    @cached_property
    def reveals(self) -> SqlReveals:
        return SqlReveals(self)

    @cached_property
    def backtests(self) -> SqlBacktests:
        return SqlBacktests(self)

    @cached_property
    def rollouts(self) -> SqlRollouts:
        return SqlRollouts(self)


class Database:
    """An engine a process. `audit` is None only for tools that write no events."""

    def __init__(self, engine: sa.Engine, audit: AuditWriter | None = None) -> None:
        self.engine = engine
        self.audit = audit
        self.ids = IdAllocator(engine)

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A short-lived connection for reading; ends without a trace."""
        with self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def moment(self, name: str = "") -> sa.Connection:
        """A connection that reads the database as it is now for as long as it stays open, whatever is committed
        meanwhile; on PostgreSQL also as it was at a moment that another process exported under this name."""
        connection = self.engine.connect()
        try:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN")
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # BEGIN alone reads nothing yet
                return connection
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            if name:
                if not _SNAPSHOT.fullmatch(name):
                    raise ValueError("not the name of a snapshot")
                connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{name}'")
            # It may wait for others that count: no server is to end it for that.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.exec_driver_sql("SELECT 1")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nobody commits while it is open (SQLite, whose one writer this is)."""
        with self.engine.connect() as connection:
            begin(connection)
            try:
                yield
            finally:
                connection.rollback()

    @contextmanager
    def look(self) -> Iterator[Transaction]:
        """The repositories over a snapshot, for reading: nothing that is done in it stays."""
        with self.read() as connection:
            yield Transaction(connection, self.ids)

    @contextmanager
    def write(self, *, wait: float | None = None) -> Iterator[Transaction]:
        """Commits once at the end; an exception undoes everything, the audit events included.

        `wait` is how many seconds it may wait for others, None for the caller's own patience. Raises `Overloaded`.
        """
        with nullcontext() if wait is None else patience.at_most(wait):
            yield from self._write()

    def _write(self) -> Iterator[Transaction]:
        self.ids.prepare()
        with self.engine.connect() as connection:
            begin(connection)
            transaction = Transaction(connection, self.ids)
            try:
                yield transaction
                if transaction.events:
                    if self.audit is None:
                        raise RuntimeError("audit events need an audit writer")
                    self.audit.write(connection, transaction.events)
                connection.commit()
            except BaseException:
                connection.rollback()
                if self.audit is not None:
                    self.audit.discard()
                raise


def begin(connection: sa.Connection) -> None:
    """Starts a write transaction. On SQLite at once (IMMEDIATE): a read that turns into a write could only fail."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif patience.limited():
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(patience.left() * 1_000)}")


def connect(url: str) -> sa.Engine:
    """Makes the engine. `url` is a SQLAlchemy URL; `postgresql://` means psycopg. Raises `Misconfigured`."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise Misconfigured(
            "GOVERNANCE_DATABASE_URL is not a database URL.", advice="Example: postgresql://user@host/name."
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend == "postgresql":
        return _postgresql(parsed)
    raise Misconfigured(f"The database {backend!r} is not supported.", advice="Use SQLite or PostgreSQL.")


class _Pool(sa.pool.QueuePool):
    def connect(self) -> sa.PoolProxiedConnection:
        """Raises `Overloaded` when no connection is free in time."""
        try:
            return super().connect()
        except PoolTimeout:
            raise Overloaded(
                "All connections to the database are in use.", advice="Try again.", retry_after=2
            ) from None


# SQLSTATE classes and codes for what passes: connection exceptions, insufficient resources, operator intervention
# (a server that stops or starts); a primary that has just become a standby.
_PASSING = ("08", "53", "57P", "25006")
_FULL_POSTGRESQL = "53100"
_LOCKED_POSTGRESQL = "55P03"  # lock_timeout


def _postgresql(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=_Pool,
        pool_size=10,
        max_overflow=20,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5} | dict(url.query),
    )

    @sa.event.listens_for(engine, "handle_error")
    def _say(context: ExceptionContext) -> Overloaded | None:
        # A failed ping must stay the driver's error: it only tells the pool to connect anew.
        if context.is_pre_ping or context.sqlalchemy_exception is None:
            return None
        state = getattr(context.original_exception, "sqlstate", None) or ""
        if state == _FULL_POSTGRESQL:
            return full()
        if state == _LOCKED_POSTGRESQL:
            return locked()
        unconnected = context.connection is None and not state
        return unavailable() if context.is_disconnect or unconnected or state.startswith(_PASSING) else None

    return engine


def unavailable() -> Overloaded:
    """What a client is told while the database is away or busy: it may send again, what is known changes nothing."""
    return Overloaded("The database does not answer.", advice="Try again in a moment.", retry_after=5)


def locked() -> Overloaded:
    return Overloaded("The database is locked by another process.", advice="Try again in a moment.", retry_after=2)


def full() -> Overloaded:
    return Overloaded("The disk is full.", advice="Make room where the database lies.", retry_after=30)


# https://sqlite.org/rescode.html: SQLITE_NOMEM, SQLITE_IOERR
_PASSING_SQLITE = {7, 10}
_LOCKED_SQLITE = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
_FULL_SQLITE = 13
_DAMAGED_SQLITE = {11, 26}  # SQLITE_CORRUPT, SQLITE_NOTADB


def _sqlite(url: sa.URL) -> sa.Engine:
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
    wait_by_default = int(patience.LONGEST_SECONDS * 1_000)
    # isolation_level=None: the driver begins no transaction of its own, `begin` says which.
    engine = sa.create_engine(
        url,
        poolclass=_Pool,
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
        if record.info.get("wait", wait_by_default) != wait:
            connection.execute(f"PRAGMA busy_timeout={wait}").close()
            record.info["wait"] = wait

    @sa.event.listens_for(engine, "handle_error")
    def _say(context: ExceptionContext) -> Overloaded | Misconfigured | None:
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED_SQLITE:
            return Misconfigured(
                "The database file is damaged, or is no database.", advice="Restore a backup (docs/operations.md)."
            )
        if code == _FULL_SQLITE:
            return full()
        if code in _LOCKED_SQLITE:
            return locked()
        return unavailable() if code in _PASSING_SQLITE else None

    return engine


def _private(file: Path) -> None:
    """Makes an absent database with mode 0600; its write-ahead log and shared memory get the same from SQLite."""
    with suppress(OSError):  # it is there; or it cannot be made, which `reachable` says in words
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def reachable(engine: sa.Engine) -> None:
    """Raises `Misconfigured` with the driver's first line when the database cannot be opened or written."""
    try:
        with engine.connect() as connection:
            begin(connection)
            connection.rollback()
    except (sa.exc.OperationalError, Overloaded) as error:
        cause = error.orig if isinstance(error, sa.exc.OperationalError) else error.__cause__
        reason = str(cause).strip().splitlines()[0]
        raise Misconfigured(
            f"The database cannot be used: {reason}.",
            advice="Check GOVERNANCE_DATABASE_URL, GOVERNANCE_DATA_DIR and the rights on it.",
        ) from None
