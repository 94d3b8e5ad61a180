"""What some systems hold in all: for a command that ran once, not for a page (it counts rows)."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from governance.domain.people import Systems
from governance.services.systems.read import Totals
from governance.store.base import tables as t
from governance.store.base.scope import within


def of_systems(connection: sa.Connection, names: Iterable[str], seen: Systems = None) -> Totals:
    """Counts over the systems of these names among those `seen`; names that are unknown count nothing."""
    systems = sa.select(t.system.c.id).where(t.system.c.name.in_(list(names)), within(t.system.c.id, seen))
    call, case = t.call.c, t.case.c

    def count(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        mine = table.c.system_id.in_(systems)
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(mine, *conditions)).scalar_one()

    return Totals(
        calls=count(t.call),
        waiting=count(t.call, call.status == "recorded"),
        flagged=count(t.call, sa.or_(call.queue != "", call.action.not_in(("", "allow")))),
        cases=count(t.case, case.state != "decided"),
        reports=count(t.report),
    )
