"""How jobs get to workers on PostgreSQL: Procrastinate wakes a worker for each, when it is due.

The row of `job` is the truth on both databases. What Procrastinate holds is a wake-up, `{"job": id}`, deferred in the
transaction that has the job wait. A wake-up too many finds nothing to do; one too few is added by `sweep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from governance.store.base import locks
from governance.store.base.database import Database
from governance.store.jobs import checking
from governance.store.jobs.defer import TASK, defer

TICK_TASK = "governance.schedule"
TICK_QUEUE = "schedule"
STALLED_SECONDS = 30

# Procrastinate's own `select_stalled_jobs_by_heartbeat`, with the rows locked until they are queued again. A job
# without a worker is one whose worker was pruned; one that failed could not be saved so often that Procrastinate gave
# up; one that was answered here long ago was done when the database went away, before that was noted.
_STALLED = """
SELECT job.id, job.task_name FROM procrastinate_jobs AS job
WHERE job.task_name = ANY(%s::text[]) AND (
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

_ASLEEP = """
SELECT job.id, job.kind, job.priority, greatest(job.not_before, job.lease_until) AS due FROM job
WHERE job.state IN ('waiting', 'running') AND NOT EXISTS (
  SELECT FROM procrastinate_jobs AS wake
  WHERE wake.task_name = %s AND wake.status IN ('todo', 'doing') AND wake.args = jsonb_build_object('job', job.id)
)
FOR UPDATE SKIP LOCKED
"""


class Waker:
    """Finds work that a process which died took with it."""

    def __init__(self, database: Database[Any]) -> None:
        self._database = database

    def revive(self, answered: Sequence[int]) -> int:
        """Queues Procrastinate's jobs of workers that are silent or gone, and those that failed; returns their number.

        One process at a time, and only jobs that are still so: a job that another worker has just begun stays its own.
        A tick of the schedule is deleted instead: the next minute brings another, and two that wait would break the
        queueing lock. `answered` are Procrastinate's ids of jobs that were done here.
        """
        with self._database.write() as transaction:
            connection = transaction.connection
            if not locks.try_take(connection, locks.Lock.REVIVE_JOBS):
                return 0
            tasks = [checking.TASK, TASK, TICK_TASK]
            stalled = connection.exec_driver_sql(_STALLED, (tasks, list(answered), STALLED_SECONDS)).all()
            for number, task in stalled:
                if task == TICK_TASK:
                    connection.exec_driver_sql("DELETE FROM procrastinate_jobs WHERE id = %s", (number,))
                else:
                    retry = "SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)"
                    connection.exec_driver_sql(retry, (number,))
        return len(stalled)

    def sweep(self) -> int:
        """Defers a wake-up for each job that waits or runs and has none; returns their number."""
        with self._database.write() as transaction:
            connection = transaction.connection
            if not locks.try_take(connection, locks.Lock.REVIVE_JOBS):
                return 0
            asleep = connection.exec_driver_sql(_ASLEEP, (TASK,)).all()
            for number, kind, priority, due in asleep:
                defer(connection, number, kind=kind, priority=priority, not_before=due)
        return len(asleep)
