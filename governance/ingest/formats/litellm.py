"""LiteLLM's `StandardLoggingPayload`, one JSON object a line, bare or under `standard_logging_object`."""

from __future__ import annotations

from typing import Any

from governance.domain.calls import UNKNOWN_SYSTEM, Call, CallKind, EndUser, Release, Usage
from governance.domain.times import EPOCH
from governance.errors import BadInput
from governance.ingest.bodies import error_of, facts_of, read_response
from governance.ingest.bounds import bounded
from governance.ingest.formats.shared import ids_of, time_of, trace_id_of
from governance.ingest.interpret import fingerprint_of_tools
from governance.ingest.text import as_integer, as_json, as_text, clipped, identity, label, storable, structure
from governance.ingest.transcript import Transcript

_KEPT = (
    *("call_type", "response_cost", "api_base", "cache_hit", "request_tags", "model_group", "model_id", "stream"),
    *("saved_cache_cost", "completionStartTime", "requester_ip_address", "guardrail_information"),
)


def looks_like(line: dict[str, Any]) -> bool:
    return isinstance(line.get("standard_logging_object"), dict) or (
        "call_type" in line and bool({"startTime", "response_cost", "model_parameters"} & line.keys())
    )


def decode(line: dict[str, Any], system: str) -> Call:
    """The call of one payload. The system is the key's alias, else its team's, where none is given."""
    payload = line.get("standard_logging_object")
    payload = payload if isinstance(payload, dict) else line
    if not looks_like(payload) and "messages" not in payload:
        raise BadInput("This is not a StandardLoggingPayload of LiteLLM: it needs call_type and startTime.")
    metadata = _object(payload, "metadata")
    parameters = _object(payload, "model_parameters")
    asked = _object(metadata, "requester_metadata")
    system = system or next(
        (
            identity(metadata[key], 200)
            for key in ("user_api_key_alias", "user_api_key_team_alias", "app")
            if metadata.get(key)
        ),
        UNKNOWN_SYSTEM,
    )
    transcript = Transcript()
    transcript.hear(payload.get("messages"))
    response = structure(payload.get("response"))
    if not (isinstance(response, dict) and read_response(transcript, response)):
        transcript.answer(response)
    facts = facts_of(response) if isinstance(response, dict) else facts_of({})
    started, ended = time_of(payload.get("startTime")), time_of(payload.get("endTime"))
    error = ""
    if payload.get("status") == "failure" or payload.get("error_str") or payload.get("error_information"):
        error = error_of(payload.get("error_information")) or as_text(payload.get("error_str")) or "failure"
    if isinstance(error_text := payload.get("error_str"), str) and error_text and not error:
        error = error_text
    model = facts.model or label(payload.get("model"), 200)
    tools = parameters.get("tools")
    rest: dict[str, Any] = {"litellm." + key: payload[key] for key in _KEPT if payload.get(key) not in (None, "", [])}
    rest |= {"gen_ai.request." + key: value for key, value in parameters.items() if key not in ("tools", "user")}
    if tools:
        rest["gen_ai.tool.definitions"] = tools
    if asked:
        rest["metadata"] = asked
    if started is None:
        rest["governance.notes"] = ["no start time"]
    made = ids_of("litellm", system, payload.get("id") or as_json(payload))
    prompt = _object(metadata, "prompt_management_metadata")
    names = (
        label(prompt.get("prompt_id"), 120),
        label(prompt.get("prompt_version") or asked.get("prompt_version"), 70),
    )
    user = payload.get("end_user") or metadata.get("user_api_key_end_user_id") or parameters.get("user")
    return Call(
        trace_id=trace_id_of(payload.get("trace_id")) or made[0],
        span_id=made[1],
        kind=_kind(as_text(payload.get("call_type"))),
        name=label(f"{as_text(payload.get('call_type')) or 'completion'} {model}", 200),
        system=system,
        release=Release(
            model=model,
            prompt_version="@".join(part for part in names if part),
            tools=fingerprint_of_tools(as_json(tools)) if tools else "",
        ),
        session_id=identity(asked.get("session_id") or metadata.get("session_id"), 200),
        user=EndUser(id=identity(user or asked.get("user_id"), 200), role=label(asked.get("user_role"), 100)),
        started_at=started or EPOCH,
        duration_ms=(ended - started).total_seconds() * 1000 if started and ended and ended >= started else None,
        model=model,
        provider=label(payload.get("custom_llm_provider"), 100),
        usage=Usage(
            input_tokens=_first(as_integer(payload.get("prompt_tokens")), facts.usage.input_tokens),
            output_tokens=_first(as_integer(payload.get("completion_tokens")), facts.usage.output_tokens),
            cached_tokens=facts.usage.cached_tokens,
        ),
        error=clipped(storable(error), 1000),
        finish_reasons=facts.finish_reasons,
        content_captured=transcript.captured,
        input=transcript.inputs,
        output=tuple(transcript.output),
        documents=tuple(transcript.documents),
        tool_calls=transcript.tool_calls(),
        attributes=bounded(rest),
    )


def _kind(call_type: str) -> CallKind:
    name = call_type.removeprefix("a")
    if "embedding" in name:
        return CallKind.EMBEDDING
    if "rerank" in name or "search" in name:
        return CallKind.RETRIEVAL
    if "mcp_tool" in name:
        return CallKind.TOOL
    return CallKind.LLM


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    inner = structure(value.get(key))
    return inner if isinstance(inner, dict) else {}


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
