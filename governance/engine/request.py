"""A call as people and programs write it for a check: `governance check`, its JSON lines, and the tests of policies.

    {"text": "...", "direction": "input", "user": {"role": "customer"}}
    {"system": "bot", "input": [{"role": "user", "text": "..."}], "output": "...", "documents": ["..."], ...}

    {"text": "...", "steps": [{"documents": ["..."]}, {"tool_calls": [{"name": "fetch", "result": "..."}]}]}

`steps` are the earlier calls of its trace (or, with another `trace_id`, of its session), in their order: each a call,
which takes over `system`, `user`, `trace_id` and `session_id` where it does not name its own.

The full form is the call object of docs/api.md. Where `kind` is left out it is `llm` if the call has an answer, and
`guardrail`, an inline check of a part, if not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain.calls import Call, CallKind, Document, EndUser, Message, Release, ToolCall, Usage
from governance.engine.sequence import MOST_STEPS
from governance.errors import BadInput

NO_TRACE = "0" * 32
NO_SPAN = "0" * 16
DIRECTIONS = ("input", "output")
KEYS = frozenset(
    {
        "id", "text", "direction", "system", "kind", "name", "trace_id", "session_id", "messages", "input", "output",
        "documents", "tool_calls", "user", "release", "model", "provider", "usage", "error", "duration_ms",
        "finish_reasons", "content_captured", "attributes", "started_at", "steps",
    }
)  # fmt: skip


def call_from(value: object, *, direction: str = "input", system: str = "", strict: bool = False) -> Call:
    """The call that a JSON value describes. `direction` says what a bare `text` is, unless the value does.

    Raises `BadInput` that names the field. `strict` refuses unknown keys, which are ignored otherwise.
    """
    if not isinstance(value, Mapping):
        raise BadInput("A call is a JSON object.", advice='For example {"text": "..."}.')
    if strict and not value.keys() <= KEYS:
        unknown = ", ".join(sorted(str(key)[:40] for key in value.keys() - KEYS))
        raise BadInput(f"Unknown in a call: {unknown}.", advice=f"There are: {', '.join(sorted(KEYS))}.")
    towards = _string(value, "direction") or direction
    if towards not in DIRECTIONS:
        raise BadInput(f"direction must be input or output, not {towards[:40]!r}.")
    given = _messages(value, "messages")
    received = [message for message in given if towards == "input" or message.role.lower() not in _ANSWERING]
    answered = [message for message in given if towards == "output" and message.role.lower() in _ANSWERING]
    input_ = [*received, *_messages(value, "input", role="user")]
    output = [*answered, *_messages(value, "output", role="assistant")]
    if value.get("text") is not None:
        text = _string(value, "text")
        if towards == "output":
            output.append(Message(role="assistant", text=text))
        else:
            input_.append(Message(role="user", text=text))
    documents = _documents(value)
    tools = _tool_calls(value)
    captured = value.get("content_captured")
    if captured is not None and not isinstance(captured, bool):
        raise BadInput("content_captured must be true or false.")
    return Call(
        trace_id=_string(value, "trace_id") or NO_TRACE,
        span_id=NO_SPAN,
        kind=_kind(value, answered=bool(output or value.get("output") is not None)),
        name=_string(value, "name"),
        system=_string(value, "system") or system,
        release=_release(value),
        session_id=_identity(value, "session_id"),
        user=_user(value),
        started_at=datetime.now(UTC),
        duration_ms=_number(value, "duration_ms"),
        model=_string(value, "model"),
        provider=_string(value, "provider"),
        usage=_usage(value),
        error=_string(value, "error"),
        finish_reasons=tuple(_strings(value, "finish_reasons")),
        content_captured=bool(input_ or output or documents or tools) if captured is None else captured,
        input=tuple(input_),
        output=tuple(output),
        documents=tuple(documents),
        tool_calls=tuple(tools),
        attributes=_mapping(value, "attributes"),
    )


def object_of(line: bytes) -> dict[str, Any]:
    """The JSON object in a line of a file. Raises `BadInput` that says what the line is instead."""
    try:
        value = json.loads(line)
    except UnicodeDecodeError:
        raise BadInput("the line is not UTF-8.") from None
    except ValueError as error:
        where = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"the line is not JSON{where}.") from None
    except RecursionError:
        raise BadInput("the line is nested too deeply.") from None
    if not isinstance(value, dict):
        raise BadInput("the line is not a JSON object.")
    return value


def steps_from(value: object, call: Call, *, strict: bool = False) -> tuple[Call, ...]:
    """The `steps` that a JSON value names before `call`, which was made of the same value. Raises `BadInput`."""
    given = _items(value, "steps") if isinstance(value, Mapping) else []
    if len(given) > MOST_STEPS:
        raise BadInput(f"steps: at most {MOST_STEPS}.")
    made = []
    for number, item in enumerate(given):
        if not isinstance(item, Mapping):
            raise BadInput(f"steps[{number}] must be a call, a JSON object.")
        if item.get("steps") is not None:
            raise BadInput(f"steps[{number}] has steps of its own.", advice="List all steps in one list, in order.")
        try:
            step = call_from(item, strict=strict)
        except BadInput as error:
            raise BadInput(f"steps[{number}]: {error.message}", advice=error.advice) from None
        made.append(
            replace(
                step,
                system=step.system or call.system,
                trace_id=call.trace_id if item.get("trace_id") is None else step.trace_id,
                session_id=step.session_id or call.session_id,
                user=call.user if item.get("user") is None else step.user,
                started_at=call.started_at - timedelta(seconds=len(given) - number),
            )
        )
    return tuple(made)


_ANSWERING = frozenset({"assistant", "model", "ai"})


def _string(value: Mapping[str, Any], key: str, where: str = "") -> str:
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise BadInput(f"{where}{key} must be a string.")
    return found


def _identity(value: Mapping[str, Any], key: str, where: str = "") -> str:
    """A string, or a whole number as databases give them."""
    found = value.get(key)
    return str(found) if type(found) is int else _string(value, key, where)


def _strings(value: Mapping[str, Any], key: str, where: str = "") -> list[str]:
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise BadInput(f"{where}{key} must be a list of strings.")
    return found


def _number(value: Mapping[str, Any], key: str, where: str = "") -> float | None:
    found = value.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise BadInput(f"{where}{key} must be a number.")
    return float(found)


def _whole(value: Mapping[str, Any], key: str, where: str = "") -> int | None:
    found = value.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**53:
        raise BadInput(f"{where}{key} must be a whole number from 0.")
    return found


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise BadInput(f"{key} must be an object.")
    return dict(found)


def _items(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise BadInput(f"{key} must be a list.")
    return found


def _messages(value: Mapping[str, Any], key: str, *, role: str = "user") -> list[Message]:
    """Messages as a list of `{role, text}` (or `content`, as OpenAI names it), or as one text."""
    if isinstance(value.get(key), str):
        return [Message(role=role, text=value[key])]
    messages = []
    for number, item in enumerate(_items(value, key)):
        where = f"{key}[{number}]."
        if not isinstance(item, Mapping):
            raise BadInput(f"{key}[{number}] must be an object with role and text.")
        text = _string(item, "text", where) or _string(item, "content", where)
        messages.append(
            Message(role=_string(item, "role", where) or role, text=text, type=_string(item, "type", where) or "text")
        )
    return messages


def _documents(value: Mapping[str, Any]) -> list[Document]:
    documents = []
    for number, item in enumerate(_items(value, "documents")):
        where = f"documents[{number}]."
        if isinstance(item, str):
            documents.append(Document(text=item))
        elif isinstance(item, Mapping):
            documents.append(
                Document(
                    id=_identity(item, "id", where),
                    text=_string(item, "text", where),
                    score=_number(item, "score", where),
                    labels=tuple(_strings(item, "labels", where)),
                )
            )
        else:
            raise BadInput(f"documents[{number}] must be a string or an object with text.")
    return documents


def _tool_calls(value: Mapping[str, Any]) -> list[ToolCall]:
    tools = []
    for number, item in enumerate(_items(value, "tool_calls")):
        where = f"tool_calls[{number}]."
        if not isinstance(item, Mapping):
            raise BadInput(f"tool_calls[{number}] must be an object with name and arguments.")
        arguments = item.get("arguments")
        result = item.get("result")
        tools.append(
            ToolCall(
                id=_identity(item, "id", where),
                name=_string(item, "name", where),
                arguments=_as_text(arguments),
                result=None if result is None else _as_text(result),
            )
        )
    return tools


def _as_text(value: object) -> str:
    """Arguments and results as they were sent: text unchanged, anything else as its JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise BadInput("Arguments or a result of a tool call are nested too deeply.") from None


