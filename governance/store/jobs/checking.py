"""The queue of calls to check, written in the transaction that records them, so that neither exists without the other.

SQLite: rows of `check_job`, claimed with a lease. PostgreSQL: Procrastinate jobs, deferred on the same connection.
It is apart from jobs of other kinds because it is the hot path: one job holds up to 200 calls and leaves no history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from governance.domain.times import micros
from governance.store.base import bulk, locks
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.ids import IdAllocator

BATCH = 200
TASK = "governance.check"
QUEUE = "check"
LEASE = 60_000_000  # microseconds; renewed with each heartbeat, as models and judges take their time
_LOST_AFTER = 60_000_000


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


class TableClaims:
    """What a checking process on SQLite does with the queue: claim, renew, sweep."""

    def __init__(self, database: Database[Any], clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._queue = TableQueue(database.ids)

    def claim(self) -> tuple[int, list[int], int] | None:
        """The oldest free job, held for `LEASE`: (job id, call ids, attempt); None when there is none."""
        now = micros(self._clock())
        with self._database.read() as connection:  # looking costs nobody the write lock
            free = sa.select(t.check_job.c.id).where(t.check_job.c.lease_until <= now).limit(1)
            if connection.execute(free).first() is None:
                return None
        with self._database.write() as transaction:
            return self._queue.claim(transaction.connection, now, LEASE)

    def renew(self, job: int, attempt: int) -> None:
        """Extends the lease, unless somebody else has claimed the job since."""
        table = t.check_job
        with self._database.write() as transaction:
            transaction.connection.execute(
                table.update()
                .where(table.c.id == job, table.c.attempts == attempt)
                .values(lease_until=micros(self._clock()) + LEASE)
            )

    def sweep(self) -> int:
        """Queues calls that wait but are in no job; returns their number."""
        with self._database.write() as transaction:
            connection = transaction.connection
            jobs = connection.execute(sa.select(t.check_job.c.call_ids))
            queued = {call for (text,) in jobs for call in json.loads(text)}
            waiting = connection.execute(sa.select(t.call.c.id).where(sa.text("status = 'recorded'")))
            lost = [row.id for row in waiting if row.id not in queued]
            self._queue.enqueue(connection, lost)
        return len(lost)


class ProcrastinateClaims:
    """What a checking process on PostgreSQL does beside Procrastinate's own claims: count and sweep."""

    def __init__(self, database: Database[Any]) -> None:
        self._database = database
        self._queue = ProcrastinateQueue()

    def waiting(self) -> int:
        """How many jobs are not done."""
        with self._database.read() as connection:
            return self._queue.waiting(connection)

    def sweep(self) -> int:
        """Queues calls that have waited for a minute while no job is left to hold them; returns their number."""
        with self._database.write() as transaction:
            connection = transaction.connection
            locks.take(connection, locks.Lock.SWEEP_CALLS)
            if self._queue.waiting(connection):
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
            self._queue.enqueue(connection, lost)
        return len(lost)
