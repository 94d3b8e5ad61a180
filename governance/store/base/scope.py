"""The systems that a reader may see, as a condition on rows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from governance.domain.people import Systems


def within(column: sa.ColumnElement[Any], systems: Systems) -> sa.ColumnElement[bool]:
    """The condition that a row belongs to one of `systems`."""
    return sa.true() if systems is None else column.in_(systems)
