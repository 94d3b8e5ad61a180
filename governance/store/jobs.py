"""The queue of calls to check, written in the transaction that records them, so that neither exists without the other.

SQLite: rows of `check_job`, claimed with a lease. PostgreSQL: Procrastinate jobs, deferred on the same connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

import sqlalchemy as sa

from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.ids import IdAllocator

BATCH = 200
TASK = "governance.check"
QUEUE = "check"


class JobQueue(Protocol):
    def enqueue(self, connection: sa.Connection, call_ids: Sequence[int]) -> None: ...


class TableQueue:
    """Jobs as rows (SQLite)."""

    def __init__(self, ids: IdAllocator) -> None:
        self._ids = ids

    def enqueue(self, connection: sa.Connection, call_ids: Sequence[int]) -> None:
        groups = list(bulk.chunks(call_ids, BATCH))
        first = self._ids.take(len(groups)) if groups else 0
        rows = [(first + n, json.dumps(list(group)), 0, 0) for n, group in enumerate(groups)]
        bulk.insert(connection, t.check_job, rows)

    def claim(self, connection: sa.Connection, now: int, lease: int) -> tuple[int, list[int], int] | None:
        """Takes the oldest free job until `now + lease` (microseconds): (job id, call ids, attempt), or None."""
        oldest = sa.select(t.check_job.c.id).where(t.check_job.c.lease_until <= now).order_by(t.check_job.c.id).limit(1)
        row = connection.execute(
            t.check_job.update()
            .where(t.check_job.c.id == oldest.scalar_subquery(), t.check_job.c.lease_until <= now)
            .values(lease_until=now + lease, attempts=t.check_job.c.attempts + 1)
            .returning(t.check_job.c.id, t.check_job.c.call_ids, t.check_job.c.attempts)
        ).first()
        return None if row is None else (row.id, json.loads(row.call_ids), row.attempts)

    def waiting(self, connection: sa.Connection) -> int:
        """How many jobs are not done."""
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.check_job)).scalar_one())


class ProcrastinateQueue:
    """Jobs of Procrastinate (PostgreSQL), deferred with its own database function on the caller's connection."""

    _DEFER = (
        "SELECT procrastinate_defer_jobs_v1(ARRAY["
        "ROW(%s, %s, 0, NULL, NULL, %s::jsonb, NULL)::procrastinate_job_to_defer_v1])"
    )

    def enqueue(self, connection: sa.Connection, call_ids: Sequence[int]) -> None:
        for group in bulk.chunks(call_ids, BATCH):
            connection.exec_driver_sql(self._DEFER, (QUEUE, TASK, json.dumps({"call_ids": list(group)})))

    def waiting(self, connection: sa.Connection) -> int:
        statement = "SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %s AND status IN ('todo', 'doing')"
        return int(connection.exec_driver_sql(statement, (QUEUE,)).scalar_one())
