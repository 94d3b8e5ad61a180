"""The checking worker on PostgreSQL: Procrastinate fetches jobs and keeps count of attempts; any number of machines."""

from __future__ import annotations

import asyncio
import threading
import time

import procrastinate
import sqlalchemy as sa

from governance.errors import Overloaded
from governance.services.calls.check import ATTEMPTS, CheckService
from governance.store.jobs import QUEUE, TASK, ProcrastinateQueue
from governance.store.transaction import Database
from governance.worker.loop import log, log_failure

HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 30
REVIVE_SECONDS = 10.0
AGAIN_SECONDS = 2.0
_LOST_AFTER = 60_000_000

# Procrastinate's `select_stalled_jobs_by_heartbeat`, with the rows held until they are queued again. A job without a
# worker is one whose worker was struck off; one that failed could not be saved so often that Procrastinate gave up;
# one that was answered here long ago was done when the database went away, before that was noted.
_STALLED = """
SELECT job.id FROM procrastinate_jobs AS job
WHERE job.queue_name = %s AND job.task_name = %s AND (
  job.status = 'failed'
  OR job.status = 'doing' AND (
    job.id = ANY(%s::bigint[])
    OR NOT EXISTS (
      SELECT FROM procrastinate_workers AS worker
      WHERE worker.id = job.worker_id AND worker.last_heartbeat >= now() - make_interval(secs => %s)
    )
  )
)
FOR UPDATE SKIP LOCKED
"""


class ProcrastinateLoop:
    """The counterpart of `loop.Loop`: the same calls, the same outcome."""

    def __init__(self, database: Database, checks: CheckService) -> None:
        self._database = database
        self._checks = checks
        # SQLAlchemy's URL without the driver's name is a libpq connection string.
        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=4))
        self._stop = threading.Event()
        self._answered: dict[int, float] = {}  # jobs done here, until Procrastinate has surely noted it
        self._ended: asyncio.Event | None = None
        self._asyncio: asyncio.AbstractEventLoop | None = None
        retry = procrastinate.RetryStrategy(max_attempts=ATTEMPTS + 2, exponential_wait=2)
        self._app.task(name=TASK, queue=QUEUE, pass_context=True, retry=retry)(self._check)

    def run(self) -> None:
        """Works until `request_stop`; jobs of workers that died are taken up again.

        Without its database it waits and begins anew: Procrastinate's worker ends when one of its own tasks fails.
        """
        while not self._stop.is_set():
            try:
                asyncio.run(self._work(wait=True))
            except Exception:
                log.exception("the worker could not work; it tries again")
            self._stop.wait(AGAIN_SECONDS)

    def run_until_idle(self) -> int:
        """Does all the work there is; gives the number of jobs that were waiting."""
        self.sweep()
        with self._database.read() as connection:
            count = ProcrastinateQueue().waiting(connection)
        asyncio.run(self._work(wait=False))
        return count

    def renew(self) -> None:
        """Nothing: Procrastinate's own heartbeat says that a worker holds its job."""

    def request_stop(self) -> None:
        """May be called from any thread or a signal handler."""
        self._stop.set()
        if self._asyncio is not None and self._ended is not None:
            self._asyncio.call_soon_threadsafe(self._ended.set)

    async def _work(self, *, wait: bool) -> None:
        self._asyncio, self._ended = asyncio.get_running_loop(), asyncio.Event()
        if self._stop.is_set():  # asked for between two loops
            self._ended.set()
        async with self._app.open_async():
            revive = asyncio.create_task(self._revive())
            work = asyncio.create_task(
                self._app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=1,
                    wait=wait,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                    listen_notify=wait,
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=STALLED_SECONDS,
                )
            )
            ended = asyncio.create_task(self._ended.wait())
            await asyncio.wait({work, ended}, return_when=asyncio.FIRST_COMPLETED)
            for task in (work, revive, ended):
                if not task.done():
                    task.cancel()
            await asyncio.gather(work, revive, ended, return_exceptions=True)
            if work.done() and not work.cancelled() and (error := work.exception()) is not None:
                raise error

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
            if context.job.id is not None:
                self._answered[context.job.id] = time.monotonic()

    async def _revive(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.revive)
            except Exception:
                log.exception("jobs of workers that died could not be looked for; it is tried again")
            await asyncio.sleep(REVIVE_SECONDS)

    def revive(self) -> int:
        """Queues the jobs of workers that are silent or gone, and those that failed; gives their number.

        One process at a time, and only jobs that are still so: a job that another worker has just begun stays its own.
        """
        with self._database.write() as transaction:
            connection = transaction.connection
            if not connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(7035204)").scalar():
                return 0
            settled = time.monotonic() - REVIVE_SECONDS
            answered = [job for job, at in list(self._answered.items()) if at < settled]
            values = (QUEUE, TASK, answered, STALLED_SECONDS)
            stalled = connection.exec_driver_sql(_STALLED, values).scalars().all()
            for job in stalled:
                connection.exec_driver_sql("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", (job,))
        for job in answered:
            del self._answered[job]
        return len(stalled)

    def sweep(self) -> int:
        """Queues calls that have waited for a minute while no job is left that could hold them; gives their number."""
        with self._database.write() as transaction:
            connection = transaction.connection
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7035202)")
            if ProcrastinateQueue().waiting(connection):
                return 0
            lost = [
                row.id
                for row in connection.execute(
                    sa.text(
                        "SELECT id FROM call WHERE status = 'recorded' AND received_at < "
                        "(extract(epoch FROM now()) * 1000000)::bigint - :age"
                    ),
                    {"age": _LOST_AFTER},
                )
            ]
            ProcrastinateQueue().enqueue(connection, lost)
        return len(lost)
