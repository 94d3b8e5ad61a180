"""Cases as programs read them: over HTTP and from the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.errors import NotFound
from governance.store.base.scope import Systems
from governance.store.review import queries as cases

_SEVERITIES = ("", "low", "medium", "high", "critical")


def case_document(row: cases.CaseRow) -> dict[str, Any]:
    """A case as lists show it; its excerpt is redacted, people are references."""
    return {
        "id": row.id,
        "kind": row.kind.value,
        "state": row.state.value,
        "queue": row.queue,
        "severity": _SEVERITIES[row.severity],
        "title": row.title,
        "excerpt": row.excerpt,
        "system": row.system,
        "call_id": None if row.call_id is None else str(row.call_id),
        "decision_id": None if row.decision_id is None else str(row.decision_id),
        "policy": row.policy,
        "reports": row.reports,
        "opened_at": _time(row.opened_at),
        "due_at": _time(row.due_at),
        "claimed_by": _person(row.held_by),
        "escalated": row.escalated,
        "closed_at": _time(row.closed_at),
    }


def read_case(
    connection: sa.Connection, case_id: int, seen: Systems = None, *, at: datetime | None = None
) -> dict[str, Any]:
    """A case with all its verdicts, the standing one first; a claim that ran out before `at` is none. Raises
    `NotFound`, also for a system not seen."""
    row = cases.find(connection, case_id, seen, at=at)
    if row is None:
        raise NotFound(f"There is no case {case_id}.")
    return case_document(row) | {"verdicts": [_verdict(one) for one in cases.verdicts(connection, case_id)]}


def _verdict(row: cases.VerdictRow) -> dict[str, Any]:
    return {
        "outcome": row.outcome,
        "reason": row.reason,
        "note": row.note,
        "given_by": _person(row.by),
        "given_at": _time(row.at),
        "seconds": row.seconds,
        "approved_by": _person(row.approved_by),
        "approved_at": _time(row.approved_at),
        "returned_by": _person(row.returned_by),
        "returned_at": _time(row.returned_at),
    }


def _person(number: int | None) -> str | None:
    return None if number is None else f"person:{number}"


def _time(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
