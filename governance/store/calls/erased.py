"""What is shown in place of content that was erased."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from governance.domain.privacy import Gone
from governance.domain.times import moment
from governance.store.base import bulk

WORDS = "This content was erased."
"""Where it went with another call that said the same."""


def gone(connection: sa.Connection, kind: str, numbers: Iterable[int]) -> dict[int, Gone]:
    """Under which erasure the content of calls, conversations or reports went; those that are there are left out."""
    statement = (
        "SELECT x.number, e.id, e.erased_at, e.requested_name, e.settled_name, e.reason, e.settled_at "
        "FROM erased x JOIN erasure e ON e.id = x.erasure_id WHERE x.kind = {} AND x.number IN {in}"
    )
    return {
        number: Gone(erasure=erasure, at=moment(at or settled), by=by, approved_by=approved, reason=reason)
        for number, erasure, at, by, approved, reason, settled in bulk.select_in(
            connection, statement, list(numbers), kind
        )
    }


def messages(connection: sa.Connection, numbers: Iterable[int]) -> set[int]:
    """Those of the messages whose content is gone."""
    statement = "SELECT id FROM message WHERE id IN {in} AND body IS NULL"
    return {row[0] for row in bulk.select_in(connection, statement, list(numbers))}
