"""Our own JSON lines: the call object of the API (docs/ingest.md), or `{id, text}` for a bare text.

What is written here was written for us, so a wrong type is an error that names the field, not a guess.
"""

from __future__ import annotations

from typing import Any

from governance.domain.calls import Call, CallKind, Document, EndUser, Message, Release, ToolCall, Usage
from governance.errors import BadInput
from governance.ingest.bounds import bounded
from governance.ingest.formats.shared import ids_of, time_of, trace_id_of
from governance.ingest.interpret import EPOCH, UNKNOWN_SYSTEM
from governance.ingest.text import as_integer, as_json, as_number, identity, label, storable

_HERE = frozenset(
    {"id", "trace_id", "span_id", "parent_span_id", "kind", "name", "system", "release", "session_id", "user", "status"}
    | {"started_at", "duration_ms", "model", "provider", "usage", "error", "content_captured", "input", "output"}
    | {"documents", "tool_calls", "attributes", "findings", "decisions", "case_ids", "text", "direction"}
    | {"finish_reasons"}
)


def looks_like(line: dict[str, Any]) -> bool:
    if "text" in line:
        return True
    return bool({"trace_id", "span_id", "kind", "input", "output", "documents", "tool_calls"} & line.keys())


def decode(line: dict[str, Any], system: str) -> Call:
    """The call of one line; BadInput names the field that is wrong."""
    system = system or identity(_text(line, "system"), 200) or UNKNOWN_SYSTEM
    inputs, outputs = _messages(line, "input", "user"), _messages(line, "output", "assistant")
    text = _text(line, "text")
    if text:
        direction = _text(line, "direction") or "input"
        if direction not in ("input", "output"):
            raise BadInput(f"direction: {direction[:40]!r} is neither input nor output.")
        if direction == "input":
            inputs += (Message(role="user", text=storable(text)),)
        else:
            outputs += (Message(role="assistant", text=storable(text)),)
    documents, calls = _documents(line), _tool_calls(line)
    usage, user, release = _object(line, "usage"), _object(line, "user"), line.get("release")
    kind = _text(line, "kind") or "llm"
    if kind not in set(CallKind):
        raise BadInput(f"kind: {kind[:40]!r} is not one of {', '.join(CallKind)}.")
    started = EPOCH
    if line.get("started_at") is not None:
        at = time_of(line["started_at"])
        if at is None:
            raise BadInput("started_at: RFC 3339 in the years 2000 to 2099 is needed.")
        started = at
    trace_id, span_id = _ids(line, system)
    rest = dict(_object(line, "attributes")) | {key: value for key, value in line.items() if key not in _HERE}
    model = label(_text(line, "model"), 200)
    return Call(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_hex(line, "parent_span_id", 16),
        kind=CallKind(kind),
        name=label(_text(line, "name"), 200),
        system=system,
        release=_release(release, model),
        session_id=identity(_text(line, "session_id"), 200),
        user=EndUser(id=identity(_text(user, "id", "user.id"), 200), role=label(_text(user, "role", "user.role"), 100)),
        started_at=started,
        duration_ms=_number(line, "duration_ms"),
        model=model,
        provider=label(_text(line, "provider"), 100),
        usage=Usage(
            input_tokens=_integer(usage, "input_tokens"),
            output_tokens=_integer(usage, "output_tokens"),
            cached_tokens=_integer(usage, "cached_tokens"),
        ),
        error=label(_text(line, "error"), 1000),
        finish_reasons=tuple(label(reason, 60) for reason in _list(line, "finish_reasons")),
        content_captured=bool(
            inputs
            or outputs
            or any(document.text for document in documents)
            or any(call.arguments or call.result is not None for call in calls)
        ),
        input=inputs,
        output=outputs,
        documents=documents,
        tool_calls=calls,
        attributes=bounded(rest) if rest else {},
    )


def _ids(line: dict[str, Any], system: str) -> tuple[str, str]:
    trace_id, span_id = _hex(line, "trace_id", 32), _hex(line, "span_id", 16)
    key = line["id"] if line.get("id") not in (None, "") else as_json(line)
    made = ids_of("own", system, key)
    return trace_id or made[0], span_id or made[1]


