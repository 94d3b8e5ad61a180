"""Records calls: content deduplicated and encrypted, rows, audit events and work in one commit. The hot path.

Rows are built outside the write transaction, from caches that say which systems, conversations and messages exist.
A cache that another process made stale shows itself as a broken unique key: everything is then rolled back, the
caches are dropped, and the work is done again with the truth read inside the transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.exc import IntegrityError, OperationalError

from governance.audit.commitment import commitment
from governance.domain.calls import Call, CallKind, ContentEvent, EndUser, Message, ToolCall, Usage
from governance.domain.content import PartKind
from governance.domain.events import Event
from governance.domain.times import micros
from governance.errors import Overloaded
from governance.privacy.keys import ContentKey, KeyRing
from governance.services.calls import events as call_events
from governance.services.calls.record import Recordable
from governance.store.base import bulk, locks, patience
from governance.store.base import stated as stated_rows
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import parts
from governance.store.calls.prepared import Piece, PreparedCall, pieces_of, prepare, whole
from governance.store.jobs.checking import JobQueue

_CONVERSATIONS = 5_000
_ATTEMPTS = 5
_IMPATIENT_SECONDS = 0.25


@dataclass(kw_only=True, slots=True)
class StoredReceipt:
    """What became of one batch. `call_ids` are the new calls' ids, in order."""

    new: int = 0
    repeated: int = 0
    conflicts: int = 0
    call_ids: list[int] = field(default_factory=list)


class _Conversation:
    """A conversation's key, and the messages it is known to have (digest to message id)."""

    __slots__ = ("id", "key", "seen")

    def __init__(self, number: int, key: ContentKey) -> None:
        self.id = number
        self.key = key
        self.seen: dict[bytes, int] = {}


@dataclass(slots=True)
class _Stored:
    """A call that is there already, or is being written in this commit."""

    id: int
    conversation: _Conversation | None  # None once its key is erased
    span_digest: bytes | None
    revision: int
    parts: str
    captured: bool
    row: int  # index into the rows of this commit, -1 when it is in the database