def _user(value: Mapping[str, Any]) -> EndUser:
    user = value.get("user")
    if user is None:
        return EndUser()
    if isinstance(user, str):
        return EndUser(id=user)
    if not isinstance(user, Mapping):
        raise BadInput("user must be an object with id and role.")
    return EndUser(id=_identity(user, "id", "user."), role=_string(user, "role", "user."))


def _release(value: Mapping[str, Any]) -> Release:
    release = value.get("release")
    if release is None:
        return Release()
    if isinstance(release, str):
        return Release(name=release)
    if not isinstance(release, Mapping):
        raise BadInput("release must be an object.")
    names = ("name", "model", "prompt_version", "retrieval", "tools")
    return Release(**{name: _string(release, name, "release.") for name in names})


def _usage(value: Mapping[str, Any]) -> Usage:
    usage = value.get("usage")
    if usage is None:
        return Usage()
    if not isinstance(usage, Mapping):
        raise BadInput("usage must be an object.")
    names = ("input_tokens", "output_tokens", "cached_tokens")
    return Usage(**{name: _whole(usage, name, "usage.") for name in names})


def _kind(value: Mapping[str, Any], *, answered: bool) -> CallKind:
    kind = _string(value, "kind")
    if not kind:
        return CallKind.LLM if answered else CallKind.GUARDRAIL
    try:
        return CallKind(kind)
    except ValueError:
        raise BadInput(f"kind must be one of: {', '.join(CallKind)}.") from None
