"""Whether checking goes on: detectors, workers, and calls that still wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.events import EventKind
from governance.domain.times import micros, moment
from governance.store.base import tables as t
from governance.systems.health import MOST_WAITING, Backlog, Detector, Worker


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


_OLDEST_OF = 1_000
_RECENT_EVENTS = 5_000
_MINUTE = 60_000_000


def waiting(connection: sa.Connection, most: int = MOST_WAITING) -> int:
    """How many calls are recorded and not checked yet; counts no further than `most`."""
    pending = sa.select(t.call.c.id).where(sa.text("status = 'recorded'")).limit(most).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(pending)).scalar_one())


def backlog(connection: sa.Connection, now: datetime) -> Backlog:
    """Reads a bounded part of the index of waiting calls, and of the newest events."""
    count = waiting(connection)
    at = micros(now)
    if not count:
        return Backlog()
    # Ids come in blocks, one a process: the oldest is among the lowest ids, not always the lowest.
    first = (
        sa.select(t.call.c.received_at)
        .where(sa.text("status = 'recorded'"))
        .order_by(t.call.c.id)
        .limit(_OLDEST_OF)
        .subquery()
    )
    oldest = connection.execute(sa.select(sa.func.min(first.c.received_at))).scalar()
    return Backlog(
        waiting=count,
        oldest_seconds=max(0.0, (at - (at if oldest is None else oldest)) / 1e6),
        rate=_check_rate(connection, at),
    )


def _check_rate(connection: sa.Connection, now: int) -> float:
    """Decisions a second, over the last minute or, of a busier one, its newest events."""
    e = t.audit_event.c
    recent = sa.select(e.at, e.kind).order_by(e.at.desc()).limit(_RECENT_EVENTS).subquery()
    made = sa.func.sum(sa.case((recent.c.kind == EventKind.DECISION_MADE.value, 1), else_=0))
    row = connection.execute(
        sa.select(made.label("made"), sa.func.min(recent.c.at).label("since"), sa.func.count().label("events")).where(
            recent.c.at >= now - _MINUTE
        )
    ).one()
    seconds = 60.0 if row.events < _RECENT_EVENTS else max(0.001, (now - row.since) / 1e6)
    return float(row.made or 0) / seconds
