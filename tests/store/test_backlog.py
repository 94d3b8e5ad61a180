"""How far checking is behind, waits that end, and what is known of the database's pages: on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from governance.domain.times import micros
from governance.errors import Overloaded
from governance.store.base import condition, patience, probe
from governance.store.base import tables as t
from governance.store.base.in_use import embedded_file
from governance.store.base.integrity import Integrity, IntegrityWatch, note_of
from governance.store.calls import health
from governance.store.calls.record import CallWriter
from governance.store.transaction import Database
from governance.systems.health import Backlog
from tests.conftest import Clock
from tests.store.conftest import Batch, make_call


def test_waiting_calls_are_counted_with_the_age_of_the_oldest(
    database: Database, new_writer: Callable[[], CallWriter], clock: Clock
) -> None:
    with database.read() as connection:
        assert health.backlog(connection, clock()) == Backlog()
    writer = new_writer()
    writer.write([Batch(calls=(make_call(1),))])
    clock.forward(seconds=90)
    writer.write([Batch(calls=tuple(make_call(number) for number in range(2, 5)))])
    clock.forward(seconds=10)
    with database.read() as connection:
        late = health.backlog(connection, clock())
    assert (late.waiting, late.oldest_seconds, late.rate) == (4, 100.0, 0.0)
    assert late.words == "4 calls wait, the oldest for 100 s; 0 a second are checked"


def test_the_rate_is_of_decisions_in_the_last_minute(
    database: Database, new_writer: Callable[[], CallWriter], clock: Clock
) -> None:
    new_writer().write([Batch(calls=(make_call(1),))])
    now = micros(clock())
    rows = [
        {
            "id": 10_000_000 + n,
            "at": now - age * 1_000_000,
            "kind": kind,
            "actor": "",
            "subject": "",
            "system": "",
            "leaf": b"{}",
        }
        for n, (age, kind) in enumerate(
            [(1, "decision.made")] * 30 + [(70, "decision.made")] * 5 + [(2, "key.created")]
        )
    ]
    with database.write() as transaction:
        transaction.connection.execute(t.audit_event.insert(), rows)
    with database.read() as connection:
        assert health.backlog(connection, clock()).rate == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("waiting", "seconds", "rate", "words"),
    [
        (0, 0, 0, "no call waits"),
        (1, 3, 0.25, "1 call waits, the oldest for 3 s; 0.2 a second are checked"),
        (100_000, 2_400, 52.4, "more than 100,000 calls wait, the oldest for 40 min; 52 a second are checked"),
        (99_999, 90_000, 0, "99,999 calls wait, the oldest for 25 h; 0 a second are checked"),
    ],
)
def test_a_backlog_in_words(waiting: int, seconds: float, rate: float, words: str) -> None:
    assert Backlog(waiting=waiting, oldest_seconds=seconds, rate=rate).words == words


def test_whoever_may_wait_only_so_long_is_told_that_it_is_locked(database: Database) -> None:
    """SQLite has one writer; on PostgreSQL a table is locked as a migration or VACUUM FULL does."""
    with database.engine.connect() as holder:
        if database.dialect == "sqlite":
            holder.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            holder.exec_driver_sql("LOCK TABLE id_block IN ACCESS EXCLUSIVE MODE")
        for write in (lambda: probe.try_write(database), lambda: database.write(wait=0.2).__enter__()):
            with pytest.raises(Overloaded, match="locked by another process") as caught:
                write()
            assert caught.value.retry_after > 0
        holder.rollback()
    probe.try_write(database)


def test_the_patience_of_one_caller_is_not_the_next_ones(sqlite_url: str) -> None:
    from governance.store.base.database import connect

    engine = connect(sqlite_url)
    try:
        for limit, wanted in ((nullcontext(), 30_000), (patience.at_most(2), 2_000), (patience.at_most(0.01), 100)):
            for context, milliseconds in ((limit, wanted), (nullcontext(), 30_000)):
                with context, engine.connect() as connection:
                    assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == milliseconds
        with patience.at_most(1), patience.at_most(5):
            assert patience.left() <= 1
    finally:
        engine.dispose()


def test_after_a_failure_the_next_group_waits_less(sqlite_url: str, keyring: object, clock: Clock) -> None:
    from governance.store.base.database import connect
    from governance.store.jobs.checking import TableQueue

    database = Database(connect(sqlite_url))
    writer = CallWriter(database, keyring, TableQueue(database.ids), clock, patient_seconds=0.5)  # type: ignore[arg-type]
    with database.engine.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        for patient in (0.5, 0.25):
            assert writer._patience == patient
            with pytest.raises(Overloaded):
                writer.write([Batch(calls=(make_call(1),))])
        holder.rollback()
    database.audit = None
    with pytest.raises(RuntimeError, match="audit writer"):
        writer.write([Batch(calls=(make_call(1),))])
    database.engine.dispose()


def test_pages_are_looked_at_and_what_was_found_is_kept(database: Database, clock: Clock) -> None:
    integrity = Integrity(database.engine, clock)
    found = integrity.look()
    assert found.problems == ()
    with database.read() as connection:
        assert condition.damage(connection) == []
    last = integrity.last()
    assert last is not None
    if database.dialect == "postgresql":
        assert "checksums" in last.words
        return
    assert (last.at, last.problems) == (clock(), ())
    file = embedded_file(str(database.engine.url))
    assert file is not None
    for unreadable in ("", "{}", "[1]", '{"at": 3, "seconds": "x", "problems": 7}', "\0"):
        note_of(file).write_text(unreadable)
        assert integrity.last() is None


def test_a_server_that_stops_does_not_wait_for_a_look(database: Database, clock: Clock) -> None:
    looking, go = threading.Event(), threading.Event()

    class Slow(Integrity):
        def look(self):  # type: ignore[no-untyped-def]
            looking.set()
            go.wait(30)
            return super().look()

        def interrupt(self) -> None:
            go.set()

    watch = IntegrityWatch(Slow(database.engine, clock), embedded=True)
    assert watch.start() is None
    assert looking.wait(10)
    watch.stop()
    assert go.is_set()


def test_amcheck_is_asked_where_it_is_installed(postgresql_url: str) -> None:
    """The tests' PostgreSQL comes without the extension: a function of the same name and arguments stands in."""
    from governance.store.base.database import connect

    engine = connect(postgresql_url)
    answers = {
        "": [],
        "IF $1 = 'uq_system_name'::regclass THEN RAISE EXCEPTION 'item order invariant violated'; END IF;": [
            "item order invariant violated"
        ],
        "RAISE insufficient_privilege;": [],
    }
    try:
        with engine.connect() as connection:
            (index,) = connection.exec_driver_sql(
                "SELECT indexname FROM pg_indexes WHERE tablename = 'system' ORDER BY 1 DESC LIMIT 1"
            ).one()
            for does, found in answers.items():
                body = does.replace("uq_system_name", index)
                connection.exec_driver_sql(
                    "CREATE OR REPLACE FUNCTION bt_index_check(index regclass) RETURNS void LANGUAGE plpgsql "
                    f"AS $f$ BEGIN {body} END $f$"
                )
                assert condition.damage(connection) == found
    finally:
        engine.dispose()
