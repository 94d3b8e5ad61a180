"""Reading cases: what the queue and a case's page show, and only of systems that the reader may see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Protocol

from governance.domain.people import Actor, Permission, Systems
from governance.domain.review import CaseKind, CaseState
from governance.review.workload import Load
from governance.services.access_log import AccessLog
from governance.services.named import unknown
from governance.services.ports import Clock
from governance.services.visible import Visible


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFilter:
    """Which open cases; an empty field means any. `words` is a case number, or words of the title; `since` and `until`
    are about when it was opened."""

    systems: tuple[str, ...] = ()
    held_by: int | None = None
    overdue_at: datetime | None = None
    queues: tuple[str, ...] = ()
    reported: bool = False
    state: str = ""
    severities: tuple[int, ...] = ()
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def used(self) -> tuple[str, ...]:
        """The names of the fields that narrow it."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseRow:
    """`held_by` is a principal while the claim lasts (one that ran out is none); `verdict_by` who decided, while a
    second person is asked."""

    id: int
    kind: CaseKind
    state: CaseState
    queue: str
    severity: int
    title: str
    excerpt: str
    system: str
    system_id: int
    call_id: int | None
    decision_id: int | None
    policy: str
    reports: int
    opened_at: datetime
    due_at: datetime
    held_by: int | None
    lease_until: datetime | None
    escalated: bool
    escalated_by: int | None
    closed_at: datetime | None
    verdict_by: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRow:
    outcome: str
    reason: str
    note: str
    by: int
    at: datetime
    seconds: int
    approved_by: int | None
    approved_at: datetime | None
    returned_by: int | None
    returned_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Similar:
    id: int
    state: CaseState
    outcome: str
    reason: str
    opened_at: datetime
    excerpt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DayOfWork:
    """What one reviewer did since a moment: verdicts, their median handling time, and of which policies the cases were
    that they read (decided, handed on, or hold now)."""

    decided: int
    median_seconds: int
    policies: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Why a case was handed on; `kind` is escalated or returned. Free text."""

    kind: str
    note: str
    by: int
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FurtherCall:
    """A call that shows the incident of a case that another call opened. `step` came with the call."""

    id: int
    step: str
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseView:
    """A case with all its verdicts, the standing one first, and what was written when it was handed on."""

    row: CaseRow
    verdicts: Sequence[VerdictRow]
    notes: Sequence[Note]


After = tuple[int, int, int]
"""Where a page of cases ended: severity, deadline in microseconds, number."""


class CaseQueries(Protocol):
    """What is read of cases, each on a connection of its own. `systems` limits what is found to these; `at` is the
    moment at which a claim lasts or has run out."""

    def page(
        self, want: CaseFilter, systems: Systems, *, at: datetime, after: After | None, limit: int
    ) -> tuple[list[CaseRow], After | None]:
        """Open cases by severity, deadline and number; `want.systems` is not looked at."""

    def row(self, number: int, systems: Systems, *, at: datetime) -> CaseRow | None: ...

    def view(self, number: int, systems: Systems, *, at: datetime) -> CaseView | None: ...

    def loads(self, systems: Systems, now: datetime, end_of_day: datetime) -> list[Load]: ...

    def open_queues(self, systems: Systems) -> frozenset[str]: ...

    def similar(self, case: CaseRow, systems: Systems, *, most: int) -> list[Similar]: ...

    def right_when_flagged(self, policy: str, systems: Systems) -> Mapping[str, int]: ...

    def further_calls(self, number: int, systems: Systems, *, most: int) -> tuple[list[FurtherCall], bool]: ...

    def work(self, principal: int, since: datetime) -> DayOfWork: ...


class ReadCases:
    """What may be read of cases, asked for by an actor. Every method raises `Denied` for who may read none at all."""

    def __init__(
        self,
        visible: Visible,
        queries: CaseQueries,
        clock: Clock,
        queues: Callable[[], Collection[str]],
        access: AccessLog,
    ) -> None:
        """`queues` gives those to which cases go by the policies that decide now."""
        self._access = access
        self._visible = visible
        self._queries = queries
        self._clock = clock
        self._queues = queues

    def page(
        self, actor: Actor, want: CaseFilter, *, after: After | None = None, limit: int = 100
    ) -> tuple[list[CaseRow], After | None]:
        """Open cases, the most urgent first, and where the next page begins (None at the end). Raises `BadInput` for
        an unknown system."""
        seen = self._seen(actor, want.systems)
        self._access.searched(actor, "cases", want.used, want.systems[0] if len(want.systems) == 1 else "")
        return self._queries.page(want, seen, at=self._clock(), after=after, limit=limit)

    def need_queue(self, actor: Actor, queue: str) -> None:
        """Raises `BadInput` for a queue in which no case is open and to which no policy sends one."""
        known = self._queries.open_queues(self._seen(actor))
        if queue not in known and queue not in (known := known | set(self._queues())):
            raise unknown("queue", queue, known)

    def row(self, actor: Actor, number: int) -> CaseRow | None:
        """One case as lists show it; None when there is none, or when it is not the actor's to see."""
        return self._queries.row(number, self._seen(actor), at=self._clock())

    def view(self, actor: Actor, number: int) -> CaseView | None:
        """One case with its verdicts and notes; None as for `row`."""
        found = self._queries.view(number, self._seen(actor), at=self._clock())
        if found is not None:
            self._access.opened(actor, f"case:{number}", found.row.system)
        return found

    def loads(self, actor: Actor, end_of_day: datetime) -> list[Load]:
        """All open cases, counted: every figure about them comes from this, so that figures agree."""
        return self._queries.loads(self._seen(actor), self._clock(), end_of_day)

    def similar(self, actor: Actor, case: CaseRow, *, most: int = 5) -> list[Similar]:
        """Other cases of the same policy and system, those with a verdict first, the newest first."""
        return self._queries.similar(case, self._seen(actor), most=most)

    def right_when_flagged(self, actor: Actor, policy: str) -> Mapping[str, int]:
        """How many standing verdicts on a policy's cases there are of each outcome."""
        return self._queries.right_when_flagged(policy, self._seen(actor))

    def further_calls(self, actor: Actor, number: int, *, most: int = 100) -> tuple[list[FurtherCall], bool]:
        """The calls that joined a case, in the order in which they were recorded, at most `most`; and whether there are
        more."""
        return self._queries.further_calls(number, self._seen(actor), most=most)

    def work(self, actor: Actor, since: datetime) -> DayOfWork:
        """The actor's own work since a moment."""
        self._visible.names(actor, Permission.READ_CASES)
        return self._queries.work(actor.id, since)

    def _seen(self, actor: Actor, named: Sequence[str] = ()) -> Systems:
        return self._visible.systems(actor, Permission.READ_CASES, named=named)
