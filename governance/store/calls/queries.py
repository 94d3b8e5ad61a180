"""Calls and traces as the console shows them: redacted text only, newest first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from governance.domain.calls import CallKind, CallStatus
from governance.domain.content import PartKind
from governance.domain.people import Systems
from governance.domain.times import micros, moment
from governance.privacy import alignment
from governance.privacy.alignment import Replacement
from governance.services.calls.read import (
    After,
    CallFilter,
    CallPage,
    CallRow,
    CallView,
    Checking,
    DecisionView,
    ShownPart,
    TraceStep,
)
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.scope import within
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import documents, erased, facts, health, search
from governance.store.calls import parts as stored
from governance.store.calls.redacted import RedactedTexts

# What no index answers (a model's name, a kind) is looked for among so many calls at a time: a page stays fast on any
# number of calls, and says how far it looked.
SCAN = 20_000

FLAGGED = sa.text("(call.queue <> '' OR call.action NOT IN ('', 'allow'))")


_COLUMNS = (
    t.call.c.id,
    t.call.c.trace_id,
    t.call.c.system_id,
    t.call.c.kind,
    t.call.c.name,
    t.call.c.model,
    t.call.c.status,
    t.call.c.action,
    t.call.c.queue,
    t.call.c.error,
    t.call.c.content_captured,
    t.call.c.started_at,
    t.call.c.duration_us,
    t.call.c.input_tokens,
    t.call.c.output_tokens,
    t.call.c.parts,
)

_SOUGHT = (
    t.call.c.id,
    t.call.c.started_at,
    t.call.c.system_id,
    t.call.c.kind,
    t.call.c.model,
    t.call.c.error,
    t.call.c.content_captured,
    t.call.c.status,
)


def page(
    connection: sa.Connection,
    texts: RedactedTexts,
    want: CallFilter,
    systems: Systems = None,
    *,
    after: After | None = None,
    limit: int = 50,
) -> CallPage:
    """One page of the calls of `systems`, newest first. `after` is the last page's `next`."""
    if want.words.strip():
        return _found_by_words(connection, texts, want, systems, after, limit)
    c = t.call.c
    ahead = _times(want)
    if after is not None:
        ahead.append(sa.tuple_(c.started_at, c.id) < sa.tuple_(*map(sa.literal, after)))
    if want.flagged:
        ahead.append(FLAGGED)  # type: ignore[arg-type]
    order = (c.started_at.desc(), c.id.desc())
    if systems is not None and len(systems) == 1 and not want.flagged:
        ahead.append(c.system_id == systems[0])
        systems = None
    if not _conditions(want, systems, c):
        rows = connection.execute(sa.select(*_COLUMNS).where(*ahead).order_by(*order).limit(limit + 1)).all()
        return _page(connection, texts, rows, limit)
    # The limit inside is what keeps a database from looking through everything: no condition moves in past it.
    window = sa.select(*_SOUGHT).where(*ahead).order_by(*order).limit(SCAN).subquery("looked")
    w = window.c
    hits = (
        sa.select(w.id)
        .where(*_conditions(want, systems, w))
        .order_by(w.started_at.desc(), w.id.desc())
        .limit(limit + 1)
    )
    ids = connection.execute(hits).scalars().all()
    rows = connection.execute(sa.select(*_COLUMNS).where(c.id.in_(ids)).order_by(*order)).all()
    found = _page(connection, texts, rows, limit)
    if found.next is None:
        looked = sa.select(c.started_at, c.id).where(*ahead).order_by(*order).limit(SCAN).subquery()
        edge = connection.execute(
            sa.select(looked, sa.func.count().over().label("among")).order_by(looked.c.started_at, looked.c.id).limit(1)
        ).first()
        if edge is not None and edge.among == SCAN:
            return CallPage(rows=found.rows, next=(edge.started_at, edge.id), looked_until=moment(edge.started_at))
    return found


