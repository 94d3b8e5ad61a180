"""OpenInference (Arize): lists flattened into attribute names, and bodies whole in `input.value` / `output.value`."""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import read_value
from governance.ingest.records import Attributes
from governance.ingest.text import as_text, structure
from governance.ingest.transcript import Transcript

FIELDS = {
    "openinference.span.kind": "openinference_kind",
    "llm.response.model_name": "response_model",
    "llm.model_name": "response_model",
    "llm.request.model_name": "request_model",
    "embedding.model_name": "response_model",
    "reranker.model_name": "response_model",
    "llm.provider": "provider",
    "llm.system": "provider",
    "llm.token_count.prompt": "input_tokens",
    "llm.token_count.completion": "output_tokens",
    "llm.token_count.prompt_details.cache_read": "cached_tokens",
    "llm.token_count.prompt_details.cache_input": "cached_tokens",
    "llm.finish_reason": "finish_reasons",
    "llm.prompt_template.version": "prompt_version",
    "prompt.id": "prompt_name",
    "tool.name": "tool_name",
    "tool.id": "tool_id",
    "tool_call.id": "tool_id",
    "tool_call.function.name": "tool_name",
    "tool_call.function.arguments": "tool_arguments",
    "input.value": "",
    "output.value": "",
    "input.mime_type": "",
    "output.mime_type": "",
    "tool.parameters": "",
    "reranker.query": "",
    "llm.input_messages": "",
    "llm.output_messages": "",
    "llm.prompts": "",
    "llm.choices": "",
    "llm.tools": "tool_definitions",
    "llm.function_call": "",
    "llm.prompt_template.variables": "prompt_variables",
    "retrieval.documents": "",
    "reranker.output_documents": "",
    "reranker.input_documents": "",
}

KINDS = {
    "llm": "llm",
    "embedding": "embedding",
    "chain": "chain",
    "prompt": "chain",
    "retriever": "retrieval",
    "reranker": "retrieval",
    "tool": "tool",
    "agent": "agent",
    "guardrail": "guardrail",
    "evaluator": "other",
}


def read(fields: dict[str, Any], lists: dict[str, list[Any]], transcript: Transcript) -> None:
    """The structured content; `read_late` reads the whole bodies."""
    transcript.hear(lists.get("llm.input_messages") or fields.get("llm.input_messages"))
    transcript.answer(lists.get("llm.output_messages") or fields.get("llm.output_messages"))
    if function := structure(fields.get("llm.function_call")):
        transcript.request(function)
    if calls := lists.get("message.tool_calls"):  # beside the messages: google-genai's automatic function calling
        transcript.message(transcript.output, {"role": "assistant", "tool_calls": calls}, "assistant")
    transcript.hear(_inner(lists.get("llm.prompts"), "prompt", "text") or fields.get("llm.prompts"))
    transcript.answer(_inner(lists.get("llm.choices"), "completion", "text") or fields.get("llm.choices"))
    transcript.hear(fields.get("reranker.query"))
    transcript.hear(_inner(lists.get("embedding.embeddings"), "embedding", "text"))
    if not transcript.documents:
        for name in ("retrieval.documents", "reranker.output_documents", "reranker.input_documents"):
            if found := lists.get(name) or fields.get(name):
                transcript.retrieved(found)
                break


def read_late(fields: dict[str, Any], kind: str, transcript: Transcript) -> None:
    """`input.value` and `output.value`: whole bodies, read where nothing better said the same."""
    read_value(transcript, kind, fields.get("input.value"), fields.get("output.value"))


def read_parameters(rest: Attributes, transcript: Transcript) -> None:
    """What was said only in the parameters: the Bedrock instrumentor's whole request to a Titan model."""
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        parameters = structure(rest.get(name))
        if isinstance(parameters, dict) and "inputText" in parameters:
            transcript.hear(parameters["inputText"])


def requested_model(rest: Attributes) -> str:
    """The model that a call without an answer asked for; only its parameters say it."""
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        parameters = structure(rest.get(name))
        if isinstance(parameters, dict):
            for key in ("model", "model_name", "modelId"):
                if isinstance(parameters.get(key), str) and parameters[key]:
                    return str(parameters[key])
    return ""


def _inner(items: list[Any] | None, outer: str, inner: str) -> list[str]:
    """The texts in a flattened list whose items are {outer: {inner: text}}."""
    found = []
    for item in items or ():
        node = item.get(outer) if isinstance(item, dict) else None
        text = node.get(inner) if isinstance(node, dict) else None
        if text not in (None, ""):
            found.append(as_text(text))
    return found
