"""Whether checking goes on: detectors, workers, and calls that still wait."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.events import EventKind
from governance.store import tables as t
from governance.store.queries import micros, moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    """What a detector did since `since`: texts that it `answered`, and on which it `failed`. `absent_since` is from
    when on it is not there (not installed, not running, not reachable), None while it is."""

    name: str
    version: str
    answered: int
    failed: int
    last_failure: str
    since: datetime
    updated_at: datetime
    absent_since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    name: str
    policy_set: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditLog:
    """The log's state in short. `verified` is what the last verification said, None before the first;
    `reveals` counts since the moment asked for; `unsealed` counts no further than 10,000."""

    size: int
    sealed_at: datetime | None
    unsealed: int
    verified_at: datetime | None
    verified: bool | None
    reveals: int


def audit_log(connection: sa.Connection, reveals_since: datetime) -> AuditLog:
    """Reads the head, the last verification and recent reveals; verifies nothing."""
    head = connection.execute(sa.select(t.audit_head.c.size, t.audit_head.c.at).where(t.audit_head.c.id == 1)).first()
    e = t.audit_event.c
    waiting = sa.select(e.id).where(e.seq.is_(None)).limit(10_000).subquery()
    last = connection.execute(
        sa.select(e.at, e.leaf)
        .where(sa.text("kind NOT IN ('call.recorded', 'decision.made')"), e.kind == EventKind.AUDIT_VERIFIED.value)
        .order_by(e.id.desc())
        .limit(1)
    ).first()
    reveals = connection.execute(
        sa.select(sa.func.count()).select_from(t.reveal).where(t.reveal.c.at >= micros(reveals_since))
    ).scalar_one()
    return AuditLog(
        size=head.size if head else 0,
        sealed_at=moment(head.at) if head else None,
        unsealed=int(connection.execute(sa.select(sa.func.count()).select_from(waiting)).scalar_one()),
        verified_at=moment(last.at) if last else None,
        verified=_verified(bytes(last.leaf)) if last else None,
        reveals=int(reveals),
    )


def _verified(leaf: bytes) -> bool:
    """What a verification's own entry says; an entry that cannot be read says no."""
    try:
        return bool(json.loads(leaf)["data"]["ok"])
    except (ValueError, KeyError, TypeError):
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Revealer:
    """Who revealed original text, how often, and the longest that it was visible."""

    principal_id: int
    times: int
    longest_seconds: int


def revealers(connection: sa.Connection, since: datetime) -> list[Revealer]:
    """Who revealed original text since a moment, most often first."""
    r = t.reveal.c
    rows = connection.execute(
        sa.select(r.principal_id, sa.func.count().label("times"), sa.func.max(r.until - r.at).label("longest"))
        .where(r.at >= micros(since))
        .group_by(r.principal_id)
        .order_by(sa.desc("times"), r.principal_id)
    )
    return [
        Revealer(principal_id=row.principal_id, times=row.times, longest_seconds=row.longest // 1_000_000)
        for row in rows
    ]


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


MOST_WAITING = 100_000
_OLDEST_OF = 1_000
_RECENT_EVENTS = 5_000
_MINUTE = 60_000_000


def waiting(connection: sa.Connection, most: int = MOST_WAITING) -> int:
    """How many calls are recorded and not checked yet; counts no further than `most`."""
    pending = sa.select(t.call.c.id).where(sa.text("status = 'recorded'")).limit(most).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(pending)).scalar_one())


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How far checking is behind. `waiting` counts calls, no further than `MOST_WAITING`; `oldest_seconds` is since
    when the oldest of them waits; `rate` is how many calls a second were checked lately."""

    waiting: int = 0
    oldest_seconds: float = 0.0
    rate: float = 0.0

    @property
    def words(self) -> str:
        """'more than 100,000 calls wait, the oldest for 12 min; 310 a second are checked'."""
        if not self.waiting:
            return "no call waits"
        if self.waiting == 1:
            count = "1 call waits"
        else:
            more = "more than " if self.waiting >= MOST_WAITING else ""
            count = f"{more}{self.waiting:,} calls wait"
        seconds = int(self.oldest_seconds)
        age = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3600} h"
        rate = f"{self.rate:,.0f}" if self.rate >= 10 or not self.rate else f"{self.rate:.1f}"
        return f"{count}, the oldest for {age}; {rate} a second are checked"


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