class _Rows:
    """All that one commit writes. `at` is when it does, as a time and in microseconds."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.now = micros(at)
        self.systems: list[tuple[Any, ...]] = []
        self.releases: list[tuple[Any, ...]] = []
        self.conversations: list[tuple[Any, ...]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.messages: list[tuple[Any, ...]] = []
        self.logs: list[tuple[Any, ...]] = []
        self.conflicts: list[tuple[Any, ...]] = []
        self.updates: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.to_check: dict[int, None] = {}


class _Ready:
    """One batch, ready to be written: its calls, and by span the content that came apart, with the call that is known
    by that alone."""

    __slots__ = ("calls", "contents")

    def __init__(self, batch: Recordable) -> None:
        self.calls: list[PreparedCall] = [call if type(call) is PreparedCall else prepare(call) for call in batch.calls]
        self.contents = [(prepare(_call_of(events)), events) for events in _by_span(batch.content_events)]

    def __iter__(self) -> Iterator[PreparedCall]:
        yield from self.calls
        for call, _ in self.contents:
            yield call


class CallWriter:
    """Not thread-safe: one writer a process. `write` takes several batches and commits them together."""

    def __init__(
        self,
        database: Database[UnitOfWork],
        keyring: KeyRing,
        jobs: JobQueue,
        clock: Callable[[], datetime],
        *,
        patient_seconds: float = patience.LONGEST_SECONDS,
    ) -> None:
        """`patient_seconds` is how long a group may wait for others that hold the database."""
        self._database = database
        self._keyring = keyring
        self._jobs = jobs
        self._clock = clock
        self._systems: dict[str, int] = {}
        self._releases: dict[tuple[int, str], int] = {}
        self._conversations: OrderedDict[tuple[int, str], _Conversation] = OrderedDict()
        self._ids: Iterator[int] = iter(())
        self._erasures: int | None = None
        self._patient = self._patience = patient_seconds

    def forget(self) -> None:
        """Drops the caches: after a rollback, or when content was erased."""
        self._systems.clear()
        self._releases.clear()
        self._conversations.clear()
        self._erasures = None

    def write(self, batches: Sequence[Recordable]) -> list[StoredReceipt]:
        """Commits all batches, or raises and commits none. A resend changes nothing and is counted as repeated."""
        ready = [_Ready(batch) for batch in batches]
        try:
            with patience.at_most(self._patience):
                receipts = self._attempt(ready)
        except Overloaded:
            # What comes next need not wait as long to learn the same.
            self._patience = min(self._patient, _IMPATIENT_SECONDS)
            raise
        self._patience = self._patient
        return receipts

    def _attempt(self, ready: Sequence[_Ready]) -> list[StoredReceipt]:
        for attempt in range(_ATTEMPTS):
            try:
                return self._write(ready, careful=attempt > 0)
            except (IntegrityError, OperationalError) as error:
                self.forget()
                if attempt == _ATTEMPTS - 1 or not _is_race(error):
                    raise
            except BaseException:
                self.forget()
                raise
        raise AssertionError("unreachable")

    def _write(self, batches: Sequence[_Ready], *, careful: bool) -> list[StoredReceipt]:
        most = _most_ids(batches)
        first = self._database.ids.take(most)  # before any transaction: taking may need one of its own
        self._ids = iter(range(first, first + most))
        if careful:
            with self._database.write() as transaction:
                take_turns(transaction.connection)
                receipts, rows = self._build(transaction.connection, batches)
                self._store(transaction, rows)
        else:
            with self._database.read() as connection:
                receipts, rows = self._build(connection, batches)
            if rows.events:
                with self._database.write() as transaction:
                    self._store(transaction, rows)
        while len(self._conversations) > _CONVERSATIONS:
            self._conversations.popitem(last=False)
        return receipts

    def _store(self, transaction: UnitOfWork, rows: _Rows) -> None:
        connection = transaction.connection
        bulk.insert(connection, t.system, rows.systems)
        bulk.insert(connection, t.release, rows.releases)
        bulk.insert(connection, t.conversation, rows.conversations)
        bulk.insert(connection, t.call, rows.calls)
        bulk.insert(connection, t.message, rows.messages)
        bulk.insert(connection, t.call_log, rows.logs)
        bulk.insert(connection, t.call_conflict, rows.conflicts)
        for update in rows.updates:
            self._update(connection, update)
        self._refuse_erased(connection)
        if rows.to_check:
            self._jobs.enqueue(connection, list(rows.to_check))
        transaction.events.extend(rows.events)

    def _refuse_erased(self, connection: sa.Connection) -> None:
        """Nothing is sealed with a key that an erasure destroyed meanwhile. The rows above wait for an erasure under
        way, or make it wait; so whether there was one is read after them."""
        if _erasures(connection) != self._erasures:
            raise IntegrityError("content was erased", None, Exception("stale keys"))

    def _update(self, connection: sa.Connection, update: dict[str, Any]) -> None:
        values = dict(update)
        number, revision = values.pop("id"), values.pop("was_revision")
        done = connection.execute(
            t.call.update().where(t.call.c.id == number, t.call.c.revision == revision).values(**values)
        )
        if done.rowcount != 1:
            raise IntegrityError("the call moved on", None, Exception("stale revision"))

    # -- building

    def _build(self, connection: sa.Connection, batches: Sequence[_Ready]) -> tuple[list[StoredReceipt], _Rows]:
        rows = _Rows(self._clock())
        if self._erasures is None:  # before any key is read
            self._erasures = _erasures(connection)
        calls = [call for batch in batches for call in batch]
        self._load_systems(connection, calls, rows)
        self._load_conversations(connection, calls)
        stored = self._load_calls(connection, calls)
        receipts = []
        for batch in batches:
            receipt = StoredReceipt()
            for call in batch.calls:
                self._add_call(connection, call, rows, stored, receipt)
            for call, events in batch.contents:
                self._add_content(connection, call, events, rows, stored, receipt)
            receipts.append(receipt)
        return receipts, rows

    def _load_systems(self, connection: sa.Connection, calls: Sequence[PreparedCall], rows: _Rows) -> None:
        missing = [name for name in {call.system for call in calls} if name not in self._systems]
        if missing:
            found = bulk.select_in(connection, "SELECT name, id FROM system WHERE name IN {in}", missing)
            self._systems.update((name, number) for name, number in found)
            for name in sorted(set(missing) - {row[0] for row in found}):
                self._systems[name] = number = next(self._ids)
                rows.systems.append((number, name, rows.now))
        fresh = {(self._systems[call.system], call.fingerprint): call.release for call in calls if call.fingerprint}
        unknown = [key for key in fresh if key not in self._releases]
        if unknown:
            statement = (
                "SELECT r.system_id, r.fingerprint, r.id FROM {wanted} release r "
                "ON r.system_id = wanted.a AND r.fingerprint = wanted.b"
            )
            for system, fingerprint, number in bulk.select_pairs(connection, statement, unknown):
                self._releases[system, fingerprint] = number
            for key in unknown:
                if key not in self._releases:
                    self._releases[key] = number = next(self._ids)
                    rows.releases.append((number, *key, fresh[key], rows.now))

    def _load_conversations(self, connection: sa.Connection, calls: Sequence[PreparedCall]) -> None:
        """Reads the conversations that this process has not seen; those that do not exist are made when needed."""
        wanted = {(self._systems[call.system], call.conversation): None for call in calls}
        missing = [key for key in wanted if key not in self._conversations]
        if not missing:
            return
        statement = (
            "SELECT c.system_id, c.key, c.id, c.wrapped_key FROM {wanted} conversation c "
            "ON c.system_id = wanted.a AND c.key = wanted.b"
        )
        found: dict[int, _Conversation] = {}
        for system, key, number, wrapped in bulk.select_pairs(connection, statement, missing):
            if wrapped is not None:
                conversation = _Conversation(number, self._keyring.unwrap(bytes(wrapped)))
                self._conversations[system, key] = found[number] = conversation
        self._load_messages(connection, found)

    def _load_messages(self, connection: sa.Connection, conversations: Mapping[int, _Conversation]) -> None:
        statement = "SELECT conversation_id, digest, id FROM message WHERE conversation_id IN {in}"
        for conversation, digest, number in bulk.select_in(connection, statement, list(conversations)):
            conversations[conversation].seen[bytes(digest)] = number

    def _load_calls(
        self, connection: sa.Connection, calls: Sequence[PreparedCall]
    ) -> dict[tuple[bytes, bytes], _Stored]:
        wanted = dict.fromkeys([call[:2] for call in calls])
        found = bulk.select_pairs(
            connection,
            "SELECT c.trace_id, c.span_id, c.id, c.span_digest, c.revision, c.parts, c.content_captured, "
            "c.conversation_id, v.wrapped_key FROM {wanted} call c ON c.trace_id = wanted.a AND c.span_id = wanted.b "
            "JOIN conversation v ON v.id = c.conversation_id",
            list(wanted),
        )
        cached = {conversation.id: conversation for conversation in self._conversations.values()} if found else {}
        opened: dict[int, _Conversation] = {}
        stored: dict[tuple[bytes, bytes], _Stored] = {}
        for trace, span, number, digest, revision, frame, captured, conversation_id, wrapped in found:
            conversation = cached.get(conversation_id) or opened.get(conversation_id)
            if conversation is None and wrapped is not None:
                conversation = opened[conversation_id] = _Conversation(
                    conversation_id, self._keyring.unwrap(bytes(wrapped))
                )
            stored[bytes(trace), bytes(span)] = _Stored(
                number, conversation, None if digest is None else bytes(digest), revision, frame, bool(captured), -1
            )
        self._load_messages(connection, opened)
        return stored

    def _conversation(self, call: PreparedCall, rows: _Rows) -> _Conversation:
        key = (self._systems[call.system], call.conversation)
        conversation = self._conversations.get(key)
        if conversation is None:
            secret, wrapped = self._keyring.create()
            number = next(self._ids)
            conversation = self._conversations[key] = _Conversation(number, secret)
            rows.conversations.append((number, *key, wrapped, rows.now))
        else:
            self._conversations.move_to_end(key)
        return conversation

    def _messages(
        self,
        pieces: Sequence[Piece],
        digests: Sequence[bytes],
        conversation: _Conversation,
        call_id: int,
        rows: _Rows,
    ) -> list[list[Any]]:
        """Stores what this conversation has not yet; gives the frame's entries."""
        entries = []
        seen, key = conversation.seen, conversation.key
        for (entry, _, text), digest in zip(pieces, digests, strict=True):
            number = seen.get(digest)
            if number is None:
                number = seen[digest] = next(self._ids)
                sealed = key.seal(text, b"message:%d" % number)
                rows.messages.append((number, conversation.id, digest, call_id, sealed))
            entry[1] = number
            entries.append(entry)
        return entries

    def _add_call(
        self,
        connection: sa.Connection,
        call: PreparedCall,
        rows: _Rows,
        stored: dict[tuple[bytes, bytes], _Stored],
        receipt: StoredReceipt,
    ) -> None:
        key = (call.trace_id, call.span_id)
        there = stored.get(key)
        if there is None:
            conversation = self._conversation(call, rows)
            number = next(self._ids)
            digests = _digests(call.pieces, conversation.key)
            digest = _span_digest(call, digests, conversation.key)
            frame = parts.encode(self._messages(call.pieces, digests, conversation, number, rows))
            row = self._row(call, number, conversation, frame, digest, rows.now)
            rows.calls.append(row)
            state = _state(conversation, number, 0, frame, call.captured, facts=_facts_text(call, conversation.id, row))
            content = _commitment(digests, conversation.key)
            rows.events.append(call_events.call_recorded(call, number, content, rows.at, state))
            rows.to_check[number] = None
            captured = call.captured
            stored[key] = _Stored(number, conversation, digest, 0, frame, captured, len(rows.calls) - 1)
            receipt.new += 1
            receipt.call_ids.append(number)
            return
        if there.conversation is None:  # erased: what it was cannot be told any more, and must not come back
            receipt.repeated += 1
            return
        digests = _digests(call.pieces, there.conversation.key)
        digest = _span_digest(call, digests, there.conversation.key)
        if digest == there.span_digest:
            receipt.repeated += 1
        elif there.span_digest is None:
            self._join_span(call, digests, digest, there, rows)
            receipt.new += 1
            receipt.call_ids.append(there.id)
        else:
            self._conflict(connection, call, digest, there, rows)
            receipt.conflicts += 1

    def _row(
        self,
        call: PreparedCall,
        number: int,
        conversation: _Conversation,
        frame: str,
        digest: bytes | None,
        now: int,
    ) -> tuple[Any, ...]:
        """A row of `call`. `digest` is None where no span has come yet: its attributes are the span's."""
        system = self._systems[call.system]
        attributes = call.attributes
        return (
            number,
            call.trace_id,
            call.span_id,
            call.parent_span_id,
            system,
            self._releases[system, call.fingerprint] if call.fingerprint else None,
            conversation.id,
            *call.facts,
            frame,
            None if attributes is None else conversation.key.seal(attributes, b"call:%d" % number),
            digest,
            0,
            "recorded",
            "",
            "",
            "",
            0,
            now,
        )

    def _join_span(
        self,
        call: PreparedCall,
        digests: Sequence[bytes],
        digest: bytes,
        there: _Stored,
        rows: _Rows,
    ) -> None:
        """The span of a call whose content came first, as log records: the span's facts, and content not there yet."""
        conversation = there.conversation
        assert conversation is not None
        entries = self._messages(call.pieces, digests, conversation, there.id, rows)
        frame = parts.encode(_merged(there.parts, entries))
        row = self._row(call, there.id, conversation, frame, digest, 0)
        update = dict(zip(t.call.c.keys(), row, strict=True))
        for unchanged in ("trace_id", "span_id", "conversation_id", "counted", "received_at"):
            update.pop(unchanged)
        update["content_captured"] = int(call.captured or there.captured)
        there.captured |= call.captured
        self._replace(there, update, frame, rows)
        facts = _facts_text(call, conversation.id, row)
        state = _state(conversation, there.id, there.revision, frame, there.captured, facts=facts)
        content = _commitment(digests, conversation.key)
        rows.events.append(call_events.call_recorded(call, there.id, content, rows.at, state))
        there.span_digest = digest

    def _replace(self, there: _Stored, values: dict[str, Any], frame: str, rows: _Rows) -> None:
        """Brings a call to its next revision, to be decided anew; in this commit's rows if it is not written yet."""
        if there.row >= 0:
            columns = list(t.call.c.keys())
            row = dict(zip(columns, rows.calls[there.row], strict=True)) | values
            row["revision"] = 0
            rows.calls[there.row] = tuple(row[name] for name in columns)
        else:
            values |= {"revision": there.revision + 1, "status": "recorded"}
            rows.updates.append(values | {"id": there.id, "was_revision": there.revision})
            there.revision += 1
        there.parts = frame
        rows.to_check[there.id] = None

    def _conflict(
        self, connection: sa.Connection, call: PreparedCall, digest: bytes, there: _Stored, rows: _Rows
    ) -> None:
        conversation = there.conversation
        assert conversation is not None
        if any(row[1] == there.id and row[2] == digest for row in rows.conflicts):
            return
        same = (t.call_conflict.c.call_id == there.id) & (t.call_conflict.c.digest == digest)
        if connection.execute(sa.select(t.call_conflict.c.id).where(same)).first() is not None:
            return
        number = next(self._ids)
        body = conversation.key.seal(whole(call), b"conflict:%d" % number)
        row = (number, there.id, digest, body, rows.now)
        rows.conflicts.append(row)
        stated = stated_rows.of_tuple("call_conflict", row)
        rows.events.append(call_events.call_conflict(there.id, call.system, digest, rows.at, stated))

    def _add_content(
        self,
        connection: sa.Connection,
        call: PreparedCall,
        events: Sequence[ContentEvent],
        rows: _Rows,
        stored: dict[tuple[bytes, bytes], _Stored],
        receipt: StoredReceipt,
    ) -> None:
        """Content that came as log records, for a call that is there already, or is made here to hold it."""
        key = (call.trace_id, call.span_id)
        there = stored.get(key)
        facts: bytes | None = None
        if there is None:
            conversation = self._conversation(call, rows)
            number = next(self._ids)
            frame = "[]"
            row = self._row(call, number, conversation, frame, None, rows.now)
            rows.calls.append(row)
            facts = _facts_text(call, conversation.id, row)
            captured = call.captured
            stored[key] = there = _Stored(number, conversation, None, 0, frame, captured, len(rows.calls) - 1)
            receipt.new += 1
            receipt.call_ids.append(number)
        elif there.conversation is None:
            receipt.repeated += len(events)
            return
        assert there.conversation is not None
        conversation = there.conversation
        received = {conversation.key.digest(_log_bytes(event)): event for event in events}
        written = connection.execute(sa.select(t.call_log.c.digest).where(t.call_log.c.call_id == there.id))
        known = {bytes(row.digest) for row in written} | {row[1] for row in rows.logs if row[0] == there.id}
        fresh = {digest: event for digest, event in received.items() if digest not in known}
        receipt.repeated += len(events) - len(fresh)
        if not fresh:
            return
        rows.logs.extend((there.id, digest, micros(event.at)) for digest, event in fresh.items())
        pieces = pieces_of(_call_of(list(fresh.values())))
        digests = _digests(pieces, conversation.key)
        entries = self._messages(pieces, digests, conversation, there.id, rows)
        merged = _merged(there.parts, entries, repeats=there.span_digest is None)
        frame = parts.encode(merged)
        if frame != there.parts:
            there.captured |= any(map(_has_content, fresh.values()))
            values: dict[str, Any] = {"parts": frame, "content_captured": int(there.captured)}
            self._replace(there, values, frame, rows)
        state = _state(conversation, there.id, there.revision, there.parts, there.captured, facts=facts)
        content = _commitment(digests, conversation.key)
        rows.events.append(call_events.content_added(call, there.id, content, rows.at, state))


