"""The frame of a call's content as the `parts` column holds it: which message plays which part, in order.

A part is a JSON list `[kind, message id, role or name, type, reference, score, labels]`, cut after its last value that
is not the default. A message with a tool's role is a `tool_message` here, where the domain says tool_result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from governance.domain.calls import Call, Document, Message, ToolCall
from governance.domain.content import ContentKind, Part, PartKind, StoredPart, input_kind

_MESSAGE_KINDS = (PartKind.SYSTEM, PartKind.INPUT, PartKind.HISTORY, PartKind.OUTPUT)
# A tool result is a message with a role (input history) or what a tool span gave back.
TOOL_MESSAGE = "tool_message"
_DEFAULTS: tuple[Any, ...] = (None, None, "", "text", "", None, [])


Piece = tuple[list[Any], str, str]
"""A part on its way into the store: its frame with 0 for the message id, what beside the text makes content items the
same, and the text. The hot path: the same parts as `domain.content.parts_of`, without an object for each."""


def pieces_of(call: Call) -> list[Piece]:
    """The parts of a call in the order of `parts_of`."""
    pieces: list[Piece] = []
    for message in call.input:
        start, same = _message_piece(_INPUT, message.role, message.type)
        pieces.append(([*start], same, message.text))
    for message in call.output:
        start, same = _message_piece(_OUTPUT, message.role, message.type)
        pieces.append(([*start], same, message.text))
    for document in call.documents:
        labels = list(document.labels)
        frame = [_DOCUMENT, 0, document.id, "text", "", document.score, labels]
        pieces.append((_cut(frame), "\0".join(("document", document.id, *labels)), document.text))
    for tool in call.tool_calls:
        pieces.append((_cut([_TOOL_CALL, 0, tool.name, "text", tool.id]), f"tool_call\0{tool.name}", tool.arguments))
        if tool.result is not None:
            frame = [_TOOL_RESULT, 0, tool.name, "text", tool.id]
            pieces.append((_cut(frame), f"tool_result\0{tool.name}", tool.result))
    return pieces


_INPUT_FRAMES = {kind: kind.value for kind in PartKind} | {PartKind.TOOL_RESULT: TOOL_MESSAGE}
_INPUT = ""  # which part an input message plays, its role says
_OUTPUT, _DOCUMENT = PartKind.OUTPUT.value, PartKind.DOCUMENT.value
_TOOL_CALL, _TOOL_RESULT = PartKind.TOOL_CALL.value, PartKind.TOOL_RESULT.value


@lru_cache(maxsize=256)
def _message_piece(kind: str, role: str, type: str) -> tuple[tuple[Any, ...], str]:
    """A message's frame, and what beside the text makes messages the same. Roles and types are few."""
    kind = kind or _INPUT_FRAMES[input_kind(role)]
    return tuple(_cut([kind, 0, role, type])), f"message\0{role}\0{type}"


def _cut(frame: list[Any]) -> list[Any]:
    while len(frame) > 2 and frame[-1] == _DEFAULTS[len(frame) - 1]:
        frame.pop()
    return frame


def encode(entries: Iterable[list[Any]]) -> str:
    return to_json(list(entries)).decode()


def documents_in(text: str) -> int:
    """How many documents the stored parts have; cheaper than to decode them."""
    if f'"{_DOCUMENT}"' not in text:
        return 0
    return sum(values[0] == _DOCUMENT for values in json.loads(text))


def decode(text: str) -> list[StoredPart]:
    """The stored parts, each with its index among the parts of its kind."""
    counts: dict[PartKind, int] = {}
    found = []
    for values in json.loads(text):
        kind, message_id, word, type_, reference, score, labels = values + list(_DEFAULTS[len(values) :])
        tool_message = kind == TOOL_MESSAGE
        part_kind = PartKind.TOOL_RESULT if tool_message else PartKind(kind)
        is_message = tool_message or part_kind in _MESSAGE_KINDS
        index = counts.get(part_kind, 0)
        counts[part_kind] = index + 1
        found.append(
            StoredPart(
                kind=part_kind,
                index=index,
                message_id=message_id,
                content_kind=ContentKind.MESSAGE if is_message else ContentKind(part_kind.value),
                role=word if is_message else "",
                name="" if is_message else word,
                type=type_,
                reference=reference,
                score=score,
                labels=tuple(labels),
            )
        )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContent:
    """A call's content in the domain's shape."""

    input: tuple[Message, ...]
    output: tuple[Message, ...]
    documents: tuple[Document, ...]
    tool_calls: tuple[ToolCall, ...]


def content_of(parts: Sequence[Part]) -> CallContent:
    """Turns parts back into messages, documents and tool calls: the inverse of `domain.content.parts_of`."""
    input_: list[Message] = []
    output: list[Message] = []
    documents: list[Document] = []
    tools: list[ToolCall] = []
    for part in parts:
        content = part.content
        if content.kind is ContentKind.MESSAGE:
            message = Message(role=content.role, text=content.text, type=content.type)
            (output if part.kind is PartKind.OUTPUT else input_).append(message)
        elif content.kind is ContentKind.DOCUMENT:
            documents.append(Document(id=content.name, text=content.text, score=part.score, labels=content.labels))
        elif content.kind is ContentKind.TOOL_CALL:
            tools.append(ToolCall(id=part.reference, name=content.name, arguments=content.text))
        else:
            tools.append(_with_result(tools, part))
    return CallContent(input=tuple(input_), output=tuple(output), documents=tuple(documents), tool_calls=tuple(tools))


def _with_result(tools: list[ToolCall], part: Part) -> ToolCall:
    """The tool call that this result belongs to (the one just before it), taken off the list and completed."""
    asked = tools.pop() if tools and tools[-1].id == part.reference and tools[-1].result is None else ToolCall()
    return ToolCall(
        id=part.reference, name=asked.name or part.content.name, arguments=asked.arguments, result=part.content.text
    )