def _hex(line: dict[str, Any], key: str, length: int) -> str:
    value = _text(line, key).lower()
    if value and (len(value) != length or trace_id_of(value * (32 // length)) == ""):
        raise BadInput(f"{key}: {length} hex digits, not all zeros, are needed.")
    return value


def _messages(line: dict[str, Any], key: str, role: str) -> tuple[Message, ...]:
    out = []
    for i, item in enumerate(_list(line, key)):
        if isinstance(item, str):
            item = {"role": role, "text": item}
        if not isinstance(item, dict):
            raise BadInput(f"{key}[{i}]: an object {{role, text}} is needed.")
        text = _text(item, "text" if "text" in item else "content", f"{key}[{i}].text")
        if text:
            out.append(
                Message(
                    role=label(_text(item, "role", f"{key}[{i}].role"), 40) or role,
                    text=storable(text),
                    type=label(_text(item, "type", f"{key}[{i}].type"), 60) or "text",
                )
            )
    return tuple(out)


def _documents(line: dict[str, Any]) -> tuple[Document, ...]:
    out = []
    for i, item in enumerate(_list(line, "documents")):
        at = f"documents[{i}]"
        if isinstance(item, str):
            item = {"text": item}
        if not isinstance(item, dict):
            raise BadInput(f"{at}: an object {{id, text, score, labels}} is needed.")
        labels = _list(item, "labels", f"{at}.labels")
        if not all(isinstance(text, str) for text in labels):
            raise BadInput(f"{at}.labels: a list of texts is needed.")
        out.append(
            Document(
                id=identity(item.get("id"), 200),
                text=storable(_text(item, "text", f"{at}.text")),
                score=_number(item, "score", f"{at}.score"),
                labels=tuple(label(text, 100) for text in labels),
            )
        )
    return tuple(out)


def _tool_calls(line: dict[str, Any]) -> tuple[ToolCall, ...]:
    out = []
    for i, item in enumerate(_list(line, "tool_calls")):
        at = f"tool_calls[{i}]"
        if not isinstance(item, dict):
            raise BadInput(f"{at}: an object {{id, name, arguments, result}} is needed.")
        arguments, result = item.get("arguments"), item.get("result")
        out.append(
            ToolCall(
                id=identity(item.get("id"), 200),
                name=label(_text(item, "name", f"{at}.name"), 200),
                arguments=storable(
                    arguments if isinstance(arguments, str) else as_json(arguments) if arguments else ""
                ),
                result=None if result is None else storable(result if isinstance(result, str) else as_json(result)),
            )
        )
    return tuple(out)


def _release(value: Any, model: str) -> Release:
    if value is None or value == "":
        return Release(model=model)
    if isinstance(value, str):
        return Release(name=label(value, 200), model=model)
    if not isinstance(value, dict):
        raise BadInput("release: a name or an object {name, model, prompt_version, retrieval, tools} is needed.")
    parts = {
        key: label(_text(value, key, f"release.{key}"), 200)
        for key in ("name", "model", "prompt_version", "retrieval", "tools")
    }
    return Release(**{**parts, "model": parts["model"] or model})


def _text(line: dict[str, Any], key: str, at: str = "") -> str:
    value = line.get(key)
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and key in ("id", "session_id"):
        return str(value)
    if not isinstance(value, str):
        raise BadInput(f"{at or key}: a text is needed.")
    return value


def _list(line: dict[str, Any], key: str, at: str = "") -> list[Any]:
    value = line.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInput(f"{at or key}: a list is needed.")
    return value


def _object(line: dict[str, Any], key: str) -> dict[str, Any]:
    value = line.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{key}: an object is needed.")
    return value


def _integer(line: dict[str, Any], key: str) -> int | None:
    value = line.get(key)
    if value is None:
        return None
    number = as_integer(value)
    if number is None:
        raise BadInput(f"usage.{key}: a count of 0 or more is needed.")
    return number


def _number(line: dict[str, Any], key: str, at: str = "") -> float | None:
    value = line.get(key)
    if value is None:
        return None
    number = as_number(value)
    if number is None:
        raise BadInput(f"{at or key}: a number is needed.")
    return number