def _erasures(connection: sa.Connection) -> int:
    """How many there have been: a number that changes tells that keys in memory may be of erased conversations."""
    return int(connection.execute(sa.select(t.erasure_mark.c.erasures)).scalar_one())


def take_turns(connection: sa.Connection) -> None:
    """Makes writers that met once wait for each other; on SQLite they do anyway."""
    locks.take(connection, locks.Lock.RECORD_AGAIN)


def _is_race(error: IntegrityError | OperationalError) -> bool:
    """Two writers met: on a unique key, or (PostgreSQL, SQLSTATE 40P01 and 40001) in a deadlock."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", "") in ("40P01", "40001")


def _most_ids(batches: Sequence[_Ready]) -> int:
    """At least as many ids as recording the batches can take: its systems, releases, conversations, calls, contents."""
    return 1 + sum(5 + len(call.pieces) for batch in batches for call in batch)


def _digests(pieces: Sequence[Piece], key: ContentKey) -> list[bytes]:
    """By which equal content of a conversation is known: 16 bytes a part."""
    digest = key.digest
    return [digest(same + text)[:16] for _, same, text in pieces]


def _commitment(digests: Sequence[bytes], key: ContentKey) -> bytes:
    """What an audit leaf says of the content: binding, and unguessable without the conversation's key."""
    return key.digest(b"".join(digests))


