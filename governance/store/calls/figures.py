"""Daily figures of a system, kept in the transaction that decides: no page ever counts the calls themselves.

A call is counted once. When it is decided again (more content came), only the difference is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from governance.store.base import tables as t

DAY = 86_400_000_000
CALL, FLAGGED, FAILED, UNCAPTURED, TOKENS = 1, 2, 4, 8, 16
"""Bits of `call.counted`: what a call has added to its day already."""
_COUNTS = ("calls", "flagged", "failed", "uncaptured", "input_tokens", "output_tokens")


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What one call adds to its day. `started_at` is microseconds since 1970; numbers may be negative differences."""

    system_id: int
    started_at: int
    calls: int = 0
    flagged: int = 0
    failed: int = 0
    uncaptured: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def add(connection: sa.Connection, rows: Iterable[Counted]) -> None:
    """Adds to the figures, one statement for all rows, in key order so that two writers cannot deadlock."""
    sums: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        total = sums.setdefault((row.system_id, row.started_at // DAY), [0] * len(_COUNTS))
        for i, name in enumerate(_COUNTS):
            total[i] += getattr(row, name)
    changed = [
        {"system_id": system, "day": day, **dict(zip(_COUNTS, total, strict=True))}
        for (system, day), total in sorted(sums.items())
        if any(total)
    ]
    if not changed:
        return
    table = t.daily_figure
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    statement = insert(table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["system_id", "day"],
            set_={name: table.c[name] + statement.excluded[name] for name in _COUNTS},
        ),
        changed,
    )
