"""The last copy of a checkpoint in each place outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.times import micros, moment, moment_or_none
from governance.services.evidence.ports import KeptCopy
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlCheckpointCopies:
    """Implements `services.evidence.ports.CheckpointCopies`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def all(self) -> list[KeptCopy]:
        rows = self._connection.execute(sa.select(t.checkpoint_copy).order_by(t.checkpoint_copy.c.name))
        return [
            KeptCopy(
                name=row.name,
                since=moment(row.since),
                size=row.size,
                note=row.note,
                copied_at=moment_or_none(row.copied_at),
                failed_at=moment_or_none(row.failed_at),
                error=row.error,
                alerted_at=moment_or_none(row.alerted_at),
            )
            for row in rows
        ]

    def kept(self, name: str, *, size: int, note: str, at: datetime) -> None:
        self._set(name, at, size=size, note=note, copied_at=micros(at), failed_at=None, error="", alerted_at=None)

    def expect(self, name: str, *, at: datetime) -> None:
        insert = bulk.insert_unless_there(self._connection, t.checkpoint_copy)
        self._connection.execute(insert.values(name=name, since=micros(at), note="", error=""))

    def failed(self, name: str, error: str, *, at: datetime) -> None:
        self._set(name, at, failed_at=micros(at), error=error[:300])

    def alerted(self, name: str, *, at: datetime) -> None:
        self._set(name, at, alerted_at=micros(at))

    def _set(self, name: str, at: datetime, **values: Any) -> None:
        self.expect(name, at=at)
        c = t.checkpoint_copy
        self._connection.execute(c.update().where(c.c.name == name).values(**values))
