"""Runs jobs: one attempt after another, until the job is done or no attempt is left.

What a task changes in our own database commits together with the job's completion, so that a process that is killed
at any moment leaves either both or neither. Who lost the claim meanwhile cannot complete the job: their change is
undone. What leaves the installation cannot be undone, so it happens at least once (see `outbox`).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, Generic, TypeVar

from governance.domain.events import Json
from governance.domain.jobs import Backoff, Job
from governance.errors import Overloaded
from governance.services.jobs.ports import Transaction
from governance.services.ports import Clock, Database, UnitOfWork

T_co = TypeVar("T_co", bound=UnitOfWork, covariant=True)

LEASE = timedelta(seconds=60)
"""How long a claim counts without a sign of life; workers renew theirs every few seconds."""
PARKED = timedelta(minutes=10)
"""When a job that this version cannot read is looked at again: a newer one may run by then."""
UNREADABLE = "This version cannot read what the job is to do. A newer version may."
KILLED = "The process that ran it ended each time before the job was done."


class NotDone(Exception):
    """A task says in words of ours why it is not done; `final` where another attempt would not help."""

    def __init__(self, said: str, *, retry_after: timedelta | None = None, final: bool = False) -> None:
        super().__init__(said)
        self.said = said
        self.retry_after = retry_after
        self.final = final


class Unreadable(Exception):
    """A payload that this version does not know."""


class ClaimLost(Exception):
    """The job is somebody else's now: the lease ran out, or a person cancelled it. Nothing of this attempt commits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a kind of job does. `run` raises what keeps it from being done; `read` raises `Unreadable`."""

    run: Callable[[Any, Attempt[Any]], None]
    read: Callable[[Mapping[str, Json]], Any]
    backoff: Backoff = field(default_factory=Backoff)


class Attempt(Generic[T_co]):
    """One attempt at a job, as its task sees it; `T_co` is the transaction of the task's wing."""

    def __init__(self, job: Job, database: Database[Any], clock: Clock) -> None:
        self.job = job
        self.finished = False
        self._database = database
        self._clock = clock

    @contextmanager
    def finishing(self) -> Iterator[T_co]:
        """A unit of work that completes the job: the task's changes go in here. Raises `ClaimLost`, and commits
        nothing, where the job is somebody else's now."""
        with self._database.write() as tx:
            if not tx.jobs.done(self.job, at=self._clock()):
                raise ClaimLost
            yield tx
        self.finished = True


class RunJobs:
    """Claims and runs jobs of the kinds in `tasks`; others wait for a version that knows them. Safe to share among
    threads."""

    def __init__(
        self,
        database: Database[Transaction],
        clock: Clock,
        tasks: Mapping[str, Task],
        *,
        died: Callable[[Transaction, Job, str], None] = lambda _tx, _job, _error: None,
        heard: Callable[[Job, BaseException], None] = lambda _job, _error: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`died` is called in the transaction that gives a job up; `heard` with each exception, for the log."""
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._died = died
        self._heard = heard
        self._chance = chance
        self._held: dict[int, Job] = {}
        self._lock = threading.Lock()

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self._tasks)

    def claim(self, job_id: int | None = None) -> Job | None:
        """Takes the next job that may run, or this one if it may; None where there is none."""
        now = self._clock()
        if job_id is None:
            with self._database.look() as tx:  # looking costs nobody the write lock
                if not tx.jobs.due(self.kinds, now):
                    return None
        with self._database.write() as tx:
            job = tx.jobs.claim(self.kinds, now=now, lease=LEASE, job_id=job_id)
        if job is not None:
            with self._lock:
                self._held[job.id] = job
        return job

    def look_again(self, job_id: int) -> datetime | None:
        """When a job that could not be claimed may be; None where it waits no more."""
        with self._database.look() as tx:
            return tx.jobs.look_again(job_id, self._clock())

    def run(self, job: Job) -> None:
        """Makes one attempt at a claimed job, and records what came of it. Raises only what the database raises."""
        try:
            self._attempt(job)
        finally:
            with self._lock:
                if self._held.get(job.id) is job:
                    del self._held[job.id]

    def renew(self) -> None:
        """Extends the leases of the jobs that run here."""
        with self._lock:
            held = list(self._held.values())
        if held:
            with self._database.write() as tx:
                for job in held:
                    tx.jobs.renew(job, until=self._clock() + LEASE)

    def release(self) -> None:
        """Gives back the jobs that run here, as no attempt: the process ends before they do. What they do after that
        does not commit."""
        with self._lock:
            held, self._held = list(self._held.values()), {}
        if held:
            with self._database.write() as tx:
                for job in held:
                    tx.jobs.again(job, at=self._clock(), error="", counted=False)

    def _attempt(self, job: Job) -> None:
        task = self._tasks[job.kind]
        if job.attempts > task.backoff.attempts:
            self._give_up(job, KILLED)
            return
        attempt: Attempt[Transaction] = Attempt(job, self._database, self._clock)
        try:
            task.run(task.read(job.payload), attempt)
            if not attempt.finished:
                with attempt.finishing():
                    pass
        except ClaimLost as lost:
            self._heard(job, lost)
        except Overloaded as error:  # the database is away or busy: no fault of the job
            self._again(job, self._clock() + timedelta(seconds=error.retry_after), "", counted=False)
        except Unreadable as error:
            self._heard(job, error)
            self._again(job, self._clock() + PARKED, UNREADABLE, counted=False)
        except Exception as error:
            self._heard(job, error)
            self._failed(job, task.backoff, error)

    def _failed(self, job: Job, backoff: Backoff, error: Exception) -> None:
        said, wait, final = f"It broke off ({place(error)}).", None, False
        if isinstance(error, NotDone):
            said, wait, final = error.said, error.retry_after, error.final
        if final or job.attempts >= backoff.attempts:
            self._give_up(job, said)
        else:
            longest = max(backoff.wait(job.attempts, self._chance()), wait or timedelta(0))
            self._again(job, self._clock() + longest, said)

    def _again(self, job: Job, at: datetime, error: str, *, counted: bool = True) -> None:
        with self._database.write() as tx:
            tx.jobs.again(job, at=at, error=error, counted=counted)

    def _give_up(self, job: Job, error: str) -> None:
        with self._database.write() as tx:
            if tx.jobs.failed(job, at=self._clock(), error=error):
                self._died(tx, job, error)


def place(error: BaseException) -> str:
    """What went wrong, as type and place in our code: never the exception's words, which may quote content."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    parts = PurePath(trace.tb_frame.f_code.co_filename).parts
    return f"{type(error).__name__} at {'/'.join(parts[-3:])}:{trace.tb_lineno}"
