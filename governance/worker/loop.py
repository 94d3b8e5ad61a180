"""The checking loop on SQLite: claims jobs from the `check_job` table, one after the other, until told to stop.

A claim is a lease: a process that dies lets go of it by time. The check's own commit deletes the job, so what was
decided is never claimed again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
import structlog

from governance.services.calls.check import CheckService
from governance.store.base import tables as t
from governance.store.base.times import micros
from governance.store.jobs import TableQueue
from governance.store.transaction import Database

log = structlog.get_logger("governance.worker")

LEASE = 60_000_000  # microseconds; renewed with each heartbeat, as models and judges take their time
IDLE_SECONDS = (0.02, 0.5)  # shortest and longest pause between two looks at an empty queue


class Loop:
    """One checking process' work."""

    def __init__(self, database: Database, checks: CheckService, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._checks = checks
        self._clock = clock
        self._queue = TableQueue(database.ids)
        self._held: tuple[int, int] | None = None
        self.stop = threading.Event()

    def request_stop(self) -> None:
        """May be called from any thread or a signal handler."""
        self.stop.set()

    def run(self) -> None:
        """Works until `request_stop`. An error of the database is waited out, never fatal: the work stays queued."""
        pause = IDLE_SECONDS[0]
        while not self.stop.is_set():
            try:
                worked = self.step()
            except Exception:
                log.exception("the worker could not work; it tries again")
                worked, pause = False, IDLE_SECONDS[1]
            if worked:
                pause = IDLE_SECONDS[0]
            else:
                self.stop.wait(pause)
                pause = min(pause * 2, IDLE_SECONDS[1])

    def run_until_idle(self) -> int:
        """Does all the work there is; gives the number of jobs."""
        self.sweep()
        count = 0
        while self.step():
            count += 1
        return count

    def step(self) -> bool:
        """Does one job; False when there was none."""
        claimed = self._claim()
        if claimed is None:
            return False
        job, call_ids, attempt = claimed
        self._held = (job, attempt)
        try:
            self._checks.run(call_ids, job=job, attempt=attempt, failed=log_failure)
        finally:
            self._held = None
        return True

    def renew(self) -> None:
        """Holds on to the job under way. May be called from another thread; a job that somebody else has claimed since
        is theirs."""
        held = self._held
        if held is None:
            return
        job = t.check_job
        with self._database.write() as transaction:
            transaction.connection.execute(
                job.update()
                .where(job.c.id == held[0], job.c.attempts == held[1])
                .values(lease_until=micros(self._clock()) + LEASE)
            )

    def sweep(self) -> int:
        """Queues calls that wait but are in no job; gives their number."""
        with self._database.write() as transaction:
            connection = transaction.connection
            jobs = connection.execute(sa.select(t.check_job.c.call_ids))
            queued = {call for (text,) in jobs for call in json.loads(text)}
            waiting = connection.execute(sa.select(t.call.c.id).where(sa.text("status = 'recorded'")))
            lost = [row.id for row in waiting if row.id not in queued]
            self._queue.enqueue(connection, lost)
        return len(lost)

    def _claim(self) -> tuple[int, list[int], int] | None:
        now = micros(self._clock())
        with self._database.read() as connection:  # looking costs nobody the write lock
            free = sa.select(t.check_job.c.id).where(t.check_job.c.lease_until <= now).limit(1)
            if connection.execute(free).first() is None:
                return None
        with self._database.write() as transaction:
            return self._queue.claim(transaction.connection, now, LEASE)


def log_failure(call: int, error: Exception) -> None:
    """Says which call could not be checked, and where in the code: never the exception's words, which may quote it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    log.error("a call could not be checked", call=call, error=type(error).__name__, place=place)
