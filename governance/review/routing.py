"""From a decision or a report to a case: its queue, title, severity and deadline."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.domain.decisions import Decision, Outcome, PolicyOutcome, PolicyStatus, Severity
from governance.domain.review import CaseKind

DEADLINES: dict[Severity, timedelta] = {
    Severity.CRITICAL: timedelta(hours=4),
    Severity.HIGH: timedelta(hours=24),
    Severity.MEDIUM: timedelta(days=3),
    Severity.LOW: timedelta(days=7),
}
"""How long a case may stay undecided, from the moment it was opened. Listed in docs/review.md."""

REPORT_QUEUE = "quality"
TITLE_LENGTH = 300
EXCERPT_LENGTH = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseDraft:
    """A case that is to be opened, or joined to one that is open. `policy` is the id that set the title."""

    kind: CaseKind
    queue: str
    severity: Severity
    title: str
    policy: str
    excerpt: str

    def due(self, opened: datetime) -> datetime:
        return opened + DEADLINES[self.severity]


def draft_for_decision(decision: Decision, excerpt: str) -> CaseDraft | None:
    """The case that a decision asks for; None where nobody need look.

    The title is that of the severest policy in force that sent it to review; `excerpt` must be redacted already.
    """
    if not decision.queue:
        return None
    acting = [
        outcome
        for outcome in decision.policies
        if outcome.status is PolicyStatus.ENFORCE and outcome.outcome is not Outcome.EXCEPTED
    ]
    asking = [outcome for outcome in acting if outcome.queue] or acting
    lead = max(asking, key=_weight, default=None)
    severity = decision.severity or (lead.severity if lead else Severity.MEDIUM)
    return CaseDraft(
        kind=CaseKind.FLAGGED,
        queue=decision.queue,
        severity=severity,
        title=one_line(lead.title if lead else decision.explanation or "A call needs a look", TITLE_LENGTH),
        policy=lead.policy if lead else "",
        excerpt=one_line(excerpt, EXCERPT_LENGTH),
    )


def draft_for_report(acted_upon: bool | None) -> CaseDraft:
    """The case of a reported answer: urgent when somebody acted on it. The report's words stay encrypted."""
    return CaseDraft(
        kind=CaseKind.REPORT,
        queue=REPORT_QUEUE,
        severity=Severity.HIGH if acted_upon else Severity.MEDIUM,
        title="Somebody acted on an answer reported as wrong" if acted_upon else "An answer was reported as wrong",
        policy="",
        excerpt="",
    )


def one_line(text: str, length: int) -> str:
    """The text on one line, without control and invisible format characters, at most `length` code points."""
    spaced = "".join(
        " " if character.isspace() else character
        for character in text[: 8 * length]
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
    line = " ".join(spaced.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _weight(outcome: PolicyOutcome) -> tuple[int, int]:
    return outcome.severity.rank, outcome.action.rank
