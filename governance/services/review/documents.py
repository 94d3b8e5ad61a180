"""Cases as programs read them: over HTTP and from the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from governance.services.review.read import CaseRow, CaseView, VerdictRow

_SEVERITIES = ("", "low", "medium", "high", "critical")


def case_document(row: CaseRow) -> dict[str, Any]:
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


def case_with_verdicts(view: CaseView) -> dict[str, Any]:
    """A case with all its verdicts, the standing one first."""
    return case_document(view.row) | {"verdicts": [_verdict(one) for one in view.verdicts]}


def _verdict(row: VerdictRow) -> dict[str, Any]:
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
