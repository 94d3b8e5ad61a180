"""Recorded calls with what was decided of them, read in parts of a span: what a backtest goes over."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa

from governance.domain.calls import Call, CallKind, CallStatus, EndUser, Release, Usage
from governance.domain.content import Part, PartKind, StoredPart
from governance.domain.decisions import PolicyScope
from governance.domain.findings import DetectorFailure, Finding
from governance.domain.review import CaseKind, CaseState, VerdictOutcome
from governance.domain.times import micros, moment
from governance.engine.compare import DOCUMENTS
from governance.errors import Tampered
from governance.policy.policy import PolicySet
from governance.privacy.keys import ContentKey, KeyRing
from governance.services.calls.check import Deciding, LoadedCall
from governance.services.policies.backtest.ports import Handling
from governance.services.policies.backtest.replay import Recorded, Slice, Span
from governance.services.policies.backtest.tally import Key
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import facts, parts, sequences
from governance.store.calls.figures import DAY
from governance.store.calls.opening import CallOpener
from governance.store.policies.rollouts import stored_set

_PLAIN = "{}"
_DECIDED = (
    "SELECT c.id, c.system_id, c.kind, c.user_role, c.release_id, c.started_at, c.status, c.queue, d.policy_set_id, "
    "d.detector_set, d.detail, d.decided_at"
)
_MORE = (
    ", c.name, c.session_id, c.user_id, c.duration_us, c.model, c.provider, c.input_tokens, c.output_tokens, "
    "c.cached_tokens, c.error, c.content_captured, c.parts, c.trace_id, c.received_at"
)
_FROM = " FROM call c LEFT JOIN decision d ON d.call_id = c.id AND d.revision = c.revision AND d.shadow = 0"
(_ID, _SYSTEM, _KIND, _ROLE, _RELEASE, _STARTED, _STATUS, _QUEUE, _SET, _DETECTORS, _DETAIL, _DECIDED_AT) = range(12)
(_NAME, _SESSION, _USER, _DURATION, _MODEL, _PROVIDER, _IN, _OUT, _CACHED, _ERROR, _CAPTURED, _PARTS) = range(12, 24)
_TRACE, _RECEIVED = 24, 25
_COLUMNS: Mapping[str, tuple[int, ...]] = {
    "system": (),  # in the key, as kind and release are
    "kind": (),
    "release": (),
    "name": (_NAME,),
    "model": (_MODEL,),
    "provider": (_PROVIDER,),
    "user": (_USER,),
    "session_id": (_SESSION,),
    "duration_ms": (_DURATION,),
    "usage": (_IN, _OUT, _CACHED),
    "content_captured": (_CAPTURED,),
    "error": (),  # asked for only where it is empty
    DOCUMENTS: (),  # counted
}
"""Where the fields of a call that conditions read stand in its row."""
_key: Callable[[tuple[Any, ...]], Key] = partial(tuple.__new__, Key)
_UNKNOWN = Release()
_NOTHING: Mapping[str, Any] = {"policies": (), "findings": (), "failures": ()}


class _Call:
    """Implements `services.policies.backtest.replay.Recorded` over a row."""

    __slots__ = ("_frame", "_read", "_traffic", "detail", "key", "plain", "readable", "row", "sealed", "texts")

    def __init__(self, row: Any, traffic: SqlTraffic) -> None:
        self.row = row
        self._traffic = traffic
        self.key = _key((row[_SYSTEM], row[_KIND], row[_ROLE], row[_RELEASE], row[_STARTED] // DAY))
        text = row[_DETAIL]
        self.plain = text == _PLAIN or text is None
        self.detail: Mapping[str, Any] = _NOTHING if self.plain else _NOTHING | json.loads(text)
        self.readable = True
        self.sealed: Mapping[str, Any] = {}
        self.texts: Mapping[int, str] = {}
        self._frame: list[StoredPart] | None = None
        self._read: list[Part] | None = None

    @property
    def id(self) -> int:
        return int(self.row[_ID])

    @property
    def status(self) -> str:
        status = self.row[_STATUS]
        return "" if status == CallStatus.CHECKED and self.row[_SET] is None else str(status)

    @property
    def queued(self) -> bool:
        return bool(self.row[_QUEUE])

    @property
    def policy_set(self) -> int:
        return self.row[_SET] or 0

    @property
    def detectors(self) -> str:
        return str(self.row[_DETECTORS])

    @property
    def failed(self) -> bool:
        return bool(self.row[_ERROR])

    @property
    def frame(self) -> list[StoredPart]:
        if self._frame is None:
            self._frame = parts.decode(self.row[_PARTS])
        return self._frame

    def simple(self, names: Collection[str]) -> tuple[Any, ...]:
        row = self.row
        values = [row[at] for name in names for at in _COLUMNS[name]]
        if DOCUMENTS in names:
            values.append(parts.documents_in(row[_PARTS]))
        return tuple(values)

    def call(self, *, bare: bool = False) -> Call:
        row, sealed = self.row, self.sealed
        content = {} if bare else _content(self.parts())
        return Call(
            trace_id=bytes(row[_TRACE]).hex(),
            span_id="",
            kind=CallKind(row[_KIND]),
            name=row[_NAME],
            system=self._traffic.systems[row[_SYSTEM]],
            release=_UNKNOWN if row[_RELEASE] is None else self._traffic.release(row[_RELEASE]),
            session_id=row[_SESSION],
            user=EndUser(id=row[_USER], role=row[_ROLE]),
            started_at=moment(row[_STARTED]),
            duration_ms=None if row[_DURATION] is None else row[_DURATION] / 1000,
            model=row[_MODEL],
            provider=row[_PROVIDER],
            usage=Usage(input_tokens=row[_IN], output_tokens=row[_OUT], cached_tokens=row[_CACHED]),
            error=sealed.get("error", row[_ERROR]),
            finish_reasons=tuple(sealed.get("finish_reasons", ())),
            content_captured=bool(row[_CAPTURED]),
            attributes=sealed.get("attributes", {}),
            **content,
        )

    def parts(self) -> Sequence[Part]:
        if self._read is None:
            self._read = [part.with_text(self.texts.get(part.message_id, "")) for part in self.frame]
        return self._read

    def content(self) -> tuple[int, ...]:
        return tuple(part.message_id for part in self.frame)

    def findings(self) -> Sequence[Finding]:
        return [facts.finding_of(one) for one in self.detail["findings"]]

    def failures(self) -> Sequence[DetectorFailure]:
        return [DetectorFailure(**one) for one in self.detail["failures"]]


def _content(placed: Sequence[Part]) -> dict[str, Any]:
    found = parts.content_of(placed)
    return {
        "input": found.input,
        "output": found.output,
        "documents": found.documents,
        "tool_calls": found.tool_calls,
    }


class SqlTraffic:
    """Implements `replay.Traffic` and `ports.Record` of `services.policies.backtest`. One for a thread.

    All that one reads is of one moment: that of its first reading, or one that `shared` named in another process.
    """

    def __init__(
        self, database: Database[UnitOfWork], keyring: Callable[[], KeyRing], *, snapshot: str | None = None
    ) -> None:
        """Given a snapshot (on SQLite it has no name: ""), it begins to read at once."""
        self._database = database
        self._keyring = keyring
        self._connection: sa.Connection | None = None if snapshot is None else database.moment(snapshot)
        self._opener: CallOpener | None = None
        self.systems: dict[int, str] = {}
        self._releases: dict[int, Release] = {}
        self._versions: dict[str, Mapping[str, str]] = {}
        self._sets: dict[int, PolicySet | None] = {}
        self._keys: dict[bytes, ContentKey] = {}

    # The moment

    @contextmanager
    def shared(self) -> Iterator[str]:
        """While it is open, other processes can begin to read what this one reads: by the snapshot's name on
        PostgreSQL; on SQLite this one begins anew, and nobody commits meanwhile."""
        if self._database.dialect == "postgresql":
            connection = self._moment()
            yield str(connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one())
            return
        with self._database.still():
            self.close()
            self._connection = self._database.moment()
            yield ""

    def close(self) -> None:
        """Ends the moment; what is read afterwards is of another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _moment(self) -> sa.Connection:
        """Reads the moment, which begins when it is first asked for."""
        if self._connection is None:
            self._connection = self._database.moment()
        return self._connection

    # The span

    def systems_named(self) -> Mapping[int, str]:
        """All systems, by id."""
        connection = self._moment()
        self.systems = {
            int(number): str(name) for number, name in connection.exec_driver_sql("SELECT id, name FROM system")
        }
        return self.systems

    def slices(self, span: Span, size: int) -> tuple[int, Sequence[Slice]]:
        where, values = self._within(span)
        connection = self._moment()
        sign = bulk.mark(connection)
        statement = (
            "SELECT started_at, id FROM (SELECT started_at, id, row_number() OVER (ORDER BY started_at, id) AS n "  # noqa: S608
            f"FROM call c WHERE {where}) AS numbered WHERE (n - 1) / {int(size)} * {int(size)} = n - 1 ORDER BY n"
        ).replace("{}", sign)
        starts = connection.exec_driver_sql(statement, values).all()
        count = f"SELECT count(*) FROM call c WHERE {where}".replace("{}", sign)  # noqa: S608
        if not starts:
            return 0, ()
        total = int(connection.exec_driver_sql(count, values).scalar_one())
        # From the span's begin to its end, whatever came between since (`shared` may begin anew).
        bounds = [(micros(span.since), 0), *((row[0], row[1]) for row in starts[1:]), (micros(span.until), 0)]
        return total, [(*begin, *end) for begin, end in itertools.pairwise(bounds)]

    def first(self, span: Span) -> int | None:
        """When the first call of the span began."""
        where, values = self._within(span)
        connection = self._moment()
        statement = f"SELECT min(started_at) FROM call c WHERE {where}".replace("{}", bulk.mark(connection))  # noqa: S608
        found = connection.exec_driver_sql(statement, values).scalar()
        return None if found is None else int(found)

    def _within(self, span: Span) -> tuple[str, tuple[int, ...]]:
        since, until = micros(span.since), micros(span.until)
        if not span.system:
            return "c.started_at >= {} AND c.started_at < {}", (since, until)
        return "c.system_id = {} AND c.started_at >= {} AND c.started_at < {}", (
            self._system(span.system),
            since,
            until,
        )

    def _system(self, name: str) -> int:
        systems = self.systems or self.systems_named()
        return next((number for number, one in systems.items() if one == name), 0)

    # Calls

    def read(self, part: Slice, *, system: str = "", whole: bool = False) -> Sequence[Recorded]:
        statement = f"{_DECIDED}{_MORE if whole else ''}{_FROM} WHERE "
        values: tuple[Any, ...] = part
        if system:
            statement += "c.system_id = {} AND "
            values = (self._system(system), *part)
        statement += "(c.started_at, c.id) >= ({}, {}) AND (c.started_at, c.id) < ({}, {})"
        # Says nothing new, but PostgreSQL guesses by it how few they are, and does not go through all decisions.
        statement += " AND c.started_at >= {} AND c.started_at <= {}"
        values += (part[0], part[2])
        connection = self._moment()
        rows = connection.exec_driver_sql(statement.replace("{}", bulk.mark(connection)), values).all()
        return self._calls(rows)

    def _calls(self, rows: Sequence[Any]) -> list[_Call]:
        if not self.systems.keys() >= {row[_SYSTEM] for row in rows}:
            self.systems_named()
        return [_Call(row, self) for row in rows]

    def release(self, number: int) -> Release:
        if number not in self._releases:
            connection = self._moment()
            rows = connection.exec_driver_sql("SELECT id, parts FROM release").all()
            self._releases = {row[0]: Release(**json.loads(row[1])) for row in rows}
        return self._releases[number]

    def deepen(self, calls: Sequence[Recorded], *, sealed: bool, lengths: bool) -> None:
        wanted: dict[int, _Call] = {one.id: one for one in calls if isinstance(one, _Call)}
        bodies: dict[int, bytes | None] = {}
        connection = self._moment()
        statement = (
            "SELECT c.id, c.attributes, v.wrapped_key FROM call c JOIN conversation v ON v.id = c.conversation_id "
            "WHERE c.id IN {in}"
        )
        rows = bulk.select_in(connection, statement, list(wanted))
        if lengths:
            numbers = {part.message_id: None for one in wanted.values() for part in _measured(one)}
            bodies = dict(bulk.select_in(connection, "SELECT id, body FROM message WHERE id IN {in}", [*numbers]))
        for number, attributes, wrapped in rows:
            one = wanted[number]
            try:
                if wrapped is None:
                    raise Tampered("Its content was erased.")
                if sealed and attributes is not None:
                    one.sealed = json.loads(self._content_key(wrapped).open(bytes(attributes), b"call:%d" % number))
                if lengths:
                    one.texts = self._texts(one, self._content_key(wrapped), bodies)
            except Tampered:
                one.readable = False

    @staticmethod
    def _texts(one: _Call, key: ContentKey, bodies: Mapping[int, bytes | None]) -> Mapping[int, str]:
        found = {}
        for part in _measured(one):
            body = bodies.get(part.message_id)
            if body is None:
                raise Tampered("Part of its content is not there.")
            found[part.message_id] = key.open(bytes(body), b"message:%d" % part.message_id).decode()
        return found

    def _content_key(self, wrapped: Any) -> ContentKey:
        known = bytes(wrapped)
        if known not in self._keys:
            if len(self._keys) >= 20_000:
                self._keys.clear()
            self._keys[known] = self._keyring().unwrap(known)
        return self._keys[known]

    def around(
        self, calls: Sequence[Recorded], scopes: frozenset[PolicyScope]
    ) -> Mapping[int, tuple[Sequence[Recorded], int]]:
        ids = [one.id for one in calls]
        known = {one.id: one for one in calls if isinstance(one, _Call)}
        connection = self._moment()
        near = sequences.near(connection, ids, scopes, then={number: _then(one) for number, one in known.items()})
        missing = list({number for numbers, _ in near.values() for number in numbers} - known.keys())
        rows = bulk.select_in(connection, f"{_DECIDED}{_MORE}{_FROM} WHERE c.id IN {{in}}", missing)
        known |= {one.id: one for one in self._calls(rows)}
        return {
            number: ([known[other] for other in sorted(others)], left_out)
            for number, (others, left_out) in near.items()
            if others or left_out
        }

    def load(self, call_ids: Sequence[int], sets: Deciding, scopes: frozenset[PolicyScope]) -> list[LoadedCall]:
        """Whole calls to examine again, as `CheckStore.load` of `services.calls.check` gives them, with the other calls
        that were known when each was decided."""
        if self._opener is None:
            self._opener = CallOpener(self._keyring())
        connection = self._moment()
        loaded = self._opener.open(connection, call_ids, sets=sets)
        if not scopes - {PolicyScope.CALL} or not loaded:
            return loaded
        rows = bulk.select_in(connection, f"{_DECIDED}{_MORE}{_FROM} WHERE c.id IN {{in}}", call_ids)
        then = {row[_ID]: row[_DECIDED_AT] or 2**62 for row in rows}
        return sequences.with_around(connection, self._opener, loaded, sets=sets, scopes=scopes, then=then)

    def keys_of(self, call_ids: Sequence[int]) -> Mapping[int, Key]:
        """What these calls are counted by."""
        connection = self._moment()
        rows = bulk.select_in(connection, f"{_DECIDED}{_FROM} WHERE c.id IN {{in}}", call_ids)
        return {row[_ID]: _Call(row, self).key for row in rows}

    # What decided, and what people decided

    def policy_set(self, number: int) -> PolicySet | None:
        if number not in self._sets:
            try:
                connection = self._moment()
                self._sets[number] = stored_set(connection, number)
            except (ValueError, KeyError, sa.exc.NoResultFound):
                self._sets[number] = None
        return self._sets[number]

    def versions(self, digest: str) -> Mapping[str, str]:
        if digest not in self._versions:
            connection = self._moment()
            text = connection.execute(
                sa.select(t.detector_set.c.versions).where(t.detector_set.c.digest == digest)
            ).scalar()
            self._versions[digest] = {} if text is None else json.loads(text)
        return self._versions[digest]

    def judged(self, span: Span) -> Mapping[int, bool]:
        c, v, k = t.case.c, t.verdict.c, t.call.c
        shown = sa.union(
            sa.select(c.id, c.call_id).where(c.call_id.is_not(None)),
            sa.select(t.case_call.c.case_id, t.case_call.c.call_id),
        ).subquery()
        statement = (
            sa.select(shown.c.call_id, c.kind, v.outcome)
            .join(t.case, c.id == shown.c.id)
            .join(t.verdict, sa.and_(v.case_id == c.id, v.returned_at.is_(None)))
            .join(t.call, k.id == shown.c.call_id)
            .where(c.state == CaseState.DECIDED.value, *self._clauses(span))
        )
        found: dict[int, bool] = {}
        connection = self._moment()
        for number, kind, outcome in connection.execute(statement):
            violation = outcome == VerdictOutcome.VIOLATION.value
            if kind == CaseKind.FLAGGED.value or violation:  # a report that was wrong says nothing about a flag
                found[int(number)] = found.get(int(number), False) or violation
        return found

    def handling(self, span: Span, since: int) -> Handling:
        """How long verdicts took that were given since then (microseconds since 1970), and how many cases were opened
        about calls of the span."""
        c, v, k = t.case.c, t.verdict.c, t.call.c
        flagged = c.kind == CaseKind.FLAGGED.value
        measured = (
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(v.seconds), 0))
            .select_from(t.verdict)
            .join(t.case, c.id == v.case_id)
            .where(flagged, v.returned_at.is_(None), v.given_at >= since)
        )
        if span.system:
            measured = measured.where(c.system_id == self._system(span.system))
        opened = (
            sa.select(sa.func.count())
            .select_from(t.case)
            .join(t.call, k.id == c.call_id)
            .where(flagged, *self._clauses(span))
        )
        connection = self._moment()
        verdicts, seconds = connection.execute(measured).one()
        cases = connection.execute(opened).scalar_one()
        return Handling(verdicts=int(verdicts), seconds=int(seconds), cases=int(cases))

    def _clauses(self, span: Span) -> list[sa.ColumnElement[bool]]:
        k = t.call.c
        clauses = [k.started_at >= micros(span.since), k.started_at < micros(span.until)]
        if span.system:
            clauses.append(k.system_id == self._system(span.system))
        return clauses


def _measured(one: _Call) -> list[StoredPart]:
    """The parts whose length conditions can read."""
    return [part for part in one.frame if part.kind in (PartKind.OUTPUT, PartKind.DOCUMENT)]


def _then(one: _Call) -> int:
    return int(one.row[_DECIDED_AT] or 0)
