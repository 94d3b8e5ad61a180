"""The audit events of calls: what is said, in the log, of a call that was recorded and of a decision.

The store appends them in the transaction that writes the rows they speak of; what they say is decided here. Content is
named by keyed commitments only, never by its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from governance.domain.decisions import Decision
from governance.domain.events import Event, EventKind, Json
from governance.domain.people import SERVICE
from governance.services.calls.check import CheckedCall, Deciding

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


@dataclass(frozen=True, kw_only=True, slots=True)
class CallState:
    """What the log says of a call's row: its revision, and commitments to its columns: `facts` (who, what, when; None
    where they stay as they were) and `parts` (roles, names and order of its content)."""

    revision: int
    parts: str
    facts: str | None = None

    def data(self) -> dict[str, Json]:
        said: dict[str, Json] = {"revision": self.revision, "parts": self.parts}
        return said if self.facts is None else {**said, "facts": self.facts}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Commitments to what people see of a decision: `detail` is the policies' outcomes, findings and explanation,
    `texts` the redacted texts and findings that were written with it, by detector set and by message (or call)."""

    detail: str
    beside: str = ""
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def facts_label(call: int) -> str:
    return f"call:{call}:facts"


def parts_label(call: int) -> str:
    return f"call:{call}:parts"


def detail_label(decision: int) -> str:
    return f"decision:{decision}"


def text_label(subject: int, detector_set: str) -> str:
    return f"text:{subject}:{detector_set}"


def examined_text(findings: str, redacted: str | None) -> str:
    """What is committed to of an examination: the findings' JSON, a NUL, and the redacted text."""
    return f"{findings}\0{redacted or ''}"


def parts_text(captured: int, parts: str) -> str:
    """What is committed to of a call's content beside its texts: whether there was any (1 or 0), and its parts in
    order."""
    return f"{captured}{parts}"


def call_recorded(call: NewCall, number: int, commitment: bytes, at: datetime, state: CallState) -> Event:
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
        **state.data(),
    }
    return _of_call(EventKind.CALL_RECORDED, number, call.system, at, data)


def content_added(call: NewCall, number: int, commitment: bytes, at: datetime, state: CallState) -> Event:
    """Content of a known call came later; `commitment` is a keyed digest of what came."""
    data: dict[str, Json] = {
        "call": number,
        "trace": call.trace_id.hex(),
        "span": call.span_id.hex(),
        "content": commitment.hex(),
        **state.data(),
    }
    return _of_call(EventKind.CALL_CONTENT_ADDED, number, call.system, at, data)


def call_conflict(number: int, system: str, digest: bytes, at: datetime, rows: Mapping[str, Json]) -> Event:
    """A known trace and span id came with other content, whose keyed digest this is; `rows` states where it is kept."""
    data: dict[str, Json] = {"call": number, "content": digest.hex(), "rows": dict(rows)}
    return _of_call(EventKind.CALL_CONFLICT, number, system, at, data)


def decision_made(
    number: int, item: CheckedCall, case: int | None, at: datetime, shown: Shown, sets: Deciding
) -> Event:
    """`number` is the decision's id; `case` the case it opened or joined; `sets` are those that decided."""
    # What a set in shadow said is no event of its own: nothing happened.
    shadow: dict[str, Json] = {}
    if item.beside is not None and sets.shadow is not None:
        by = sets.shadow.detectors.digest
        shadow = {"shadow": {**_facts(number + 1, item.beside.decision), "detectors": by, "shown": shown.beside}}
    data: dict[str, Json] = {
        **_facts(number, item.decision),
        "detectors": sets.enforce.detectors.digest,
        "shown": shown.detail,
        "texts": {by: dict(texts) for by, texts in shown.texts.items()},
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
