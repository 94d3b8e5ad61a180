"""The governed systems, and what is known of their days."""

from __future__ import annotations

import sqlalchemy as sa

from governance.store.base import tables as t
from governance.store.base.scope import Systems, within
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
