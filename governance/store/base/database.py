"""One database, SQLite or PostgreSQL, behind one face: `read()` for a snapshot, `write()` for a unit of work.

A unit of work commits once. Its audit events are written, and on SQLite sealed, in the same transaction as the rows
they speak of, so neither exists without the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Generic, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from governance.domain.events import Event
from governance.errors import Misconfigured, Overloaded
from governance.store.base import patience
from governance.store.base.dialects import postgresql, sqlite
from governance.store.base.ids import IdAllocator
from governance.store.base.unit_of_work import UnitOfWork

T_co = TypeVar("T_co", bound=UnitOfWork, covariant=True)

_REACHABLE_SECONDS = 1.0
_SNAPSHOT = re.compile(r"[0-9A-F]+(?:-[0-9A-F]+)*")


class AuditWriter(Protocol):
    """Writes events into the log within the caller's transaction; `discard` forgets what a rollback undid."""

    def write(self, connection: sa.Connection, events: Sequence[Event]) -> None: ...

    def discard(self) -> None: ...


class Database(Generic[T_co]):
    """An engine a process, and the units of work over it.

    `transaction` makes a unit of work, with the repositories that act in it. `audit` is None only for tools that write
    no events.
    """

    def __init__(
        self,
        engine: sa.Engine,
        audit: AuditWriter | None,
        transaction: Callable[[sa.Connection, IdAllocator], T_co],
    ) -> None:
        self.engine = engine
        self.audit = audit
        self._transaction = transaction
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
    def look(self) -> Iterator[T_co]:
        """The repositories over a snapshot, for reading: nothing that is done in it stays."""
        with self.read() as connection:
            yield self._transaction(connection, self.ids)

    @contextmanager
    def write(self, *, wait: float | None = None) -> Iterator[T_co]:
        """Commits once at the end; an exception undoes everything, the audit events included.

        `wait` is how many seconds it may wait for others, None for the caller's own patience. Raises `Overloaded`.
        """
        with nullcontext() if wait is None else patience.at_most(wait):
            yield from self._write()

    def _write(self) -> Iterator[T_co]:
        self.ids.prepare()
        with self.engine.connect() as connection:
            begin(connection)
            transaction = self._transaction(connection, self.ids)
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
    patience.limit(connection)


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
        return sqlite.connect(parsed)
    if backend == "postgresql":
        return postgresql.connect(parsed)
    raise Misconfigured(f"The database {backend!r} is not supported.", advice="Use SQLite or PostgreSQL.")


def reachable(engine: sa.Engine) -> None:
    """Raises `Misconfigured` with the driver's first line when the database cannot be opened or written.

    One that another process holds for now is reachable: what only reads goes on, what writes waits for itself.
    """
    try:
        with patience.at_most(_REACHABLE_SECONDS), engine.connect() as connection:
            begin(connection)
            connection.rollback()
    except (sa.exc.OperationalError, Overloaded) as error:
        cause = error.orig if isinstance(error, sa.exc.OperationalError) else error.__cause__
        if sqlite.is_locked(cause):
            return
        reason = str(cause).strip().splitlines()[0]
        raise Misconfigured(
            f"The database cannot be used: {reason}.",
            advice="Check GOVERNANCE_DATABASE_URL, GOVERNANCE_DATA_DIR and the rights on it.",
        ) from None
