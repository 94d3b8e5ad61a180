"""The governed systems, and what is known of their days."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from governance.store import tables as t
from governance.store.queries import Systems, within


def names(connection: sa.Connection) -> dict[int, str]:
    """All systems, by name."""
    rows = connection.execute(sa.select(t.system.c.id, t.system.c.name).order_by(t.system.c.name))
    return {row.id: row.name for row in rows}


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """One system's figures of one day; `day` counts days since 1970 in UTC."""

    system: str
    day: int
    calls: int
    flagged: int
    failed: int
    uncaptured: int
    input_tokens: int
    output_tokens: int


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
