"""OpenLLMetry (Traceloop): `gen_ai.prompt.N.*` and `gen_ai.completion.N.*`, `llm.request.type`, `traceloop.*`."""

from __future__ import annotations

from itertools import compress
from typing import Any

from governance.ingest.bodies import read_value
from governance.ingest.conventions.gen_ai import parts_in
from governance.ingest.records import SpanEvent
from governance.ingest.text import structure, unquoted
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
    "gen_ai.task.input": "traceloop.entity.input",
    "gen_ai.task.output": "traceloop.entity.output",
    "llm.request.functions": "tool_definitions",
}

KINDS = {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool", "session": "chain"}
REQUEST_KINDS = {"chat": "llm", "completion": "llm", "embedding": "embedding", "rerank": "retrieval"}
_RESULTS = ("db.query.result", "db.search.result")


def read(lists: dict[str, list[Any]], kind: str, events: list[SpanEvent], transcript: Transcript) -> None:
    """The flattened messages, and what a vector database gave back as span events. A reranker's documents come as
    messages of the system."""
    if kind == "retrieval" and (prompts := lists.get("gen_ai.prompt")):
        documents = [isinstance(item, dict) and item.get("role") == "system" for item in prompts]
        transcript.retrieved([{"content": prompt.get("content")} for prompt in compress(prompts, documents)])
        lists["gen_ai.prompt"] = [prompt for prompt, document in zip(prompts, documents, strict=True) if not document]
    for name in ("gen_ai.prompt", "gen_ai.input.messages"):
        transcript.hear(_messages(lists.get(name)))
    for name in ("gen_ai.completion", "gen_ai.output.messages"):
        transcript.answer(_messages(lists.get(name)))
    for event in events:
        if event.name in _RESULTS:
            prefix = event.name + "."
            row = {key.removeprefix(prefix): value for key, value in event.attributes.items()}
            transcript.retrieved([{**row, "content": row.get("document") or row.get("entity")}])


def read_late(fields: dict[str, Any], kind: str, transcript: Transcript) -> None:
    """`traceloop.entity.input` and `.output`: what a function took and gave."""
    given, got = fields.get("traceloop.entity.input"), fields.get("traceloop.entity.output")
    read_value(transcript, kind, given, unquoted(got))


def _messages(items: list[Any] | None) -> list[Any] | None:
    """Content that is JSON text (of parts, or of a text) is read as what it says; an item that is only named by its
    role is a message."""
    if not items:
        return None
    for place, item in enumerate(items):
        if isinstance(item, dict):
            if len(item) == 1 and "user" in item:
                items[place] = {"role": "user", "content": item["user"]}
            for key in ("content", "tool_calls"):
                value = structure(unquoted(item.get(key)))
                if value is not item.get(key) and (isinstance(value, str) or parts_in(value)):
                    item[key] = value
    return items
