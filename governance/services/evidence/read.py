"""Reading the audit trail: events and their proofs, and the state of the log in short.

Events that belong to no system (sign-ins, roles, policy changes, exports) are shown to all who read the trail; events
of a system to those who read the trail of that system.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from governance.audit.proof import Proof
from governance.domain.people import Actor, Permission, Systems
from governance.errors import NotFound
from governance.services.access_log import AccessLog
from governance.services.evidence.ports import StoredHead
from governance.services.ports import Clock
from governance.services.visible import Visible

SystemNames = frozenset[str] | None
"""Names of systems, None for all: events carry names, so that they outlive what they speak of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventFilter:
    """An empty field means any. With no `kinds`, the bulk (calls, decisions, reading) is left out: what people did is
    what is browsed."""

    kinds: tuple[str, ...] = ()
    actor: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def used(self) -> tuple[str, ...]:
        """The names of the fields that narrow it."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRow:
    """`seq` is the leaf's index in the log, None while it waits to be sealed. `id` is the cursor of pages."""

    id: int
    seq: int | None
    at: datetime
    kind: str
    actor: str
    subject: str
    system: str
    data: Mapping[str, Any]
    leaf: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditLog:
    """The log's state in short. `verified` is what the last verification said, None before the first;
    `reveals` counts since the moment asked for; `unsealed` counts no further than 10,000; `findings` are those that
    nobody has acknowledged."""

    size: int
    sealed_at: datetime | None
    unsealed: int
    verified_at: datetime | None
    verified: bool | None
    reveals: int
    findings: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Revealer:
    """Who revealed original text, how often, and the longest that it was visible."""

    principal_id: int
    times: int
    longest_seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LogStatus:
    """The log's head (None while it is empty), when it was sealed, the age of its oldest unsealed event, and the last
    verification."""

    head: StoredHead | None
    sealed_at: datetime | None
    lag_seconds: float
    verified: EventRow | None


class AuditQueries(Protocol):
    """What is read of the audit trail, each on a connection of its own."""

    def events(
        self, chosen: EventFilter, systems: SystemNames, *, before: int | None, limit: int
    ) -> list[EventRow]: ...

    def began(self) -> datetime | None: ...

    def proof(self, seq: int, systems: SystemNames) -> Proof | None: ...

    def log(self, reveals_since: datetime, systems: Systems) -> AuditLog: ...

    def status(self, now: datetime) -> LogStatus: ...

    def latest_note(self) -> str: ...

    def revealers(self, since: datetime, systems: Systems) -> list[Revealer]: ...

    def reveal_reasons(self, reveals: Collection[int], systems: Systems) -> Mapping[int, str]: ...

    def case_titles(self, numbers: Collection[int], systems: Systems) -> Mapping[int, str]: ...


class ReadAudit:
    """What may be read of the audit trail. Every method but `checkpoint` raises `Denied` for who may read none."""

    def __init__(self, visible: Visible, queries: AuditQueries, clock: Clock, access: AccessLog) -> None:
        self._visible = visible
        self._queries = queries
        self._clock = clock
        self._access = access

    def events(
        self, actor: Actor, chosen: EventFilter, *, before: int | None = None, limit: int = 50
    ) -> list[EventRow]:
        """A page of events, the newest first; `before` is the last `id` of the page before."""
        names = self._visible.names(actor, Permission.READ_AUDIT)
        self._access.read_trail(actor, chosen.used)
        return self._queries.events(chosen, names, before=before, limit=limit)

    def of_case(self, actor: Actor, case_id: int, *, limit: int = 30) -> list[EventRow]:
        """The history of a case, the newest first: for all who may read the case."""
        names = self._visible.names(actor, Permission.READ_CASES)
        return self._queries.events(EventFilter(subject=f"case:{case_id}"), names, before=None, limit=limit)

    def began(self, actor: Actor) -> datetime | None:
        """When the first event was written; None for an empty log."""
        self._visible.names(actor, Permission.READ_AUDIT)
        return self._queries.began()

    def proof(self, actor: Actor, seq: int) -> Proof:
        """The proof that event `seq` is in the log of the latest checkpoint. Raises `NotFound`."""
        found = self._queries.proof(seq, self._visible.names(actor, Permission.READ_AUDIT))
        if found is None:
            raise NotFound(f"There is no event {seq} in the log.")
        return found

    def log(self, actor: Actor, reveals_since: datetime) -> AuditLog:
        """The state of the log in short: for all who read calls or the trail. Verifies nothing."""
        seen = self._visible.systems(actor, Permission.READ_AUDIT, Permission.READ_CALLS)
        return self._queries.log(reveals_since, seen)

    def status(self, actor: Actor) -> LogStatus:
        """The head, what waits to be sealed, and the last verification."""
        self._visible.names(actor, Permission.READ_AUDIT)
        return self._queries.status(self._clock())

    def checkpoint(self) -> str:
        """The latest signed checkpoint: public, so that anybody can keep it. Raises `NotFound` for an empty log."""
        note = self._queries.latest_note()
        if not note:
            raise NotFound("The audit log is empty.")
        return note

    def revealers(self, actor: Actor, since: datetime) -> list[Revealer]:
        """Who revealed original text since a moment, most often first."""
        return self._queries.revealers(since, self._visible.systems(actor, Permission.READ_AUDIT))

    def reveal_reasons(self, actor: Actor, reveals: Sequence[int]) -> Mapping[int, str]:
        """Why original text was revealed, by the reveal's id: free text, kept beside the log."""
        return self._queries.reveal_reasons(reveals, self._visible.systems(actor, Permission.READ_AUDIT))

    def case_titles(self, actor: Actor, numbers: Collection[int]) -> Mapping[int, str]:
        """What cases are about, by number: for sentences that name them."""
        return self._queries.case_titles(numbers, self._visible.systems(actor, Permission.READ_AUDIT))
