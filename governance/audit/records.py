"""What the leaves of a package prove about the records beside them: for each kind of event, which fields must agree.

A record may be contradicted only by an event that comes later: a call whose content came after it, content that was
erased. So a contradiction of that kind is a doubt until the leaves are at their end.

To prove more of a record, add it to `_PAIRS` (fields that the leaf states in clear), or to `Records.compare`. A line of
`records/*.jsonl` may carry members beside `seq` and the record: `compare` gets the whole line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

# Which event founds which record: kind of event, file, name of the record in its line.
RECORDS = {
    "call.recorded": ("calls", "call"),
    "decision.made": ("decisions", "decision"),
    "case.opened": ("cases", "case"),
    "verdict.given": ("verdicts", "verdict"),
    "report.received": ("reports", "report"),
}

ERASED = "content.erased"
_ADDED = "call.content_added"

Pair = tuple[str, object, object]
"""A field, what the leaf proves, and what the record says."""


def subject_of(leaf: Mapping[str, Any]) -> str:
    """What a record's erasure is recorded under: the subject of its event, for a decision that of its call."""
    return str(leaf["subject"])


def erased(leaf: Mapping[str, Any]) -> Iterator[str]:
    """The subjects whose content an event says was erased."""
    if leaf["kind"] != ERASED:
        return
    yield leaf["subject"]
    for name, kind in (("calls", "call"), ("reports", "report"), ("cases", "case")):
        numbers = leaf["data"].get(name)
        if isinstance(numbers, list):
            yield from (f"{kind}:{number}" for number in numbers)


class Records:
    """Compares the leaves and the records of a package, in the log's order; memory grows only with doubts.

    `fail` is told what no later event can explain. What waits for one is in `gone` (records that are not there) and
    `doubts` at the end.
    """

    def __init__(self, fail: Callable[[str], None], *, decisions: bool = False) -> None:
        """`decisions`: calls carry their decisions, as in packages of the first edition."""
        self._fail = fail
        self._decisions = decisions
        self.gone: dict[str, list[str]] = {}
        self.doubts: dict[str, list[str]] = {}
        self.erased = 0
        """Records that are gone, or differ, because an event says that their content was erased."""

    def event(self, leaf: Mapping[str, Any]) -> None:
        """Takes a leaf, of whatever kind: it may explain what was found before."""
        if leaf["kind"] == _ADDED:
            self.doubts.pop(f"amended {leaf['data'].get('call')}", None)
        elif leaf["kind"] == ERASED:
            for subject in erased(leaf):
                self.erased += len(self.gone.pop(subject, ())) + len(self.doubts.pop(f"erased {subject}", ()))

    def absent(self, seq: int, leaf: Mapping[str, Any]) -> None:
        """The record of an event is not there: some later event must say that it was erased."""
        self.gone.setdefault(subject_of(leaf), []).append(f"Event {seq} ({leaf['kind']}, {leaf['subject']})")

    def compare(self, seq: int, leaf: Mapping[str, Any], line: Mapping[str, Any]) -> None:
        """Compares a record with the event that founded it; `line` is the record's line, whole."""
        record = line[RECORDS[leaf["kind"]][1]]
        where = f"{RECORDS[leaf['kind']][1]} {record.get('id')}, event {seq}"
        try:
            for name, proven, found in _pairs(leaf, record):
                if proven != found:
                    self._fail(f"{where}: {name} is {found!r}, the log says {proven!r}.")
            if leaf["kind"] == "call.recorded":
                if "decisions" in record and not self._decisions:
                    self._fail(f"{where}: decisions are records of their own.")
                for name, proven, found in _first(leaf["data"], record):
                    if proven != found:
                        doubt = f"{where}: {name} is {found!r}, the log says {proven!r}."
                        self.doubts.setdefault(f"amended {leaf['data'].get('call')}", []).append(doubt)
        except (KeyError, TypeError, ValueError, AttributeError):
            self._fail(f"{where}: it is not of the shape of such a record.")

    def finish(self) -> Iterable[str]:
        """Fails for what nothing explained; gives the records that are missing."""
        for doubts in self.doubts.values():
            for doubt in doubts:
                self._fail(doubt)
        for places in self.gone.values():
            yield from places


def _pairs(leaf: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[Pair]:
    data = leaf["data"]
    match leaf["kind"]:
        case "call.recorded":
            yield "id", leaf["subject"], f"call:{record['id']}"
            yield "system", leaf["system"], record["system"]
            yield from _same(data, record, trace="trace_id", span="span_id")
        case "decision.made":
            yield "id", str(data.get("decision")), record["id"]
            yield "decision", decided(data), decided(record)
            yield from _same(data, record, revision="revision")
            if data.get("call") is not None:
                yield "call", str(data["call"]), record["call_id"]
        case "case.opened":
            yield "id", leaf["subject"], f"case:{record['id']}"
            yield "system", leaf["system"], record["system"]
            if data.get("call") is not None:
                yield "call", str(data["call"]), record["call_id"]
        case "verdict.given":
            yield "case", leaf["subject"], f"case:{record['case_id']}"
            yield "reviewer", leaf["actor"], record["given_by"]
            yield from _same(data, record, outcome="outcome", reason="reason")
            apart = abs((_moment(leaf["at"]) - _moment(record["given_at"])).total_seconds())
            yield "time", True, apart < 60
        case "report.received":
            yield "id", leaf["subject"], f"report:{record['id']}"
            yield "system", leaf["system"], record["system"]


def _first(data: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[Pair]:
    """What a call's event says of it as it came: content that comes later changes it."""
    yield from _same(data, record, kind="kind", captured="content_captured")
    if "release" in data:
        yield "release", data["release"], record["release"]["fingerprint"]
    if "started" in data:
        yield "start", _moment(data["started"]), _moment(record["started_at"])


def _same(data: Mapping[str, Any], record: Mapping[str, Any], **names: str) -> Iterator[Pair]:
    for proven, found in names.items():
        if proven in data:
            yield found, data[proven], record[found]


def decided(value: Mapping[str, Any]) -> tuple[object, ...]:
    """The essence of a decision, of a leaf or of a record."""
    policies = tuple(
        (one.get("policy"), one.get("outcome"), one.get("action"), one.get("status"))
        for one in value.get("policies") or ()
    )
    return value.get("action"), value.get("queue"), value.get("severity") or "", value.get("policy_set"), policies


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
