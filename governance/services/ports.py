"""What the services need from the outside, as Protocols; `store` implements them, `bootstrap` puts them together.

A use case opens `database.write()`, acts through the transaction's repositories, appends its audit events to the same
transaction, and leaves: everything commits together, or nothing does. Each slice's repositories are declared here as
Protocols and are attributes of `Transaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from governance.audit.note import Signer
from governance.domain.calls import Call
from governance.domain.events import Event
from governance.domain.people import Actor, ApiKey, Permission, Person, RoleBinding, Scope
from governance.domain.review import Case, CaseKind, CaseState, Verdict, VerdictOutcome
from governance.domain.rollout import Rollout, RolloutOrigin, RolloutState
from governance.domain.rollout import Standing as StandingSets
from governance.review.lifecycle import Standing
from governance.review.routing import CaseDraft

if TYPE_CHECKING:  # who only records needs no policies, and what they need takes 40 MB
    from governance.policy.policy import PolicySet

Clock = Callable[[], datetime]


class Permissions(Protocol):
    """Answers from `policies/access/console.cedar`; `context` holds facts the rules read, as `claimed_by_actor`."""

    def allowed(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseRecord:
    """A case, and what the lifecycle rules need of it."""

    case: Case
    standing: Standing


class Cases(Protocol):
    """Cases and their verdicts."""

    def find(self, case_id: int) -> CaseRecord | None: ...

    def move(self, case_id: int, was: Standing, becomes: Standing, *, at: datetime) -> bool:
        """Changes the case if it still stands as it `was`; False when somebody was faster.

        `at` closes a decided one.
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

    def add_call(self, case_id: int, call_id: int) -> None:
        """Says that the call shows the same incident as the case."""

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

    def give(self, verdict: Verdict, *, seconds: int) -> None: ...

    def approve(self, case_id: int, *, by: int, at: datetime) -> None: ...

    def send_back(self, case_id: int, *, by: int, at: datetime) -> None: ...

    def note(self, case_id: int, kind: str, note: str, *, by: int, at: datetime) -> None:
        """Keeps why a case was handed on; `kind` is "escalated" or "returned"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A person and what a sign-in needs of them. `password_hash` is "" for OpenID Connect."""

    person: Person
    password_hash: str
    locked_until: datetime


class People(Protocol):
    """Persons, their passwords and role bindings. `source` of a binding is "local" or "claim"."""

    def account(self, issuer: str, subject: str) -> Account | None: ...

    def get(self, principal_id: int) -> Account | None: ...

    def list(self) -> Sequence[Person]: ...

    def count(self) -> int: ...

    def add(
        self, *, issuer: str, subject: str, name: str, email: str, password_hash: str, must_change: bool, at: datetime
    ) -> int | None:
        """Gives the new principal's id; None when issuer and subject are there already."""

    def rename(self, principal_id: int, *, name: str, email: str) -> None: ...

    def set_password(self, principal_id: int, password_hash: str, *, must_change: bool) -> None:
        """Also unlocks the account."""

    def rehash(self, principal_id: int, old: str, new: str) -> None:
        """The same password under newer parameters, unless it was changed meanwhile."""

    def disable(self, principal_id: int, at: datetime) -> bool: ...

    def bindings(self, principal_id: int, source: str) -> tuple[RoleBinding, ...]: ...

    def bind(self, principal_id: int, bindings: Sequence[RoleBinding], *, source: str) -> None:
        """Replaces the bindings of that source."""

    def failed(self, principal_id: int, *, limit: int, lock_until: datetime) -> bool:
        """Counts a failed sign-in; at `limit` it locks the account, starts anew and says True."""

    def succeeded(self, principal_id: int) -> None: ...


class Sessions(Protocol):
    def open(self, token_hash: bytes, principal_id: int, *, at: datetime, until: datetime) -> None: ...

    def find(self, token_hash: bytes, now: datetime) -> Person | None:
        """The person of a session that is neither over nor closed, unless disabled; with the bindings of now."""

    def close(self, token_hash: bytes, at: datetime) -> int | None:
        """Closes a session and gives its principal's id; None where it is unknown or closed."""

    def close_all(self, principal_id: int, at: datetime) -> int:
        """Closes every session of a person; gives how many."""

    def close_every(self, at: datetime) -> int:
        """Closes every session of everybody; gives how many."""


