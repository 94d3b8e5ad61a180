"""Keeps SQLite's write-ahead log short under load.

SQLite copies the log into the database as it goes, but starts the log anew only at a moment when nobody reads from it.
With pages, workers and the receiver at work there is no such moment, and the log grows by all that is written. So a
thread makes one: it copies what it can beside the others, then holds writers for the little that is left.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import sqlalchemy as sa

LONGEST = 64 * 2**20  # bytes of log that are let be
LOOK_SECONDS = 1.0
WAIT_SECONDS = 0.25  # how long writers may be held for readers to end
AGAIN_SECONDS = 10.0  # after readers did not end in that time: a verification, an export, a backup


class Checkpointer:
    """A thread of the server; does nothing on PostgreSQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._file = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._file is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def shorten(self) -> bool:
        """Empties a log that has become too long; False when readers were in the way."""
        assert self._file is not None
        log = self._file.with_name(self._file.name + "-wal")
        if not log.exists() or log.stat().st_size <= LONGEST:
            return True
        with contextlib.closing(sqlite3.connect(self._file, timeout=WAIT_SECONDS)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                pause = LOOK_SECONDS if self.shorten() else AGAIN_SECONDS
            except (OSError, sqlite3.Error):  # a full disk, say: whoever writes next says so
                pause = AGAIN_SECONDS
