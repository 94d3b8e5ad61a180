"""Whether checking goes on: detectors, workers, and calls that still wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from governance.store import tables as t
from governance.store.queries import moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    name: str
    version: str
    answered: int
    failed: int
    last_failure: str
    since: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    name: str
    policy_set: str
    started_at: datetime
    seen_at: datetime


def detectors(connection: sa.Connection) -> list[Detector]:
    """Each detector's answers and failures, those that failed first."""
    d = t.detector_health.c
    rows = connection.execute(sa.select(t.detector_health).order_by(d.failed.desc(), d.detector))
    return [
        Detector(
            name=row.detector,
            version=row.version,
            answered=row.answered,
            failed=row.failed,
            last_failure=row.last_failure,
            since=moment(row.since),
            updated_at=moment(row.updated_at),
        )
        for row in rows
    ]


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
