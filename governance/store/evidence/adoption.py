"""Rows that are older than the log's statements. Implements `services.evidence.adopt.Adoption`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa

from governance.domain.events import Json
from governance.domain.times import micros
from governance.store.base import stated
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlAdoption:
    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def pending(self) -> bool:
        wanted = sa.select(t.state_adoption.c.id).where(t.state_adoption.c.adopted_at.is_(None))
        return self._connection.execute(wanted).first() is not None

    def begin(self, at: datetime) -> bool:
        begun = self._connection.execute(
            t.state_adoption.update().where(t.state_adoption.c.adopted_at.is_(None)).values(adopted_at=micros(at))
        )
        if begun.rowcount != 1:
            return False
        stated.salt_all(self._connection)
        return True

    def statements(self, most: int) -> Iterator[Mapping[str, Json]]:
        return stated.all_statements(self._connection, most)
