"""Parts of a call's content: the unit that is stored once, examined once, and that findings point into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from governance.domain.calls import Call


class PartKind(StrEnum):
    """Which part of a call a text is. `applies_to.parts` of a policy names these."""

    SYSTEM = "system"
    INPUT = "input"
    HISTORY = "history"
    OUTPUT = "output"
    DOCUMENT = "document"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"


class ContentKind(StrEnum):
    """What a stored content item is, whatever part it plays: an answer becomes history in the next turn."""

    MESSAGE = "message"
    DOCUMENT = "document"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A content item. `role` for messages; `name` is a tool's name or a document's id; `labels` of a document.

    Two equal items of one conversation are one stored item: its findings are found once.
    """

    kind: ContentKind
    text: str
    role: str = ""
    type: str = "text"
    name: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A content item in its place in a call. `index` counts from 0 among the parts of its kind;
    `reference` is a tool call's id and `score` a document's retrieval score."""

    kind: PartKind
    index: int
    content: Content
    reference: str = ""
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPart:
    """One part without its text; `message_id` says where the text is."""

    kind: PartKind
    index: int
    message_id: int
    content_kind: ContentKind
    role: str
    name: str
    type: str
    reference: str
    score: float | None
    labels: tuple[str, ...]

    def with_text(self, text: str) -> Part:
        return Part(
            kind=self.kind,
            index=self.index,
            content=Content(
                kind=self.content_kind, text=text, role=self.role, type=self.type, name=self.name, labels=self.labels
            ),
            reference=self.reference,
            score=self.score,
        )


_INPUT_KINDS = {
    "system": PartKind.SYSTEM,
    "developer": PartKind.SYSTEM,
    "assistant": PartKind.HISTORY,
    "model": PartKind.HISTORY,
    "ai": PartKind.HISTORY,
    "tool": PartKind.TOOL_RESULT,
    "function": PartKind.TOOL_RESULT,
}


def input_kind(role: str) -> PartKind:
    """The kind of part of an input message, by its role. An unknown role is treated as the user's."""
    return _INPUT_KINDS.get(role.lower(), PartKind.INPUT)


def parts_of(call: Call) -> Iterator[Part]:
    """All parts of a call: input, output, documents, tool calls (arguments, then result), in this order."""
    counts: dict[PartKind, int] = {}

    def place(kind: PartKind, content: Content, reference: str = "", score: float | None = None) -> Part:
        index = counts.get(kind, 0)
        counts[kind] = index + 1
        return Part(kind=kind, index=index, content=content, reference=reference, score=score)

    for message in call.input:
        yield place(
            input_kind(message.role),
            Content(kind=ContentKind.MESSAGE, text=message.text, role=message.role, type=message.type),
        )
    for message in call.output:
        yield place(
            PartKind.OUTPUT,
            Content(kind=ContentKind.MESSAGE, text=message.text, role=message.role, type=message.type),
        )
    for document in call.documents:
        yield place(
            PartKind.DOCUMENT,
            Content(kind=ContentKind.DOCUMENT, text=document.text, name=document.id, labels=document.labels),
            score=document.score,
        )
    for tool in call.tool_calls:
        yield place(
            PartKind.TOOL_CALL,
            Content(kind=ContentKind.TOOL_CALL, text=tool.arguments, name=tool.name),
            reference=tool.id,
        )
        if tool.result is not None:
            yield place(
                PartKind.TOOL_RESULT,
                Content(kind=ContentKind.TOOL_RESULT, text=tool.result, name=tool.name),
                reference=tool.id,
            )
