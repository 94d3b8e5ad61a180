"""How much work waits: open cases that are alike, counted."""

from __future__ import annotations

from dataclasses import dataclass

from governance.domain.review import CaseKind, CaseState


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How many open cases are alike; `when` is overdue, today or later. A claim that ran out is none."""

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
