"""Copies of an embedded database: made while it is in use, examined before they are trusted, and put in its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from governance.domain.times import moment
from governance.errors import BadInput
from governance.store.base.in_use import give_to_owner, unfinished
from governance.store.base.integrity import note_of

SIDE_FILES = ("-wal", "-shm", "-journal")
UNFIT = (sa.exc.SQLAlchemyError, ValueError)
"""What reading a database whose tables are not those of its stated revision raises."""
_PAGES = 2_000
_CHUNK = 8 * 2**20
_SPARE_BYTES = 64 * 2**20
_MAGIC = b"SQLite format 3\0"
_HEADER = 100
# Acts about access. After a restore the older state counts, so a person must do them again.
_ACCESS = (
    "key.created",
    "key.revoked",
    "person.added",
    "person.disabled",
    "person.password_changed",
    "person.roles_changed",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What a database holds: sealed events, when it last wrote one (None when empty), and the next free id."""

    events: int
    at: datetime | None
    next_id: int


def write(database: Path, file: Path, advance: Callable[[int], None]) -> list[str]:
    """Writes a copy of a running database to `file`: a whole file or none, mode 0600, on disk when this returns.

    Gives what SQLite finds wrong with the copy: a damaged database makes a damaged backup. Raises `BadInput`.
    """
    part = file.with_name(file.name + ".part")
    try:
        part.unlink(missing_ok=True)  # of an attempt that was killed
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        copy(database, part, advance)
        problems = damage(part)
        sync(part)
        _place(part, file)
        sync(file.parent)
    except FileExistsError:
        raise BadInput(f"{file} exists.", advice="Choose another name.") from None
    except (OSError, sqlite3.Error) as error:
        raise BadInput(f"{file} cannot be written: {getattr(error, 'strerror', None) or error}.") from None
    finally:
        for name in ("", *SIDE_FILES):
            with suppress(OSError):
                part.with_name(part.name + name).unlink(missing_ok=True)
    return problems


def _place(part: Path, file: Path) -> None:
    try:
        os.link(part, file)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # no hard links on this file system
        if file.exists():
            raise FileExistsError from None
        part.rename(file)


