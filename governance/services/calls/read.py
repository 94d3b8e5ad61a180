"""Reading calls: redacted text only, and only of systems that the reader may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from governance.domain.calls import CallKind, CallStatus
from governance.domain.content import StoredPart
from governance.domain.people import Actor, Permission, Systems
from governance.domain.privacy import Gone
from governance.domain.times import micros
from governance.errors import NotFound
from governance.services.access_log import AccessLog
from governance.services.visible import Visible
from governance.systems.health import Backlog, Detector, Worker

if TYPE_CHECKING:
    from governance.privacy.alignment import Replacement


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFilter:
    """What a page of calls is about; an empty field means any. `words` are looked for in redacted text."""

    systems: tuple[str, ...] = ()
    kind: str = ""
    flagged: bool = False
    model: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""

    @property
    def used(self) -> tuple[str, ...]:
        """The names of the fields that narrow it."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRow:
    id: int
    trace_id: str
    system: str
    kind: CallKind
    name: str
    model: str
    status: CallStatus
    action: str
    queue: str
    error: str
    content_captured: bool
    started_at: datetime
    duration_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    excerpt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CallPage:
    """`next` goes into the next request, None at the end; `looked_until` is set when a scan stopped before the end."""

    rows: tuple[CallRow, ...]
    next: tuple[int, int] | None
    looked_until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPart:
    """A part of a call and its redacted text; None while it is not examined. `erased` when the original is gone."""

    part: StoredPart
    text: str | None
    erased: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionView:
    """A decision as recorded; `detail` is its JSON {policies, findings, failures, explanation}. `shadow`: of a set that
    decided beside the one in force, and acted on nothing."""

    id: int
    action: str
    queue: str
    severity: int
    policy_set: str
    detail: Mapping[str, Any]
    decided_at: datetime
    revision: int
    shadow: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CallView:
    """One call with its parts, decisions (the one in force first), cases (its own and those joined) and conflicts."""

    id: int
    system_id: int
    conversation_id: int
    span_id: str
    parent_span_id: str
    release: Mapping[str, str]
    session: bool
    user_role: str
    provider: str
    cached_tokens: int | None
    failure: str
    received_at: datetime
    revision: int
    row: CallRow
    parts: tuple[ShownPart, ...]
    decisions: tuple[DecisionView, ...]
    cases: tuple[tuple[int, str, str], ...]
    conflicts: int
    gone: Gone | None = None
    """Set when the call's own content was erased."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceStep:
    """One call of a trace in its place in time; `depth` counts its ancestors, `offset_ms` starts at the first step."""

    id: int
    name: str
    kind: CallKind
    depth: int
    offset_ms: float
    duration_ms: float
    flagged: bool
    failed: bool
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Checking:
    """Whether checking goes on, and how far it is behind."""

    detectors: Sequence[Detector]
    workers: Sequence[Worker]
    backlog: Backlog


After = tuple[int, int]
"""Where a page of calls ended: `started_at` in microseconds and the id; for a search by words 0 and a message's id."""


def position(row: CallRow) -> After:
    """Where a page ends that is cut after this row."""
    return micros(row.started_at), row.id


class CallQueries(Protocol):
    """What is read of calls, each on a connection of its own. `systems` limits what is found to these."""

    def page(self, want: CallFilter, systems: Systems, *, after: After | None, limit: int) -> CallPage:
        """Calls newest first; `want.systems` is not looked at."""

    def find(self, number: int, systems: Systems) -> CallView | None: ...

    def decision(self, number: int, systems: Systems) -> DecisionView | None: ...

    def steps(self, trace_id: str, systems: Systems, *, most: int) -> list[TraceStep]: ...

    def replacements(self, messages: Iterable[int]) -> Mapping[int, tuple[Replacement, ...] | None]: ...

    def documents(self, ids: Sequence[int], systems: Systems, *, attributes: bool) -> list[dict[str, Any]]:
        """Call objects in the order of `ids`; what is not found is left out."""

    def decision_document(self, number: int, systems: Systems) -> dict[str, Any] | None: ...

    def checking(self, now: datetime) -> Checking: ...


class ReadCalls:
    """What may be read of calls, asked for by an actor. Every method raises `Denied` for who may read none at all."""

    def __init__(self, visible: Visible, queries: CallQueries, access: AccessLog) -> None:
        self._visible = visible
        self._queries = queries
        self._access = access

    def page(self, actor: Actor, want: CallFilter, *, after: After | None = None, limit: int = 50) -> CallPage:
        """One page, newest first. `after` is the last page's `next`. Raises `BadInput` for an unknown system."""
        seen = self._seen(actor, want.systems)
        self._access.searched(actor, "calls", want.used, want.systems[0] if len(want.systems) == 1 else "")
        return self._queries.page(want, seen, after=after, limit=limit)

    def find(self, actor: Actor, number: int) -> CallView | None:
        """One call; None when there is none, or when it is not the actor's to see."""
        found = self._queries.find(number, self._seen(actor))
        if found is not None:
            self._access.opened(actor, f"call:{number}", found.row.system)
        return found

    def decision(self, actor: Actor, number: int) -> DecisionView | None:
        """One decision; None as for `find`."""
        found = self._queries.decision(number, self._seen(actor))
        if found is not None:
            self._access.opened(actor, f"decision:{number}", "")
        return found

    def steps(self, actor: Actor, trace_id: str, *, systems: Sequence[str] = (), most: int = 200) -> list[TraceStep]:
        """The steps of a trace, each below its parent, in order of time; at most `most`."""
        seen = self._seen(actor, systems)
        self._access.searched(actor, "calls", ("trace",), systems[0] if len(systems) == 1 else "")
        return self._queries.steps(trace_id, seen, most=most)

    def replacements(self, actor: Actor, call: CallView) -> Mapping[int, tuple[Replacement, ...] | None]:
        """What each message's redacted text stands for, by message id; None where that cannot be told."""
        seen = self._seen(actor)
        if seen is not None and call.system_id not in seen:
            return {}
        return self._queries.replacements({one.part.message_id for one in call.parts})

    def documents(self, actor: Actor, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The call objects of docs/api.md without attributes, in the order of `ids`; what is not the actor's to see is
        left out as what does not exist."""
        return self._queries.documents(ids, self._seen(actor), attributes=False)

    def document(self, actor: Actor, number: int) -> dict[str, Any]:
        """One call object, its attributes redacted as its texts are. Raises `NotFound`."""
        found = self._queries.documents([number], self._seen(actor), attributes=True)
        if not found:
            raise NotFound("There is no such call.")
        self._access.opened(actor, f"call:{number}", str(found[0]["system"]))
        return found[0]

    def decision_document(self, actor: Actor, number: int) -> dict[str, Any]:
        """The decision object of docs/api.md. Raises `NotFound`."""
        found = self._queries.decision_document(number, self._seen(actor))
        if found is None:
            raise NotFound("There is no such decision.")
        self._access.opened(actor, f"decision:{number}", "")
        return found

    def checking(self, actor: Actor, now: datetime) -> Checking:
        """Detectors, workers and the calls that wait: for all who read calls or cases, and for administrators."""
        self._visible.names(actor, Permission.READ_CALLS, Permission.READ_CASES, Permission.MANAGE_ACCESS)
        return self._queries.checking(now)

    def _seen(self, actor: Actor, named: Sequence[str] = ()) -> Systems:
        return self._visible.systems(actor, Permission.READ_CALLS, named=named)
