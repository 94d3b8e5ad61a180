"""A backup of a database in use is one moment of it, and ends while others go on writing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from governance.cli import main
from governance.store.base import backup
from governance.store.base.database import connect
from governance.store.transaction import Database


def test_a_backup_does_not_begin_anew_when_others_write(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGES", 5)
    database = Database(connect(sqlite_url))
    with database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        before = connection.exec_driver_sql("SELECT next FROM id_block").scalar_one()
    steps = 0

    def write(_count: int) -> None:
        nonlocal steps
        steps += 1
        assert steps <= pages, "each write made the backup begin anew"
        with database.write() as transaction:
            transaction.connection.exec_driver_sql("UPDATE id_block SET next = next + 1")

    backup.copy(Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "copy.db", write)
    assert steps > 5
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert before <= copy.execute("SELECT next FROM id_block").fetchone()[0] < before + steps
    database.engine.dispose()


def test_a_place_that_cannot_be_written_is_said_without_names_of_ours(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", f"sqlite:///{sqlite_template}")
    monkeypatch.setenv("GOVERNANCE_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["db", "backup", str(tmp_path / "nowhere" / "copy.db")])
    said = capsys.readouterr().err
    assert said.endswith("copy.db cannot be written: No such file or directory.\n")
    assert "Errno" not in said
