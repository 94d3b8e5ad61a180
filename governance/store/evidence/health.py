"""The state of the audit log in short, and who revealed original text."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.events import EventKind
from governance.domain.people import Systems
from governance.domain.times import micros, moment
from governance.services.evidence.read import AuditLog, Revealer
from governance.store.base import tables as t
from governance.store.base.scope import within
from governance.store.evidence.findings import open_findings


def audit_log(connection: sa.Connection, reveals_since: datetime, systems: Systems = None) -> AuditLog:
    """Reads the head, the last verification and the recent reveals in `systems`; verifies nothing."""
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
        _of_systems(sa.select(sa.func.count()).select_from(t.reveal), systems).where(
            t.reveal.c.at >= micros(reveals_since)
        )
    ).scalar_one()
    return AuditLog(
        size=head.size if head else 0,
        sealed_at=moment(head.at) if head else None,
        unsealed=int(connection.execute(sa.select(sa.func.count()).select_from(waiting)).scalar_one()),
        verified_at=moment(last.at) if last else None,
        verified=_verified(bytes(last.leaf)) if last else None,
        reveals=int(reveals),
        findings=open_findings(connection),
    )


def _verified(leaf: bytes) -> bool:
    """What a verification's own entry says; an entry that cannot be read says no."""
    try:
        return bool(json.loads(leaf)["data"]["ok"])
    except (ValueError, KeyError, TypeError):
        return False


def _of_systems(reveals: sa.Select[Any], systems: Systems) -> sa.Select[Any]:
    """Those reveals whose call belongs to one of `systems`."""
    if systems is None:
        return reveals
    return reveals.join(t.call, t.call.c.id == t.reveal.c.call_id).where(within(t.call.c.system_id, systems))


def revealers(connection: sa.Connection, since: datetime, systems: Systems = None) -> list[Revealer]:
    """Who revealed original text of `systems` since a moment, most often first."""
    r = t.reveal.c
    rows = connection.execute(
        _of_systems(
            sa.select(r.principal_id, sa.func.count().label("times"), sa.func.max(r.until - r.at).label("longest")),
            systems,
        )
        .where(r.at >= micros(since))
        .group_by(r.principal_id)
        .order_by(sa.desc("times"), r.principal_id)
    )
    return [
        Revealer(principal_id=row.principal_id, times=row.times, longest_seconds=row.longest // 1_000_000)
        for row in rows
    ]
