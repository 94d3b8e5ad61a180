"""The database away, busy or full: what waits is told so in words of ours, and goes on when it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from procrastinate.exceptions import ConnectorException

from governance.detectors.runner import Runner
from governance.engine.check import Checker
from governance.engine.decide import DecisionEngine
from governance.errors import Misconfigured, Overloaded
from governance.policy.policy import PolicySet
from governance.services.calls.check import (
    CheckedCall,
    CheckService,
    Deciding,
    DecidingSet,
    LoadedCall,
    WrittenDecision,
)
from governance.store.base.database import begin, connect, reachable
from governance.store.base.dialects.pool import unavailable
from governance.store.jobs.checking import QUEUE, TASK, ProcrastinateQueue
from governance.store.jobs.wake import STALLED_SECONDS
from governance.store.transaction import Database
from governance.worker.procrastinate import ProcrastinateLoop


@pytest.fixture
def postgres(postgresql_url: str) -> Iterator[Database]:
    database = Database(connect(postgresql_url))
    yield database
    database.engine.dispose()


def kill_others(database: Database) -> None:
    """What a restart of the server does to every connection but this one."""
    engine = sa.create_engine(database.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()


def test_a_connection_lost_in_a_transaction_is_said_and_the_next_one_works(postgres: Database) -> None:
    def lose() -> None:
        with postgres.write() as transaction:
            transaction.connection.exec_driver_sql("SELECT 1")
            kill_others(postgres)

    with pytest.raises(Overloaded, match="does not answer") as caught:
        lose()
    assert caught.value.retry_after > 0
    with postgres.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_idle_connections_that_were_cut_are_replaced_without_a_word(postgres: Database) -> None:
    with postgres.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    kill_others(postgres)
    with postgres.write() as transaction:
        assert transaction.connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_database_that_is_not_there_is_said_at_the_start_and_later(tmp_path: Path) -> None:
    engine = connect(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Overloaded, match="does not answer"), Database(engine).read():
        pass
    with pytest.raises(Misconfigured, match=r"The database cannot be used: .*No such file"):
        reachable(engine)


def test_a_statement_that_is_wrong_is_no_outage(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.read() as connection:
        connection.exec_driver_sql("SELECT nothing_like_it FROM id_block")


def test_more_callers_than_connections_are_told_to_come_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = database.engine.pool
    assert isinstance(pool, sa.pool.QueuePool)
    monkeypatch.setattr(pool, "_timeout", 0.05)
    held = [database.engine.connect() for _ in range(pool.size() + pool._max_overflow)]
    try:
        with pytest.raises(Overloaded, match="in use"), database.read():
            pass
    finally:
        for connection in held:
            connection.close()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_sqlite_writer_that_waits_too_long_is_told_so(sqlite_url: str) -> None:
    database = Database(connect(sqlite_url))
    with database.write(), database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=20")
        with pytest.raises(Overloaded, match="locked by another process"):
            begin(connection)
    database.engine.dispose()


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "governance.db"
    file.write_bytes(damage)
    with pytest.raises(Misconfigured, match=r"damaged, or is no database\. Restore a backup"):
        reachable(connect(f"sqlite:///{file}"))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(sqlite_url: str) -> None:
    database = Database(connect(sqlite_url))

    def fill() -> None:
        with database.write() as transaction:
            pages = transaction.connection.exec_driver_sql("PRAGMA page_count").scalar()
            transaction.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            for number in range(1, 2_000):
                transaction.connection.exec_driver_sql(
                    "INSERT INTO system (id, name, first_seen_at) VALUES (?, ?, 0)", (number, "x" * 190 + str(number))
                )

    with pytest.raises(Overloaded, match="The disk is full") as caught:
        fill()
    assert caught.value.retry_after > 5
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM system").scalar() == 0
    database.engine.dispose()


@pytest.mark.parametrize("url", ["nonsense", "postgresql://u:secret@host:port/name"])
def test_what_is_no_address_of_a_database_is_said_without_its_words(url: str) -> None:
    with pytest.raises(Misconfigured, match="not a database URL") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


class Away:
    """A store that is away `times` times, then holds what it is given."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.attempts = 0

    def load(self, call_ids: object, sets: object, *, decided: bool = False) -> list[LoadedCall]:
        self.attempts += 1
        if self.attempts <= self.times:
            raise unavailable()
        return []

    def save(self, checked: Sequence[CheckedCall], sets: object, *, job: int | None = None) -> list[WrittenDecision]:
        return []

    def standing(self, call_ids: object) -> list[WrittenDecision]:
        return []