def copy(source_file: Path, target_file: Path, advance: Callable[[int], None]) -> None:
    """SQLite's online backup, which writers do not have to wait for.

    Of one snapshot, held from the start: otherwise each write of another process would have it begin anew.
    """
    source = sqlite3.connect(f"{source_file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    target = sqlite3.connect(target_file)
    try:
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master").fetchone()
        source.backup(target, pages=_PAGES, progress=lambda *_: advance(_PAGES))
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()
        source.close()


@contextmanager
def staged(file: Path, database: Path, advance: Callable[[int], None]) -> Iterator[Path]:
    """A private copy of a backup beside `database`, on the same file system; removed at the end if it is still there.

    With its side files: a database that an earlier restore set aside may have commits in its write-ahead log.
    Raises `BadInput` when it cannot be copied.
    """
    folder = database.with_name(database.name + ".staging")
    shutil.rmtree(folder, ignore_errors=True)  # of a restore that was killed
    try:
        needed = sum(one.stat().st_size for one in _family(file))
        if shutil.disk_usage(database.parent).free < needed + _SPARE_BYTES:
            raise BadInput(
                f"There is no room for a copy of {needed // 2**20 + 1} MiB beside {database}.",
                advice="Make room; nothing was changed.",
            )
        folder.mkdir(mode=0o700)
        copied = folder / database.name
        for one in _family(file):
            if not one.name.endswith("-shm"):  # SQLite makes it anew from the log
                _copy_bytes(one, copied.with_name(copied.name + one.name[len(file.name) :]), advance)
        yield copied
    except OSError as error:
        raise BadInput(
            f"The backup cannot be restored: {error.strerror or type(error).__name__}.",
            advice="Make room, or check the rights on the data directory.",
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _family(file: Path) -> list[Path]:
    beside = [file.with_name(file.name + suffix) for suffix in SIDE_FILES]
    return [file, *(one for one in beside if one.is_file())]


def _copy_bytes(source: Path, target: Path, advance: Callable[[int], None]) -> None:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with source.open("rb") as reading, os.fdopen(handle, "wb") as writing:
        while chunk := reading.read(_CHUNK):
            writing.write(chunk)
            advance(len(chunk))
        writing.flush()
        os.fsync(writing.fileno())


def examine(copied: Path, named: Path) -> None:
    """Raises `BadInput` unless the copy is a whole SQLite database of this product. `named` is what to call it.

    Commits in its write-ahead log are brought into the file.
    """
    size = copied.stat().st_size
    with copied.open("rb") as file:
        header = file.read(_HEADER)
    if header[:5] == b"PGDMP":
        raise BadInput(f"{named} is a PostgreSQL dump.", advice="Restore it with pg_restore (docs/operations.md).")
    if not header.startswith(_MAGIC):
        what = "is empty" if not header else "is not a SQLite database"
        raise BadInput(f"{named} {what}.", advice="Name a file that governance db backup wrote.")
    stated = _stated_size(header)
    logged = copied.with_name(copied.name + "-wal").exists()
    if size < _HEADER or (size < stated and not logged):
        raise BadInput(f"{named} is cut off: {size:,} of {stated:,} bytes are there.", advice="Use another backup.")
    try:
        with closing(sqlite3.connect(copied)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        problems = damage(copied)
        known = _tables(copied)
    except sqlite3.Error as error:
        problems, known = [str(error)], set()
    if problems:
        raise BadInput(f"{named} is damaged: {problems[0]}.", advice="Use another backup; nothing was changed.")
    if not {"alembic_version", "audit_head", "id_block"} <= known:
        raise BadInput(f"{named} is a SQLite database, but not one of this product.", advice="Name another file.")


def _stated_size(header: bytes) -> int:
    """The size that the header states, 0 where it does not count (https://sqlite.org/fileformat.html, 1.3.8)."""
    page = int.from_bytes(header[16:18], "big")
    if header[24:28] != header[92:96]:
        return 0
    return int.from_bytes(header[28:32], "big") * (65_536 if page == 1 else page)


def _tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def damage(file: Path, most: int = 20) -> list[str]:
    """What SQLite finds wrong with a database file, indexes included; nobody else may have it open."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({most})")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def contents(file: Path) -> Contents | None:
    """What the database holds, without changing it; None when that cannot be read."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            size, at = connection.execute(
                "SELECT coalesce(max(size), 0), coalesce(max(at), 0) FROM audit_head"
            ).fetchone()
            (next_id,) = connection.execute("SELECT max(next) FROM id_block").fetchone()
    except sqlite3.Error:
        return None
    return Contents(events=int(size), at=moment(at) if at else None, next_id=int(next_id or 0))


def continues(file: Path, copied: Path, events: int) -> bool:
    """Whether a database's log goes on from the first `events` of the copy's: the last of them is the same leaf."""
    if not events:
        return True
    leaves = []
    try:
        for one in (file, copied):
            with closing(sqlite3.connect(f"{one.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                found = connection.execute("SELECT leaf FROM audit_event WHERE seq = ?", (events - 1,)).fetchone()
                leaves.append(found)
    except sqlite3.Error:
        return False
    return leaves[0] is not None and leaves[0] == leaves[1]


def access_since(file: Path, events: int) -> Mapping[str, int]:
    """How many events about access follow the first `events` of a database's log, by kind; none where unreadable."""
    marks = ", ".join("?" * len(_ACCESS))
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(
                f"SELECT kind, count(*) FROM audit_event WHERE kind IN ({marks}) AND seq >= ? GROUP BY kind",  # noqa: S608
                (*_ACCESS, events),
            )
            return {str(kind): int(count) for kind, count in found}
    except sqlite3.Error:
        return {}


def skip_ids(file: Path, beyond: int) -> None:
    """No id below `beyond` is given by this database: those since the backup stand in evidence for other things."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE id_block SET next = max(next, ?)", (beyond,))


def settle(file: Path) -> None:
    """Brings a closed database into its one file and onto the disk."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    for suffix in SIDE_FILES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    sync(file)


def exchange(copied: Path, database: Path) -> Path | None:
    """Puts `copied` in the place of `database`; gives the folder to which the old files were moved, None without any.

    A marker stands while neither is in place: whoever opens the database then is told so, and does not begin a new
    one. Cut off, it is to be done again, and goes on with the same folder.
    """
    marker = unfinished(database)
    begun = marker.read_text("utf-8").strip() if marker.exists() else ""
    old = [one for one in _family(database) if one.exists()]
    aside = database.parent / begun if begun else _free_folder(database.parent)
    if any((aside / one.name).exists() for one in old):
        aside = _free_folder(database.parent)
    marker.write_text(aside.name, "utf-8")
    sync(marker)
    sync(database.parent)
    if old:
        aside.mkdir(mode=0o700, exist_ok=True)
        give_to_owner(aside)
        for one in old:
            one.rename(aside / one.name)
        sync(aside)
    give_to_owner(copied)
    note_of(database).unlink(missing_ok=True)  # it speaks of the old one
    copied.rename(database)
    give_to_owner(database)
    sync(database.parent)
    marker.unlink()
    sync(database.parent)
    return aside if aside.exists() else None


def _free_folder(parent: Path) -> Path:
    name = f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def sync(path: Path) -> None:
    """Sees to it that a file, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
