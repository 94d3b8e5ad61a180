"""OpenTelemetry GenAI semantic conventions, three generations.

Up to 1.27: `gen_ai.prompt` / `gen_ai.completion` on the span or on the span events `gen_ai.content.prompt` and
`gen_ai.content.completion`. 1.28 to 1.36: one event a message (`gen_ai.user.message` ..., `gen_ai.choice`), as log
records or span events. From 1.37: `gen_ai.input.messages`, `gen_ai.output.messages`, `gen_ai.system_instructions`, as
JSON text on spans and structured on events. All of it is "development": names are read leniently.
"""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import read_value
from governance.ingest.records import Attributes, SpanEvent
from governance.ingest.text import structure
from governance.ingest.transcript import Transcript, document_of

# An attribute whose field is "" is content: its field is its own name.
FIELDS = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.system": "provider",
    "gen_ai.response.model": "response_model",
    "gen_ai.request.model": "request_model",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.prompt_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.completion_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
    "gen_ai.usage.cache_read_input_tokens": "cached_tokens",
    "gen_ai.usage.cached_tokens": "cached_tokens",
    "gen_ai.usage.input_tokens.cached": "cached_tokens",
    "gen_ai.usage.details.cache_read_tokens": "cached_tokens",
    "gen_ai.response.finish_reasons": "finish_reasons",
    "gen_ai.response.finish_reason": "finish_reasons",
    "gen_ai.response.stop_reason": "finish_reasons",
    "anthropic.message.stop_reason": "finish_reasons",
    "gen_ai.conversation.id": "session",
    "gen_ai.thread.id": "session",
    "gen_ai.user": "user",
    "gen_ai.prompt.name": "prompt_name",
    "gen_ai.prompt.version": "prompt_version",
    "gen_ai.data_source.id": "data_source",
    "gen_ai.tool.definitions": "tool_definitions",
    "gen_ai.tool.name": "tool_name",
    "gen_ai.tool.call.id": "tool_id",
    "gen_ai.tool.call.arguments": "tool_arguments",
    "gen_ai.tool.call.result": "tool_result",
    "gen_ai.tool.arguments": "tool_arguments",
    "gen_ai.tool.result": "tool_result",
    "gen_ai.tool.input": "tool_arguments",
    "gen_ai.tool.args": "tool_arguments",
    "gen_ai.tool.output": "tool_result",
    "gen_ai.input.messages": "",
    "gen_ai.output.messages": "",
    "gen_ai.system_instructions": "",
    "gen_ai.retrieval.query.text": "",
    "gen_ai.retrieval.query": "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents": "",
    "gen_ai.prompt": "",
    "gen_ai.completion": "",
    # Spring AI
    "spring.ai.kind": "spring_kind",
    "spring.ai.chat.client.conversation.id": "session",
    "spring.ai.chat.client.system.text": "gen_ai.system_instructions",
    "spring.ai.chat.client.user.text": "gen_ai.prompt",
    "spring.ai.tool.definition.name": "tool_name",
    "spring.ai.tool.call.id": "tool_id",
    "spring.ai.tool.call.arguments": "tool_arguments",
    "spring.ai.tool.call.result": "tool_result",
    "db.vector.query.content": "gen_ai.retrieval.query.text",
    "db.vector.query.response.documents": "gen_ai.retrieval.documents",
}
SPRING_KINDS = {"chat_client": "chain", "advisor": "chain", "tool_call": "tool", "vector_store": "retrieval"}

KINDS = {
    "chat": "llm",
    "text_completion": "llm",
    "completion": "llm",
    "generate_content": "llm",
    "generate": "llm",
    "responses": "llm",
    "response": "llm",
    "message": "llm",
    "messages": "llm",
    "embeddings": "embedding",
    "embedding": "embedding",
    "embed": "embedding",
    "retrieval": "retrieval",
    "retrieve": "retrieval",
    "search": "retrieval",
    "rerank": "retrieval",
    "search_memory": "retrieval",
    "vector_db_retrieve": "retrieval",
    "execute_tool": "tool",
    "invoke_tool": "tool",
    "tool": "tool",
    "create_agent": "agent",
    "invoke_agent": "agent",
    "agent": "agent",
    "start_thread_run": "agent",
    "process_thread_run": "agent",
    "invoke_workflow": "chain",
    "workflow": "chain",
    "plan": "chain",
    "task": "chain",
    "execute_task": "chain",
    "guardrail": "guardrail",
    "apply_guardrail": "guardrail",
    "execute_guardrail": "guardrail",
    "guard": "guardrail",
    "guardrail_check": "guardrail",
}

_VARIABLE = "gen_ai.prompt.variable."
DETAILS = "gen_ai.client.inference.operation.details"
_MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.developer.message": "developer",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE = "gen_ai.choice"
_PROMPT_EVENTS = frozenset({"gen_ai.content.prompt", "gen_ai.prompt"})
_COMPLETION_EVENTS = frozenset({"gen_ai.content.completion", "gen_ai.completion"})
_AZURE_EVENTS = {  # of azure-ai-projects: the schema's messages, in events named as its attributes
    "gen_ai.system.instructions": "system",
    "gen_ai.input.message": "user",
    "gen_ai.input.messages": "user",
    "gen_ai.output.messages": "assistant",
}
EVENTS = frozenset({DETAILS, _CHOICE, *_MESSAGE_EVENTS, *_PROMPT_EVENTS, *_COMPLETION_EVENTS, *_AZURE_EVENTS})


