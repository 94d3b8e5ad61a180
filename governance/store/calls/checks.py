"""Loads calls that wait for a decision, and writes what was decided: examinations, decision, case, figures, events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from governance.audit.commitment import commitment, opening
from governance.domain.calls import CallKind
from governance.domain.decisions import Action, Decision, PolicyScope
from governance.domain.times import micros
from governance.privacy.keys import ContentKey, KeyRing
from governance.privacy.search_words import SearchWords
from governance.review.routing import EXCERPT_LENGTH, one_line
from governance.services.calls import events as call_events
from governance.services.calls.check import (
    CheckedCall,
    Deciding,
    DecidingSet,
    LoadedCall,
    Openings,
    ShadowOutcome,
    WrittenDecision,
)
from governance.services.calls.events import decision_made
from governance.store.base import bulk, sealed
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import facts, figures, policy_figures, search
from governance.store.calls.opening import CallOpener
from governance.store.calls.sequences import with_around

T = TypeVar("T", bound=UnitOfWork)
T_contra = TypeVar("T_contra", bound=UnitOfWork, contravariant=True)


class CaseOpener(Protocol[T_contra]):
    """Opens the case that a decision asks for, or joins the one that shows the same; None where none is needed.

    `evidence` says for each policy on which message it fired first.
    """

    def __call__(
        self,
        tx: T_contra,
        decision: Decision,
        *,
        decision_id: int,
        call_id: int,
        system: str,
        excerpt: str,
        at: datetime,
        evidence: Mapping[str, int] = ...,
    ) -> int | None: ...


class SqlCheckStore(Generic[T]):
    """Implements `services.calls.check.CheckStore`."""

    def __init__(
        self, database: Database[T], keyring: KeyRing, clock: Callable[[], datetime], open_case: CaseOpener[T]
    ) -> None:
        """`scopes` are those of the policies in force: where none is about sequences, no other call is read."""
        self._database = database
        self._opener = CallOpener(keyring)
        self._words = SearchWords(keyring)
        self._clock = clock
        self._open_case = open_case

    def load(self, call_ids: Sequence[int], sets: Deciding, *, decided: bool = False) -> list[LoadedCall]:
        scopes = sets.enforce.scopes | (sets.shadow.scopes if sets.shadow is not None else frozenset())
        with self._database.read() as connection:
            loaded = self._opener.open(connection, call_ids, sets=sets, waiting=not decided)
            if not scopes - {PolicyScope.CALL} or not loaded:
                return loaded
            return with_around(connection, self._opener, loaded, sets=sets, scopes=scopes)

    def save(self, checked: Sequence[CheckedCall], sets: Deciding, *, job: int | None = None) -> list[WrittenDecision]:
        """Writes what nobody has decided meanwhile, and gives it."""
        now = self._clock()
        first = self._database.ids.take(max(1, 2 * len(checked)))
        with self._database.write() as transaction:
            connection = transaction.connection
            waiting = self._waiting(connection, [item.loaded.id for item in checked])
            mine = [item for item in checked if waiting.get(item.loaded.id, (-1,))[0] == item.loaded.revision]
            keys = self._keys(connection, mine)
            texts = self._write_examinations(connection, mine, sets, keys)
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
            by_id = {row[0]: row for row in rows}
            for number, item in decided:
                case = None
                if item.decision.queue:
                    case = self._open_case(
                        transaction,
                        item.decision,
                        decision_id=number,
                        call_id=item.loaded.id,
                        system=item.loaded.system,
                        excerpt="",  # sealed, once the case has a number
                        evidence=_evidence(item),
                        at=now,
                    )
                    if case is not None and item.excerpt and item.loaded.id in keys:
                        self._keep_excerpt(connection, case, number, item.excerpt, keys[item.loaded.id])
                shown = _shown(item, by_id[number], by_id.get(number + 1), texts.get(item.loaded.id, {}))
                transaction.append(decision_made(number, item, case, now, shown, sets))
                written.append(WrittenDecision(call_id=item.loaded.id, decision_id=number, case_id=case))
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

    def _keys(self, connection: sa.Connection, checked: Sequence[CheckedCall]) -> dict[int, ContentKey]:
        """By call and by message, the keys that their redacted texts are sealed with; none where content was erased
        meanwhile. An erasure waits from here to the commit, so that nothing is written after it."""
        lock = "" if connection.dialect.name == "sqlite" else " FOR KEY SHARE OF v"
        from_ = "JOIN conversation v ON v.id = o.conversation_id WHERE o.id IN {in} AND v.wrapped_key IS NOT NULL"
        calls = [item.loaded.id for item in checked]
        messages = list({one.message_id: None for item in checked for one in item.messages})
        found: dict[int, ContentKey] = {}
        for table, numbers in (("call", calls), ("message", messages)):
            there = "" if table == "call" else " AND o.body IS NOT NULL"
            statement = f"SELECT o.id, v.id, v.wrapped_key FROM {table} o {from_}{there}{lock}"  # noqa: S608
            for number, conversation, wrapped in bulk.select_in(connection, statement, numbers):
                found[number] = self._opener.key(conversation, bytes(wrapped))
        return found

    def _keep_excerpt(self, connection: sa.Connection, case: int, decision: int, text: str, key: ContentKey) -> None:
        """Keeps the excerpt of the decision that the case is about: of one that joined and is no worse, nothing."""
        connection.execute(
            t.case.update()
            .where(t.case.c.id == case, t.case.c.decision_id == decision)
            .values(excerpt_sealed=sealed.seal(key, one_line(text, EXCERPT_LENGTH), sealed.excerpt_of(case)))
        )

    def _write_examinations(
        self, connection: sa.Connection, checked: Sequence[CheckedCall], sets: Deciding, keys: Mapping[int, ContentKey]
    ) -> dict[int, dict[str, dict[str, str]]]:
        """Writes what was found, and gives the commitments to it: by the call whose decision's event carries them, by
        detector set and by message (or call). What was erased meanwhile gets no text."""

        def row(subject: int, by: str, findings: str, text: str | None) -> tuple[Any, ...]:
            shown[subject, by] = (findings, text if subject in keys else None)
            if text is None or subject not in keys:
                return subject, by, findings, None
            return subject, by, findings, sealed.seal(keys[subject], text, sealed.examination_of(subject, by))

        shown: dict[tuple[int, str], tuple[str, str | None]] = {}
        rows: dict[tuple[int, str], tuple[Any, ...]] = {}
        told: dict[tuple[int, str], LoadedCall] = {}
        words: list[tuple[int, str]] = []
        by = sets.enforce.detectors.digest
        for item in checked:
            for message in item.messages:
                if (message.message_id, by) not in rows:
                    text = facts.encode_examination(message.examination)
                    number = message.message_id
                    rows[number, by] = row(number, by, text, message.redacted)
                    told[number, by] = item.loaded
                    if message.redacted and number in keys:
                        words.append((number, message.redacted))
            call = item.call_examination
            if call.findings or call.failures or item.error:
                subject = item.loaded.id
                rows[subject, by] = row(subject, by, facts.encode_examination(call), item.error or None)
                told[subject, by] = item.loaded
            if item.beside is not None and sets.shadow is not None:
                shadow = sets.shadow.detectors.digest
                for message in item.beside.messages:
                    text = facts.encode_examination(message.examination)
                    rows[message.message_id, shadow] = row(message.message_id, shadow, text, None)
                    told[message.message_id, shadow] = item.loaded
        connection_mark = bulk.mark(connection)
        marks = ", ".join([connection_mark] * 4)
        if rows:
            connection.exec_driver_sql(
                f"INSERT INTO examination (subject_id, detector_set, findings, sealed) VALUES ({marks}) "  # noqa: S608
                "ON CONFLICT (subject_id, detector_set) DO UPDATE "
                "SET findings = excluded.findings, sealed = excluded.sealed, redacted = NULL",
                list(rows.values()),
            )
        search.add(connection, self._words, words)
        return self._committed(connection, shown, told)

    def _committed(
        self,
        connection: sa.Connection,
        shown: Mapping[tuple[int, str], tuple[str, str | None]],
        told: Mapping[tuple[int, str], LoadedCall],
    ) -> dict[int, dict[str, dict[str, str]]]:
        # A message of another call of the trace may belong to another conversation.
        own = {call.id: {call.id, *call.message_ids} for call in told.values()}
        others = [subject for (subject, _), call in told.items() if subject not in own[call.id]]
        keys: Mapping[int, Openings] = self._opener.keys_of(connection, others) if others else {}
        said: dict[int, dict[str, dict[str, str]]] = {}
        for (subject, by), call in told.items():
            key = call.key if subject in own[call.id] else keys.get(subject)
            findings, redacted = shown[subject, by]
            text = call_events.examined_text(findings, redacted)
            committed = commitment(_opening(key, call_events.text_label(subject, by)), text)
            said.setdefault(call.id, {}).setdefault(by, {})[str(subject)] = committed
        return said

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

    def standing(self, call_ids: Sequence[int]) -> list[WrittenDecision]:
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
        return [
            WrittenDecision(call_id=call, decision_id=decision, case_id=cases.get(call)) for call, decision in decisions
        ]


_DETAIL = list(t.decision.c.keys()).index("detail")
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


def _shown(
    item: CheckedCall, row: tuple[Any, ...], beside: tuple[Any, ...] | None, texts: Mapping[str, Mapping[str, str]]
) -> call_events.Shown:
    """Commitments to what people see of a decision and, in shadow, `beside` it; both are rows of `decision`."""

    def detail(one: tuple[Any, ...]) -> str:
        return commitment(_opening(item.loaded.key, call_events.detail_label(one[0])), one[_DETAIL])

    return call_events.Shown(detail=detail(row), beside="" if beside is None else detail(beside), texts=texts)


def _opening(key: Openings | None, label: str) -> bytes:
    """Where the key is erased there is no content either, so nothing that must not be guessed."""
    return opening(b"", label) if key is None else key.opening(label)


def _decision(
    number: int,
    loaded: LoadedCall,
    said: CheckedCall | ShadowOutcome,
    by: DecidingSet,
    now: datetime,
    *,
    shadow: int = 0,
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


def register(
    database: Database[UnitOfWork], clock: Callable[[], datetime], *, digest: str, units: Mapping[str, str]
) -> None:
    """Writes down which units a detector set consists of, so that a later set can tell what it need not examine."""
    with database.read() as connection:
        if connection.execute(sa.select(t.detector_set.c.digest).where(t.detector_set.c.digest == digest)).first():
            return
    with database.write() as transaction:
        row = (digest, json.dumps(units, separators=(",", ":"), sort_keys=True), micros(clock()))
        bulk.insert(transaction.connection, t.detector_set, [row], ignore=True)
