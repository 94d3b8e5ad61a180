"""Orders the steps of a trace or session, and finds what is new in each.

A producer repeats: the history of a conversation comes with every turn, a tool call with its span and with each later
question to the model. Here each content item counts once, in the step that brought it first. A call is a step; a tool
call that it carries is a step of its own after it, so that "read, then sent" has an order within one call too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from governance.domain.calls import Call, CallKind, Document
from governance.domain.content import Content, ContentKind, Part, PartKind
from governance.domain.findings import Finding
from governance.domain.steps import Step

MOST_STEPS = 200
"""Steps that a condition sees: CEL allows 10,000 iterations, and a sequence is read by every call of it."""
_TELLING = 100
"""Of those that are kept, at most so many because something was found in them, however old they are."""


@dataclass(slots=True)
class Row:
    """One step as conditions see it. `findings` come with the name of the part they lie in."""

    call: Call
    current: bool
    kind: str
    name: str
    began: datetime
    order: int = 0
    seconds: float = 0.0
    tools: list[str] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    findings: list[tuple[Finding, str]] = field(default_factory=list)


def rows(others: Sequence[Step], current: Step) -> tuple[list[Row], int]:
    """The steps in the order of their beginning, and how many were left out beyond `MOST_STEPS`.

    Of calls that began at the same moment, those that were given first come first; the current one comes last.
    """
    ordered = sorted([*others, current], key=lambda step: step.call.started_at)
    seen: set[Hashable] = set()
    found: list[Row] = []
    # Which message was said before tells only where a finding in it counts.
    messages = any(step.findings for step in ordered)
    for step in ordered:
        found.extend(_unrolled(step, step is current, seen, messages))
    kept = _kept(found)
    for number, row in enumerate(kept, 1):
        row.order = number
        row.seconds = (row.began - kept[0].began).total_seconds()
    return kept, len(found) - len(kept)


def _kept(found: list[Row]) -> list[Row]:
    """The steps to keep: all of the current call, then the oldest of those with findings, then the latest."""
    if len(found) <= MOST_STEPS:
        return found
    numbers = [number for number, row in enumerate(found) if row.current][-MOST_STEPS:]
    telling = [number for number, row in enumerate(found) if row.findings and not row.current]
    numbers += telling[: min(_TELLING, MOST_STEPS - len(numbers))]
    chosen = set(numbers)
    latest = (number for number in range(len(found) - 1, -1, -1) if number not in chosen)
    chosen.update(number for number, _ in zip(latest, range(MOST_STEPS - len(chosen)), strict=False))
    return [found[number] for number in sorted(chosen)]


def _unrolled(step: Step, current: bool, seen: set[Hashable], messages: bool) -> list[Row]:
    # A call becomes its own row and one for each tool call it carries. Only what no earlier step had (`seen`) makes a
    # row or goes into one; `places` remembers the row of each part, so that findings go there too.
    call = step.call
    own = Row(call=call, current=current, kind=call.kind.value, name=call.name, began=call.started_at)
    found = [own]
    places: dict[tuple[PartKind | None, int], tuple[Row, str]] = {(None, 0): (own, "")}
    tool = own
    asked = -1
    if messages:
        asked = max((number for number, part in enumerate(step.parts) if part.kind is PartKind.INPUT), default=-1)
    times: dict[Hashable, int] = {}
    # A tool's span is that tool call: its arguments and its result are one step.
    alone = call.kind is CallKind.TOOL
    for number, (part, content) in enumerate(zip(step.parts, step.content, strict=True)):
        kind = part.content.kind
        if kind is ContentKind.MESSAGE and not messages:
            continue
        times[content] = times.get(content, 0) + 1
        new = _is_new(part, content, seen)
        if number == asked:
            # What a user says again in another interaction is no history, though the words are the same.
            turn = ("turn", call.trace_id, content, times[content])
            new = turn not in seen
            seen.add(turn)
        row = own
        if kind is ContentKind.TOOL_CALL and not alone:
            tool = Row(call=call, current=current, kind=CallKind.TOOL.value, name=part.content.name, began=own.began)
            row = tool
        elif kind is ContentKind.TOOL_RESULT:
            row = tool
        if not new:
            continue
        if row is not own and row is not found[-1]:
            found.append(row)
        if kind is ContentKind.TOOL_CALL:
            row.tools.append(part.content.name)
        elif part.kind is PartKind.DOCUMENT:
            document = part.content
            row.documents.append(Document(id=document.name, score=part.score, labels=document.labels))
        places[part.kind, part.index] = (row, part.content.name)
    for finding in step.findings:
        place = places.get((finding.part, finding.index if finding.part is not None else 0))
        if place is not None:
            place[0].findings.append((finding, place[1]))
    return found


def _is_new(part: Part, content: Hashable, seen: set[Hashable]) -> bool:
    """Whether no earlier part was the same. A repeated tool call is recognised by its id, where both have one."""
    if part.content.kind is not ContentKind.TOOL_CALL:
        if content in seen:
            return False
        seen.add(content)
        return True
    # Producers give ids to only some of the copies of a call: one without an id is the same as any equal one before.
    named = ("tool_call", content, part.reference)
    nameless = ("tool_call", content, "")
    any_ = ("tool_call", content)
    known = named in seen or nameless in seen or (not part.reference and any_ in seen)
    seen.update((named, any_))
    return not known


class Telling:
    """What rows without findings are told apart by, for these conditions: to equal keys they give equal answers.

    Read from the conditions' words, so that more may be told apart than must be, never less.
    """

    def __init__(self, conditions: str) -> None:
        words = set(re.findall(r"\w+", conditions))
        self._calls_differ = "call" in words
        self._readers = [reader for name, reader in _READERS.items() if name in words]
        if "documents" in words:
            self._readers.append(_documents_reader(conditions))

    def key(self, found: Sequence[Row]) -> bytes | None:
        """16 bytes, however much is told; None where conditions read more than rows. A row's `order` is its place."""
        if self._calls_differ:
            return None
        told = repr([(row.current, *[reader(row) for reader in self._readers]) for row in found])
        return hashlib.blake2b(told.encode(), digest_size=16).digest()


