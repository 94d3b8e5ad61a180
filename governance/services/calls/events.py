"""The audit events of calls: what is said, in the log, of a call that was recorded and of a decision.

The store appends them in the transaction that writes the rows they speak of; what they say is decided here. Content is
named by keyed commitments only, never by its text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from governance.domain.decisions import Decision
from governance.domain.events import Event, EventKind, Json
from governance.domain.people import SERVICE
from governance.services.calls.check import CheckedCall

_ACTOR = SERVICE.reference


class NewCall(Protocol):
    """What the log says of a call when it is recorded."""

    @property
    def trace_id(self) -> bytes: ...
    @property
    def span_id(self) -> bytes: ...
    @property
    def system(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def started(self) -> str: ...
    @property
    def captured(self) -> bool: ...


def call_recorded(call: NewCall, number: int, commitment: bytes, at: datetime) -> Event:
    """`commitment` is a keyed digest of the content."""
    data: dict[str, Json] = {
        "call": number,
        "trace": call.trace_id.hex(),
        "span": call.span_id.hex(),
        "kind": call.kind,
        "release": call.fingerprint,
        "started": call.started,
        "captured": call.captured,
        "content": commitment.hex(),
    }
    return _of_call(EventKind.CALL_RECORDED, number, call.system, at, data)


def content_added(call: NewCall, number: int, commitment: bytes, at: datetime) -> Event:
    """Content of a known call came later; `commitment` is a keyed digest of what came."""
    data: dict[str, Json] = {
        "call": number,
        "trace": call.trace_id.hex(),
        "span": call.span_id.hex(),
        "content": commitment.hex(),
    }
    return _of_call(EventKind.CALL_CONTENT_ADDED, number, call.system, at, data)


def call_conflict(number: int, system: str, digest: bytes, at: datetime) -> Event:
    """A known trace and span id came with other content, whose keyed digest this is."""
    return _of_call(EventKind.CALL_CONFLICT, number, system, at, {"call": number, "content": digest.hex()})


def decision_made(number: int, item: CheckedCall, case: int | None, at: datetime) -> Event:
    """`number` is the decision's id; `case` the case it opened or joined."""
    # What a set in shadow said is no event of its own: nothing happened.
    shadow: dict[str, Json] = {} if item.beside is None else {"shadow": _facts(number + 1, item.beside.decision)}
    data: dict[str, Json] = {
        **_facts(number, item.decision),
        "call": item.loaded.id,
        "revision": item.loaded.revision,
        "case": case,
        "failure": item.failure,
        **shadow,
    }
    return _of_call(EventKind.DECISION_MADE, item.loaded.id, item.loaded.system, at, data)


def _of_call(kind: EventKind, number: int, system: str, at: datetime, data: dict[str, Json]) -> Event:
    return Event(kind=kind, at=at, actor=_ACTOR, subject=f"call:{number}", system=system, data=data)


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
