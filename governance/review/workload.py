"""How much work waits: counts of similar open cases."""

from __future__ import annotations

from dataclasses import dataclass

from governance.domain.review import CaseKind, CaseState


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """A count of similar open cases; `when` is overdue, today or later."""

    severity: int
    queue: str
    state: CaseState
    kind: CaseKind
    held_by: int | None
    verdict_by: int | None
    escalated: bool
    reported: bool
    system: str
    when: str
    cases: int