_READERS: Mapping[str, Callable[[Row], object]] = {
    "kind": lambda row: row.kind,
    "name": lambda row: row.name,
    "system": lambda row: row.call.system,
    "model": lambda row: row.call.model,
    "user": lambda row: row.call.user,
    "failed": lambda row: bool(row.call.error),
    "seconds": lambda row: row.seconds,
    "tools": lambda row: row.tools,
}
"""The fields of a step that its place in the sequence does not say; `findings` there are none."""
_BOUND = re.compile(r"\bdocuments\s*\.\s*(?:exists|all|exists_one|map)\s*\(\s*(\w+)\s*,(?!\s*\w+\s*,)")


def _documents_reader(conditions: str) -> Callable[[Row], object]:
    """Reads of documents what conditions do: by the variables that stand for one; all, where one is used otherwise."""
    variables = _BOUND.findall(conditions)
    names = "|".join(sorted(set(variables)))
    used = re.findall(rf"\b(?:{names})\b(?:\s*\.\s*(\w+)|\s*,)?", conditions) if names else []
    # Once in each macro a variable is named and not read: there a comma follows it.
    if len(variables) < len(re.findall(r"\bdocuments\b", conditions)) or used.count("") > len(variables):
        used = ["id", "score"]
    id_, score = "id" in used, "score" in used
    return lambda row: [
        (document.labels, document.id if id_ else None, document.score if score else None) for document in row.documents
    ]


def content_of(parts: Sequence[Part]) -> tuple[Content, ...]:
    """The identity of each part's content item, where nothing is stored: the item itself."""
    return tuple(part.content for part in parts)
