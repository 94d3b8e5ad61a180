"""Runs background jobs in a worker process, beside checking: one at a time, in a thread that the process can leave."""

from __future__ import annotations

import threading
import time

import structlog

from governance.domain.jobs import Job
from governance.services.jobs.run import ClaimLost, RunJobs, Unreadable, place
from governance.services.jobs.timetable import Timetable

log = structlog.get_logger("governance.worker")

IDLE_SECONDS = 1.0
TICK_SECONDS = 15.0
GRACE_SECONDS = 5.0


class JobWorker:
    """Runs one job at a time. On SQLite it looks for jobs itself (`run`); on PostgreSQL Procrastinate calls it."""

    def __init__(self, jobs: RunJobs, timetable: Timetable) -> None:
        self.jobs = jobs
        self.timetable = timetable
        self.stop = threading.Event()

    def run(self) -> None:
        """Works until `stop` is set. An error of the database is waited out: the work stays in it."""
        ticked = float("-inf")
        while not self.stop.is_set():
            try:
                if time.monotonic() - ticked >= TICK_SECONDS:
                    ticked = time.monotonic()
                    self.timetable.tick()
                worked = self.step()
            except Exception:
                log.exception("jobs could not be run; trying again")
                worked = False
            if not worked:
                self.stop.wait(IDLE_SECONDS)

    def run_until_idle(self) -> int:
        """Runs all jobs that are due; returns how many attempts were made."""
        count = 0
        while self.step():
            count += 1
        return count

    def step(self, job_id: int | None = None) -> bool:
        """Runs the next job, or this one; False where none may run now.

        When the process is to end, the job has `GRACE_SECONDS`; then it is given back, and what its thread still does
        does not commit.
        """
        job = self.jobs.claim(job_id)
        if job is None:
            return False
        raised: list[BaseException] = []
        thread = threading.Thread(target=self._run, args=(job, raised), name=f"job-{job.id}", daemon=True)
        thread.start()
        while thread.is_alive() and not self.stop.is_set():
            thread.join(0.05)
        thread.join(GRACE_SECONDS)
        if thread.is_alive():
            self.jobs.release()
        elif raised:
            raise raised[0]
        return True

    def _run(self, job: Job, raised: list[BaseException]) -> None:
        try:
            self.jobs.run(job)
        except BaseException as error:
            raised.append(error)


def heard(job: Job, error: BaseException) -> None:
    """Logs an attempt that failed: type and place, never the exception's words."""
    if isinstance(error, ClaimLost):
        log.warning("a job was taken over before it was done", job=job.id, kind=job.kind)
    elif isinstance(error, Unreadable):
        log.warning("a job cannot be read by this version", job=job.id, kind=job.kind)
    else:
        log.error("an attempt at a job failed", job=job.id, kind=job.kind, attempt=job.attempts, error=place(error))
