"""A database that is somebody else's, or evidence: opened to read its log, and in no way to write.

SQLite writes beside a database that it only reads: the shared memory of its write-ahead log. So a file without such a
log is opened as one that cannot change, and one with it as a reader beside its writers. Where that needs a file that
cannot be made (a read-only folder, a full disk), both are copied, and the copy is read.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from governance.errors import BadInput, Misconfigured
from governance.store.base import migrate
from governance.store.base.database import connect
from governance.store.evidence.queries import AuditSnapshot, snapshot_of

_TRIES = 3
_MEMORY = Path("/dev/shm")  # noqa: S108 - where everything else is full or read-only


@contextmanager
def snapshot(url: str) -> Iterator[AuditSnapshot]:
    """The log of the database at a SQLAlchemy URL. Raises `BadInput`, and for a database of another version, too."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInput(
            f"{url[:80]!r} is not a database URL.", advice="Example: sqlite:////path/governance.db, postgresql://..."
        ) from None
    if parsed.get_backend_name() == "sqlite":
        with _file(Path(parsed.database or "")) as engine:
            yield from _reading(engine)
        return
    try:
        engine = connect(url)
    except Misconfigured as error:
        raise BadInput(error.message, advice=error.advice) from None
    try:
        yield from _reading(engine)
    finally:
        engine.dispose()


def _reading(engine: sa.Engine) -> Iterator[AuditSnapshot]:
    try:
        migrate.check(engine)
    except Misconfigured as error:
        raise BadInput(error.message, advice="Verify it with the version of the product that wrote it.") from None
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise BadInput(f"The database cannot be read: {reason}.") from None
    try:
        with snapshot_of(engine) as found:
            yield found
    except sa.exc.DatabaseError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise BadInput(f"The database cannot be read: {reason}.", advice="It may be damaged.") from None


@contextmanager
def _file(path: Path) -> Iterator[sa.Engine]:
    if not path.is_file():
        raise BadInput(f"There is no database file {path}.")
    beside = [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]
    before = _state(path)
    if not any(one.exists() for one in beside):
        engine = _engine(path, "mode=ro&immutable=1")
        try:
            _probe(engine)
            yield engine
        except sa.exc.DatabaseError as error:
            raise _unreadable(path, error) from None
        finally:
            engine.dispose()
        if _state(path) != before:
            raise BadInput(f"{path} was written while it was read.", advice="Verify it again.")
        return
    engine = _engine(path, "mode=ro")
    try:
        _probe(engine)
    except sa.exc.DatabaseError as error:
        engine.dispose()
        with _copy(path, beside, error) as copy:
            yield copy
        return
    try:
        yield engine
    finally:
        engine.dispose()


def _engine(path: Path, query: str) -> sa.Engine:
    address = f"{path.absolute().as_uri()}?{query}"
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False),
        poolclass=sa.pool.NullPool,
    )


def _probe(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()


def _state(path: Path) -> list[tuple[int, int] | None]:
    """Sizes and times of a database and what lies beside it."""
    found: list[tuple[int, int] | None] = []
    for ending in ("", "-wal", "-journal"):
        try:
            about = path.with_name(path.name + ending).stat()
            found.append((about.st_size, about.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


@contextmanager
def _copy(path: Path, beside: list[Path], error: sa.exc.DatabaseError) -> Iterator[sa.Engine]:
    """The database and its write-ahead log, as they lie there, in a folder of their own."""
    with ExitStack() as stack:
        for folder in (Path(tempfile.gettempdir()), _MEMORY):
            try:
                held = tempfile.TemporaryDirectory(prefix="governance-verify-", dir=folder)
                stack.callback(held.cleanup)
                target = _copied(path, beside, Path(held.name))
                break
            except OSError:
                continue
        else:
            raise _unreadable(path, error)
        engine = _engine(target, "mode=rw")
        stack.callback(engine.dispose)
        try:
            _probe(engine)
        except sa.exc.DatabaseError as second:
            raise _unreadable(path, second) from None
        yield engine


def _copied(path: Path, beside: list[Path], folder: Path) -> Path:
    """Copies files that nobody writes meanwhile. Raises `BadInput` where somebody does, and `OSError`."""
    for _ in range(_TRIES):
        before = _state(path)
        shutil.copyfile(path, folder / path.name)
        for one in beside:
            if one.exists():
                shutil.copyfile(one, folder / one.name)
        if _state(path) == before:
            return folder / path.name
    raise BadInput(f"{path} is being written, and cannot be opened beside its writer.")


def _unreadable(path: Path, error: sa.exc.DatabaseError) -> BadInput:
    return BadInput(f"{path} cannot be read: {error.orig}.", advice="Check its rights, or verify a copy of the folder.")
