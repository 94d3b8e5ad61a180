"""The checking worker on PostgreSQL: Procrastinate fetches jobs and keeps count of attempts; any number of machines."""

from __future__ import annotations

import asyncio

import procrastinate
import sqlalchemy as sa
from procrastinate.exceptions import ProcrastinateException

from governance.services.check import ATTEMPTS, CheckService
from governance.store.database import Database
from governance.store.jobs import QUEUE, TASK, ProcrastinateQueue
from governance.worker.loop import log, log_failure

STALLED_SECONDS = 60
_LOST_AFTER = 60_000_000


class ProcrastinateLoop:
    """The counterpart of `loop.Loop`: the same calls, the same outcome."""

    def __init__(self, database: Database, checks: CheckService) -> None:
        self._database = database
        self._checks = checks
        # SQLAlchemy's URL without the driver's name is a libpq connection string.
        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=4))
        self._ended: asyncio.Event | None = None
        self._asyncio: asyncio.AbstractEventLoop | None = None
        retry = procrastinate.RetryStrategy(max_attempts=ATTEMPTS + 2, exponential_wait=2)
        self._app.task(name=TASK, queue=QUEUE, pass_context=True, retry=retry)(self._check)

    def run(self) -> None:
        """Works until `request_stop`; jobs of workers that died are taken up again."""
        asyncio.run(self._work(wait=True))

    def run_until_idle(self) -> int:
        """Does all the work there is; gives the number of jobs that were waiting."""
        self.sweep()
        with self._database.read() as connection:
            count = ProcrastinateQueue().waiting(connection)
        asyncio.run(self._work(wait=False))
        return count

    def request_stop(self) -> None:
        """May be called from any thread or a signal handler."""
        if self._asyncio is not None and self._ended is not None:
            self._asyncio.call_soon_threadsafe(self._ended.set)

    async def _work(self, *, wait: bool) -> None:
        self._asyncio, self._ended = asyncio.get_running_loop(), asyncio.Event()
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
        attempt = (context.job.attempts if context.job is not None else 0) + 1
        self._checks.run(call_ids, attempt=attempt, failed=log_failure)

    async def _revive(self) -> None:
        while True:
            try:
                stalled = await self._app.job_manager.get_stalled_jobs(
                    queue=QUEUE, task_name=TASK, seconds_since_heartbeat=STALLED_SECONDS
                )
                for job in stalled:
                    await self._app.job_manager.retry_job(job)
            except (ProcrastinateException, OSError):
                log.exception("jobs of workers that died could not be looked for; it is tried again")
            await asyncio.sleep(STALLED_SECONDS)

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
