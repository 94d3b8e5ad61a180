"""Locks that say who uses an embedded database.

Every process that opens the database holds a shared lock on a file beside it; a restore holds it alone. The kernel
drops the lock with the process, whatever ends it, so nothing is left to clean up.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from governance.errors import Conflict, Misconfigured

WAIT_SECONDS = 5.0  # processes of a server that was killed end within a second or two
_LOOK_SECONDS = 0.1
# Where SQLite locks a database file: the pending, the reserved and 510 shared bytes (https://sqlite.org/lockingv3.html).
_SQLITE_LOCKS = 0x40000000
_SQLITE_LOCKS_LENGTH = 512


class Hold:
    """A lock that is held until `release`, or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def embedded_file(url: str) -> Path | None:
    """The file of an embedded database; None for any other URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database)).absolute()


def unfinished(database: Path) -> Path:
    """The file that is there while a restore exchanges the database, and after it was cut off in doing so."""
    return database.with_name(database.name + ".restoring")


def hold(database: Path) -> Hold | None:
    """Takes the shared lock; None where the folder is missing, which the database itself reports better.

    Raises `Misconfigured` while a restore is under way or was cut off.
    """
    if not database.parent.is_dir():
        return None
    descriptor = _open(database)
    if not _locked(descriptor, fcntl.LOCK_SH, WAIT_SECONDS):
        os.close(descriptor)
        raise Misconfigured("A backup is being restored into this database.", advice="Try again when that is done.")
    if unfinished(database).exists():
        os.close(descriptor)
        raise Misconfigured(
            "A restore of this database was cut off half-way.", advice="Run it again: governance db restore FILE."
        )
    return Hold(descriptor)


@contextmanager
def alone(database: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Nobody else has the database open, or can open it, while this is. Raises `Conflict` where somebody has.

    Programs that do not know our lock (the `sqlite3` shell) are seen by SQLite's own locks.
    """
    descriptor = _open(database)
    try:
        if not _locked(descriptor, fcntl.LOCK_EX, wait_seconds):
            raise Conflict(
                "The database is in use by a server, a worker or a command.",
                advice="Stop governance serve and every worker, then run this again.",
            )
        yield
    finally:
        os.close(descriptor)


@contextmanager
def untouched(database: Path) -> Iterator[None]:
    """Holds SQLite's own exclusive lock on the file, so that no other program can read or write it meanwhile.

    While this is open, this process must not open and close the file: POSIX would drop the lock.
    """
    try:
        descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SQLITE_LOCKS_LENGTH, _SQLITE_LOCKS)
        except OSError:
            raise Conflict(
                f"Another program has {database} open.", advice="End it (lsof names it), then run this again."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _open(database: Path) -> int:
    file = database.with_name(database.name + ".lock")
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Misconfigured(
            f"{file} cannot be opened: {error.strerror}.", advice="Check the rights on the folder of the database."
        ) from None
    give_to_owner(file)
    return descriptor


def give_to_owner(file: Path) -> None:
    """Where root works in another account's folder, that account must be able to use what is made there."""
    if os.getuid() == 0:
        owner = file.parent.stat()
        with suppress(OSError):
            os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _locked(descriptor: int, kind: int, wait_seconds: float) -> bool:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_SECONDS)
        except OSError as error:
            os.close(descriptor)
            raise Misconfigured(
                f"The folder of the database cannot lock files: {error.strerror}.",
                advice="Use a local file system, or PostgreSQL.",
            ) from None