def new_loop(database: Database, away: Away) -> ProcrastinateLoop:
    by = DecidingSet(
        policy_set_id=1, digest="", detectors=Runner(), checker=Checker(Runner(), DecisionEngine(PolicySet([])))
    )
    checks = CheckService(away, lambda: Deciding(enforce=by), lambda text, _: text, str)
    return ProcrastinateLoop(database, checks)


def jobs(database: Database) -> list[tuple[str, int]]:
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT status::text, attempts FROM procrastinate_jobs ORDER BY id")
        return [(status, attempts) for status, attempts in rows]


def test_an_outage_is_no_attempt_at_a_job(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.worker.procrastinate.AGAIN_SECONDS", 0.01)
    away = Away(5)
    with postgres.write() as transaction:
        ProcrastinateQueue().enqueue(transaction.connection, [1])
    loop = new_loop(postgres, away)
    assert loop.run_until_idle() == 1
    assert away.attempts == 6
    assert jobs(postgres) == []


@pytest.fixture
def taken(postgres: Database) -> Callable[[int], int]:
    """Has a worker, silent for some seconds, take a job; gives the worker's id."""

    def take(silent: int) -> int:
        with postgres.write() as transaction:
            connection = transaction.connection
            worker = connection.exec_driver_sql(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s)) "
                "RETURNING id",
                (silent,),
            ).scalar_one()
            ProcrastinateQueue().enqueue(connection, [1])
            fetched = connection.exec_driver_sql(
                "SELECT id FROM procrastinate_fetch_job_v2(%s::varchar[], %s)", ([QUEUE], worker)
            ).scalar()
            assert fetched is not None
        return int(worker)

    return take


def test_jobs_of_silent_workers_are_queued_once_and_those_of_others_stay(
    postgres: Database, taken: Callable[[int], int]
) -> None:
    taken(STALLED_SECONDS + 1)
    taken(0)
    loop = new_loop(postgres, Away(0))
    assert loop.revive() == 1
    assert jobs(postgres) == [("todo", 1), ("doing", 0)]
    assert loop.revive() == 0


def test_jobs_of_workers_that_were_struck_off_and_jobs_that_failed_are_queued(
    postgres: Database, taken: Callable[[int], int]
) -> None:
    gone = taken(0)
    with postgres.write() as transaction:
        transaction.connection.exec_driver_sql("DELETE FROM procrastinate_workers WHERE id = %s", (gone,))
    taken(0)
    with postgres.write() as transaction:
        transaction.connection.exec_driver_sql(
            "UPDATE procrastinate_jobs SET status = 'failed' WHERE worker_id IS NOT NULL AND task_name = %s", (TASK,)
        )
    assert new_loop(postgres, Away(0)).revive() == 2
    assert {status for status, _ in jobs(postgres)} == {"todo"}


def test_a_worker_that_loses_its_database_begins_anew(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.worker.procrastinate.AGAIN_SECONDS", 0.01)
    loop = new_loop(postgres, Away(0))
    begun = 0

    async def work(*, wait: bool) -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            loop.request_stop()
        elif begun == 1:
            raise OSError("the connection is gone")

    monkeypatch.setattr(loop, "_work", work)
    loop.run()
    assert begun == 3


def test_a_job_that_was_done_when_the_database_went_away_is_not_held_for_ever(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object, **__: object) -> None:
        raise ConnectorException

    with postgres.write() as transaction:
        ProcrastinateQueue().enqueue(transaction.connection, [1])
    loop = new_loop(postgres, Away(0))
    with monkeypatch.context() as patch:
        patch.setattr("procrastinate.manager.JobManager.finish_job", lost)
        loop.run_until_idle()
    assert jobs(postgres) == [("doing", 0)]
    with postgres.write() as transaction:  # its worker lives on
        transaction.connection.exec_driver_sql(
            "WITH alive AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id) "
            "UPDATE procrastinate_jobs SET worker_id = alive.id FROM alive"
        )
    assert loop.revive() == 0
    monkeypatch.setattr("governance.worker.procrastinate.REVIVE_SECONDS", 0.0)
    assert loop.revive() == 1
    assert jobs(postgres) == [("todo", 1)]
