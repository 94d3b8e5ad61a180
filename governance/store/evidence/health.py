"""The state of the audit log in short, and who revealed original text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from governance.domain.events import EventKind
from governance.store.base import tables as t
from governance.store.base.times import micros, moment


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
