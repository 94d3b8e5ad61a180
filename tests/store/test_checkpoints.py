"""SQLite's write-ahead log stays short, also while somebody always reads; nobody waits long for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.store.base import wal as checkpoints
from governance.store.base.database import connect
from governance.store.base.wal import Checkpointer
from governance.store.transaction import Database


@pytest.fixture
def written(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Database, Path]]:
    """A database whose log is longer than it may be."""
    monkeypatch.setattr(checkpoints, "LONGEST", 100_000)
    monkeypatch.setattr(checkpoints, "WAIT_SECONDS", 0.05)
    database = Database(connect(sqlite_url))
    write(database, 40)
    yield database, Path(sqlite_url.removeprefix("sqlite:///") + "-wal")
    database.engine.dispose()


def write(database: Database, times: int) -> None:
    for _ in range(times):
        with database.write() as transaction:
            transaction.connection.exec_driver_sql("UPDATE id_block SET next = next + 1")


def test_a_long_log_is_emptied_and_nothing_is_lost(written: tuple[Database, Path]) -> None:
    database, log = written
    assert log.stat().st_size > checkpoints.LONGEST
    with database.read() as connection:
        before = connection.exec_driver_sql("SELECT next FROM id_block").scalar()
    assert Checkpointer(database.engine).shorten()
    assert log.stat().st_size == 0
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT next FROM id_block").scalar() == before


def test_a_short_log_is_let_be(written: tuple[Database, Path]) -> None:
    database, log = written
    Checkpointer(database.engine).shorten()
    write(database, 1)
    size = log.stat().st_size
    assert Checkpointer(database.engine).shorten()
    assert log.stat().st_size == size > 0


def test_a_long_reader_is_neither_cut_nor_waited_for(written: tuple[Database, Path]) -> None:
    database, log = written
    with database.read() as connection:
        seen = connection.exec_driver_sql("SELECT next FROM id_block").scalar()
        write(database, 1)
        assert not Checkpointer(database.engine).shorten()
        write(database, 1)
        assert connection.exec_driver_sql("SELECT next FROM id_block").scalar() == seen
    assert Checkpointer(database.engine).shorten()
    assert log.stat().st_size == 0


def test_readers_that_come_without_a_break_do_not_keep_the_log_growing(
    written: tuple[Database, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, log = written
    monkeypatch.setattr(checkpoints, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(checkpoints, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(checkpoints, "WAIT_SECONDS", 2)
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            with database.read() as connection:
                connection.exec_driver_sql("SELECT next FROM id_block").scalar()
                time.sleep(0.005)

    readers = [threading.Thread(target=read) for _ in range(3)]
    checkpointer = Checkpointer(database.engine)
    for reader in readers:
        reader.start()
    checkpointer.start()
    try:
        deadline = time.monotonic() + 10
        while log.stat().st_size > checkpoints.LONGEST and time.monotonic() < deadline:
            write(database, 1)
            time.sleep(0.01)
        assert log.stat().st_size <= checkpoints.LONGEST
    finally:
        checkpointer.stop()
        over.set()
        for reader in readers:
            reader.join()


def test_postgresql_has_no_need_of_it(postgresql_url: str) -> None:
    engine = connect(postgresql_url)
    checkpointer = Checkpointer(engine)
    checkpointer.start()
    assert not [thread for thread in threading.enumerate() if thread.name == "checkpoints"]
    checkpointer.stop()
    engine.dispose()
