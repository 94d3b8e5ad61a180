"""What verifications of the audit log found wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.audit.commitment import new_salt
from governance.domain.times import micros, moment, moment_or_none
from governance.services.evidence.ports import Failure, Finding
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork

_OPEN = sa.and_(t.audit_finding.c.met_at.is_(None), t.audit_finding.c.acknowledged_at.is_(None))


class SqlFindings:
    """Implements `services.evidence.ports.Findings`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def found(self, failure: Failure, *, at: datetime) -> int:
        # One statement on both databases: whoever verifies at the same time waits, and renews.
        statement = sa.text(
            "INSERT INTO audit_finding (kind, fingerprint, detail, size, checkpoint, at, seen_at, times, note, salt) "
            "VALUES (:kind, :fingerprint, :detail, :size, :checkpoint, :at, :at, 1, '', :salt) "
            "ON CONFLICT (fingerprint) WHERE met_at IS NULL "
            "DO UPDATE SET seen_at = excluded.seen_at, times = audit_finding.times + 1 RETURNING id"
        )
        values = {
            "kind": failure.kind,
            "fingerprint": failure.fingerprint,
            "detail": failure.detail,
            "size": failure.size,
            "checkpoint": failure.checkpoint,
            "at": micros(at),
            "salt": new_salt(),
        }
        return int(self._connection.execute(statement, values).scalar_one())

    def get(self, number: int) -> Finding | None:
        row = self._connection.execute(sa.select(t.audit_finding).where(t.audit_finding.c.id == number)).first()
        return None if row is None else _finding(row)

    def standing(self) -> list[Finding]:
        f = t.audit_finding.c
        rows = self._connection.execute(sa.select(t.audit_finding).where(f.met_at.is_(None)).order_by(f.id))
        return [_finding(row) for row in rows]

    def met(self, number: int, *, at: datetime) -> None:
        f = t.audit_finding
        self._connection.execute(f.update().where(f.c.id == number, f.c.met_at.is_(None)).values(met_at=micros(at)))

    def acknowledge(self, number: int, *, by: str, note: str, at: datetime) -> bool:
        f = t.audit_finding
        changed = self._connection.execute(
            f.update().where(f.c.id == number, _OPEN).values(acknowledged_at=micros(at), acknowledged_by=by, note=note)
        )
        return changed.rowcount == 1


def open_findings(connection: sa.Connection) -> int:
    """How many findings are neither met nor acknowledged."""
    counted = sa.select(sa.func.count()).select_from(t.audit_finding).where(_OPEN)
    return int(connection.execute(counted).scalar_one())


def _finding(row: Any) -> Finding:
    return Finding(
        id=row.id,
        kind=row.kind,
        detail=row.detail,
        size=row.size,
        checkpoint=row.checkpoint,
        at=moment(row.at),
        seen_at=moment(row.seen_at),
        times=row.times,
        met_at=moment_or_none(row.met_at),
        acknowledged_at=moment_or_none(row.acknowledged_at),
        acknowledged_by=row.acknowledged_by,
        note=row.note,
    )