def _state(
    conversation: _Conversation, number: int, revision: int, parts: str, captured: bool, *, facts: bytes | None
) -> call_events.CallState:
    """Commitments to the row of a call, under the conversation's key."""
    opening = conversation.key.opening
    return call_events.CallState(
        revision=revision,
        parts=commitment(opening(call_events.parts_label(number)), call_events.parts_text(int(captured), parts)),
        facts=None if facts is None else commitment(opening(call_events.facts_label(number)), facts),
    )


def _facts_text(call: PreparedCall, conversation: int, row: tuple[Any, ...]) -> bytes:
    """The facts of a call's row as the log commits to them; `facts_text` gives the same from a stored row."""
    parent = call.parent_span_id
    return facts_text(
        parent.hex() if parent else "", call.system, call.fingerprint, conversation, call.facts[:-1], row[_ATTRIBUTES]
    )


_ATTRIBUTES = list(t.call.c.keys()).index("attributes")
FACTS = list(t.call.c.keys())[7:20]
"""The columns from `kind` to `error`, as `facts_text` takes them."""


def facts_text(
    parent: str, system: str, fingerprint: str, conversation: int, facts: Sequence[Any], attributes: bytes | None
) -> bytes:
    """JSON of a call's facts; the sealed attributes count by their SHA-256."""
    sealed = "" if attributes is None else hashlib.sha256(attributes).hexdigest()
    return to_json([parent, system, fingerprint, conversation, *facts, sealed])


