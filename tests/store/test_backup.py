"""A backup of a database in use is one moment of it, and ends while others go on writing."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from governance.cli import db
from governance.store.database import Database, connect


def test_a_backup_ends_while_another_process_writes_without_a_break(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_PAGES", 1)  # many steps, with writes between any two
    database = Database(connect(sqlite_url))
    over, begun = threading.Event(), threading.Event()

    def write() -> None:
        while not over.is_set():
            with database.write() as transaction:
                transaction.connection.exec_driver_sql("UPDATE id_block SET next = next + 1")
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait(10)
    copied = threading.Thread(
        target=db._copy, args=(Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "copy.db", None), daemon=True
    )
    copied.start()
    copied.join(20)
    ended = not copied.is_alive()
    over.set()
    writer.join()
    database.engine.dispose()
    assert ended, "each write made the backup begin anew"
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM id_block").fetchone() == (1,)
    copy.close()