def _times(want: CallFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if want.since is not None:
        found.append(t.call.c.started_at >= micros(want.since))
    if want.until is not None:
        found.append(t.call.c.started_at < micros(want.until))
    return found


def _conditions(
    want: CallFilter, systems: Systems, c: ReadOnlyColumnCollection[str, Any]
) -> list[sa.ColumnElement[bool]]:
    """What no index answers, on columns `c` that have the names of `_SOUGHT`."""
    found: list[sa.ColumnElement[bool]] = []
    if systems is not None:
        found.append(within(c.system_id, systems))
    if want.kind:
        found.append(c.kind == want.kind)
    if want.model:
        found.append(sa.func.lower(c.model).startswith(want.model.lower(), autoescape=True))
    if want.status == "uncaptured":
        found += [c.content_captured == 0, c.kind == CallKind.LLM.value]  # other steps need not hold text
    elif want.status == "error":
        found.append(c.error != "")
    elif want.status:
        found.append(c.status == want.status)
    return found


def _found_by_words(
    connection: sa.Connection,
    texts: RedactedTexts,
    want: CallFilter,
    systems: Systems,
    after: After | None,
    limit: int,
) -> CallPage:
    """Pages by the ids of the messages found: the order in which content first arrived."""
    before = after[1] if after is not None else None
    conditions = [*_times(want), *_conditions(want, systems, t.call.c)]
    if want.flagged:
        conditions.append(FLAGGED)  # type: ignore[arg-type]
    rows: dict[int, Any] = {}
    for _round in range(5):
        messages = search.find(connection, texts.words, want.words, before=before, limit=200)
        if not messages:
            return CallPage(rows=tuple(_rows(connection, texts, list(rows.values()))), next=None)
        homes = connection.execute(sa.select(t.message.c.id, t.message.c.call_id).where(t.message.c.id.in_(messages)))
        call_of = {row.id: row.call_id for row in homes}
        calls = set(call_of.values()) - rows.keys()
        hits = {
            row.id: row for row in connection.execute(sa.select(*_COLUMNS).where(t.call.c.id.in_(calls), *conditions))
        }
        for message in messages:
            before = message
            row = hits.get(call_of.get(message, 0))
            if row is not None and row.id not in rows:
                rows[row.id] = row
                if len(rows) == limit:
                    return CallPage(rows=tuple(_rows(connection, texts, list(rows.values()))), next=(0, before))
        if len(messages) < 200:
            return CallPage(rows=tuple(_rows(connection, texts, list(rows.values()))), next=None)
    return CallPage(rows=tuple(_rows(connection, texts, list(rows.values()))), next=(0, before or 0))


def _page(connection: sa.Connection, texts: RedactedTexts, rows: Sequence[Any], limit: int) -> CallPage:
    more = len(rows) > limit
    rows = rows[:limit]
    return CallPage(
        rows=tuple(_rows(connection, texts, rows)), next=(rows[-1].started_at, rows[-1].id) if more and rows else None
    )


def _rows(connection: sa.Connection, texts: RedactedTexts, rows: Sequence[Any]) -> Iterable[CallRow]:
    systems = _names(connection, {row.system_id for row in rows})
    said = {row.id: message for row in rows if (message := _telling_part(row.parts)) is not None}
    shown = texts.texts(connection, said.values(), cut=160)
    for row in rows:
        yield CallRow(
            id=row.id,
            trace_id=bytes(row.trace_id).hex(),
            system=systems[row.system_id],
            kind=CallKind(row.kind),
            name=row.name,
            model=row.model,
            status=CallStatus(row.status),
            action=row.action,
            queue=row.queue,
            error=row.error,
            content_captured=bool(row.content_captured),
            started_at=moment(row.started_at),
            duration_ms=None if row.duration_us is None else row.duration_us / 1000,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            excerpt=" ".join((shown.get(said.get(row.id, 0)) or "").split()),
        )


# What a list shows of a call: what came out, else what was asked.
_TELLING = (PartKind.OUTPUT, PartKind.INPUT, PartKind.TOOL_CALL, PartKind.DOCUMENT, PartKind.SYSTEM)


def _telling_part(parts: str) -> int | None:
    last: dict[str, int] = {}
    for values in json.loads(parts):
        last[values[0]] = values[1]
    return next((last[kind] for kind in _TELLING if kind in last), None)


def _names(connection: sa.Connection, ids: Iterable[int]) -> dict[int, str]:
    rows = connection.execute(sa.select(t.system.c.id, t.system.c.name).where(t.system.c.id.in_(set(ids))))
    return {row.id: row.name for row in rows}


def find(connection: sa.Connection, texts: RedactedTexts, number: int, systems: Systems = None) -> CallView | None:
    """One call, or None when there is none or it belongs to a system that the actor may not see."""
    row = connection.execute(
        sa.select(t.call).where(t.call.c.id == number, within(t.call.c.system_id, systems))
    ).first()
    if row is None:
        return None
    (short,) = _rows(connection, texts, [row])
    frames = stored.decode(row.parts)
    ids = {frame.message_id for frame in frames}
    shown = texts.texts(connection, ids)
    gone = set(
        connection.execute(
            sa.select(t.message.c.id).where(t.message.c.id.in_(ids), t.message.c.body.is_(None))
        ).scalars()
    )
    release = (
        connection.execute(sa.select(t.release.c.parts).where(t.release.c.id == row.release_id)).scalar()
        if row.release_id
        else None
    )
    conflicts = connection.execute(
        sa.select(sa.func.count()).select_from(t.call_conflict).where(t.call_conflict.c.call_id == number)
    ).scalar_one()
    joined = sa.select(t.case_call.c.case_id).where(t.case_call.c.call_id == number)
    opened = sa.select(t.case.c.id).where(t.case.c.call_id == number).union(joined)
    cases = connection.execute(
        sa.select(t.case.c.id, t.case.c.title, t.case.c.state).where(t.case.c.id.in_(opened)).order_by(t.case.c.id)
    )
    return CallView(
        id=row.id,
        system_id=row.system_id,
        conversation_id=row.conversation_id,
        span_id=bytes(row.span_id).hex(),
        parent_span_id=bytes(row.parent_span_id or b"").hex(),
        release=json.loads(release) if release else {},
        session=bool(row.session_id),
        user_role=row.user_role,
        provider=row.provider,
        cached_tokens=row.cached_tokens,
        failure=row.failure,
        received_at=moment(row.received_at),
        revision=row.revision,
        row=short,
        parts=tuple(
            ShownPart(part=frame, text=shown.get(frame.message_id), erased=frame.message_id in gone) for frame in frames
        ),
        decisions=decisions(connection, number),
        cases=tuple((case.id, case.title, case.state) for case in cases),
        conflicts=int(conflicts),
        gone=erased.gone(connection, "call", [number]).get(number),
    )


def decisions(connection: sa.Connection, call_id: int) -> tuple[DecisionView, ...]:
    """Decisions of a call: those in force, the latest first, then those of sets in shadow."""
    d = t.decision.c
    rows = connection.execute(_DECISIONS.where(d.call_id == call_id).order_by(d.shadow, d.revision.desc(), d.id.desc()))
    return tuple(map(_decision, rows))


def decision(connection: sa.Connection, number: int, systems: Systems = None) -> DecisionView | None:
    """One decision, or None when there is none or it belongs to a system that the actor may not see."""
    wanted = _DECISIONS.where(t.decision.c.id == number)
    if systems is not None:
        wanted = wanted.join(t.call, t.call.c.id == t.decision.c.call_id).where(within(t.call.c.system_id, systems))
    row = connection.execute(wanted).first()
    return None if row is None else _decision(row)


_DECISIONS = sa.select(t.decision, t.policy_set.c.digest).join(
    t.policy_set, t.policy_set.c.id == t.decision.c.policy_set_id
)


def _decision(row: sa.Row[Any]) -> DecisionView:
    return DecisionView(
        id=row.id,
        action=row.action,
        queue=row.queue,
        severity=row.severity,
        policy_set=row.digest,
        detail=facts.decode_detail(row.detail),
        decided_at=moment(row.decided_at),
        revision=row.revision,
        shadow=bool(row.shadow),
    )


def trace(connection: sa.Connection, trace_id: str, systems: Systems = None, most: int = 200) -> list[TraceStep]:
    """The steps of a trace, each below its parent, in order of time; at most `most`."""
    c = t.call.c
    rows = connection.execute(
        sa.select(
            c.id,
            c.name,
            c.kind,
            c.span_id,
            c.parent_span_id,
            c.started_at,
            c.duration_us,
            c.action,
            c.queue,
            c.error,
            c.input_tokens,
            c.output_tokens,
        )
        .where(c.trace_id == bytes.fromhex(trace_id), within(c.system_id, systems))
        .order_by(c.started_at, c.id)
        .limit(most)
    ).all()
    if not rows:
        return []
    spans = {bytes(row.span_id) for row in rows}
    below: dict[bytes, list[Any]] = {}
    for row in rows:
        parent = bytes(row.parent_span_id or b"")
        below.setdefault(parent if parent in spans and parent != bytes(row.span_id) else b"", []).append(row)
    first = min(row.started_at for row in rows)
    steps: list[TraceStep] = []
    seen: set[int] = set()
    waiting = [(row, 0) for row in reversed(below.get(b"", []))]
    while waiting:
        row, depth = waiting.pop()
        if row.id in seen:
            continue
        seen.add(row.id)
        steps.append(_step(row, depth, first))
        waiting.extend((child, depth + 1) for child in reversed(below.get(bytes(row.span_id), [])))
    steps.extend(_step(row, 0, first) for row in rows if row.id not in seen)  # parents that form a ring
    return steps


def _step(row: Any, depth: int, first: int) -> TraceStep:
    return TraceStep(
        id=row.id,
        name=row.name,
        kind=CallKind(row.kind),
        depth=depth,
        offset_ms=(row.started_at - first) / 1000,
        duration_ms=(row.duration_us or 0) / 1000,
        flagged=bool(row.queue) or row.action not in ("", "allow"),
        failed=bool(row.error),
        input_tokens=row.input_tokens or 0,
        output_tokens=row.output_tokens or 0,
    )


def replacements(
    connection: sa.Connection, texts: RedactedTexts, messages: Iterable[int]
) -> dict[int, tuple[Replacement, ...] | None]:
    """What each message's redacted text stands for, so that places in the original can be found in it; None where
    that can't be told."""
    newest = {one.subject: one for one in texts.read(connection, messages)}
    return {
        one.subject: alignment.replacements(one.text, facts.decode_examination(one.findings).findings)
        for one in newest.values()
    }


class CallQueries:
    """Implements `services.calls.read.CallQueries`: each method is one short read."""

    def __init__(
        self,
        database: Database[UnitOfWork],
        texts: Callable[[], RedactedTexts],
        attributes: Callable[[], documents.AttributeReader],
    ) -> None:
        self._database = database
        self._texts = texts
        self._attributes = attributes

    def page(self, want: CallFilter, systems: Systems, *, after: After | None, limit: int) -> CallPage:
        with self._database.read() as connection:
            return page(connection, self._texts(), want, systems, after=after, limit=limit)

    def find(self, number: int, systems: Systems) -> CallView | None:
        with self._database.read() as connection:
            return find(connection, self._texts(), number, systems)

    def decision(self, number: int, systems: Systems) -> DecisionView | None:
        with self._database.read() as connection:
            return decision(connection, number, systems)

    def steps(self, trace_id: str, systems: Systems, *, most: int) -> list[TraceStep]:
        with self._database.read() as connection:
            return trace(connection, trace_id, systems, most)

    def replacements(self, messages: Iterable[int]) -> dict[int, tuple[Replacement, ...] | None]:
        with self._database.read() as connection:
            return replacements(connection, self._texts(), messages)

    def documents(self, ids: Sequence[int], systems: Systems, *, attributes: bool) -> list[dict[str, Any]]:
        reader = self._attributes() if attributes else None
        with self._database.read() as connection:
            return documents.read_calls(connection, ids, texts=self._texts(), systems=systems, attributes=reader)

    def decision_document(self, number: int, systems: Systems) -> dict[str, Any] | None:
        with self._database.read() as connection:
            return documents.read_decision(connection, number, systems)

    def checking(self, now: datetime) -> Checking:
        with self._database.read() as connection:
            return Checking(
                detectors=health.detectors(connection),
                workers=health.workers(connection),
                backlog=health.backlog(connection, now),
            )
