"""Calls as people and programs read them: the call object of the public contract, with redacted text only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from governance.domain.calls import Call
from governance.domain.content import StoredPart
from governance.domain.people import Systems
from governance.domain.privacy import Gone
from governance.domain.times import micros, moment
from governance.errors import NotFound
from governance.privacy.keys import KeyRing
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.scope import within
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import erased, facts, parts
from governance.store.calls.opening import CallOpener
from governance.store.calls.redacted import RedactedTexts

UNCHECKED = "[not checked yet]"
_SHORTEST_NUMBER = 3
"""Characters of a number that could be somebody's; one that is shorter is shown without a look at it."""


def rfc3339(value: int | None) -> str | None:
    """Microseconds since 1970 as RFC 3339 in UTC, to the microsecond."""
    return None if value is None else moment(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class AttributeReader:
    """Opens a call's attributes and redacts every text in them. `redact` examines and redacts one text."""

    def __init__(self, keyring: KeyRing, redact: Callable[[str], str]) -> None:
        self._keyring = keyring
        self._redact = redact

    def read(self, row: Any) -> dict[str, Any]:
        if row.attributes is None or row.wrapped_key is None:
            return {}
        body = json.loads(self._keyring.unwrap(bytes(row.wrapped_key)).open(bytes(row.attributes), b"call:%d" % row.id))
        attributes = dict(body["attributes"])
        if body["finish_reasons"]:
            attributes["finish_reasons"] = body["finish_reasons"]
        return self._named(attributes)

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        """Each value is read beside its name, as `ssn: 219...`; a name is a text like any other."""
        named: dict[str, Any] = {}
        for name, value in values.items():
            shown = word = self._redact(name)
            while shown in named:
                shown = f"{word} {len(named) + 1}"
            named[shown] = self._clean(value, name)
        return named

    def _clean(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return self._named(value)
        if isinstance(value, list):
            return [self._clean(item, name) for item in value]
        if value is None or isinstance(value, bool):
            return value
        text = value if isinstance(value, str) else str(value)
        if not isinstance(value, str) and len(text) < _SHORTEST_NUMBER:
            return value
        prefix = f"{name}: "
        told = self._redact(prefix + text)
        redacted = told.removeprefix(prefix) if told.startswith(prefix) else self._redact(text)
        return value if redacted == text else redacted


def read_calls(
    connection: sa.Connection,
    call_ids: Sequence[int],
    *,
    texts: RedactedTexts,
    systems: Systems = None,
    attributes: AttributeReader | None = None,
) -> list[dict[str, Any]]:
    """The call objects of docs/api.md, in the order asked for; ids that do not exist in `systems` are left out.

    `attributes` are opened and redacted only where a reader for them is given: lists do without.
    """
    found = bulk.select_in(connection, _SELECT, list(dict.fromkeys(call_ids)))
    rows = {row.id: row for row in found if systems is None or row.system_id in systems}
    frames = {number: parts.decode(row.parts) for number, row in rows.items()}
    messages = {part.message_id for frame in frames.values() for part in frame}
    shown = texts.texts(connection, messages | rows.keys())
    went = erased.messages(connection, messages - shown.keys()) if messages - shown.keys() else set()
    gone = (
        erased.gone(connection, "call", rows) if went or any(row.wrapped_key is None for row in rows.values()) else {}
    )
    shown |= dict.fromkeys(went, erased.WORDS)
    decisions = _decisions(connection, list(rows))
    cases = _grouped(connection, _CASES, list(rows))
    conflicts = _grouped(connection, "SELECT call_id, id FROM call_conflict WHERE call_id IN {in}", list(rows))
    return [
        _document(
            rows[number],
            frames[number],
            shown | dict.fromkeys(went, gone[number].words) if number in gone else shown,
            gone.get(number),
            decisions[number],
            cases[number],
            len(conflicts[number]),
            {} if attributes is None else attributes.read(rows[number]),
        )
        for number in dict.fromkeys(call_ids)
        if number in rows
    ]


def read_call(
    connection: sa.Connection, call_id: int, *, texts: RedactedTexts, attributes: AttributeReader | None = None
) -> dict[str, Any]:
    """One call object. Raises `NotFound`."""
    found = read_calls(connection, [call_id], texts=texts, attributes=attributes)
    if not found:
        raise NotFound("There is no such call.")
    return found[0]


def original(connection: sa.Connection, keyring: KeyRing, call_id: int) -> Call:
    """The call with its original content: only for a reveal that was permitted and is in the log already.

    Raises `NotFound` when there is no such call, or its content was erased.
    """
    found = CallOpener(keyring).open(connection, [call_id])
    if not found or found[0].call is None:
        raise NotFound("There is no such call." if not found else found[0].unreadable)
    return found[0].call


class SqlOriginals:
    """Implements `services.calls.ports.Originals`."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring

    def call(self, call_id: int) -> Call:
        with self._database.read() as connection:
            return original(connection, self._keyring, call_id)


_SELECT = (
    "SELECT c.*, s.name AS system, r.parts AS release, r.fingerprint, v.wrapped_key FROM call c "
    "JOIN system s ON s.id = c.system_id JOIN conversation v ON v.id = c.conversation_id "
    "LEFT JOIN release r ON r.id = c.release_id WHERE c.id IN {in}"
)


_CASES = (
    'SELECT call_id, id FROM (SELECT call_id, id FROM "case" UNION ALL '
    "SELECT call_id, case_id FROM case_call) AS shown WHERE call_id IN {in} ORDER BY id"
)


def _grouped(connection: sa.Connection, statement: str, call_ids: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for call, number in bulk.select_in(connection, statement, call_ids):
        found[call].append(number)
    return found


def _decisions(connection: sa.Connection, call_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Decisions by call: those in force, newest first, then those of sets in shadow."""
    statement = (
        "SELECT d.*, p.digest FROM decision d JOIN policy_set p ON p.id = d.policy_set_id "
        "WHERE d.call_id IN {in} ORDER BY d.shadow, d.revision DESC, d.id DESC"
    )
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in bulk.select_in(connection, statement, call_ids):
        found[row.call_id].append(decision_document(row, row.digest))
    return found


def decision_document(row: Any, digest: str) -> dict[str, Any]:
    """A decision as the API and evidence show it."""
    detail = facts.decode_detail(row.detail)
    return {
        "id": str(row.id),
        "call_id": None if row.call_id is None else str(row.call_id),
        "revision": row.revision,
        "action": row.action,
        "queue": row.queue,
        "severity": ["", "low", "medium", "high", "critical"][row.severity],
        "policies": detail["policies"],
        "findings": detail["findings"],
        "failures": detail["failures"],
        "skipped": detail["skipped"],
        "explanation": detail["explanation"],
        "policy_set": digest,
        "shadow": bool(row.shadow),
        "decided_at": rfc3339(row.decided_at),
    }


def read_decision(connection: sa.Connection, decision_id: int, systems: Systems = None) -> dict[str, Any] | None:
    """One decision; None where there is none of a call of `systems`."""
    row = connection.execute(
        sa.select(t.decision, t.policy_set.c.digest)
        .join(t.policy_set)
        .join(t.call, t.call.c.id == t.decision.c.call_id)
        .where(t.decision.c.id == decision_id, within(t.call.c.system_id, systems))
    ).first()
    return None if row is None else decision_document(row, row.digest)


def _document(
    row: Any,
    frame: Sequence[StoredPart],
    texts: dict[int, str],
    gone: Gone | None,
    decisions: list[dict[str, Any]],
    cases: list[int],
    conflicts: int,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    content = parts.content_of([part.with_text(texts.get(part.message_id, UNCHECKED)) for part in frame])
    release = json.loads(row.release) if row.release else {}
    newest = decisions[0] if decisions and not decisions[0]["shadow"] else None
    return {
        "id": str(row.id),
        "trace_id": bytes(row.trace_id).hex(),
        "span_id": bytes(row.span_id).hex(),
        "parent_span_id": bytes(row.parent_span_id).hex() if row.parent_span_id else "",
        "kind": row.kind,
        "name": row.name,
        "system": row.system,
        "release": {**release, "fingerprint": row.fingerprint or ""},
        "session_id": row.session_id,
        "user": {"id": row.user_id, "role": row.user_role},
        "status": row.status,
        "failure": row.failure,
        "action": row.action,
        "queue": row.queue,
        "started_at": rfc3339(row.started_at),
        "duration_ms": None if row.duration_us is None else row.duration_us / 1000,
        "model": row.model,
        "provider": row.provider,
        "usage": {
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "cached_tokens": row.cached_tokens,
        },
        "error": texts.get(row.id, row.error),
        "content_captured": bool(row.content_captured),
        "erased": None
        if gone is None
        else {
            "erasure": gone.erasure,
            "at": rfc3339(micros(gone.at)),
            "requested_by": gone.by,
            "approved_by": gone.approved_by,
            "reason": gone.reason,
        },
        "input": [{"role": message.role, "text": message.text, "type": message.type} for message in content.input],
        "output": [{"role": message.role, "text": message.text, "type": message.type} for message in content.output],
        "documents": [
            {"id": item.id, "text": item.text, "score": item.score, "labels": list(item.labels)}
            for item in content.documents
        ],
        "tool_calls": [
            {"id": tool.id, "name": tool.name, "arguments": tool.arguments, "result": tool.result}
            for tool in content.tool_calls
        ],
        "attributes": attributes,
        "findings": newest["findings"] if newest else [],
        "decisions": decisions,
        "case_ids": cases,
        "conflicts": conflicts,
        "received_at": rfc3339(row.received_at),
    }
