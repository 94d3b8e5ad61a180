"""Loads calls that wait for a decision, and writes what was decided: examinations, decision, case, figures, events."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from governance.detectors.runner import Found, found_before
from governance.domain.calls import Call, CallKind, EndUser, Release, Usage
from governance.domain.content import Content
from governance.domain.decisions import Action, Decision, PolicyScope
from governance.domain.events import Event, EventKind, Json
from governance.domain.findings import Examination
from governance.errors import Tampered
from governance.privacy.keys import ContentKey, KeyRing
from governance.services.check import Beside, CheckedCall, Deciding, DecidingSet, LoadedCall, Written
from governance.store import bulk, facts, figures, parts, policy_figures, search
from governance.store import tables as t
from governance.store.database import Database, Transaction
from governance.store.sequences import with_around
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


@dataclass(slots=True)
class Findings:
    """What was found before, by message (or call). `known`: by these very detectors, and whole; `said`: also where
    something failed; `partly`: by earlier ones, as far as they were the same; `beside`: for the set in shadow."""

    said: dict[int, Examination] = field(default_factory=dict)
    known: dict[int, Examination] = field(default_factory=dict)
    partly: dict[int, Found] = field(default_factory=dict)
    beside: dict[int, Found] = field(default_factory=dict)


class CallOpener:
    """Reads whole calls with their original content. Keeps the keys of recent conversations."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._units: dict[str, Mapping[str, str]] = {}
        self._keys: OrderedDict[int, tuple[bytes, ContentKey]] = OrderedDict()

    def open(
        self, connection: sa.Connection, call_ids: Sequence[int], *, sets: Deciding | None = None, waiting: bool = False
    ) -> list[LoadedCall]:
        """The calls that exist, in the order of their ids; `waiting` gives only those without a decision.

        `known`, `partly` and `beside` of each hold what detectors of these sets found before. Content that was erased
        or does not open makes the call None, with the reason.
        """
        rows = bulk.select_in(connection, _SELECT + (" AND c.status = 'recorded'" if waiting else ""), call_ids)
        frames = {row.id: parts.decode(row.parts) for row in rows}
        wanted = list({part.message_id: None for frame in frames.values() for part in frame})
        bodies = dict(bulk.select_in(connection, "SELECT id, body FROM message WHERE id IN {in}", wanted))
        found = self.found(connection, wanted, sets) if sets is not None and wanted else Findings()
        texts: dict[int, str] = {}
        return [self._load(row, frames[row.id], bodies, found, texts) for row in rows]

    def found(self, connection: sa.Connection, wanted: Sequence[int], sets: Deciding) -> Findings:
        """What was found in these messages: whole by the same detectors, or in part by earlier ones."""
        current, shadow = sets.enforce.detectors, sets.shadow.detectors if sets.shadow is not None else None
        if shadow is not None and shadow.content_units.items() <= current.content_units.items():
            shadow = None
        found = Findings()
        earlier = self._examinations(connection, wanted, current.digest, found, all_=shadow is not None)
        for subject, before in earlier.items():
            if subject not in found.known:
                known = found_before(current.content_units, before)
                if known.missing != current.content_units.keys():
                    found.partly[subject] = known
            if shadow is not None:
                found.beside[subject] = found_before(shadow.content_units, before)
        return found

    def found_of_calls(self, connection: sa.Connection, wanted: Sequence[int], sets: Deciding) -> Findings:
        """What was found in these calls as a whole."""
        current = sets.enforce.detectors
        found = Findings()
        for subject, before in self._examinations(connection, wanted, current.digest, found).items():
            found.partly[subject] = found_before(current.call_units, before)
        return found

    def _examinations(
        self, connection: sa.Connection, wanted: Sequence[int], digest: str, found: Findings, *, all_: bool = False
    ) -> dict[int, list[tuple[Mapping[str, str], Examination]]]:
        """Fills in what these very detectors said; gives the rest, with the units of whoever said it, those that these
        detectors said first. With `all_` also of what is known."""
        earlier: dict[int, list[tuple[str, Examination]]] = {}
        statement = "SELECT subject_id, detector_set, findings FROM examination WHERE subject_id IN {in}"
        for subject, by, text in bulk.select_in(connection, statement, wanted):
            examination = facts.decode_examination(text)
            if by == digest:
                found.said[subject] = examination
                if not examination.failures:  # what could not be answered is asked again
                    found.known[subject] = examination
            earlier.setdefault(subject, []).append((by, examination))
        if not all_:
            for subject in found.known:
                del earlier[subject]
        if not earlier:
            return {}
        units = self._units_of(connection, {by for several in earlier.values() for by, _ in several})
        for several in earlier.values():
            several.sort(key=lambda one: one[0] != digest)
        return {
            subject: [(units[by], examination) for by, examination in several if units[by]]
            for subject, several in earlier.items()
        }

    def _units_of(self, connection: sa.Connection, digests: set[str]) -> Mapping[str, Mapping[str, str]]:
        """The units of detector sets; none of one that was not written down."""
        unknown = list(digests - self._units.keys())
        if unknown:
            rows = bulk.select_in(connection, "SELECT digest, versions FROM detector_set WHERE digest IN {in}", unknown)
            self._units |= {digest: {} for digest in unknown} | {digest: json.loads(text) for digest, text in rows}
        return self._units

    def _load(
        self,
        row: Any,
        frame: Sequence[parts.StoredPart],
        bodies: Mapping[int, bytes | None],
        found: Findings,
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
        partly: dict[Content, Found] = {}
        beside: dict[Content, Found] = {}
        for part, place in zip(frame, placed, strict=True):
            number, content_ = part.message_id, place.content
            if number in found.known:
                known[content_] = found.known[number]
            elif number in found.partly:
                partly[content_] = found.partly[number]
            if number in found.beside:
                beside[content_] = found.beside[number]
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
            partly=partly,
            beside=beside,
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
    """Implements `services.check.CheckStore`."""

    def __init__(
        self, database: Database, keyring: KeyRing, clock: Callable[[], datetime], open_case: CaseOpener
    ) -> None:
        """`scopes` are those of the policies in force: where none is about sequences, no other call is read."""
        self._database = database
        self._opener = CallOpener(keyring)
        self._clock = clock
        self._open_case = open_case

    def load(self, call_ids: Sequence[int], sets: Deciding, *, decided: bool = False) -> list[LoadedCall]:
        scopes = sets.enforce.scopes | (sets.shadow.scopes if sets.shadow is not None else frozenset())
        with self._database.read() as connection:
            loaded = self._opener.open(connection, call_ids, sets=sets, waiting=not decided)
            if not scopes - {PolicyScope.CALL} or not loaded:
                return loaded
            return with_around(connection, self._opener, loaded, sets=sets, scopes=scopes)

    def save(self, checked: Sequence[CheckedCall], sets: Deciding, *, job: int | None = None) -> list[Written]:
        """Writes what nobody has decided meanwhile, and gives it."""
        now = self._clock()
        first = self._database.ids.take(max(1, 2 * len(checked)))
        with self._database.write() as transaction:
            connection = transaction.connection
            waiting = self._waiting(connection, [item.loaded.id for item in checked])
            mine = [item for item in checked if waiting.get(item.loaded.id, (-1,))[0] == item.loaded.revision]
            self._write_examinations(connection, mine, sets)
            decided = [(first + 2 * n, item) for n, item in enumerate(mine)]
            before = _said_before(connection, [item.loaded for item in mine if item.loaded.revision], waiting)
            rows = [_decision(number, item.loaded, item, sets.enforce, now) for number, item in decided]
            if sets.shadow is not None:
                rows += [
                    _decision(number + 1, item.loaded, item.beside, sets.shadow, now, shadow=1)
                    for number, item in decided
                    if item.beside is not None
                ]
            bulk.insert(connection, t.decision, rows)
            counted = {item.loaded.id: _counted(item, waiting[item.loaded.id]) for item in mine}
            self._settle(connection, decided, {number: bits for number, (bits, _) in counted.items()})
            figures.add(connection, (added for _, added in counted.values()))
            policy_figures.add(connection, [*before, *_said(mine, waiting, sets)])
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

    def _write_examinations(self, connection: sa.Connection, checked: Sequence[CheckedCall], sets: Deciding) -> None:
        rows: dict[tuple[int, str], tuple[Any, ...]] = {}
        words: list[tuple[int, str]] = []
        by = sets.enforce.detectors.digest
        for item in checked:
            for message in item.messages:
                if (message.message_id, by) not in rows:
                    text = facts.encode_examination(message.examination)
                    rows[message.message_id, by] = (message.message_id, by, text, message.redacted)
                    words.append((message.message_id, message.redacted or ""))
            call = item.call_examination
            if call.findings or call.failures or item.error:
                subject = item.loaded.id
                rows[subject, by] = (subject, by, facts.encode_examination(call), item.error or None)
            if item.beside is not None and sets.shadow is not None:
                shadow = sets.shadow.detectors.digest
                for message in item.beside.messages:
                    text = facts.encode_examination(message.examination)
                    rows[message.message_id, shadow] = (message.message_id, shadow, text, message.redacted)
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
                connection,
                "SELECT call_id, max(id) FROM decision WHERE call_id IN {in} AND shadow = 0 GROUP BY call_id",
                call_ids,
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


_SUMS = (CallKind.AGENT, CallKind.CHAIN)
"""What sends the sum of its steps' tokens: a day would count them twice."""


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
    told = input_tokens is not None or output_tokens is not None
    if (told and kind not in _SUMS) or before & figures.TOKENS:
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


def _decision(
    number: int, loaded: LoadedCall, said: CheckedCall | Beside, by: DecidingSet, now: datetime, *, shadow: int = 0
) -> tuple[Any, ...]:
    decision = said.decision
    return (
        number,
        loaded.id,
        loaded.revision,
        by.policy_set_id,
        decision.action.value,
        decision.queue,
        0 if decision.severity is None else decision.severity.rank,
        facts.encode_decision(decision, said.findings, said.failures, said.skipped),
        micros(now),
        shadow,
        by.detectors.digest,
    )


def _said(
    mine: Sequence[CheckedCall], waiting: Mapping[int, tuple[Any, ...]], sets: Deciding
) -> Iterator[policy_figures.Said]:
    """What these decisions add to the figures of their sets."""
    for item in mine:
        _, started_at, system_id, *_ = waiting[item.loaded.id]
        decisions = [(sets.enforce, False, item.decision)]
        if sets.shadow is not None and item.beside is not None:
            decisions.append((sets.shadow, True, item.beside.decision))
        for by, shadow, decision in decisions:
            yield policy_figures.Said(
                system_id=system_id,
                started_at=started_at,
                policy_set_id=by.policy_set_id,
                shadow=shadow,
                flagged=decision.flagged,
                policies=[(one.policy, one.outcome, one.status) for one in decision.policies],
            )


def _said_before(
    connection: sa.Connection, calls: Sequence[LoadedCall], waiting: Mapping[int, tuple[Any, ...]]
) -> list[policy_figures.Said]:
    """What is taken back from the figures for calls that are decided again: what was said of them last, by the set in
    force and by the one in shadow."""
    if not calls:
        return []
    statement = (
        "SELECT call_id, shadow, policy_set_id, action, queue, detail FROM decision "
        "WHERE call_id IN {in} ORDER BY revision, id"
    )
    last: dict[tuple[int, int], policy_figures.Said] = {}
    for row in bulk.select_in(connection, statement, [call.id for call in calls]):
        _, started_at, system_id, *_ = waiting[row.call_id]
        last[row.call_id, row.shadow] = policy_figures.Said(
            system_id=system_id,
            started_at=started_at,
            policy_set_id=row.policy_set_id,
            shadow=bool(row.shadow),
            flagged=row.action != Action.ALLOW or bool(row.queue),
            policies=[
                (one["policy"], one["outcome"], one["status"]) for one in facts.decode_detail(row.detail)["policies"]
            ],
            sign=-1,
        )
    return list(last.values())


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
    beside = {} if item.beside is None else {"shadow": _facts(number + 1, item.beside.decision)}
    return Event(
        kind=EventKind.DECISION_MADE,
        at=now,
        actor="service:0",
        subject=f"call:{item.loaded.id}",
        system=item.loaded.system,
        data={
            **_facts(number, item.decision),
            "call": item.loaded.id,
            "revision": item.loaded.revision,
            "case": case,
            "failure": item.failure,
            **beside,  # what the set in shadow said is no event of its own: nothing happened
        },
    )


def _facts(number: int, decision: Decision) -> dict[str, Json]:
    return {
        "decision": number,
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
    }


def register(database: Database, clock: Callable[[], datetime], *, digest: str, units: Mapping[str, str]) -> None:
    """Writes down which units a detector set consists of, so that a later set can tell what it need not examine."""
    with database.read() as connection:
        if connection.execute(sa.select(t.detector_set.c.digest).where(t.detector_set.c.digest == digest)).first():
            return
    with database.write() as transaction:
        row = (digest, json.dumps(units, separators=(",", ":"), sort_keys=True), micros(clock()))
        bulk.insert(transaction.connection, t.detector_set, [row], ignore=True)
