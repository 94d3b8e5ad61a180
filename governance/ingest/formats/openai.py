"""OpenAI's files: batch input and output lines, request and response pairs, and bare request or response objects of
chat completions, completions, embeddings and Responses."""

from __future__ import annotations

from typing import Any

from governance.domain.calls import UNKNOWN_SYSTEM, Call, CallKind, EndUser, Release
from governance.domain.times import EPOCH
from governance.errors import BadInput
from governance.ingest.bodies import error_of, facts_of, read_request, read_response
from governance.ingest.bounds import bounded
from governance.ingest.formats.shared import ids_of, time_of
from governance.ingest.interpret import fingerprint_of_tools
from governance.ingest.text import as_json, as_text, clipped, identity, label, storable
from governance.ingest.transcript import Transcript

_OBJECTS = frozenset({"chat.completion", "response", "text_completion", "chat.completion.chunk"})


def looks_like(line: dict[str, Any]) -> bool:
    if "custom_id" in line and ("body" in line or "response" in line or "error" in line):
        return True
    if line.get("object") in _OBJECTS or isinstance(line.get("messages"), list):
        return True
    return isinstance(line.get("request"), dict) and "response" in line


def custom_id(line: dict[str, Any]) -> tuple[str, str]:
    """("request" or "response", custom id) of a batch line, else ("", "")."""
    if "custom_id" not in line:
        return "", ""
    if isinstance(line.get("body"), dict):
        return "request", as_text(line["custom_id"])
    return ("response", as_text(line["custom_id"])) if "response" in line or "error" in line else ("", "")


def decode(line: dict[str, Any], system: str) -> Call:
    """The call of one line that stands for itself."""
    if (line.get("object") in _OBJECTS and "choices" in line) or line.get("object") == "response":
        return call_of(line, line, line.get("error"), system, key=line.get("id") or as_json(line), extra={})
    if isinstance(line.get("messages"), list):
        messages = line["messages"]
        answered = bool(messages) and isinstance(messages[-1], dict) and messages[-1].get("role") == "assistant"
        asked = {**line, "messages": messages[:-1]} if answered else line
        reply = {"choices": [{"message": messages[-1]}]} if answered else {}
        return call_of(asked, reply, None, system, key=as_json(line), extra={})
    request, response = line.get("request"), line.get("response")
    if isinstance(request, dict) and isinstance(request.get("body"), dict):
        request = request["body"]
    if isinstance(response, dict) and isinstance(response.get("body"), dict):
        response = response["body"]
    if not isinstance(request, dict):
        raise BadInput("This is not an OpenAI line: it must be a batch line, {request, response}, or a body.")
    body = response if isinstance(response, dict) else {}
    extra = {key: value for key, value in line.items() if key not in ("request", "response", "error")}
    return call_of(request, body, line.get("error") or body.get("error"), system, key=as_json(line), extra=extra)


def join(request_line: dict[str, Any] | None, response_line: dict[str, Any] | None, system: str) -> Call:
    """The call of a batch's input line and output line; either may be missing."""
    request = _object(request_line, "body")
    outer = _object(response_line, "response")
    response = _object(outer, "body")
    error = (response_line or {}).get("error") or response.get("error")
    code = outer.get("status_code")
    if not error and isinstance(code, int) and code >= 400:
        error = f"HTTP {code}"
    name = as_text((request_line or response_line or {}).get("custom_id"))
    key = [name, as_json(request), as_text((response_line or {}).get("id"))]
    url = as_text((request_line or {}).get("url"))
    extra: dict[str, Any] = {"openai.batch.custom_id": name}
    if url:
        extra["url.path"] = url
    if outer.get("request_id"):
        extra["openai.request_id"] = outer["request_id"]
    return call_of(request, response, error, system, key=key, extra=extra)


def call_of(
    request: dict[str, Any], response: dict[str, Any], error: Any, system: str, *, key: Any, extra: dict[str, Any]
) -> Call:
    """A call out of a request body and a response body."""
    system = system or UNKNOWN_SYSTEM
    transcript = Transcript()
    if request is not response:
        read_request(transcript, request if "model" in request else {"model": "", **request})
    else:
        transcript.instruct(request.get("instructions"))
        if "input" in request:
            transcript.hear(request["input"])
    read_response(transcript, response)
    facts = facts_of(response)
    requested = label(request.get("model"), 200)
    model = facts.model or requested
    kind = CallKind.LLM
    if "embedding" in model or "embeddings" in as_text(extra.get("url.path")):
        kind = CallKind.EMBEDDING
    started = next(
        (
            at
            for source in (response, extra, request)
            for name in ("created", "created_at", "timestamp", "started_at")
            if (at := time_of(source.get(name))) is not None
        ),
        EPOCH,
    )
    rest: dict[str, Any] = {
        "gen_ai.request." + name: request[name]
        for name in (
            "temperature",
            "top_p",
            "max_tokens",
            "max_output_tokens",
            "seed",
            "response_format",
            "tool_choice",
        )
        if request.get(name) is not None
    }
    if response.get("id"):
        rest["gen_ai.response.id"] = response["id"]
    if requested and requested != model:
        rest["gen_ai.request.model"] = requested
    if request.get("tools"):
        rest["gen_ai.tool.definitions"] = request["tools"]
    metadata = request.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if metadata:
        rest["metadata"] = metadata
    rest |= {name: value for name, value in extra.items() if name not in _IDENTITY}
    user = extra.get("user") or request.get("user") or request.get("safety_identifier") or metadata.get("user_id")
    session = extra.get("session_id") or metadata.get("session_id") or metadata.get("conversation_id")
    if started == EPOCH:
        rest["governance.notes"] = ["no start time"]
    trace_id, span_id = ids_of("openai", system, key)
    return Call(
        trace_id=trace_id,
        span_id=span_id,
        kind=kind,
        name=label(f"{'embeddings' if kind is CallKind.EMBEDDING else 'chat'} {model}", 200),
        system=system,
        release=Release(
            model=model,
            prompt_version=label(metadata.get("prompt_version"), 200),
            tools=fingerprint_of_tools(as_json(request["tools"])) if request.get("tools") else "",
        ),
        session_id=identity(session, 200),
        user=EndUser(id=identity(user, 200), role=label(metadata.get("user_role"), 100)),
        started_at=started,
        model=model,
        provider="openai",
        usage=facts.usage,
        error=clipped(storable(error_of(error)), 1000),
        finish_reasons=facts.finish_reasons,
        content_captured=transcript.captured,
        input=transcript.inputs,
        output=tuple(transcript.output),
        documents=tuple(transcript.documents),
        tool_calls=transcript.tool_calls(),
        attributes=bounded(rest),
    )


_IDENTITY = frozenset({"user", "session_id", "timestamp", "created", "created_at", "started_at"})


def _object(line: dict[str, Any] | None, key: str) -> dict[str, Any]:
    value = (line or {}).get(key)
    return value if isinstance(value, dict) else {}
