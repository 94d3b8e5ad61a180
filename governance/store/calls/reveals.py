"""Reveals of original content."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from governance.domain.times import micros, moment
from governance.services.calls.ports import RevealRecord
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlReveals:
    """Implements `services.calls.ports.Reveals`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def add(
        self, *, principal_id: int, case_id: int | None, call_id: int, reason: str, at: datetime, until: datetime
    ) -> int:
        number = self._tx.take()
        self._connection.execute(
            t.reveal.insert().values(
                id=number,
                principal_id=principal_id,
                case_id=case_id,
                call_id=call_id,
                reason=reason,
                at=micros(at),
                until=micros(until),
            )
        )
        return number

    def in_force(self, principal_id: int, call_id: int, now: datetime) -> RevealRecord | None:
        reveal = t.reveal.c
        row = self._connection.execute(
            sa.select(reveal.case_id, reveal.until)
            .where(reveal.principal_id == principal_id, reveal.call_id == call_id, reveal.until > micros(now))
            .order_by(reveal.until.desc(), reveal.id.desc())
            .limit(1)
        ).first()
        return RevealRecord(case_id=row.case_id, until=moment(row.until)) if row else None
