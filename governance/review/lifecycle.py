"""The life of a case: a pure state machine. Who may take a step, and what the case is after it.

                 claim                      decide
        OPEN ───────────▶ CLAIMED ──────────────────────────▶ DECIDED
          ▲ ◀───────────  │  ▲ │                                 ▲
          │    release,   │  │ └─ critical violation ▶ APPROVAL ─┤ approve (second person)
          │  lease ended  │  │                             │
          │               │  │ claim (senior)              │
          │      escalate └▶ ESCALATED ◀──────┐            │
          └───────────────────────────────────┴────────────┘ return (second person)

A claim is a lease: after `lease_until` anybody else may claim. Once escalated, a case goes back to ESCALATED, never to
OPEN, and only a senior may decide it. Nobody approves their own verdict, and nobody settles their own escalation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from governance.domain.decisions import Severity
from governance.domain.people import Permission
from governance.domain.review import AssignmentEnd, Case, CaseState, VerdictOutcome
from governance.errors import Conflict


class CaseAct(StrEnum):
    """What a person can do with a case."""

    CLAIM = "claim"
    RENEW = "renew"
    RELEASE = "release"
    ESCALATE = "escalate"
    DECIDE = "decide"
    APPROVE = "approve"
    RETURN = "return"


class HeldByAnother(Conflict):
    """The case is claimed by somebody else until `until`; `holder` is the principal's id."""

    def __init__(self, holder: int, until: datetime) -> None:
        super().__init__("Somebody else is working on this case.", advice="Take the next one.")
        self.holder = holder
        self.until = until


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseStanding:
    """All that the rules need to know of a case.

    `lease` is the SHA-256 of the lease token; `given_by` is who gave the standing verdict (None without one).
    """

    state: CaseState
    severity: Severity
    claimed_by: int | None = None
    claimed_at: datetime | None = None
    lease: bytes | None = None
    lease_until: datetime | None = None
    escalated: bool = False
    escalated_by: int | None = None
    given_by: int | None = None

    def live(self, now: datetime) -> bool:
        """Whether somebody has claimed it."""
        return self.state is CaseState.CLAIMED and self.lease_until is not None and now < self.lease_until

    def at(self, now: datetime) -> CaseState:
        """The state, once a lease that ran out is taken into account."""
        return self._unclaimed if self.state is CaseState.CLAIMED and not self.live(now) else self.state

    @property
    def _unclaimed(self) -> CaseState:
        return CaseState.ESCALATED if self.escalated else CaseState.OPEN

    def _free(self, state: CaseState) -> CaseStanding:
        return replace(self, state=state, claimed_by=None, claimed_at=None, lease=None, lease_until=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseRecord:
    """A case, and what the lifecycle rules need of it."""

    case: Case
    standing: CaseStanding
    version: int
    """Which state of the row this is: a step is taken only while it is still so."""


def ended(was: CaseStanding, becomes: CaseStanding) -> AssignmentEnd | None:
    """How a step ended the claim that stood before it; None where none stood, or where it still stands."""
    if was.claimed_by is None or (becomes.claimed_by, becomes.claimed_at) == (was.claimed_by, was.claimed_at):
        return None
    if becomes.claimed_by is not None:
        return AssignmentEnd.LAPSED
    if becomes.state in (CaseState.APPROVAL, CaseState.DECIDED):
        return AssignmentEnd.DECIDED
    return AssignmentEnd.ESCALATED if becomes.escalated and not was.escalated else AssignmentEnd.RELEASED


def permission(step: CaseAct, case: CaseStanding) -> Permission:
    """The right that a step needs: on an escalated case all of them are a senior's."""
    if step in (CaseAct.APPROVE, CaseAct.RETURN):
        return Permission.APPROVE_VERDICT
    if case.escalated:
        return Permission.DECIDE_ESCALATION
    return Permission.DECIDE_CASE if step is CaseAct.DECIDE else Permission.CLAIM_CASE


def own_work(step: CaseAct, case: CaseStanding, by: int) -> bool:
    """Whether `by` would review their own work."""
    if step in (CaseAct.APPROVE, CaseAct.RETURN):
        return case.given_by == by
    return case.escalated and case.escalated_by == by


def needs_second_person(severity: Severity, outcome: VerdictOutcome) -> bool:
    """A severe verdict: a violation confirmed in a critical case."""
    return severity is Severity.CRITICAL and outcome is VerdictOutcome.VIOLATION


def claim(case: CaseStanding, *, by: int, lease: bytes, now: datetime, until: datetime) -> CaseStanding:
    """Takes an unheld case, or one's own again (the earlier lease token is void then). Raises `Conflict`."""
    state = case.at(now)
    if state is CaseState.DECIDED:
        raise _decided()
    if state is CaseState.APPROVAL:
        raise Conflict("This case has its verdict and waits for a second person's approval.")
    if state is CaseState.CLAIMED and case.claimed_by != by:
        assert case.claimed_by is not None, "a claimed case has a claimer"
        assert case.lease_until is not None, "a live lease has an end"
        raise HeldByAnother(case.claimed_by, case.lease_until)
    since = case.claimed_at if state is CaseState.CLAIMED else now
    return replace(case, state=CaseState.CLAIMED, claimed_by=by, claimed_at=since, lease=lease, lease_until=until)


def renew(case: CaseStanding, *, by: int, lease: bytes, now: datetime, until: datetime) -> CaseStanding:
    """Extends the claim. Raises `Conflict`."""
    _holding(case, by, lease, now)
    return replace(case, lease_until=until)


def release(case: CaseStanding, *, by: int, lease: bytes, now: datetime) -> CaseStanding:
    """Gives the case back undecided. Raises `Conflict`."""
    _holding(case, by, lease, now)
    return case._free(case._unclaimed)


def escalate(case: CaseStanding, *, by: int, lease: bytes, now: datetime) -> CaseStanding:
    """Hands the case to the seniors, once. Raises `Conflict`."""
    _holding(case, by, lease, now)
    if case.escalated:
        raise Conflict("This case was escalated already.", advice="Decide it, or release it to another senior.")
    return replace(case._free(CaseState.ESCALATED), escalated=True, escalated_by=by)


def decide(case: CaseStanding, *, by: int, lease: bytes, outcome: VerdictOutcome, now: datetime) -> CaseStanding:
    """Gives the verdict; a severe one waits for a second person. Raises `Conflict`."""
    _holding(case, by, lease, now)
    severe = needs_second_person(case.severity, outcome)
    return replace(case._free(CaseState.APPROVAL if severe else CaseState.DECIDED), given_by=by)


def approve(case: CaseStanding) -> CaseStanding:
    """A second person agrees: the verdict stands. Raises `Conflict`."""
    _waiting(case)
    return replace(case, state=CaseState.DECIDED)


def send_back(case: CaseStanding) -> CaseStanding:
    """A second person disagrees: the case is to be reviewed again. Raises `Conflict`."""
    _waiting(case)
    return replace(case, state=case._unclaimed, given_by=None)


def _holding(case: CaseStanding, by: int, lease: bytes, now: datetime) -> None:
    state = case.at(now)
    if state is CaseState.DECIDED:
        raise _decided()
    if state is CaseState.APPROVAL:
        raise Conflict("This case has its verdict and waits for a second person's approval.")
    if state is not CaseState.CLAIMED:
        raise Conflict("You no longer hold this case: the time for it ran out.", advice="Claim it again to go on.")
    if case.claimed_by != by:
        assert case.claimed_by is not None, "a claimed case has a claimer"
        assert case.lease_until is not None, "a live lease has an end"
        raise HeldByAnother(case.claimed_by, case.lease_until)
    if case.lease != lease:
        raise Conflict(
            "You went on with this case in another window.", advice="Finish it there, or claim it again here."
        )


def _waiting(case: CaseStanding) -> None:
    if case.state is CaseState.DECIDED:
        raise _decided()
    if case.state is not CaseState.APPROVAL:
        raise Conflict("No verdict waits for approval on this case.")


def _decided() -> Conflict:
    return Conflict("This case is decided already.", advice="Take the next one.")