def _span_digest(call: PreparedCall, digests: Sequence[bytes], key: ContentKey) -> bytes:
    """Keyed digest of all that a span says: equal for a resend, different for other content under the same ids."""
    return key.digest(b"\xff".join([call.head, call.attributes or b"", *digests]))


def _merged(frame: str, entries: Sequence[list[Any]], *, repeats: bool = False) -> list[list[Any]]:
    """The frame with entries added. Content that a span and log records both carry is there once;
    log records among themselves may say the same thing twice (`repeats`), because a user may."""
    present = json.loads(frame)
    counts: dict[str, int] = {}
    for entry in present:
        counts[_place(entry)] = counts.get(_place(entry), 0) + 1
    merged = list(present)
    for entry in entries:
        place = _place(entry)
        if not repeats and counts.get(place, 0) > 0:
            counts[place] -= 1
            continue
        merged.append(entry)
    return merged


def _place(entry: list[Any]) -> str:
    return f"{'output' if entry[0] == PartKind.OUTPUT else 'other'}:{entry[1]}"


def _by_span(events: Sequence[ContentEvent]) -> list[list[ContentEvent]]:
    groups: dict[tuple[str, str], list[ContentEvent]] = {}
    for event in events:
        groups.setdefault((event.trace_id, event.span_id), []).append(event)
    for group in groups.values():
        group.sort(key=lambda event: event.at)
    return list(groups.values())


