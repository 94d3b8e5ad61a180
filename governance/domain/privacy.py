"""Erasure, legal holds and retention: what may be asked, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Erasable(StrEnum):
    """What can be erased. A subject is an end user, named by the id that the application sends."""

    CONVERSATION = "conversation"
    CALL = "call"
    SUBJECT = "subject"
    REPORT = "report"


class ErasureCode(StrEnum):
    """Why, as the audit log says it."""

    REQUESTED = "requested"
    """Somebody asked, and another person agreed."""
    RETENTION = "retention"
    """Its time under a retention rule was over."""


class ErasureState(StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    """Its job waits or runs."""
    DONE = "done"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True, slots=True)
class Erasure:
    """`target` is a number; of a subject its id until it is erased, then a keyed digest. `system` "" is every one.

    `erased_at` is when the last of it was destroyed, `purged_at` when its bytes were gone from the database's files.
    """

    id: int
    what: Erasable
    target: str
    system: str
    code: ErasureCode
    reason: str
    state: ErasureState
    requested_by: str
    requested_name: str
    requested_at: datetime
    settled_by: str = ""
    settled_name: str = ""
    settled_at: datetime | None = None
    erased_at: datetime | None = None
    purged_at: datetime | None = None
    conversations: int = 0
    calls: int = 0
    reports: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """What is shown in place of content: when it was erased, who asked, who approved, and why."""

    erasure: int
    at: datetime
    by: str
    approved_by: str
    reason: str

    @property
    def words(self) -> str:
        """In one sentence."""
        approved = f", approved by {self.approved_by}" if self.approved_by != self.by else ""
        return f"Erased on {self.at:%Y-%m-%d} at the request of {self.by}{approved}. Reason: {self.reason}"


class Holdable(StrEnum):
    """What a legal hold may cover."""

    CONVERSATION = "conversation"
    CALL = "call"
    SUBJECT = "subject"
    REPORT = "report"
    CASE = "case"
    SYSTEM = "system"


@dataclass(frozen=True, kw_only=True, slots=True)
class LegalHold:
    """Nothing that it covers is erased while it stands (`released_at` is None)."""

    id: int
    what: Holdable
    target: str
    reason: str
    placed_by: str
    placed_name: str
    placed_at: datetime
    released_by: str = ""
    released_name: str = ""
    released_at: datetime | None = None


class RetentionClass(StrEnum):
    """What a retention rule is about.

    `content`: prompts, answers, documents, redacted texts. `reports`: the words of users' reports. `logs`: what stays
    of a call after that and may name somebody: ids of users and sessions, explanations, reviewers' notes.
    """

    CONTENT = "content"
    REPORTS = "reports"
    LOGS = "logs"


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionRule:
    """`system` "" is every system without a rule of its own."""

    system: str
    subject: RetentionClass
    days: int
    changed_by: str
    changed_name: str
    changed_at: datetime
