"""The worker on PostgreSQL: Procrastinate brings it calls to check, jobs to run and ticks of the schedule.

Any number of machines share the work. Checking and jobs each have a Procrastinate worker of their own, so that neither
waits for the other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import procrastinate
from procrastinate.jobs import Job
from procrastinate.retry import RetryDecision

from governance.errors import Overloaded
from governance.services.calls.check import ATTEMPTS, CheckService
from governance.store.jobs import checking, defer, wake
from governance.store.transaction import Database
from governance.worker.jobs import JobWorker
from governance.worker.loop import log, log_failure

HEARTBEAT_SECONDS = 5.0
REVIVE_SECONDS = 10.0
AGAIN_SECONDS = 2.0
EVERY_MINUTE = "* * * * *"


class NotYet(Exception):
    """A job may not run now; Procrastinate wakes a worker again `at`."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self.at = at


class WakeAgain(procrastinate.BaseRetryStrategy):
    """Wakes a worker again for as long as the job waits: how often it is attempted is the job's own row to say."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, NotYet):
            return RetryDecision(retry_at=exception.at)
        return RetryDecision(retry_in={"seconds": 2})


class ProcrastinateLoop:
    """The counterpart of `loop.Loop`: the same calls, the same outcome. Without `jobs` it only checks."""

    def __init__(self, database: Database, checks: CheckService, jobs: JobWorker | None = None) -> None:
        self._checks = checks
        self._jobs = jobs
        self._claims = checking.ProcrastinateClaims(database)
        self._waker = wake.Waker(database)
        # SQLAlchemy's URL without the driver's name is a libpq connection string.
        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=6)
        # Two apps over one pool: each app's worker would run the periodic tasks of both.
        self._app = procrastinate.App(connector=connector)
        self._jobs_app = procrastinate.App(connector=connector)
        self._stop = threading.Event()
        self._answered: dict[int, float] = {}  # jobs done here, until Procrastinate has surely noted it
        self._ended: asyncio.Event | None = None
        self._asyncio: asyncio.AbstractEventLoop | None = None
        retry = procrastinate.RetryStrategy(max_attempts=ATTEMPTS + 2, exponential_wait=2)
        self._app.task(name=checking.TASK, queue=checking.QUEUE, pass_context=True, retry=retry)(self._check)
        self._jobs_app.task(name=defer.TASK, pass_context=True, retry=WakeAgain())(self._job)
        # No retry and no lock: a tick that fails is forgotten, the next comes in a minute. With both, a tick that
        # returns to the queue beside the next one would break the queueing lock.
        tick = self._jobs_app.task(name=wake.TICK_TASK, queue=wake.TICK_QUEUE, queueing_lock=wake.TICK_TASK)(self._tick)
        self._jobs_app.periodic(cron=EVERY_MINUTE)(tick)

    def run(self) -> None:
        """Works until `request_stop`; jobs of workers that died are taken up again.

        Without its database it waits and begins anew: Procrastinate's worker ends when one of its own tasks fails.
        """
        while not self._stop.is_set():
            try:
                asyncio.run(self._work(wait=True))
            except Exception:
                log.exception("the worker could not work; trying again")
            self._stop.wait(AGAIN_SECONDS)

    def run_until_idle(self) -> int:
        """Checks all the calls there are; returns the number of jobs that were waiting."""
        self.sweep()
        count = self._claims.waiting()
        asyncio.run(self._work(wait=False))
        return count

    def renew(self) -> None:
        """Extends the leases of jobs. For checking, Procrastinate's own heartbeat says that a worker holds its job."""
        if self._jobs is not None:
            self._jobs.jobs.renew()

    def request_stop(self) -> None:
        """May be called from any thread or a signal handler."""
        self._stop.set()
        if self._jobs is not None:
            self._jobs.stop.set()
        if self._asyncio is not None and self._ended is not None:
            self._asyncio.call_soon_threadsafe(self._ended.set)

    async def _work(self, *, wait: bool) -> None:
        self._asyncio, self._ended = asyncio.get_running_loop(), asyncio.Event()
        if self._stop.is_set():  # asked for between two loops
            self._ended.set()
        async with self._app.open_async():
            revive = asyncio.create_task(self._revive())
            works = [asyncio.create_task(self._worker(self._app, [checking.QUEUE], wait, "successful"))]
            if self._jobs is not None and wait:
                queues = [wake.TICK_QUEUE, *(defer.queue_of(kind) for kind in sorted(self._jobs.jobs.kinds))]
                works.append(asyncio.create_task(self._worker(self._jobs_app, queues, wait, "always")))
            ended = asyncio.create_task(self._ended.wait())
            await asyncio.wait({*works, ended}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*works, revive, ended):
                if not task.done():
                    task.cancel()
            await asyncio.gather(*works, revive, ended, return_exceptions=True)
            for work in works:
                if work.done() and not work.cancelled() and (error := work.exception()) is not None:
                    raise error

    @staticmethod
    def _worker(app: procrastinate.App, queues: list[str], wait: bool, delete: str) -> Coroutine[Any, Any, None]:
        return app.run_worker_async(
            queues=queues,
            concurrency=1,
            wait=wait,
            delete_jobs=delete,
            install_signal_handlers=False,
            listen_notify=wait,
            fetch_job_polling_interval=1.0,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=wake.STALLED_SECONDS,
        )

    def _check(self, context: procrastinate.JobContext, call_ids: list[int]) -> None:
        try:
            while True:
                try:
                    self._checks.run(call_ids, attempt=context.job.attempts + 1, failed=log_failure)
                    return
                except Overloaded:  # the database is away or full: no fault of these calls, and no attempt at them
                    if self._stop.wait(AGAIN_SECONDS):
                        raise
        finally:
            self._note(context)

    def _job(self, context: procrastinate.JobContext, job: int) -> None:
        assert self._jobs is not None
        try:
            if not self._jobs.step(job) and (at := self._jobs.jobs.look_again(job)) is not None:
                raise NotYet(at)
        finally:
            self._note(context)

    def _tick(self, timestamp: int) -> None:
        assert self._jobs is not None
        self._jobs.timetable.tick()

    def _note(self, context: procrastinate.JobContext) -> None:
        if context.job.id is not None:
            self._answered[context.job.id] = time.monotonic()

    async def _revive(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.revive)
            except Exception:
                log.exception("jobs of workers that died could not be looked for; trying again")
            await asyncio.sleep(REVIVE_SECONDS)

    def revive(self) -> int:
        """Queues the jobs of workers that are silent or gone, and those that failed; returns their number."""
        settled = time.monotonic() - REVIVE_SECONDS
        answered = [job for job, at in list(self._answered.items()) if at < settled]
        count = self._waker.revive(answered)
        for job in answered:
            self._answered.pop(job, None)
        return count

    def sweep(self) -> int:
        """Queues calls and jobs that wait and that nothing would wake a worker for; returns their number."""
        return self._claims.sweep() + (self._waker.sweep() if self._jobs is not None else 0)
