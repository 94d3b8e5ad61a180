"""Whether the database's pages are whole: looked at by SQLite itself, and remembered in a small file beside them.

A file, because a damaged database is no place to note that it is damaged. On PostgreSQL the server checks its pages as
it reads them where data checksums are on; what it counted is read at each question.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

from governance.store.base.in_use import embedded_file

_AGAIN_SECONDS = 600.0
_MOST = 20
_LOG = structlog.get_logger("governance.integrity")


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What a look at the database found: `problems` in SQLite's words, none where it is whole."""

    at: datetime
    seconds: float
    problems: tuple[str, ...] = ()
    detail: str = ""

    @property
    def words(self) -> str:
        if self.problems:
            return f"The database is damaged: {self.problems[0]}"
        return self.detail or f"whole on {self.at:%Y-%m-%d %H:%M} UTC"


def note_of(database: Path) -> Path:
    return database.with_name(database.name + ".integrity.json")


class Integrity:
    """`look()` examines the database; `last()` is what the last look found, of any process."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._file = embedded_file(engine.url.render_as_string(hide_password=False))
        self._under_way: sqlite3.Connection | None = None

    def look(self) -> Looked:
        """SQLite's `quick_check`: every page and row, not whether indexes agree with their tables. Writers go on.

        Raises `sqlite3.OperationalError` where it was interrupted or could not begin, which says nothing of damage.
        """
        if self._file is None:
            return self._postgresql()
        began = time.monotonic()
        problems = self._problems(self._file)
        found = Looked(at=self._clock(), seconds=time.monotonic() - began, problems=tuple(problems))
        self._note(self._file, found)
        return found

    def last(self) -> Looked | None:
        """None before the first look."""
        if self._file is None:
            return self._postgresql()
        try:
            values = json.loads(note_of(self._file).read_text("utf-8"))
            return Looked(
                at=datetime.fromisoformat(values["at"]),
                seconds=float(values["seconds"]),
                problems=tuple(str(one) for one in values["problems"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def interrupt(self) -> None:
        """Ends a look that is under way. May be called from another thread."""
        connection = self._under_way
        if connection is not None:
            with suppress(sqlite3.ProgrammingError):  # it has just ended
                connection.interrupt()

    def _problems(self, file: Path) -> list[str]:
        try:
            uri = f"{file.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=5)) as connection:
                self._under_way = connection
                connection.execute("PRAGMA cache_size=-2000")
                found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_MOST})")]
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            return [str(error)]
        finally:
            self._under_way = None
        return [] if found == ["ok"] else found

    @staticmethod
    def _note(file: Path, found: Looked) -> None:
        note = note_of(file)
        part = note.with_name(note.name + ".part")
        text = json.dumps({"at": found.at.isoformat(), "seconds": found.seconds, "problems": found.problems})
        try:
            part.touch(mode=0o600)
            part.write_text(text, "utf-8")
            part.replace(note)
        except OSError as error:  # a full disk: the log has it
            _LOG.error("integrity.not_noted", reason=error.strerror)

    def _postgresql(self) -> Looked:
        with self._engine.connect() as connection:
            on = connection.exec_driver_sql("SHOW data_checksums").scalar() == "on"
            row = connection.exec_driver_sql(
                "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
            ).scalar()
        if row:
            problems = (f"PostgreSQL counted {row} pages with a wrong checksum.",)
            return Looked(at=self._clock(), seconds=0.0, problems=problems)
        detail = "PostgreSQL's page checksums hold" if on else "PostgreSQL's page checksums are off: nothing is checked"
        return Looked(at=self._clock(), seconds=0.0, detail=detail)


class IntegrityWatch:
    """A thread of the server that looks once, at the start; does nothing on PostgreSQL. A job looks daily."""

    def __init__(self, integrity: Integrity, *, embedded: bool) -> None:
        self._integrity = integrity
        self._embedded = embedded
        self._stop = threading.Event()
        self._first = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, wait_seconds: float = 0.0) -> Looked | None:
        """Begins; gives what the first look found where that took no longer than `wait_seconds`."""
        if not self._embedded or self._thread is not None:
            return None
        self._thread = threading.Thread(target=self._run, name="integrity", daemon=True)
        self._thread.start()
        return self._integrity.last() if self._first.wait(wait_seconds) else None

    def stop(self) -> None:
        self._stop.set()
        self._integrity.interrupt()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                found = self._integrity.look()
            except sqlite3.Error as error:
                if not self._stop.is_set():
                    _LOG.warning("integrity.not_looked", reason=str(error))
                pause = _AGAIN_SECONDS
                continue
            finally:
                self._first.set()
            if found.problems:
                _LOG.error("integrity.damaged", problems=list(found.problems))
            else:
                _LOG.info("integrity.whole", seconds=round(found.seconds, 2))
            return
