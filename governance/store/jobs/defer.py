"""Defers a wake-up for a job with Procrastinate, on the caller's connection."""

from __future__ import annotations

import json

import sqlalchemy as sa

TASK = "governance.job"

# An exact time: a float of seconds could be a microsecond early.
_DEFER = (
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(%s, %s, %s, NULL, NULL, %s::jsonb, "
    "timestamptz 'epoch' + %s::bigint * interval '1 microsecond')::procrastinate_job_to_defer_v1])"
)


def queue_of(kind: str) -> str:
    """The queue of a kind: a worker listens to those of the kinds it knows, and leaves others to newer versions."""
    return f"job.{kind}"


def defer(connection: sa.Connection, job: int, *, kind: str, priority: int, not_before: int) -> None:
    """Has Procrastinate wake a worker for the job at `not_before` (microseconds)."""
    connection.exec_driver_sql(_DEFER, (queue_of(kind), TASK, priority, json.dumps({"job": job}), not_before))