def _log_bytes(event: ContentEvent) -> bytes:
    return to_json([micros(event.at), event.name, parts.pieces_of(_call_of([event]))])


def _call_of(events: Sequence[ContentEvent]) -> Call:
    """Log records of one span as a call: what is known until its span comes."""
    first = events[0]
    heard, tools = _joined(events)
    return Call(
        trace_id=first.trace_id,
        span_id=first.span_id,
        kind=CallKind.LLM,
        name=first.name,
        system=first.system,
        session_id=next((event.session_id for event in events if event.session_id), ""),
        user=next((event.user for event in events if event.user != EndUser()), EndUser()),
        started_at=first.at,
        provider=next((event.provider for event in events if event.provider), ""),
        usage=Usage(),
        content_captured=any(map(_has_content, events)),
        input=tuple(heard),
        output=tuple(message for event in events for message in event.output),
        documents=tuple(document for event in events for document in event.documents),
        tool_calls=tuple(tools),
    )


def _joined(events: Sequence[ContentEvent]) -> tuple[list[Message], list[ToolCall]]:
    """What was heard and which tools were called: one call for all records that speak of it, with its result. A result
    whose call no record has is a message of the tool's."""
    heard: list[Message] = []
    tools: list[ToolCall] = []
    places: dict[str, int] = {}
    for event in events:
        heard.extend(event.input)
        for tool in event.tool_calls:
            place = places.get(tool.id) if tool.id else None
            known = None if place is None else tools[place]
            bare = tool.result is not None and not tool.arguments
            same = known and (bare or (known.name, known.arguments) == (tool.name, tool.arguments))
            if known and place is not None and same and (known.result is None or tool.result in (None, known.result)):
                tools[place] = replace(known, result=known.result if tool.result is None else tool.result)
            elif bare:
                heard.append(Message(role="tool", text=tool.result or ""))
            else:
                places[tool.id] = len(tools)
                tools.append(tool)
    return heard, tools


def _has_content(event: ContentEvent) -> bool:
    """With capture off, instrumentors still name the tools that were called."""
    return bool(
        event.input
        or event.output
        or event.documents
        or any(tool.arguments or tool.result for tool in event.tool_calls)
    )
