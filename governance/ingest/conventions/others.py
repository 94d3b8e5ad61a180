"""Smaller dialects seen beside the large ones: Pydantic AI / Logfire, Langfuse, LangSmith, MLflow, Google ADK,
Strands, Haystack, Genkit-like inputs."""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import read_request, read_response, read_value
from governance.ingest.conventions.gen_ai import EVENTS, read_event
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
    "langfuse.observation.usage_details": "usage",
    "langfuse.observation.prompt.name": "prompt_name",
    "langfuse.observation.prompt.version": "prompt_version",
    "langfuse.session.id": "session",
    "langfuse.user.id": "user",
    "langfuse.trace.input": "",
    "langfuse.trace.output": "",
    "langsmith.span.kind": "langsmith_kind",
    "langsmith.trace.session_id": "session",
    "langsmith.metadata.session_id": "session",
    "langsmith.metadata.thread_id": "session",
    "langsmith.metadata.conversation_id": "session",
    "langsmith.metadata.user_id": "user",
    "langsmith.metadata.usage_metadata": "usage",
    "logfire.msg_template": "logfire_step",
    "gcp.vertex.agent.session_id": "session",
    "gcp.vertex.agent.llm_request": "",
    "gcp.vertex.agent.llm_response": "",
    "gcp.vertex.agent.tool_call_args": "tool_arguments",
    "gcp.vertex.agent.tool_response": "tool_result",
    "system_prompt": "gen_ai.system_instructions",
    "haystack.component.type": "haystack_type",
    "haystack.component.input": "",
    "haystack.component.output": "",
    "haystack.pipeline.input_data": "haystack.component.input",
    "haystack.pipeline.output_data": "haystack.component.output",
    "mlflow.spanType": "mlflow_kind",
    "mlflow.llm.model": "response_model",
    "mlflow.llm.provider": "provider",
    "mlflow.chat.tools": "tool_definitions",
    "mlflow.chat.tokenUsage": "usage",
    "mlflow.spanInputs": "",
    "mlflow.spanOutputs": "",
    "genkit:input": "",
    "genkit:output": "",
}

KINDS = {
    "generation": "llm",
    "chat_model": "llm",
    "llm": "llm",
    "embedding": "embedding",
    "tool": "tool",
    "agent": "agent",
    "chain": "chain",
    "span": "chain",
    "retriever": "retrieval",
    "reranker": "retrieval",
    "workflow": "chain",
    "task": "chain",
    "guardrail": "guardrail",
    "evaluator": "other",
    "prompt": "chain",
    "parser": "chain",
    "event": "other",
}
HAYSTACK = (("Generator", "llm"), ("Embedder", "embedding"), ("Retriever", "retrieval"), ("Ranker", "retrieval"))
LOGFIRE_STEPS = {
    "function: {name}": "tool",
    "agent run: {name!r}": "agent",
    "guardrail {name!r} {triggered=}": "guardrail",
}


def kind_of(component: str) -> str:
    """Of the class of a Haystack component."""
    return next((kind for name, kind in HAYSTACK if name in component), "chain")


def read(fields: dict[str, Any], kind: str, transcript: Transcript) -> None:
    for name in ("all_messages_events", "events"):
        events = structure(fields.get(name))
        if isinstance(events, list) and events and not (transcript.heard and transcript.answered):
            _read_events(events, transcript)
    _read_run(fields.get("pydantic_ai.all_messages"), transcript)
    if "logfire_step" in fields:
        read_value(transcript, kind, fields.get("input.value"), fields.get("output.value"))
    for name in ("request_data", "gcp.vertex.agent.llm_request"):
        if isinstance(request := structure(fields.get(name)), dict) and not transcript.heard:
            read_request(transcript, request)
    for name in ("response_data", "gcp.vertex.agent.llm_response"):
        if isinstance(response := structure(fields.get(name)), dict):
            read_response(transcript, response)
            transcript.answer(response.get("message") or response.get("combined_chunk_content"))
    if kind != "tool":
        for given, got in _PAIRS:
            read_value(transcript, kind, fields.get(given), fields.get(got))


_PAIRS = (
    ("langfuse.observation.input", "langfuse.observation.output"),
    ("langfuse.trace.input", "langfuse.trace.output"),
    ("mlflow.spanInputs", "mlflow.spanOutputs"),
    ("haystack.component.input", "haystack.component.output"),
    ("genkit:input", "genkit:output"),
    ("", "final_result"),
)


def _read_events(events: list[Any], transcript: Transcript) -> None:
    """Events in a list, as Logfire has them. A run that ends with the assistant's message was answered by it."""
    prompts, choices = not transcript.heard, not transcript.answered
    answer = events[-1]
    if not (isinstance(answer, dict) and answer.get("event.name") == "gen_ai.assistant.message"):
        answer = None
    for event in transcript.fitting(events):
        if not isinstance(event, dict):
            if prompts:
                transcript.messages(transcript.input, event, "user")
            continue
        name = as_text(event.get("event.name"))
        if name == "gen_ai.choice":
            answer = None
        if name in EVENTS and event is not answer:
            body = {key: value for key, value in event.items() if key != "event.name"}
            read_event(name, body, {}, transcript, prompts, choices)
    if answer is not None:
        read_event("gen_ai.choice", {"message": answer}, {}, transcript, prompts, choices)
    if prompts and transcript.input:
        transcript.settle_input()
    if choices and transcript.output:
        transcript.settle_output()


def _read_run(value: Any, transcript: Transcript) -> None:
    """All messages of an agent's run: the last one, when the assistant's, is its answer."""
    messages = structure(value)
    if isinstance(messages, list) and messages and not transcript.heard:
        last = messages[-1]
        answered = isinstance(last, dict) and last.get("role") == "assistant"
        transcript.hear(messages[:-1] if answered else messages)
        if answered:
            transcript.answer([last])
