"""What pages, the command line and the API read: plain rows out of short connections, keyset pages, never OFFSET.

A query is given the systems that the actor may see (ids, or None for all) and returns nothing of others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Systems = tuple[int, ...] | None


def moment(microseconds: int) -> datetime:
    """A stored time as an aware datetime."""
    return _EPOCH + timedelta(microseconds=microseconds)


def moment_or_none(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)


def micros(at: datetime) -> int:
    """An aware datetime as it is stored."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def within(column: sa.ColumnElement[Any], systems: Systems) -> sa.ColumnElement[bool]:
    """The condition that a row belongs to one of `systems`."""
    return sa.true() if systems is None else column.in_(systems)
