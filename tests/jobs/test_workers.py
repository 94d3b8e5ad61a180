"""Several workers on one database: each job once, each due time once; Procrastinate's own, as it really behaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.jobs import Backoff, JobState
from governance.services.calls.check import CheckService
from governance.services.jobs.run import Attempt, RunJobs, Task
from governance.services.jobs.timetable import Recurring, Timetable
from governance.store.base import tables as t
from governance.store.base.database import connect
from governance.store.jobs import defer, wake
from governance.store.transaction import Database
from governance.worker import procrastinate as on_postgresql
from governance.worker.jobs import JobWorker
from governance.worker.loop import Loop
from governance.worker.procrastinate import ProcrastinateLoop
from governance.worker.tasks import reader
from tests.conftest import Clock
from tests.jobs.conftest import KIND, MarkPayload, add, mark, marks, state


def real_clock() -> datetime:
    return datetime.now(UTC)


class Once:
    """Due once, at a moment; never again."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def after(self, moment: datetime) -> datetime:
        return self.at if moment < self.at else moment + timedelta(days=900)

    def __str__(self) -> str:
        return "once"


class NoChecks(CheckService):
    def __init__(self) -> None:
        pass


def job_worker(
    database: Database,
    entries: Sequence[Recurring] = (),
    run: Callable[[Any, Attempt[Any]], None] | None = None,
    *,
    clock: Callable[[], datetime] = real_clock,
) -> JobWorker:
    task = Task(run=run or mark(database), read=reader(MarkPayload), backoff=Backoff(attempts=3, first=timedelta(0)))
    return JobWorker(RunJobs(database, clock, {KIND: task}), Timetable(database, clock, entries))


