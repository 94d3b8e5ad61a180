"""Loads calls that wait for a decision, and writes what was decided: examinations, decision, case, figures, events."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from governance.domain.calls import Call, CallKind, EndUser, Release, Usage
from governance.domain.content import Content
from governance.domain.decisions import Decision, PolicyScope
from governance.domain.events import Event, EventKind
from governance.domain.findings import Examination
from governance.errors import Tampered
from governance.privacy.keys import ContentKey, KeyRing
from governance.services.check import CheckedCall, LoadedCall, Written
from governance.store import bulk, facts, figures, parts, search
from governance.store import tables as t
from governance.store.database import Database, Transaction
from governance.store.sequences import around_of
from governance.store.times import micros, moment

_KEYS = 5_000


class CaseOpener(Protocol):
    """Opens the case that a decision asks for, or joins the one that shows the same; None where none is needed.

    `evidence` says for each policy on which message it fired first.
    """

    def __call__(
        self,
        tx: Transaction,
        decision: Decision,
        *,
        decision_id: int,
        call_id: int,
        system: str,
        excerpt: str,
        at: datetime,
        evidence: Mapping[str, int] = ...,
    ) -> int | None: ...


class CallOpener:
    """Reads whole calls with their original content. Keeps the keys of recent conversations."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._keys: OrderedDict[int, tuple[bytes, ContentKey]] = OrderedDict()

    def open(
        self, connection: sa.Connection, call_ids: Sequence[int], *, detector_set: str = "", waiting: bool = False
    ) -> list[LoadedCall]:
        """The calls that exist, in the order of their ids; `waiting` gives only those without a decision.

        `known` of each holds what the detector set found before. Content that was erased or does not open makes the
        call None, with the reason.
        """
        rows = bulk.select_in(connection, _SELECT + (" AND c.status = 'recorded'" if waiting else ""), call_ids)
        frames = {row.id: parts.decode(row.parts) for row in rows}
        wanted = list({part.message_id: None for frame in frames.values() for part in frame})
        bodies = dict(bulk.select_in(connection, "SELECT id, body FROM message WHERE id IN {in}", wanted))
        found: dict[int, Examination] = {}
        if detector_set and wanted:
            statement = "SELECT subject_id, findings FROM examination WHERE detector_set = {} AND subject_id IN {in}"
            for subject, text in bulk.select_in(connection, statement, wanted, detector_set):
                examination = facts.decode_examination(text)
                if not examination.failures:  # what a detector could not answer is asked again
                    found[subject] = examination
        texts: dict[int, str] = {}
        return [self._load(row, frames[row.id], bodies, found, texts) for row in rows]

    def _load(
        self,
        row: Any,
        frame: Sequence[parts.StoredPart],
        bodies: Mapping[int, bytes | None],
        found: Mapping[int, Examination],
        texts: dict[int, str],
    ) -> LoadedCall:
        try:
            if row.wrapped_key is None:
                raise Tampered("Its content was erased.")
            key = self._key(row.conversation_id, bytes(row.wrapped_key))
            for part in frame:
                if part.message_id not in texts:
                    body = bodies.get(part.message_id)
                    if body is None:
                        raise Tampered("Part of its content is not there.")
                    texts[part.message_id] = key.open(bytes(body), b"message:%d" % part.message_id).decode()
            extra = (
                json.loads(key.open(bytes(row.attributes), b"call:%d" % row.id)) if row.attributes is not None else {}
            )
        except Tampered as error:
            return LoadedCall(
                id=row.id,
                revision=row.revision,
                system_id=row.system_id,
                system=row.system,
                call=None,
                unreadable=error.message,
            )
        placed = [part.with_text(texts[part.message_id]) for part in frame]
        known: dict[Content, Examination] = {}
        for part, place in zip(frame, placed, strict=True):
            if part.message_id in found:
                known[place.content] = found[part.message_id]
        content = parts.content_of(placed)
        call = Call(
            trace_id=bytes(row.trace_id).hex(),
            span_id=bytes(row.span_id).hex(),
            parent_span_id=bytes(row.parent_span_id).hex() if row.parent_span_id else "",
            kind=CallKind(row.kind),
            name=row.name,
            system=row.system,
            release=Release(**json.loads(row.release)) if row.release else Release(),
            session_id=row.session_id,
            user=EndUser(id=row.user_id, role=row.user_role),
            started_at=moment(row.started_at),
            duration_ms=None if row.duration_us is None else row.duration_us / 1000,
            model=row.model,
            provider=row.provider,
            usage=Usage(
                input_tokens=row.input_tokens, output_tokens=row.output_tokens, cached_tokens=row.cached_tokens
            ),
            error=extra.get("error", row.error),
            finish_reasons=tuple(extra.get("finish_reasons", ())),
            content_captured=bool(row.content_captured),
            input=content.input,
            output=content.output,
            documents=content.documents,
            tool_calls=content.tool_calls,
            attributes=extra.get("attributes", {}),
        )
        return LoadedCall(
            id=row.id,
            revision=row.revision,
            system_id=row.system_id,
            system=row.system,
            call=call,
            parts=placed,
            message_ids=[part.message_id for part in frame],
            known=known,
        )

    def _key(self, conversation: int, wrapped: bytes) -> ContentKey:
        held = self._keys.get(conversation)
        if held is not None and held[0] == wrapped:
            self._keys.move_to_end(conversation)
            return held[1]
        key = self._keyring.unwrap(wrapped)
        self._keys[conversation] = (wrapped, key)
        if len(self._keys) > _KEYS:
            self._keys.popitem(last=False)
        return key


