"""The tables as the state check compares them with the log. Implements `services.evidence.state.StateTables`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from governance.audit.commitment import commitment, opening
from governance.domain.decisions import Severity
from governance.errors import Misconfigured
from governance.privacy.keys import ContentKey, KeyRing
from governance.services.calls import events as call_events
from governance.services.evidence.state import CallRow, DecisionRow
from governance.store.base import bulk, sealed, stated
from governance.store.base import tables as t
from governance.store.calls.opening import CallOpener
from governance.store.calls.record import FACTS, facts_text

_PAGE = 5_000
_SEVERITIES = {0: "", **{severity.rank: severity.value for severity in Severity}}


class StatementSpool:
    """Statements by row, in a private SQLite file that the system deletes (`""`): memory stays bounded."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.execute("PRAGMA cache_size=-32768")
        self._file.execute(
            'CREATE TABLE said ("table" TEXT, name TEXT, "order" INTEGER, place INTEGER, text TEXT, '
            'PRIMARY KEY ("table", name)) WITHOUT ROWID'
        )

    def put(self, said: Iterable[tuple[str, str, int, int, str | None]]) -> None:
        self._file.executemany(
            'INSERT INTO said VALUES (?, ?, ?, ?, ?) ON CONFLICT ("table", name) DO UPDATE SET '
            '"order" = excluded."order", place = excluded.place, text = excluded.text '
            'WHERE excluded."order" >= said."order"',
            said,
        )

    def rows(self, table: str) -> Iterator[tuple[str, int, str | None]]:
        yield from self._file.execute('SELECT name, place, text FROM said WHERE "table" = ? ORDER BY name', (table,))

    def known(self, table: str, names: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for chunk in bulk.chunks(names, 500):
            marks = ", ".join("?" * len(chunk))
            statement = f'SELECT name FROM said WHERE "table" = ? AND text IS NOT NULL AND name IN ({marks})'  # noqa: S608
            found.update(row[0] for row in self._file.execute(statement, (table, *chunk)))
        return found

    def close(self) -> None:
        self._file.close()


class SqlStateTables:
    """Reads over the connection of a snapshot. `key_ring` is None for whoever has no key-encryption key."""

    def __init__(self, connection: sa.Connection, key_ring: Callable[[], KeyRing] | None) -> None:
        self._connection = connection
        self._key_ring = key_ring

    @cached_property
    def _opener(self) -> CallOpener | None:
        """Keeps the keys of recent conversations."""
        return None if self._key_ring is None else CallOpener(self._key_ring())

    @property
    def keyed(self) -> bool:
        return self._key_ring is not None

    def spool(self) -> StatementSpool:
        return StatementSpool()

    def stated(self) -> Sequence[str]:
        return tuple(stated.STATED)

    def vanishing(self) -> frozenset[str]:
        return frozenset(name for name, one in stated.STATED.items() if one.vanishes)

    def ordered(self, table: str) -> str:
        return stated.STATED[table].ordered

    def statements(self, table: str, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        one = stated.STATED[table]
        whole = [isinstance(one.table.c[column].type, sa.Integer) for column in one.key]
        keys: list[stated.Key] = []
        for name in names:
            parts = name.split(":")[1:]
            if len(parts) != len(whole) or any(
                n and not part.isdecimal() for part, n in zip(parts, whole, strict=True)
            ):
                continue
            key = tuple(int(part) if n else part for part, n in zip(parts, whole, strict=True))
            keys.append(key[0] if len(key) == 1 else key)
        return stated.present(self._connection, table, keys)

    def names(self, table: str) -> Iterator[Sequence[str]]:
        one = stated.STATED[table]
        batch: list[str] = []
        for row in stated.every(self._connection, one, keys=True):
            key = tuple(getattr(row, name) for name in one.key)
            batch.append(stated.name_of(table, key))
            if len(batch) == _PAGE:
                yield batch
                batch = []
        if batch:
            yield batch

    def count(self, table: str) -> int:
        wanted = sa.select(sa.func.count()).select_from(t.metadata.tables[table])
        if table in stated.STATED and (since := stated.STATED[table].since):
            wanted = wanted.where(t.metadata.tables[table].c[since].isnot(None))
        return int(self._connection.execute(wanted).scalar_one())

    def calls(self, ids: Sequence[int], committed: Container[int]) -> Mapping[int, CallRow]:
        rows = bulk.select_in(self._connection, _CALLS, ids)
        return {row.id: self._call(row, row.id in committed) for row in rows}

    def _call(self, row: Any, committed: bool) -> CallRow:
        key = self._key(row.conversation_id, row.wrapped_key) if committed else None
        # Without the conversation's key nothing can have been committed to.
        facts = parts = None if self._opener is None else ""
        if key is not None:
            facts = commitment(key.opening(call_events.facts_label(row.id)), _facts(row))
            text = call_events.parts_text(row.content_captured, row.parts)
            parts = commitment(key.opening(call_events.parts_label(row.id)), text)
        return CallRow(
            trace=t.as_bytes(row.trace_id).hex(),
            span=t.as_bytes(row.span_id).hex(),
            kind=row.kind,
            system=row.system,
            release=row.fingerprint or "",
            revision=row.revision if isinstance(row.revision, int) else -1,
            status=row.status,
            action=row.action,
            queue=row.queue,
            failure=row.failure,
            received=row.received_at,
            facts=facts,
            parts=parts,
        )

    def decisions(self, ids: Sequence[int]) -> Mapping[int, DecisionRow]:
        return {row.id: self._decision(row) for row in bulk.select_in(self._connection, _DECISIONS, ids)}

    def _decision(self, row: Any) -> DecisionRow:
        key = self._key(row.conversation_id, row.wrapped_key)
        label = call_events.detail_label(row.id)
        return DecisionRow(
            call=row.call_id,
            revision=row.revision,
            policy_set=row.digest or f"set {row.policy_set_id}",
            action=row.action,
            queue=row.queue,
            severity=_SEVERITIES.get(row.severity, str(row.severity)),
            shadow=row.shadow,
            detectors=row.detector_set,
            at=row.decided_at,
            detail=row.detail,
            shown=self._committed(key, label, stated.as_text(row.detail)),
        )

    def texts(self, subjects: Sequence[int]) -> Mapping[tuple[int, str], str | None]:
        found: dict[tuple[int, str], str | None] = {}
        for row in bulk.select_in(self._connection, _TEXTS, subjects):
            key = self._key(row.conversation, row.wrapped_key)
            shown = row.redacted  # of an earlier version, not sealed yet
            if row.sealed is not None and key is not None:
                bound_to = sealed.examination_of(row.subject_id, str(row.detector_set))
                shown = sealed.opened(key, t.as_bytes(row.sealed), bound_to) + ("" if shown is None else f"\0{shown}")
            text = call_events.examined_text(row.findings, None if shown is None else str(shown))
            label = call_events.text_label(row.subject_id, row.detector_set)
            found[row.subject_id, row.detector_set] = self._committed(key, label, text)
        return found

    def _committed(self, key: ContentKey | None, label: str, text: str | bytes) -> str | None:
        """None for whoever has no keys. Where the content was erased before it was decided, the log's commitment has
        none either."""
        if key is not None:
            return commitment(key.opening(label), text)
        return None if self._opener is None else commitment(opening(b"", label), text)

    def ids(self, table: str) -> Iterator[int]:
        return self._ids(t.metadata.tables[table])

    def decided_calls(self) -> Iterator[int]:
        return self._ids(t.call, t.call.c.status != "recorded")

    def _ids(self, table: sa.Table, where: sa.ColumnElement[bool] | None = None) -> Iterator[int]:
        wanted = sa.select(table.c.id).order_by(table.c.id).limit(_PAGE)
        if where is not None:
            wanted = wanted.where(where)
        after = -(2**62)
        while True:
            page = self._connection.execute(wanted.where(table.c.id > after)).scalars().all()
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1]

    def text_keys(self) -> Iterator[tuple[int, str]]:
        e = t.examination.c
        wanted = sa.select(e.subject_id, e.detector_set).order_by(e.subject_id, e.detector_set).limit(_PAGE)
        after: tuple[int, str] | None = None
        while True:
            page = wanted if after is None else wanted.where(sa.tuple_(e.subject_id, e.detector_set) > after)
            rows = self._connection.execute(page).all()
            yield from ((row[0], row[1]) for row in rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][0], rows[-1][1])

    def systems(self) -> Mapping[int, str]:
        return {row.id: row.name for row in self._connection.execute(sa.select(t.system.c.id, t.system.c.name))}

    def releases(self) -> Iterator[tuple[int, str, str]]:
        c = t.release.c
        for row in self._connection.execute(sa.select(c.id, c.fingerprint, c.parts)):
            yield row.id, row.fingerprint, row.parts

    def policy_sets(self) -> Iterator[tuple[int, str, str]]:
        c = t.policy_set.c
        for number in self._connection.execute(sa.select(c.id).order_by(c.id)).scalars().all():
            row = self._connection.execute(sa.select(c.digest, c.policies).where(c.id == number)).one()
            yield number, row.digest, row.policies

    def _key(self, conversation: int | None, wrapped: bytes | None) -> ContentKey | None:
        if self._opener is None or conversation is None or wrapped is None:
            return None
        try:
            return self._opener.key(conversation, t.as_bytes(wrapped))
        except Misconfigured:  # this one does not fit; others do, or the database would not have been opened
            return None


