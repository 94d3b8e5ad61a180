"""Attempts at jobs: what a task changes commits with the job's completion, and what fails says so without content."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.jobs import PAYLOAD_BYTES, JobState
from governance.domain.schedule import Hourly
from governance.errors import BadInput, Overloaded
from governance.services.jobs.prune import prune_jobs
from governance.services.jobs.run import KILLED, UNREADABLE, Attempt, NotDone, RunJobs
from governance.services.jobs.timetable import Recurring, Timetable
from governance.store.base import tables as t
from governance.store.transaction import Database
from governance.worker import jobs as worker
from governance.worker.jobs import JobWorker
from tests.conftest import Clock
from tests.jobs.conftest import KIND, MarkPayload, add, mark, marks, read, state

Runner = Callable[..., RunJobs]
SECRET = "the customer's words"


def run_next(runs: RunJobs) -> bool:
    job = runs.claim()
    if job is not None:
        runs.run(job)
    return job is not None


def fails(_payload: object, _attempt: Attempt[Any]) -> None:
    raise ValueError(SECRET)


def test_a_job_is_done_once_and_leaves_its_effect(database: Database, clock: Clock, runner: Runner) -> None:
    job = add(database, clock)
    runs = runner()
    assert run_next(runs)
    assert not run_next(runs)
    assert state(database, job) is JobState.DONE
    assert marks(database) == ["one"]


def test_a_job_waits_until_it_is_due(database: Database, clock: Clock, runner: Runner) -> None:
    add(database, clock, not_before=clock() + timedelta(minutes=5))
    assert not run_next(runner())
    clock.forward(minutes=5)
    assert run_next(runner())


def test_the_more_urgent_goes_first_then_the_older(database: Database, clock: Clock, runner: Runner) -> None:
    for name, priority in (("first", 0), ("second", 0), ("urgent", 5), ("last", -5)):
        add(database, clock, name, priority=priority)
    runs = runner()
    while run_next(runs):
        pass
    assert marks(database) == ["urgent", "first", "second", "last"]


def test_what_fails_waits_longer_each_time_and_then_is_given_up(
    database: Database, clock: Clock, runner: Runner
) -> None:
    dead: list[tuple[int, str]] = []
    logged: list[BaseException] = []
    job = add(database, clock)
    runs = runner(
        fails, died=lambda _tx, job, error: dead.append((job.id, error)), heard=lambda _job, error: logged.append(error)
    )
    waits = []
    for _ in range(3):
        assert run_next(runs)
        found = read(database, job)
        waits.append((found.not_before - clock()).total_seconds())
        clock.now = max(clock.now, found.not_before)
    assert waits[:2] == [10.0, 40.0]
    assert (found.state, found.attempts) == (JobState.FAILED, 3)
    assert found.last_error.startswith("It broke off (ValueError at tests/jobs/test_running.py:")
    assert SECRET not in found.last_error
    assert dead == [(job, found.last_error)]
    assert len(logged) == 3
    clock.forward(days=1)
    assert not run_next(runs)
    assert marks(database) == []


def test_giving_up_and_what_is_said_of_it_are_one_transaction(database: Database, clock: Clock, runner: Runner) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the alert cannot be kept")

    job = add(database, clock)

    def final(_payload: object, _attempt: Attempt[Any]) -> None:
        raise NotDone("It is gone.", final=True)

    runs = runner(final, died=broken)
    with pytest.raises(RuntimeError):
        run_next(runs)
    assert state(database, job) is JobState.RUNNING  # until the lease runs out; then it is tried again
    clock.forward(minutes=2)
    run_next(runner(final))
    assert (state(database, job), read(database, job).last_error) == (JobState.FAILED, "It is gone.")


def test_a_task_may_ask_to_be_tried_later(database: Database, clock: Clock, runner: Runner) -> None:
    job = add(database, clock)

    def busy(_payload: object, _attempt: Attempt[Any]) -> None:
        raise NotDone("It is busy.", retry_after=timedelta(hours=2))

    run_next(runner(busy))
    assert read(database, job).not_before == clock() + timedelta(hours=2)


def test_an_outage_of_the_database_is_no_attempt(database: Database, clock: Clock, runner: Runner) -> None:
    job = add(database, clock)

    def away(_payload: object, _attempt: Attempt[Any]) -> None:
        raise Overloaded("It is away.", retry_after=3)

    runs = runner(away)
    for _ in range(10):
        assert run_next(runs)
        clock.forward(seconds=3)
    assert (state(database, job), read(database, job).attempts) == (JobState.WAITING, 0)
    run_next(runner())
    assert marks(database) == ["one"]


def test_a_process_that_lost_its_job_leaves_nothing_behind(database: Database, clock: Clock, runner: Runner) -> None:
    job = add(database, clock)
    logged: list[BaseException] = []

    def slow(payload: MarkPayload, attempt: Attempt[Any]) -> None:
        clock.forward(minutes=2)  # it stood still for longer than its lease
        assert run_next(runner())
        mark(database)(payload, attempt)

    runs = runner(slow, heard=lambda _job, error: logged.append(error))
    assert run_next(runs)
    assert marks(database) == ["one"]
    assert state(database, job) is JobState.DONE
    assert [type(error).__name__ for error in logged] == ["ClaimLost"]


def test_signs_of_life_hold_a_long_job(database: Database, clock: Clock, runner: Runner) -> None:
    add(database, clock)
    other = runner()

    def long(payload: MarkPayload, attempt: Attempt[Any]) -> None:
        for _ in range(5):
            clock.forward(seconds=50)
            runs.renew()
            assert not run_next(other)
        mark(database)(payload, attempt)

    runs = runner(long)
    run_next(runs)
    assert marks(database) == ["one"]


def test_a_job_that_ends_its_process_each_time_is_given_up(database: Database, clock: Clock, runner: Runner) -> None:
    job = add(database, clock)
    runs = runner()
    for _ in range(3):
        assert runs.claim() is not None  # and then it dies
        clock.forward(minutes=2)
    assert run_next(runs)
    assert (state(database, job), read(database, job).last_error) == (JobState.FAILED, KILLED)
    assert marks(database) == []


@pytest.mark.parametrize("payload", [{}, {"name": 7}, {"name": "one", "more": True}, {"name": None}])
def test_a_payload_of_a_newer_version_waits_for_it(
    database: Database, clock: Clock, runner: Runner, payload: dict[str, object]
) -> None:
    job = add(database, clock, payload=payload)
    runs = runner()
    for _ in range(20):
        assert run_next(runs)
        assert not run_next(runs), "it does not spin"
        clock.forward(minutes=10)
    found = read(database, job)
    assert (found.state, found.attempts, found.payload) == (JobState.WAITING, 0, payload)
    assert found.last_error == UNREADABLE


def test_a_kind_of_a_newer_version_is_left_alone(database: Database, clock: Clock, runner: Runner) -> None:
    job = add(database, clock, kind="weather.predict", payload={"rain": [1]})
    add(database, clock, "mine")
    runs = runner()
    assert run_next(runs)
    assert not run_next(runs)
    assert read(database, job).attempts == 0
    assert state(database, job) is JobState.WAITING


def test_a_payload_that_is_too_large_is_refused_with_what_it_is_about(database: Database, clock: Clock) -> None:
    def refused() -> None:
        with database.write() as tx:
            tx.connection.execute(t.system.insert().values(id=1, name="a", first_seen_at=0))
            tx.jobs.add(KIND, {"name": "x" * PAYLOAD_BYTES}, at=clock())

    with pytest.raises(BadInput, match="at most 16,384 are kept"):
        refused()
    assert marks(database) == []
    add(database, clock, "x" * (PAYLOAD_BYTES - len('{"name":""}')))


def test_jobs_of_one_lock_take_turns_and_one_that_waits_holds_nobody(
    database: Database, clock: Clock, runner: Runner
) -> None:
    add(database, clock, "tomorrow", lock="case:5", not_before=clock() + timedelta(days=1), priority=9)
    add(database, clock, "a", lock="case:5")
    add(database, clock, "b", lock="case:5")
    add(database, clock, "c", lock="case:6")
    runs = runner()
    first = runs.claim()
    second = runs.claim()
    assert [job and job.payload["name"] for job in (first, second, runs.claim())] == ["a", "c", None]
    assert first is not None
    runs.run(first)
    third = runs.claim()
    assert third is not None
    assert third.payload["name"] == "b"


def test_a_process_that_is_to_end_gives_its_job_back(
    database: Database, clock: Clock, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.05)
    job = add(database, clock)
    begun, end, ended = threading.Event(), threading.Event(), threading.Event()

    def long(payload: MarkPayload, attempt: Attempt[Any]) -> None:
        begun.set()
        end.wait(30)
        try:
            mark(database)(payload, attempt)
        finally:
            ended.set()

    def stop_once_begun() -> None:
        begun.wait(30)
        here.stop.set()

    here = JobWorker(runner(long), Timetable(database, clock, []))
    stopper = threading.Thread(target=stop_once_begun)
    stopper.start()
    assert here.step()
    stopper.join()
    assert (state(database, job), read(database, job).attempts) == (JobState.WAITING, 0)
    assert run_next(runner())
    end.set()
    assert ended.wait(30)
    assert marks(database) == ["one"]


def test_what_recurs_is_added_once_and_not_beside_one_that_waits(
    database: Database, clock: Clock, runner: Runner
) -> None:
    entry = Recurring(name="every hour", kind=KIND, schedule=Hourly(0), payload={"name": "hour"})
    tables = [Timetable(database, clock, [entry]) for _ in range(3)]
    assert [one.tick() for one in tables] == [0, 0, 0]
    clock.forward(minutes=20)
    assert [one.tick() for one in tables] == [1, 0, 0]
    clock.forward(hours=3)
    assert [one.tick() for one in tables] == [0, 0, 0]  # the first one has not run yet
    assert run_next(runner())
    assert not run_next(runner())
    clock.forward(hours=1)
    assert [one.tick() for one in tables] == [1, 0, 0]
    assert marks(database) == ["hour"]


def test_jobs_that_ended_long_ago_are_deleted(database: Database, clock: Clock, runner: Runner) -> None:
    def final(_payload: object, _attempt: Attempt[Any]) -> None:
        raise NotDone("It is gone.", final=True)

    add(database, clock)
    run_next(runner())
    failed = add(database, clock)
    run_next(runner(final))
    waiting = add(database, clock, kind="weather.predict")
    with database.write() as tx:
        tx.outbox.add("job.failed", "{}", message_id="msg_1", at=clock())
        assert tx.jobs.cancel(waiting + 1, at=clock())
    clock.forward(days=8)

    def prune() -> None:
        number = add(database, clock)
        run_next(runner(lambda _payload, attempt: prune_jobs(clock, attempt)))
        assert state(database, number) is JobState.DONE

    def left() -> list[tuple[int, str]]:
        with database.read() as connection:
            rows = connection.execute(sa.select(t.job.c.id, t.job.c.state).order_by(t.job.c.id)).all()
            return [(row.id, row.state) for row in rows]

    prune()
    assert left()[:2] == [(failed, "failed"), (waiting, "waiting")]
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.outbox_message)).scalar() == 0
    clock.forward(days=90)
    prune()
    assert left()[0] == (waiting, "waiting")


def test_what_a_log_says_of_a_failed_attempt_quotes_nothing(
    database: Database,
    clock: Clock,
    runner: Runner,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add(database, clock)
    run_next(runner(fails, heard=worker.heard))
    said = caplog.text + "".join(capsys.readouterr())
    assert SECRET not in said
    assert "ValueError at tests/jobs/test_running.py" in said