_SELECT = (
    "SELECT c.*, s.name AS system, r.parts AS release, v.wrapped_key FROM call c "
    "JOIN system s ON s.id = c.system_id JOIN conversation v ON v.id = c.conversation_id "
    "LEFT JOIN release r ON r.id = c.release_id WHERE c.id IN {in}"
)


class SqlCheckStore:
    """Implements `services.check.CheckStore` for one detector set and one policy set."""

    def __init__(
        self,
        database: Database,
        keyring: KeyRing,
        clock: Callable[[], datetime],
        open_case: CaseOpener,
        *,
        detector_set: str,
        policy_set_id: int,
        scopes: frozenset[PolicyScope] = frozenset(),
    ) -> None:
        """`scopes` are those of the policies in force: where none is about sequences, no other call is read."""
        self._database = database
        self._opener = CallOpener(keyring)
        self._clock = clock
        self._open_case = open_case
        self._detector_set = detector_set
        self._policy_set_id = policy_set_id
        self._scopes = scopes - {PolicyScope.CALL}

    def load(self, call_ids: Sequence[int], *, decided: bool = False) -> list[LoadedCall]:
        with self._database.read() as connection:
            loaded = self._opener.open(connection, call_ids, detector_set=self._detector_set, waiting=not decided)
            if not self._scopes or not loaded:
                return loaded
            around = around_of(connection, self._opener, loaded, detector_set=self._detector_set, scopes=self._scopes)
        return [replace(item, around=around[item.id]) if item.id in around else item for item in loaded]

    def save(self, checked: Sequence[CheckedCall], *, job: int | None = None) -> list[Written]:
        """Writes what nobody has decided meanwhile, and gives it."""
        now = self._clock()
        first = self._database.ids.take(max(1, len(checked)))
        with self._database.write() as transaction:
            connection = transaction.connection
            waiting = self._waiting(connection, [item.loaded.id for item in checked])
            mine = [item for item in checked if waiting.get(item.loaded.id, (-1,))[0] == item.loaded.revision]
            self._write_examinations(connection, mine)
            decided = [(first + n, item) for n, item in enumerate(mine)]
            bulk.insert(connection, t.decision, [self._decision(number, item, now) for number, item in decided])
            counted = {item.loaded.id: _counted(item, waiting[item.loaded.id]) for item in mine}
            self._settle(connection, decided, {number: bits for number, (bits, _) in counted.items()})
            figures.add(connection, (added for _, added in counted.values()))
            written = []
            for number, item in decided:
                case = None
                if item.decision.queue:
                    case = self._open_case(
                        transaction,
                        item.decision,
                        decision_id=number,
                        call_id=item.loaded.id,
                        system=item.loaded.system,
                        excerpt=item.excerpt,
                        evidence=_evidence(item),
                        at=now,
                    )
                transaction.append(_event(number, item, case, now))
                written.append(Written(call_id=item.loaded.id, decision_id=number, case_id=case))
            if job is not None:
                connection.execute(t.check_job.delete().where(t.check_job.c.id == job))
        return written

    def _waiting(self, connection: sa.Connection, call_ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
        """(revision, started_at, system, tokens ...) of the calls that still wait, locked until the commit."""
        lock = "" if connection.dialect.name == "sqlite" else " ORDER BY id FOR UPDATE"
        statement = (
            "SELECT id, revision, started_at, system_id, input_tokens, output_tokens, content_captured, error, "  # noqa: S608
            "kind, counted FROM call WHERE id IN {in} AND status = 'recorded'" + lock
        )
        return {row[0]: tuple(row[1:]) for row in bulk.select_in(connection, statement, call_ids)}

    def _write_examinations(self, connection: sa.Connection, checked: Sequence[CheckedCall]) -> None:
        rows: dict[int, tuple[Any, ...]] = {}
        words: list[tuple[int, str]] = []
        for item in checked:
            for message in item.messages:
                if message.message_id not in rows:
                    text = facts.encode_examination(message.examination)
                    rows[message.message_id] = (message.message_id, self._detector_set, text, message.redacted)
                    words.append((message.message_id, message.redacted))
            call = item.call_examination
            if call.findings or call.failures or item.error:
                subject = item.loaded.id
                rows[subject] = (subject, self._detector_set, facts.encode_examination(call), item.error or None)
        connection_mark = bulk.mark(connection)
        marks = ", ".join([connection_mark] * 4)
        new = self._new_words(connection, [number for number, _ in words])
        if rows:
            connection.exec_driver_sql(
                f"INSERT INTO examination (subject_id, detector_set, findings, redacted) VALUES ({marks}) "  # noqa: S608
                "ON CONFLICT (subject_id, detector_set) DO UPDATE "
                "SET findings = excluded.findings, redacted = excluded.redacted",
                list(rows.values()),
            )
        search.add(connection, [(number, text) for number, text in words if number in new])

    def _new_words(self, connection: sa.Connection, message_ids: Sequence[int]) -> set[int]:
        """Those of the messages that no detector set has made findable yet."""
        statement = "SELECT subject_id FROM examination WHERE subject_id IN {in}"
        return set(message_ids) - {row[0] for row in bulk.select_in(connection, statement, message_ids)}

    def _decision(self, number: int, item: CheckedCall, now: datetime) -> tuple[Any, ...]:
        decision = item.decision
        return (
            number,
            item.loaded.id,
            item.loaded.revision,
            self._policy_set_id,
            decision.action.value,
            decision.queue,
            0 if decision.severity is None else decision.severity.rank,
            facts.encode_decision(decision, item.findings, item.failures, item.skipped),
            micros(now),
            0,
            self._detector_set,
        )

    def _settle(
        self, connection: sa.Connection, decided: Sequence[tuple[int, CheckedCall]], counted: Mapping[int, int]
    ) -> None:
        if not decided:
            return
        sign = bulk.mark(connection)
        connection.exec_driver_sql(
            f"UPDATE call SET status = {sign}, action = {sign}, queue = {sign}, failure = {sign}, counted = {sign} "  # noqa: S608
            f"WHERE id = {sign}",
            [
                (
                    "failed" if item.failure else "checked",
                    item.decision.action.value,
                    item.decision.queue,
                    item.failure[:500],
                    counted[item.loaded.id],
                    item.loaded.id,
                )
                for _, item in decided
            ],
        )

    def standing(self, call_ids: Sequence[int]) -> list[Written]:
        """The newest decision and case of each call that has one."""
        if not call_ids:
            return []
        with self._database.read() as connection:
            decisions = bulk.select_in(
                connection, "SELECT call_id, max(id) FROM decision WHERE call_id IN {in} GROUP BY call_id", call_ids
            )
            cases = dict(
                bulk.select_in(
                    connection,
                    'SELECT call_id, max(id) FROM (SELECT call_id, id FROM "case" UNION ALL '
                    "SELECT call_id, case_id FROM case_call) AS shown WHERE call_id IN {in} GROUP BY call_id",
                    call_ids,
                )
            )
        return [Written(call_id=call, decision_id=decision, case_id=cases.get(call)) for call, decision in decisions]


def _counted(item: CheckedCall, waiting: tuple[Any, ...]) -> tuple[int, figures.Counted]:
    """What the day's figures count of the call from now on, and what this decision changes in them."""
    _, started_at, system_id, input_tokens, output_tokens, captured, error, kind, before = waiting
    after = figures.CALL
    if item.decision.flagged:
        after |= figures.FLAGGED
    if error:
        after |= figures.FAILED
    if not captured and kind == CallKind.LLM:  # an agent's or a chain's span need not repeat what its steps hold
        after |= figures.UNCAPTURED
    if input_tokens is not None or output_tokens is not None or before & figures.TOKENS:
        after |= figures.TOKENS
    tokens_now = bool(after & ~before & figures.TOKENS)

    def change(bit: int) -> int:
        return bool(after & bit) - bool(before & bit)

    return after, figures.Counted(
        system_id=system_id,
        started_at=started_at,
        calls=change(figures.CALL),
        flagged=change(figures.FLAGGED),
        failed=change(figures.FAILED),
        uncaptured=change(figures.UNCAPTURED),
        input_tokens=(input_tokens or 0) if tokens_now else 0,
        output_tokens=(output_tokens or 0) if tokens_now else 0,
    )


def _evidence(item: CheckedCall) -> dict[str, int]:
    """For each policy that has findings in the content, the message of the first."""
    places = {
        (part.kind, part.index): message
        for part, message in zip(item.loaded.parts, item.loaded.message_ids, strict=True)
    }
    found: dict[str, int] = {}
    for outcome in item.decision.policies:
        if outcome.scope is not PolicyScope.CALL:  # the same message may be part of another incident
            continue
        for index in outcome.findings:
            finding = item.findings[index]
            if finding.part is not None and (message := places.get((finding.part, finding.index))) is not None:
                found.setdefault(outcome.policy, message)
                break
    return found


def _event(number: int, item: CheckedCall, case: int | None, now: datetime) -> Event:
    decision = item.decision
    return Event(
        kind=EventKind.DECISION_MADE,
        at=now,
        actor="service:0",
        subject=f"call:{item.loaded.id}",
        system=item.loaded.system,
        data={
            "decision": number,
            "call": item.loaded.id,
            "revision": item.loaded.revision,
            "action": decision.action.value,
            "queue": decision.queue,
            "severity": "" if decision.severity is None else decision.severity.value,
            "policies": [
                {
                    "policy": outcome.policy,
                    "outcome": outcome.outcome.value,
                    "action": outcome.action.value,
                    "status": outcome.status.value,
                }
                for outcome in decision.policies
            ],
            "policy_set": decision.policy_set,
            "case": case,
            "failure": item.failure,
        },
    )


def policy_set_id(
    database: Database, clock: Callable[[], datetime], *, digest: str, document: Mapping[str, Any]
) -> int:
    """The stored policy set's id; the first time a set is seen it is stored whole, and that is an audit event."""
    with database.read() as connection:
        found = connection.execute(sa.select(t.policy_set.c.id).where(t.policy_set.c.digest == digest)).scalar()
    if found is not None:
        return int(found)
    number = database.ids.take()
    now = clock()
    with database.write() as transaction:
        row = (number, digest, json.dumps(document, separators=(",", ":")), micros(now))
        bulk.insert(transaction.connection, t.policy_set, [row], ignore=True)
        stands = transaction.connection.execute(sa.select(t.policy_set.c.id).where(t.policy_set.c.digest == digest))
        stored = int(stands.scalar_one())
        if stored == number:
            transaction.append(
                Event(
                    kind=EventKind.POLICY_SET_LOADED,
                    at=now,
                    actor="service:0",
                    subject=f"policy_set:{number}",
                    data={"digest": digest, "policies": len(document.get("policies", ()))},
                )
            )
    return stored