def read(fields: dict[str, Any], events: list[SpanEvent], transcript: Transcript) -> None:
    """Content of the attributes, then of the span events where the attributes had none."""
    transcript.instruct(fields.get("gen_ai.system_instructions"))
    transcript.hear(fields.get("gen_ai.input.messages"))
    transcript.answer(fields.get("gen_ai.output.messages"))
    if "gen_ai.retrieval.query.text" in fields:
        transcript.hear(fields["gen_ai.retrieval.query.text"])
    if "gen_ai.retrieval.documents" in fields:
        transcript.retrieved(fields["gen_ai.retrieval.documents"])
    if events:
        _read_events(events, transcript)


def read_variables(rest: Attributes, transcript: Transcript) -> None:
    """What `gen_ai.prompt.variable.*` holds; the attributes stay."""
    for name in rest:
        if name.startswith(_VARIABLE):
            read_variable(rest[name], transcript)


def read_variable(value: Any, transcript: Transcript) -> None:
    """A prompt template's variable: retrieved documents, where it holds them."""
    value = structure(value)
    if _documents(value):
        transcript.retrieved(value)


def read_late(fields: dict[str, Any], kind: str, transcript: Transcript) -> None:
    """The oldest generation's plain attributes, after everything that is better structured. LangSmith writes whole
    inputs and outputs there."""
    if "gen_ai.prompt" in fields or "gen_ai.completion" in fields:
        read_value(transcript, kind, fields.get("gen_ai.prompt"), fields.get("gen_ai.completion"))


def _read_events(events: list[SpanEvent], transcript: Transcript) -> None:
    heard, answered = transcript.heard, transcript.answered
    prompts = not heard
    choices = not answered
    for event in events:
        if event.name in EVENTS:
            body = event.attributes.get("gen_ai.event.content")
            read_event(
                event.name, event.attributes if body is None else body, event.attributes, transcript, prompts, choices
            )
    if prompts and transcript.input:
        transcript.settle_input()
    if choices and (transcript.output or transcript.calls):
        transcript.settle_output()


def read_event(
    name: str, body: Any, attributes: Attributes, transcript: Transcript, prompts: bool = True, choices: bool = True
) -> None:
    """One event that carries content: a log record's body and attributes, or a span event's attributes."""
    body = structure(body)
    if name == DETAILS:
        source = {**(body if isinstance(body, dict) else {}), **attributes}
        transcript.instruct(source.get("gen_ai.system_instructions"))
        if prompts:
            transcript.messages(transcript.input, source.get("gen_ai.input.messages"), "user")
        if choices:
            transcript.messages(transcript.output, source.get("gen_ai.output.messages"), "assistant")
        if source.get("gen_ai.retrieval.documents"):
            transcript.retrieved(source["gen_ai.retrieval.documents"])
    elif role := _MESSAGE_EVENTS.get(name):
        if prompts:
            _read_message(body, role, transcript)
    elif role := _AZURE_EVENTS.get(name):
        value = body.get(name) if isinstance(body, dict) and name in body else body
        if role == "system":
            transcript.instruct(value)
        elif role == "user" and prompts:
            transcript.messages(transcript.input, value, role)
        elif role == "assistant" and choices:
            transcript.messages(transcript.output, value, role)
    elif name == _CHOICE:
        if choices:
            _read_choice(body, transcript)
    elif name in _PROMPT_EVENTS:
        if prompts:
            value = _either(body, attributes, "gen_ai.prompt")
            transcript.messages(transcript.input, value, "user")
    elif name in _COMPLETION_EVENTS and choices:
        value = _either(body, attributes, "gen_ai.completion")
        transcript.messages(transcript.output, value, "assistant")


def _either(body: Any, attributes: Attributes, name: str) -> Any:
    if name in attributes:
        return attributes[name]
    return body.get(name, body.get("content")) if isinstance(body, dict) else body


def _read_message(body: Any, role: str, transcript: Transcript) -> None:
    if isinstance(body, dict):
        message = {key: value for key, value in body.items() if not key.startswith("gen_ai.")}
        for key in ("content", "tool_calls"):
            if isinstance(message.get(key), str):
                parsed = structure(message[key])
                if parts_in(parsed):
                    message[key] = parsed
        if message:
            transcript.message(transcript.input, {"role": role, **message}, role)
    elif body is not None:
        transcript.messages(transcript.input, body, role)


def _read_choice(body: Any, transcript: Transcript) -> None:
    if not isinstance(body, dict):
        transcript.messages(transcript.output, body, "assistant")
        return
    message = structure(body.get("message"))
    if isinstance(message, str):
        message = {"content": message}
    if isinstance(message, list):
        message = {"content": message}
    if not isinstance(message, dict):
        keys = ("content", "parts", "tool_calls", "refusal")
        message = {
            key: structure(body[key]) if parts_in(structure(body[key])) else body[key] for key in keys if key in body
        }
    choice = {"role": "assistant", **{k: body[k] for k in ("finish_reason", "tool_calls") if body.get(k)}, **message}
    transcript.message(transcript.output, choice, "assistant")
    if "tool.result" in body:  # of a Strands cycle
        transcript.messages(transcript.input, body["tool.result"], "user")


def parts_in(value: Any) -> bool:
    """Whether a JSON text in a `content` is a list of parts, and not an answer that happens to be JSON."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and bool(_PART & item.keys()) for item in value)
    )


_PART = {"type", "text", "toolUse", "toolResult", "function", "function_call", "functionCall", "functionResponse"}


def _documents(value: Any) -> bool:
    """Whether a prompt's variable holds retrieved documents."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and ("page_content" in item or "pageContent" in item) for item in value)
        and document_of(value[0]) is not None
    )
