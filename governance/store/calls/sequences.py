"""The other steps of calls' traces and sessions: their frames, and what was found in them before. No text is opened,
unless the detectors in force have not looked at it yet: then it is examined once, like any other content.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from governance.detectors.runner import KnownFindings
from governance.domain.calls import Call, CallKind, EndUser, Release
from governance.domain.content import StoredPart
from governance.domain.decisions import PolicyScope
from governance.domain.findings import Examination
from governance.domain.steps import Around, OtherCall
from governance.domain.times import moment
from governance.services.calls.check import NOTHING, Deciding, LoadedCall
from governance.store.base import bulk
from governance.store.calls import parts

MOST_STEPS = 200
"""Calls of one trace or session that a decision reads."""
MOST_CANDIDATES = 20_000
"""Rows that are looked at for choosing them, for all calls of a batch."""
_FLAGGED_KEPT = 50
"""Of the calls that are read, at most so many because they were flagged, however old they are."""


class ExaminedFindings(Protocol):
    """`store.calls.opening.Findings`."""

    said: dict[int, Examination]
    partly: dict[int, KnownFindings]


class Opener(Protocol):
    """`store.calls.opening.CallOpener`."""

    def open(
        self, connection: sa.Connection, call_ids: Sequence[int], *, sets: Deciding | None = ..., waiting: bool = ...
    ) -> list[LoadedCall]: ...

    def found(self, connection: sa.Connection, wanted: Sequence[int], sets: Deciding) -> ExaminedFindings: ...

    def found_of_calls(self, connection: sa.Connection, wanted: Sequence[int], sets: Deciding) -> ExaminedFindings: ...


def around_of(
    connection: sa.Connection,
    opener: Opener,
    loaded: Sequence[LoadedCall],
    *,
    sets: Deciding,
    scopes: frozenset[PolicyScope],
    then: Mapping[int, int] | None = None,
) -> dict[int, Around]:
    """For each call that has any: the other calls of its trace and session; `then` as `near` has it."""
    chosen = near(connection, [item.id for item in loaded], scopes, then=then)
    wanted = {number for numbers, _ in chosen.values() for number in numbers}
    here = {item.id: _of_loaded(item, waiting=True) for item in loaded if item.id in wanted and item.call is not None}
    known = here | _read(connection, opener, sorted(wanted - {item.id for item in loaded}), sets)
    return {
        item.id: Around(
            others=tuple(known[number] for number in sorted(chosen[item.id][0]) if number in known),
            left_out=chosen[item.id][1],
            content=tuple(item.message_ids),
        )
        for item in loaded
        if item.id in chosen
    }


def with_around(
    connection: sa.Connection,
    opener: Opener,
    loaded: Sequence[LoadedCall],
    *,
    sets: Deciding,
    scopes: frozenset[PolicyScope],
    then: Mapping[int, int] | None = None,
) -> list[LoadedCall]:
    """The calls, each with the others around it."""
    around = around_of(connection, opener, loaded, sets=sets, scopes=scopes, then=then)
    return [replace(item, around=around[item.id]) if item.id in around else item for item in loaded]


def near(
    connection: sa.Connection,
    call_ids: Sequence[int],
    scopes: frozenset[PolicyScope],
    *,
    then: Mapping[int, int] | None = None,
) -> dict[int, tuple[frozenset[int], int]]:
    """For each call that has any: the other calls of its trace and session that a decision reads, and how many were
    left out. `then` says for each call up to when (microseconds since 1970) the others had to be received to count."""
    groups, cut = _groups(connection, call_ids, scopes)
    keys_of: dict[int, list[Any]] = defaultdict(list)
    for key, rows in groups.items():
        for row in rows:
            keys_of[row.id].append(key)
    chosen: dict[Any, frozenset[int]] = {}
    found: dict[int, tuple[frozenset[int], int]] = {}
    for number in call_ids:
        numbers: set[int] = set()
        left_out = cut
        for key in keys_of[number]:
            rows = groups[key]
            if then is not None:
                rows = [row for row in rows if row.received_at <= then[number] or row.id == number]
            if len(rows) < 2:
                continue
            if len(rows) < len(groups[key]):
                kept = _chosen(rows)
            else:
                kept = chosen.get(key) or chosen.setdefault(key, _chosen(rows))
            numbers |= kept
            left_out += len(rows) - len(kept)
        numbers.discard(number)
        if numbers or left_out:
            found[number] = (frozenset(numbers), left_out)
    return found


class _Row(NamedTuple):
    id: int
    started_at: int
    received_at: int
    flagged: bool


def _groups(
    connection: sa.Connection, call_ids: Sequence[int], scopes: frozenset[PolicyScope]
) -> tuple[dict[tuple[str, Any], list[_Row]], int]:
    """The calls of each trace and session that the calls belong to; and 1 if there were too many to look at."""
    own = bulk.select_in(
        connection, "SELECT id, trace_id, conversation_id, session_id FROM call WHERE id IN {in}", call_ids
    )
    groups: dict[tuple[str, Any], list[_Row]] = defaultdict(list)
    limit = f"LIMIT {MOST_CANDIDATES}"
    looked = 0
    if PolicyScope.TRACE in scopes or any(not row.session_id for row in own):
        traces = list(dict.fromkeys(bytes(row.trace_id) for row in own))
        statement = (
            f"SELECT trace_id, id, started_at, received_at, action, queue FROM call WHERE trace_id IN {{in}} {limit}"  # noqa: S608
        )
        for trace, *row in bulk.select_in(connection, statement, traces):
            groups["trace", bytes(trace)].append(_light(*row))
            looked += 1
    if PolicyScope.SESSION in scopes:
        # Found by what they brought: a call of a session that brought nothing new tells nothing new either.
        sessions = list(dict.fromkeys(row.conversation_id for row in own if row.session_id))
        statement = f"SELECT conversation_id, call_id FROM message WHERE conversation_id IN {{in}} {limit}"  # noqa: S608
        pairs = dict.fromkeys(tuple(row) for row in bulk.select_in(connection, statement, sessions))
        pairs.update(dict.fromkeys((row.conversation_id, row.id) for row in own if row.session_id))
        statement = "SELECT id, started_at, received_at, action, queue FROM call WHERE id IN {in}"
        rows = {row[0]: _light(*row) for row in bulk.select_in(connection, statement, [call for _, call in pairs])}
        for conversation, number in pairs:
            if number in rows:
                groups["session", conversation].append(rows[number])
        looked = max(looked, len(pairs))
    return groups, int(looked >= MOST_CANDIDATES)


def _light(number: int, started_at: int, received_at: int, action: str, queue: str) -> _Row:
    return _Row(number, started_at, received_at, bool(queue) or action not in ("", "allow"))


def _chosen(rows: Sequence[_Row]) -> frozenset[int]:
    """The calls of a group that are read: the oldest flagged ones, and the latest."""
    if len(rows) <= MOST_STEPS:
        return frozenset(row.id for row in rows)
    ordered = sorted(rows, key=lambda row: (row.started_at, row.id))
    kept = dict.fromkeys([row.id for row in ordered if row.flagged][:_FLAGGED_KEPT])
    for row in reversed(ordered):
        if len(kept) >= MOST_STEPS:
            break
        kept[row.id] = None
    return frozenset(kept)


def _of_loaded(item: LoadedCall, *, waiting: bool) -> OtherCall:
    """A call with its texts: what is not known of it is examined."""
    assert item.call is not None
    pairs = zip(item.parts, item.message_ids, strict=True)
    return OtherCall(
        id=item.id,
        call=item.call,
        parts=item.parts,
        content=tuple(item.message_ids),
        known={number: item.known[part.content] for part, number in pairs if part.content in item.known},
        waiting=waiting,
    )


def _read(connection: sa.Connection, opener: Opener, call_ids: Sequence[int], sets: Deciding) -> dict[int, OtherCall]:
    """The calls by id; those whose content was erased are not there."""
    rows = [row for row in bulk.select_in(connection, _SELECT, call_ids) if row.wrapped_key is not None]
    frames = {row.id: parts.decode(row.parts) for row in rows}
    messages = {part.message_id: None for frame in frames.values() for part in frame}
    examined = _examined(opener.found(connection, list(messages), sets)) if messages else {}
    of_calls = opener.found_of_calls(connection, [row.id for row in rows], sets) if rows else None
    wholes = _examined(of_calls) if of_calls is not None else {}
    changed = {number for number, found in of_calls.partly.items() if found.missing} if of_calls is not None else set()
    examined |= wholes
    found = {}
    unseen = []
    for row in rows:
        # Of a call as a whole nothing is written down where nothing was found.
        unknown = row.id in changed and row.id not in wholes
        if row.status == "recorded" or unknown or any(part.message_id not in examined for part in frames[row.id]):
            unseen.append(row.id)
        else:
            found[row.id] = _without_texts(row, frames[row.id], examined)
    by_id = {row.id: row for row in rows}
    for item in opener.open(connection, unseen, sets=sets) if unseen else ():
        row = by_id[item.id]
        if item.call is None:
            found[item.id] = replace(_without_texts(row, (), examined), unreadable=item.unreadable)
        else:
            found[item.id] = _of_loaded(item, waiting=row.status == "recorded")
    return found


def _examined(found: ExaminedFindings) -> dict[int, Examination]:
    """What these detectors said, or would say of what earlier ones have examined whole."""
    whole = {number: Examination(findings=one.findings) for number, one in found.partly.items() if not one.missing}
    return whole | found.said


def _without_texts(row: Any, frame: Iterable[StoredPart], examined: Mapping[int, Examination]) -> OtherCall:
    placed = list(frame)
    call = Call(
        trace_id=bytes(row.trace_id).hex(),
        span_id=bytes(row.span_id).hex(),
        kind=CallKind(row.kind),
        name=row.name,
        system=row.system,
        release=Release(**json.loads(row.release)) if row.release else Release(),
        session_id=row.session_id,
        user=EndUser(id=row.user_id, role=row.user_role),
        started_at=moment(row.started_at),
        model=row.model,
        provider=row.provider,
        error=row.error,
        content_captured=bool(row.content_captured),
    )
    return OtherCall(
        id=row.id,
        call=call,
        parts=[part.with_text("") for part in placed],
        content=tuple(part.message_id for part in placed),
        known={part.message_id: examined[part.message_id] for part in placed},
        whole=examined.get(row.id, NOTHING),
    )


_SELECT = (
    "SELECT c.*, s.name AS system, r.parts AS release, v.wrapped_key FROM call c "
    "JOIN system s ON s.id = c.system_id JOIN conversation v ON v.id = c.conversation_id "
    "LEFT JOIN release r ON r.id = c.release_id WHERE c.id IN {in}"
)