def new_loop(database: Database, jobs: JobWorker) -> Loop | ProcrastinateLoop:
    if database.dialect == "sqlite":
        return Loop(database, NoChecks(), real_clock, jobs)
    return ProcrastinateLoop(database, NoChecks(), jobs)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks each second instead of each minute."""
    monkeypatch.setattr(on_postgresql, "EVERY_MINUTE", "* * * * * *")
    monkeypatch.setattr("governance.worker.jobs.TICK_SECONDS", 0.2)


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.usefixtures("fast")
def test_one_worker_and_ten_run_each_job_and_each_due_time_once(database: Database, count: int) -> None:
    soon = real_clock() + timedelta(seconds=4)
    entries = [
        Recurring(name=f"r{n}", kind=KIND, schedule=Once(soon), payload={"name": f"recurs {n}"}) for n in range(3)
    ]
    Timetable(database, real_clock, entries).tick()  # planned, not due yet
    loops = [new_loop(database, job_worker(database, entries)) for _ in range(count)]
    threads = [threading.Thread(target=loop.run) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        with database.write() as tx:  # while they run, all at once, and none of a transaction that is undone
            for n in range(40):
                tx.jobs.add(KIND, {"name": f"job {n}"}, at=real_clock(), priority=n % 3, lock=f"lock {n % 7}")

        def undone() -> None:
            with database.write() as tx:
                tx.jobs.add(KIND, {"name": "undone"}, at=real_clock())
                raise RuntimeError

        with pytest.raises(RuntimeError):
            undone()
        until(lambda: len(set(marks(database))) >= 43)
    finally:
        for loop in loops:
            loop.request_stop()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    expected = sorted([*(f"job {n}" for n in range(40)), *(f"recurs {n}" for n in range(3))])
    assert sorted(marks(database)) == expected


@pytest.fixture
def postgres(postgresql_url: str) -> Iterator[Database]:
    database = Database(connect(postgresql_url))
    yield database
    database.engine.dispose()


def wakes(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT queue_name, status::text FROM procrastinate_jobs WHERE task_name = %s ORDER BY id", (defer.TASK,)
        )
        return [(queue, status) for queue, status in rows]


def run_until(database: Database, jobs: JobWorker, condition: Callable[[], bool]) -> None:
    loop = ProcrastinateLoop(database, NoChecks(), jobs)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        until(condition)
    finally:
        loop.request_stop()
        thread.join(60)
    assert not thread.is_alive()


def test_a_job_that_fails_is_woken_again_by_procrastinate(postgres: Database, clock: Clock) -> None:
    clock.now = real_clock()
    job = add(postgres, clock)
    tried = []

    def at_the_third(payload: MarkPayload, attempt: Attempt[Any]) -> None:
        tried.append(attempt.job.attempts)
        if len(tried) < 3:
            raise ValueError
        mark(postgres)(payload, attempt)

    run_until(postgres, job_worker(postgres, run=at_the_third), lambda: state(postgres, job) is JobState.DONE)
    assert (tried, marks(postgres)) == ([1, 2, 3], ["one"])


def test_what_waits_for_a_lock_or_for_its_time_is_woken_when_it_may_run(postgres: Database, clock: Clock) -> None:
    clock.now = real_clock()
    add(postgres, clock, "later", not_before=clock() + timedelta(seconds=3))
    add(postgres, clock, "locked", lock="a")
    holder = add(postgres, clock, "holder", lock="a", priority=5)
    with postgres.write() as tx:  # by a process that is killed now
        assert tx.jobs.claim([KIND], now=clock(), lease=timedelta(seconds=2), job_id=holder)
    run_until(postgres, job_worker(postgres), lambda: len(marks(postgres)) == 3)
    assert sorted(marks(postgres)) == ["holder", "later", "locked"]


def test_kinds_of_a_newer_version_stay_in_a_queue_of_their_own(postgres: Database, clock: Clock) -> None:
    clock.now = real_clock()
    other = add(postgres, clock, kind="weather.predict")
    add(postgres, clock)
    run_until(postgres, job_worker(postgres), lambda: marks(postgres) == ["one"])
    assert state(postgres, other) is JobState.WAITING
    assert wakes(postgres) == [("job.weather.predict", "todo")]


def test_jobs_whose_wake_up_is_lost_get_another(postgres: Database, clock: Clock) -> None:
    clock.now = real_clock()
    add(postgres, clock)
    waker = wake.Waker(postgres)
    assert waker.sweep() == 0
    with postgres.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM procrastinate_jobs")
    assert waker.sweep() == 1
    assert waker.sweep() == 0
    run_until(postgres, job_worker(postgres), lambda: marks(postgres) == ["one"])


def test_a_wake_up_too_many_finds_nothing_to_do(postgres: Database, clock: Clock) -> None:
    clock.now = real_clock()
    job = add(postgres, clock)
    with postgres.write() as tx:
        for _ in range(3):
            assert tx.jobs.retry(job, at=clock())
        cancelled = tx.jobs.add(KIND, {"name": "cancelled"}, at=clock())
        tx.jobs.cancel(cancelled, at=clock())
    run_until(postgres, job_worker(postgres), lambda: not wakes(postgres))
    assert marks(postgres) == ["one"]


def test_a_tick_of_a_worker_that_died_does_not_stop_the_next(postgres: Database) -> None:
    """Returned to the queue beside the next tick it would break the queueing lock, which ends the worker."""
    with postgres.write() as tx:
        tx.connection.exec_driver_sql(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status) "
            "VALUES (%s, %s, %s, 'doing'), (%s, %s, %s, 'todo')",
            (wake.TICK_QUEUE, wake.TICK_TASK, wake.TICK_TASK) * 2,
        )
    assert wake.Waker(postgres).revive([]) == 1
    with postgres.read() as connection:
        rows = connection.exec_driver_sql("SELECT status::text FROM procrastinate_jobs").scalars().all()
    assert rows == ["todo"]


def test_procrastinates_own_lock_would_let_one_that_waits_hold_all_others(postgres: Database) -> None:
    """Why the lock is in our table (decision 0105): in Procrastinate a job of tomorrow keeps those of today waiting."""
    with postgres.write() as tx:
        worker = tx.connection.exec_driver_sql("SELECT * FROM procrastinate_register_worker_v1()").scalar()
        tx.connection.exec_driver_sql(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, scheduled_at) "
            "VALUES ('q', 'tomorrow', 'case:5', now() + interval '1 day'), ('q', 'today', 'case:5', NULL)"
        )
        fetch = "SELECT id FROM procrastinate_fetch_job_v2(ARRAY['q']::varchar[], %s)"
        assert tx.connection.exec_driver_sql(fetch, (worker,)).scalar() is None


def test_two_processes_do_not_begin_two_jobs_of_one_lock(postgres: Database, clock: Clock) -> None:
    """Both look before either has begun: the unique index says no to the second, and its transaction goes on."""
    first, second = add(postgres, clock, "a", lock="x"), add(postgres, clock, "b", lock="x")
    lease = timedelta(seconds=60)
    entered, held = threading.Event(), threading.Event()
    found: list[object] = []

    def other() -> None:
        with postgres.write() as tx:
            entered.set()
            found.append(tx.jobs.claim([KIND], now=clock(), lease=lease, job_id=second))
            found.append(tx.connection.execute(sa.select(sa.func.count()).select_from(t.job)).scalar())
        held.set()

    with postgres.write() as tx:
        assert tx.jobs.claim([KIND], now=clock(), lease=lease, job_id=first)
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(10)
        time.sleep(0.2)  # it waits for the index
    thread.join(30)
    assert held.is_set()
    assert found == [None, 2]
