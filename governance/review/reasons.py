"""Reason codes in words, and which of them fit which verdict on which kind of case."""

from __future__ import annotations

from governance.domain.review import CaseKind, ReasonCode, VerdictOutcome
from governance.errors import BadInput

SENTENCES: dict[ReasonCode, str] = {
    ReasonCode.HARM: "It could have harmed somebody.",
    ReasonCode.RULE_BROKEN: "It broke a rule of ours.",
    ReasonCode.ATTACK: "Somebody tried to misuse the system.",
    ReasonCode.DATA_EXPOSED: "It showed data to somebody who may not see it.",
    ReasonCode.WRONG_ANSWER: "The answer was wrong.",
    ReasonCode.HARMLESS: "Nothing in it is wrong.",
    ReasonCode.QUOTED: "It only quotes or discusses such text.",
    ReasonCode.TEST_DATA: "It was a test.",
    ReasonCode.POLICY_TOO_BROAD: "The policy flags too much.",
    ReasonCode.ANSWER_CORRECT: "The answer was correct.",
    ReasonCode.OTHER: "Something else; see the note.",
}

_FIT: dict[tuple[CaseKind, VerdictOutcome], tuple[ReasonCode, ...]] = {
    (CaseKind.FLAGGED, VerdictOutcome.VIOLATION): (
        ReasonCode.ATTACK,
        ReasonCode.DATA_EXPOSED,
        ReasonCode.HARM,
        ReasonCode.RULE_BROKEN,
        ReasonCode.WRONG_ANSWER,
        ReasonCode.OTHER,
    ),
    (CaseKind.FLAGGED, VerdictOutcome.FALSE_ALARM): (
        ReasonCode.HARMLESS,
        ReasonCode.QUOTED,
        ReasonCode.TEST_DATA,
        ReasonCode.POLICY_TOO_BROAD,
        ReasonCode.OTHER,
    ),
    (CaseKind.REPORT, VerdictOutcome.VIOLATION): (
        ReasonCode.WRONG_ANSWER,
        ReasonCode.HARM,
        ReasonCode.RULE_BROKEN,
        ReasonCode.DATA_EXPOSED,
        ReasonCode.OTHER,
    ),
    (CaseKind.REPORT, VerdictOutcome.FALSE_ALARM): (
        ReasonCode.ANSWER_CORRECT,
        ReasonCode.TEST_DATA,
        ReasonCode.OTHER,
    ),
}


def fitting(kind: CaseKind, outcome: VerdictOutcome) -> tuple[ReasonCode, ...]:
    """The reasons that can be given, the usual one first."""
    return _FIT[kind, outcome]


def check(kind: CaseKind, outcome: VerdictOutcome, reason: ReasonCode, note: str) -> None:
    """Raises `BadInput` when the reason does not fit the verdict, or says nothing without a note."""
    allowed = fitting(kind, outcome)
    if reason not in allowed:
        choices = ", ".join(allowed)
        raise BadInput(f"The reason {reason} does not fit this verdict.", advice=f"Give one of: {choices}.")
    if reason is ReasonCode.OTHER and not note.strip():
        raise BadInput("The reason 'other' needs a note.", advice="Say in a few words what it was.")
