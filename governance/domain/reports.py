"""Reports: users' statements that an answer was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ReportState(StrEnum):
    RECEIVED = "received"
    IN_REVIEW = "in_review"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not_confirmed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A user's statement that an answer was wrong. `reference` is public; the receipt that opens it is kept hashed."""

    reference: str
    system: str
    trace_id: str
    call_id: int | None
    case_id: int | None
    state: ReportState
    why: str
    claim: str
    correct_source: str
    acted_upon: bool | None
    contact: str
    at: datetime
