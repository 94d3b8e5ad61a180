"""Whether checking goes on: detectors, workers, and calls that still wait."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from governance.store.base import tables as t
from governance.store.base.times import moment
from governance.systems.health import Detector, Worker


def detectors(connection: sa.Connection) -> list[Detector]:
    """Each detector's answers and failures: those that are not there first, then those that failed most."""
    d = t.detector_health.c
    rows = connection.execute(sa.select(t.detector_health).order_by(d.failed.desc(), d.detector))
    return sorted(map(_detector, rows), key=lambda one: one.absent_since is None)


def _detector(row: sa.Row[Any]) -> Detector:
    return Detector(
        name=row.detector,
        version=row.version,
        answered=row.answered,
        failed=row.failed,
        last_failure=row.last_failure,
        since=moment(row.since),
        updated_at=moment(row.updated_at),
        absent_since=None if row.absent_since is None else moment(row.absent_since),
    )


def workers(connection: sa.Connection) -> list[Worker]:
    """All checking processes that left a heartbeat, the latest first."""
    rows = connection.execute(sa.select(t.worker).order_by(t.worker.c.seen_at.desc()).limit(50))
    return [
        Worker(
            name=row.name,
            policy_set=row.policy_set,
            started_at=moment(row.started_at),
            seen_at=moment(row.seen_at),
        )
        for row in rows
    ]


def waiting(connection: sa.Connection, most: int = 10_000) -> int:
    """How many calls are recorded and not checked yet; counts no further than `most`."""
    pending = sa.select(t.call.c.id).where(sa.text("status = 'recorded'")).limit(most).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(pending)).scalar_one())
