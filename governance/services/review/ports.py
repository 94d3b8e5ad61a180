"""What the use cases of review need from the outside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from governance.domain.people import Person
from governance.domain.privacy import Gone
from governance.domain.reports import ReportState
from governance.domain.review import CaseKind, Verdict
from governance.review.lifecycle import CaseStanding
from governance.review.routing import CaseDraft
from governance.services.ports import UnitOfWork

if TYPE_CHECKING:  # who only records needs no policies, and what they need takes 40 MB
    pass
from governance.review.lifecycle import CaseRecord


class Cases(Protocol):
    """Cases and their verdicts."""

    def find(self, case_id: int) -> CaseRecord | None: ...

    def move(self, was: CaseRecord, becomes: CaseStanding, *, at: datetime) -> bool:
        """Changes the case, and who holds it, if it is still as it `was`; False when somebody was faster.

        `at` closes a decided one, and ends a claim.
        """

    def waiting(
        self,
        actor_id: int,
        now: datetime,
        *,
        ordinary: frozenset[str] | None,
        escalated: frozenset[str] | None,
        queue: str = "",
        passed: Collection[int] = (),
        limit: int = 50,
    ) -> Sequence[CaseRecord]:
        """What `actor_id` may claim now, the most urgent first and their own claimed case before all; none of `passed`.

        `ordinary` and `escalated` are the systems whose cases of that sort are theirs to claim; None is all.
        """

    def open_for(self, call_id: int, kind: CaseKind) -> CaseRecord | None:
        """The undecided case of a call, if there is one."""

    def take_turns(self) -> None:
        """Makes transactions that open cases wait for each other, so that each sees the others' cases."""

    def same_incident(self, policy: str, call_id: int, evidence: int | None, *, in_session: bool = False) -> int | None:
        """The case in which this policy fired on this message, decided or not; else its undecided case in the trace,
        or, `in_session`, in the conversation."""

    def add_call(self, case_id: int, call_id: int) -> bool:
        """Says that the call shows the same incident as the case; False when that was said before."""

    def of_decision(self, decision_id: int, call_id: int) -> int | None:
        """The case that a call's decision opened or made more severe."""

    def open(
        self,
        draft: CaseDraft,
        *,
        system: str,
        call_id: int | None,
        decision_id: int | None,
        reports: int,
        at: datetime,
        evidence: int | None = None,
    ) -> int | None:
        """Opens a case; None when the call has an undecided one of this kind."""

    def join(self, case_id: int, draft: CaseDraft, *, due_at: datetime, decision_id: int | None) -> bool:
        """Takes over a more severe draft's title, queue, severity and deadline; False when the case has been decided
        meanwhile."""

    def count_report(self, case_id: int) -> bool:
        """One more person reported it; False when the case has been decided meanwhile."""

    def attach_call(self, case_id: int, call_id: int) -> bool:
        """Says which call a reported case is about, once that call has come; False when another case has it."""

    def verdict(self, case_id: int) -> Verdict | None:
        """The standing verdict."""

    def give(self, verdict: Verdict, *, seconds: int) -> int:
        """Gives the verdict's id."""

    def approve(self, case_id: int, *, by: int, at: datetime) -> int:
        """Gives the id of the verdict that was approved."""

    def send_back(self, case_id: int, *, by: int, at: datetime) -> int:
        """Gives the id of the verdict that was returned."""

    def note(self, case_id: int, kind: str, note: str, *, by: int, at: datetime) -> int:
        """Keeps why a case was handed on, and gives the note's id; `kind` is "escalated" or "returned"."""

    def claims(self, case_id: int) -> Sequence[int]:
        """The ids of all claims of a case, also of those that ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRecord:
    """A stored report. `body` is sealed, None once erased."""

    id: int
    reference: str
    receipt_hash: bytes
    system: str
    trace_id: str
    call_id: int | None
    case_id: int | None
    state: ReportState
    decided_at: datetime | None
    wrapped_key: bytes | None
    body: bytes | None
    received_at: datetime
    gone: Gone | None = None
    """Set when its words were erased."""


class Reports(Protocol):
    """Users' reports; their words are sealed under a key of their own."""

    def new_id(self) -> int: ...

    def by_digest(self, digest: bytes) -> ReportRecord | None: ...

    def by_reference(self, reference: str) -> ReportRecord | None: ...

    def of_case(self, case_id: int) -> Sequence[ReportRecord]: ...

    def answer_in(self, trace_id: str, system: str) -> int | None:
        """The call that answered in a trace: the last of the model's, else the last; `system` "" is any."""

    def call(self, call_id: int) -> tuple[str, str] | None:
        """The system and trace id of a call."""

    def case_of_trace(self, trace_id: str, system: str) -> int | None:
        """The undecided case of earlier reports about a trace."""

    def add(
        self,
        *,
        report_id: int,
        reference: str,
        receipt_hash: bytes,
        digest: bytes,
        system: str,
        trace_id: str,
        call_id: int | None,
        case_id: int,
        wrapped_key: bytes,
        body: bytes,
        state: ReportState,
        at: datetime,
    ) -> bool:
        """False when a report with this digest is there already."""

    def set_state(self, case_id: int, state: ReportState) -> None:
        """Sets the state of all reports of a case."""

    def attach_call(self, case_id: int, call_id: int) -> None:
        """Says which call the reports of a case are about."""

    def recent(self, systems: frozenset[str] | None, *, before: datetime | None, limit: int) -> Sequence[ReportRecord]:
        """The latest first; `systems` None is all, `before` goes on from an earlier page's last `received_at`."""


class Holder(Protocol):
    """Who holds a case."""

    @property
    def person(self) -> Person: ...


class Holders(Protocol):
    """What review needs to know of people."""

    def get(self, person_id: int) -> Holder | None: ...


class Transaction(UnitOfWork, Protocol):
    """A unit of work about cases and reports."""

    @property
    def cases(self) -> Cases: ...

    @property
    def reports(self) -> Reports: ...

    @property
    def people(self) -> Holders: ...
