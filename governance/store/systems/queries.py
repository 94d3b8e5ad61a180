"""The governed systems, and what is known of their days."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from governance.domain.people import Systems
from governance.services.systems.read import Totals
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.scope import within
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.systems import totals
from governance.systems.days import Day


def names(connection: sa.Connection) -> dict[int, str]:
    """All systems, by name."""
    rows = connection.execute(sa.select(t.system.c.id, t.system.c.name).order_by(t.system.c.name))
    return {row.id: row.name for row in rows}


def days(connection: sa.Connection, systems: Systems, since: int) -> list[Day]:
    """Figures from day `since` on, by system and day; days without calls have no entry."""
    f = t.daily_figure.c
    rows = connection.execute(
        sa.select(
            t.system.c.name.label("system"),
            f.day,
            f.calls,
            f.flagged,
            f.failed,
            f.uncaptured,
            f.input_tokens,
            f.output_tokens,
        )
        .join(t.system, t.system.c.id == f.system_id)
        .where(f.day >= since, within(f.system_id, systems))
        .order_by(t.system.c.name, f.day)
    )
    return [Day(**row._mapping) for row in rows]


class SystemQueries:
    """Implements `services.systems.read.SystemQueries`: each method is one short read."""

    def __init__(self, database: Database[UnitOfWork]) -> None:
        self._database = database

    def names(self) -> dict[int, str]:
        with self._database.read() as connection:
            return names(connection)

    def days(self, systems: Systems, since: int) -> list[Day]:
        with self._database.read() as connection:
            return days(connection, systems, since)

    def totals(self, names: Collection[str], systems: Systems) -> Totals:
        with self._database.read() as connection:
            return totals.of_systems(connection, names, systems)
