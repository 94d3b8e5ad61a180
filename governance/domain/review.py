"""Human review: a case is a unit of work, and a verdict is what a person decided on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from governance.domain.decisions import Severity


class CaseKind(StrEnum):
    FLAGGED = "flagged"
    REPORT = "report"


class CaseState(StrEnum):
    """open -> claimed -> decided; claimed -> escalated -> claimed (by a senior) -> decided;
    a severe verdict waits in `approval` for a second person, who approves (decided) or returns it (open)."""

    OPEN = "open"
    CLAIMED = "claimed"
    ESCALATED = "escalated"
    APPROVAL = "approval"
    DECIDED = "decided"


class AssignmentEnd(StrEnum):
    """How a claim ended. `LAPSED`: its time ran out, and somebody claimed the case after that."""

    RELEASED = "released"
    ESCALATED = "escalated"
    DECIDED = "decided"
    LAPSED = "lapsed"


class VerdictOutcome(StrEnum):
    """A violation confirms that the policy (or the reporter) was right; a false alarm that it was not."""

    VIOLATION = "violation"
    FALSE_ALARM = "false_alarm"


class ReasonCode(StrEnum):
    """Why, in the words that statistics are made of. `governance.review.reasons` gives their sentences."""

    HARM = "harm"
    RULE_BROKEN = "rule_broken"
    ATTACK = "attack"
    DATA_EXPOSED = "data_exposed"
    WRONG_ANSWER = "wrong_answer"
    HARMLESS = "harmless"
    QUOTED = "quoted"
    TEST_DATA = "test_data"
    POLICY_TOO_BROAD = "policy_too_broad"
    ANSWER_CORRECT = "answer_correct"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """`id` is the small number people say ("Case 214"). `lease_until` is when a claim ends by itself."""

    id: int
    kind: CaseKind
    state: CaseState
    queue: str
    severity: Severity
    title: str
    system: str
    call_id: int | None
    decision_id: int | None
    reports: int
    opened_at: datetime
    due_at: datetime
    claimed_by: int | None = None
    lease_until: datetime | None = None
    closed_at: datetime | None = None
    excerpt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Kept beside the machine's decision, never over it. `by` is the principal's id."""

    case_id: int
    outcome: VerdictOutcome
    reason: ReasonCode
    note: str
    by: int
    at: datetime
    approved_by: int | None = None
