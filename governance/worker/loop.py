"""The worker's loop on SQLite: checks calls in one thread and runs background jobs in another, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from governance.services.calls.check import CheckService
from governance.store.jobs.checking import TableClaims
from governance.store.transaction import Database
from governance.worker.jobs import JobWorker

log = structlog.get_logger("governance.worker")

IDLE_SECONDS = (0.02, 0.5)  # shortest and longest pause between two looks at an empty queue


class Loop:
    """One worker process' work. Without `jobs` it only checks."""

    def __init__(
        self, database: Database, checks: CheckService, clock: Callable[[], datetime], jobs: JobWorker | None = None
    ) -> None:
        self._checks = checks
        self._claims = TableClaims(database, clock)
        self._jobs = jobs
        self._held: tuple[int, int] | None = None
        self.stop = threading.Event()

    def request_stop(self) -> None:
        """May be called from any thread or a signal handler."""
        self.stop.set()
        if self._jobs is not None:
            self._jobs.stop.set()

    def run(self) -> None:
        """Works until `request_stop`. An error of the database is waited out, never fatal: the work stays queued."""
        beside = threading.Thread(target=self._jobs.run, name="jobs", daemon=True) if self._jobs is not None else None
        if beside is not None:
            beside.start()
        pause = IDLE_SECONDS[0]
        while not self.stop.is_set():
            try:
                worked = self.step()
            except Exception:
                log.exception("the worker could not work; trying again")
                worked, pause = False, IDLE_SECONDS[1]
            if worked:
                pause = IDLE_SECONDS[0]
            else:
                self.stop.wait(pause)
                pause = min(pause * 2, IDLE_SECONDS[1])
        if beside is not None:
            beside.join()

    def run_until_idle(self) -> int:
        """Checks all the calls there are; returns the number of jobs."""
        self.sweep()
        count = 0
        while self.step():
            count += 1
        return count

    def step(self) -> bool:
        """Checks the calls of one job; False when there was none."""
        claimed = self._claims.claim()
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
        """Extends the leases of the work under way. May be called from another thread."""
        held = self._held
        if held is not None:
            self._claims.renew(*held)
        if self._jobs is not None:
            self._jobs.jobs.renew()

    def sweep(self) -> int:
        """Queues calls that wait but are in no job; returns their number."""
        return self._claims.sweep()


def log_failure(call: int, error: Exception) -> None:
    """Says which call could not be checked, and where in the code: never the exception's words, which may quote it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    log.error("a call could not be checked", call=call, error=type(error).__name__, place=place)