class Keys(Protocol):
    def add(
        self,
        *,
        prefix: str,
        secret_hash: bytes,
        scopes: Sequence[Scope],
        system: str,
        created_by: str,
        at: datetime,
        expires_at: datetime | None,
    ) -> int: ...

    def find(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        """A key and the SHA-256 of the whole of it."""

    def get(self, key_id: int) -> ApiKey | None: ...

    def list(self) -> Sequence[ApiKey]: ...

    def revoke(self, key_id: int, at: datetime) -> bool:
        """False when it was revoked before."""

    def used(self, key_id: int, at: datetime) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRecord:
    """A stored report; `outcome` is the verdict's once its case is decided. `body` is sealed, None once erased."""

    id: int
    reference: str
    receipt_hash: bytes
    system: str
    trace_id: str
    call_id: int | None
    case_id: int | None
    case_state: CaseState | None
    outcome: VerdictOutcome | None
    decided_at: datetime | None
    wrapped_key: bytes | None
    body: bytes | None
    received_at: datetime


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
        at: datetime,
    ) -> bool:
        """False when a report with this digest is there already."""

    def attach_call(self, case_id: int, call_id: int) -> None:
        """Says which call the reports of a case are about."""

    def recent(self, systems: frozenset[str] | None, *, before: datetime | None, limit: int) -> Sequence[ReportRecord]:
        """The latest first; `systems` None is all, `before` goes on from an earlier page's last `received_at`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RevealRecord:
    """A reveal that is in force; `case_id` is None where none was named."""

    case_id: int | None
    until: datetime


class Reveals(Protocol):
    def add(
        self, *, principal_id: int, case_id: int | None, call_id: int, reason: str, at: datetime, until: datetime
    ) -> int:
        """Gives the reveal's id, by which its event names it: the reason is free text and stays out of the log."""

    def in_force(self, principal_id: int, call_id: int, now: datetime) -> RevealRecord | None: ...


class Rollouts(Protocol):
    """Policy sets as stored, and their way into force."""

    def standing(self) -> StandingSets:
        """Which sets decide now."""

    def policy_set(self, policy_set_id: int) -> PolicySet:
        """Raises `ValueError` where this version of the product cannot read what was stored."""

    def known(self, digest: str) -> Sequence[tuple[int, str]]:
        """Id and digest of up to two sets whose digest begins so, the newest first."""

    def keep(self, policy_set: PolicySet, at: datetime) -> int:
        """The stored set's id; the first time a set is seen it is stored whole, and that is an audit event."""

    def add(
        self,
        *,
        policy_set_id: int,
        against_id: int | None,
        origin: RolloutOrigin,
        state: RolloutState,
        by: str,
        by_name: str,
        at: datetime,
        note: str,
        gate: Mapping[str, Any],
    ) -> int | None:
        """Begins a rollout; None where another set is in force (or in shadow) and this was to be."""

    def move(
        self,
        rollout_id: int,
        was: RolloutState,
        becomes: RolloutState,
        *,
        by: str,
        by_name: str,
        at: datetime,
        note: str = "",
    ) -> bool:
        """False when somebody was faster."""

    def take_turns(self) -> None:
        """Makes transactions that move rollouts wait for each other."""

    def get(self, rollout_id: int) -> Rollout | None: ...

    def latest(self, *, limit: int, before: int | None = None) -> Sequence[Rollout]: ...

    def with_digest(self, digest: str) -> Sequence[Rollout]: ...

    def enforced_before(self, *, policy_set_id: int | None = None) -> Rollout | None:
        """The rollout that was in force last before now, of this set or of any other than the present one."""


