"""OpenLLMetry (Traceloop): `gen_ai.prompt.N.*` and `gen_ai.completion.N.*`, `llm.request.type`, `traceloop.*`."""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import plain_text
from governance.ingest.conventions.openinference import read_value
from governance.ingest.records import SpanEvent
from governance.ingest.text import structure
from governance.ingest.transcript import Transcript

ASSOCIATION = "traceloop.association.properties."

FIELDS = {
    "llm.request.type": "request_type",
    "traceloop.span.kind": "traceloop_kind",
    "llm.request.model": "request_model",
    "llm.response.model": "response_model",
    "llm.vendor": "provider",
    "llm.usage.prompt_tokens": "input_tokens",
    "llm.usage.completion_tokens": "output_tokens",
    "llm.response.finish_reason": "finish_reasons",
    "llm.response.stop_reason": "finish_reasons",
    "llm.user": "user",
    "traceloop.prompt.key": "prompt_name",
    "traceloop.prompt.version": "prompt_version",
    "traceloop.prompt.version_name": "prompt_version",
    "traceloop.prompt.template_variables": "prompt_variables",
    ASSOCIATION + "session_id": "session",
    ASSOCIATION + "session.id": "session",
    ASSOCIATION + "chat_id": "session",
    ASSOCIATION + "thread_id": "session",
    ASSOCIATION + "conversation_id": "session",
    ASSOCIATION + "user_id": "user",
    ASSOCIATION + "user.id": "user",
    ASSOCIATION + "user_role": "role",
    ASSOCIATION + "user.role": "role",
    ASSOCIATION + "role": "role",
    ASSOCIATION + "prompt_version": "prompt_version",
    "traceloop.entity.input": "",
    "traceloop.entity.output": "",
    "llm.request.functions": "tool_definitions",
}

KINDS = {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool", "session": "chain"}
REQUEST_KINDS = {"chat": "llm", "completion": "llm", "embedding": "embedding", "rerank": "retrieval"}
_RESULTS = ("db.query.result", "db.search.result")


def read(lists: dict[str, list[Any]], events: list[SpanEvent], transcript: Transcript) -> None:
    """The flattened messages, and what a vector database gave back as span events."""
    for name in ("gen_ai.prompt", "gen_ai.input.messages"):
        transcript.hear(_messages(lists.get(name)))
    for name in ("gen_ai.completion", "gen_ai.output.messages"):
        transcript.answer(_messages(lists.get(name)))
    for event in events:
        if event.name in _RESULTS:
            prefix = event.name + "."
            row = {key.removeprefix(prefix): value for key, value in event.attributes.items()}
            transcript.retrieved([{**row, "content": row.get("document") or row.get("entity")}])


def read_late(fields: dict[str, Any], kind: str, name: Any, transcript: Transcript) -> None:
    """`traceloop.entity.input` and `.output`: {"inputs": {...}}, {"outputs": ...} or what a function took and gave."""
    given, got = fields.get("traceloop.entity.input"), fields.get("traceloop.entity.output")
    if given in (None, "") and got in (None, ""):
        return
    arguments, result = _entity(given, "inputs"), _entity(got, "outputs")
    if kind == "tool":
        if not transcript.calls:
            transcript.tool("", fields.get("tool_name") or name, arguments, result)
        return
    read_value(transcript, kind, arguments, result)


def _entity(value: Any, key: str) -> Any:
    """What the SDK's decorators put around inputs: {"args": [...], "kwargs": {...}} and {"inputs": {...}}."""
    parsed = structure(value)
    if isinstance(parsed, dict):
        if parsed.get(key) not in (None, "", {}, []):
            inner = parsed[key]
            return inner if plain_text(inner) is None else plain_text(inner)
        if key == "inputs" and "args" in parsed and "kwargs" in parsed:
            args, kwargs = parsed["args"], parsed["kwargs"]
            return kwargs if not args else args[0] if len(args) == 1 and not kwargs else parsed
    if key == "outputs" and isinstance(value, str) and isinstance(parsed, str) and value[:1] == '"':
        from_text = structure(f"[{value}]")
        return from_text[0] if isinstance(from_text, list) and from_text else value
    return value if isinstance(parsed, str) else parsed


def _messages(items: list[Any] | None) -> list[Any] | None:
    """Content that is JSON text of parts (multi-modal prompts) is read as parts."""
    if not items:
        return None
    for item in items:
        if isinstance(item, dict):
            for key in ("content", "tool_calls"):
                value = structure(item.get(key))
                if isinstance(value, list) and value and all(isinstance(p, dict) and "type" in p for p in value):
                    item[key] = value
    return items
