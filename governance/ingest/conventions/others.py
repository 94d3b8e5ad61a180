"""Smaller dialects seen beside the large ones: Pydantic AI / Logfire, Langfuse, LangSmith, Genkit-like inputs."""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import read_request, read_response
from governance.ingest.conventions.gen_ai import EVENTS, read_event
from governance.ingest.conventions.openinference import read_value
from governance.ingest.text import as_text, structure
from governance.ingest.transcript import Transcript

FIELDS = {
    "pydantic_ai.all_messages": "",
    "all_messages_events": "",
    "events": "",
    "request_data": "",
    "response_data": "",
    "tool_arguments": "tool_arguments",
    "tool_response": "tool_result",
    "final_result": "",
    "langfuse.observation.input": "",
    "langfuse.observation.output": "",
    "langfuse.observation.type": "langfuse_kind",
    "langfuse.observation.model.name": "response_model",
    "langfuse.observation.prompt.name": "prompt_name",
    "langfuse.observation.prompt.version": "prompt_version",
    "langfuse.session.id": "session",
    "langfuse.user.id": "user",
    "langfuse.trace.input": "",
    "langfuse.trace.output": "",
    "langsmith.span.kind": "langsmith_kind",
    "langsmith.trace.session_id": "session",
    "genkit:input": "",
    "genkit:output": "",
}

KINDS = {
    "generation": "llm",
    "llm": "llm",
    "embedding": "embedding",
    "tool": "tool",
    "agent": "agent",
    "chain": "chain",
    "span": "chain",
    "retriever": "retrieval",
    "guardrail": "guardrail",
    "evaluator": "other",
    "prompt": "chain",
    "parser": "chain",
    "event": "other",
}


def read(fields: dict[str, Any], kind: str, transcript: Transcript) -> None:
    for name in ("all_messages_events", "events"):
        events = structure(fields.get(name))
        if isinstance(events, list) and not (transcript.heard and transcript.answered):
            prompts, choices = not transcript.heard, not transcript.answered
            for event in events:
                if isinstance(event, dict) and (kind_of_event := as_text(event.get("event.name"))) in EVENTS:
                    body = {key: value for key, value in event.items() if key != "event.name"}
                    read_event(kind_of_event, body, {}, transcript, prompts, choices)
            if prompts and transcript.input:
                transcript.settle_input()
            if choices and transcript.output:
                transcript.settle_output()
    _read_run(fields.get("pydantic_ai.all_messages"), transcript)
    if isinstance(request := structure(fields.get("request_data")), dict) and not transcript.heard:
        read_request(transcript, request)
    if isinstance(response := structure(fields.get("response_data")), dict):
        read_response(transcript, response)
        transcript.answer(response.get("message") or response.get("combined_chunk_content"))
    if kind != "tool":
        for owner in ("langfuse.observation.", "langfuse.trace."):
            read_value(transcript, kind, fields.get(owner + "input"), fields.get(owner + "output"))
        read_value(transcript, kind, fields.get("genkit:input"), fields.get("genkit:output"))
        read_value(transcript, kind, None, fields.get("final_result"))


def _read_run(value: Any, transcript: Transcript) -> None:
    """All messages of an agent's run: the last one, when the assistant's, is its answer."""
    messages = structure(value)
    if isinstance(messages, list) and messages and not transcript.heard:
        last = messages[-1]
        answered = isinstance(last, dict) and last.get("role") == "assistant"
        transcript.hear(messages[:-1] if answered else messages)
        if answered:
            transcript.answer([last])