def _facts(row: Any) -> bytes:
    """As `record.facts_text` has it when the call is recorded."""
    try:
        return facts_text(
            t.as_bytes(row.parent_span_id).hex() if row.parent_span_id else "",
            row.system,
            row.fingerprint or "",
            row.conversation_id,
            tuple(getattr(row, name) for name in FACTS),
            None if row.attributes is None else t.as_bytes(row.attributes),
        )
    except ValueError:  # bytes where text belongs
        return b""


_CALLS = (
    "SELECT c.*, s.name AS system, r.fingerprint, v.wrapped_key FROM call c JOIN system s ON s.id = c.system_id "
    "JOIN conversation v ON v.id = c.conversation_id LEFT JOIN release r "
    "ON r.id = c.release_id AND r.system_id = c.system_id WHERE c.id IN {in}"
)
_DECISIONS = (
    "SELECT d.*, p.digest, c.conversation_id, v.wrapped_key FROM decision d "
    "LEFT JOIN policy_set p ON p.id = d.policy_set_id LEFT JOIN call c ON c.id = d.call_id LEFT JOIN conversation v "
    "ON v.id = c.conversation_id WHERE d.id IN {in}"
)
_TEXTS = (
    "SELECT e.subject_id, e.detector_set, e.findings, e.redacted, e.sealed, v.id AS conversation, v.wrapped_key "
    "FROM examination e LEFT JOIN message m ON m.id = e.subject_id LEFT JOIN call c ON c.id = e.subject_id "
    "LEFT JOIN conversation v ON v.id = coalesce(m.conversation_id, c.conversation_id) WHERE e.subject_id IN {in}"
)
