"""Our own JSON lines: the call object of the API (docs/api.md), or `{id, text}` for a bare text.

What is written here was written for us, so a wrong type is an error that names the field, not a guess. It is read as a
check reads it; what is recorded has ids besides, a time, and texts that every database can hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from governance.domain.calls import UNKNOWN_SYSTEM, Call, Document, EndUser, Message, Release, ToolCall
from governance.domain.times import EPOCH
from governance.engine.request import KEYS, call_from
from governance.errors import BadInput
from governance.ingest.bounds import bounded
from governance.ingest.formats.shared import ids_of, time_of, trace_id_of
from governance.ingest.text import as_json, as_text, identity, label, storable

_HERE = KEYS | {"span_id", "parent_span_id", "status", "findings", "decisions", "case_ids"}


def looks_like(line: dict[str, Any]) -> bool:
    if "text" in line:
        return True
    return bool({"trace_id", "span_id", "kind", "input", "output", "documents", "tool_calls"} & line.keys())


def decode(line: dict[str, Any], system: str) -> Call:
    """The call of one line; BadInput names the field that is wrong."""
    read = call_from({**line, "kind": line.get("kind") or "llm"})
    system = system or identity(read.system, 200) or UNKNOWN_SYSTEM
    started = EPOCH
    if line.get("started_at") is not None:
        at = time_of(line["started_at"])
        if at is None:
            raise BadInput("started_at must be RFC 3339, in the years 2000 to 2099.")
        started = at
    trace_id, span_id = _ids(line, system)
    rest = {**read.attributes, **{key: value for key, value in line.items() if key not in _HERE}}
    model = label(read.model, 200)
    return replace(
        read,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_hex(line, "parent_span_id", 16),
        name=label(read.name, 200),
        system=system,
        release=_release(read.release, model),
        session_id=identity(read.session_id, 200),
        user=EndUser(id=identity(read.user.id, 200), role=label(read.user.role, 100)),
        started_at=started,
        model=model,
        provider=label(read.provider, 100),
        error=label(read.error, 1000),
        finish_reasons=tuple(label(reason, 60) for reason in read.finish_reasons),
        content_captured=_has_content(read),
        input=tuple(_message(one) for one in read.input if one.text),
        output=tuple(_message(one) for one in read.output if one.text),
        documents=tuple(_document(one) for one in read.documents),
        tool_calls=tuple(_tool_call(one) for one in read.tool_calls),
        attributes=bounded(rest) if rest else {},
    )


def _ids(line: dict[str, Any], system: str) -> tuple[str, str]:
    trace_id, span_id = _hex(line, "trace_id", 32), _hex(line, "span_id", 16)
    key = line["id"] if line.get("id") not in (None, "") else as_json(line)
    made = ids_of("own", system, key)
    return trace_id or made[0], span_id or made[1]


def _hex(line: dict[str, Any], key: str, length: int) -> str:
    value = as_text(line.get(key)).lower()
    if value and (len(value) != length or trace_id_of(value * (32 // length)) == ""):
        raise BadInput(f"{key} must be {length} hex digits, not all zeros.")
    return value


def _has_content(call: Call) -> bool:
    return bool(
        any(one.text for one in (*call.input, *call.output))
        or any(one.text for one in call.documents)
        or any(one.arguments or one.result is not None for one in call.tool_calls)
    )


def _message(one: Message) -> Message:
    return Message(role=label(one.role, 40), text=storable(one.text), type=label(one.type, 60))


def _document(one: Document) -> Document:
    labels = tuple(label(text, 100) for text in one.labels)
    return Document(id=identity(one.id, 200), text=storable(one.text), score=one.score, labels=labels)


def _tool_call(one: ToolCall) -> ToolCall:
    return ToolCall(
        id=identity(one.id, 200),
        name=label(one.name, 200),
        arguments=storable(one.arguments),
        result=None if one.result is None else storable(one.result),
    )


def _release(release: Release, model: str) -> Release:
    names = ("name", "model", "prompt_version", "retrieval", "tools")
    parts = {name: label(getattr(release, name), 200) for name in names}
    return Release(**{**parts, "model": parts["model"] or model})