class Backtests(Protocol):
    """Backtests of policy sets that were run."""

    def add(self, *, digest: str, against: str, by_name: str, at: datetime, result: Mapping[str, Any]) -> int:
        """Gives the id under which `result`, a JSON document, is kept."""

    def of(self, digest: str, against: str) -> Sequence[Mapping[str, Any]]:
        """The documents of the latest backtests of the set with this digest beside another, the newest first, each with
        its `id` and who ran it (`by`)."""


class Originals(Protocol):
    """Decrypts what a call's content was."""

    def call(self, call_id: int) -> Call:
        """Raises `NotFound` for an unknown call."""


class Transaction(Protocol):
    """A unit of work."""

    @property
    def cases(self) -> Cases: ...

    @property
    def people(self) -> People: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def reports(self) -> Reports: ...

    @property
    def reveals(self) -> Reveals: ...

    @property
    def backtests(self) -> Backtests: ...

    @property
    def rollouts(self) -> Rollouts: ...

    def append(self, event: Event) -> None: ...


class Database(Protocol):
    def write(self, *, wait: float | None = None) -> AbstractContextManager[Transaction]:
        """A unit of work; `wait` bounds the seconds that it waits for others. Raises `Overloaded`."""

    def look(self) -> AbstractContextManager[Transaction]:
        """The repositories over a snapshot, for reading."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event's row: its place, its time in microseconds, what can be searched by, and the leaf that proves it."""

    seq: int
    at: int
    kind: str
    actor: str
    subject: str
    system: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class StoredHead:
    """The log's size, the hashes of its incomplete tiles, its latest signed checkpoint, and when that was."""

    size: int
    edge: bytes
    checkpoint: str
    at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LeafFilter:
    """Which leaves; an empty field means any. `since` is inclusive, `until` exclusive."""

    since: datetime | None = None
    until: datetime | None = None
    system: str = ""
    kinds: tuple[str, ...] = ()


class AuditSnapshot(Protocol):
    """The log at one moment."""

    @property
    def head(self) -> StoredHead | None:
        """None for an empty log."""

    @property
    def unsealed(self) -> int:
        """Events that have no place yet."""

    @property
    def seals_behind(self) -> bool:
        """Whether events may wait for their place (PostgreSQL), or have it from the start (SQLite)."""

    def beyond(self, size: int) -> int:
        """How many events have a place at or after `size`."""

    def events(self) -> Iterator[StoredEvent]:
        """All events that have a place, in order."""

    def tile(self, level: int, number: int) -> bytes | None: ...

    def tiles(self) -> int:
        """How many complete tiles are stored."""

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Size and note of the checkpoints that were kept, by size."""

    def select(self, chosen: LeafFilter) -> Iterator[tuple[int, bytes]]:
        """Place and leaf of the sealed events that were chosen, in order."""

    def about(self, subjects: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """Place and leaf of the sealed events whose subject is one of these, in no order."""

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """RFC 6962 §2.1.1: the path of leaf `seq` in the tree of `size`. Raises `Tampered` if tiles are missing."""

    def consistency(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 §2.1.2."""


class AuditReader(Protocol):
    """Opens the log for proving, verifying and exporting; `signer` signs what leaves the house."""

    @property
    def signer(self) -> Signer: ...

    def settle(self) -> None:
        """Seals what is committed and waits for its place."""

    def snapshot(self) -> AbstractContextManager[AuditSnapshot]: ...


class EvidenceRecords(Protocol):
    """Records as evidence carries them: JSON objects, redacted, in any order; those that are gone are left out."""

    def calls(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The call objects of the public contract."""

    def decisions(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """{id, call_id, revision, action, queue, severity, policies [{policy, outcome, action, status}] ...}"""

    def cases(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """{id, kind, state, queue, severity, title, system, call_id, decision_id, opened_at, closed_at ...}"""

    def verdicts(self, cases: Sequence[int]) -> list[dict[str, Any]]:
        """{id, case_id, outcome, reason, note, given_by, given_at, approved_by, returned_by ...} of these cases."""

    def reports(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """{id, reference, system, trace_id, call_id, case_id, received_at}; not the reporter's words."""

    def names(self, references: Sequence[str]) -> dict[str, str]:
        """Whom references such as `person:17` and `key:3` stand for, where that is known."""
