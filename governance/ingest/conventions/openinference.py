"""OpenInference (Arize): lists flattened into attribute names, and bodies whole in `input.value` / `output.value`."""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import plain_text, read_request, read_response
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


def read_value(transcript: Transcript, kind: str, given: Any, got: Any) -> None:
    """An input and an output of any step that is no tool, of which nothing is known but that they are."""
    if given not in (None, "") and not transcript.heard and not transcript.system:
        value = structure(given)
        if not (isinstance(value, dict) and read_request(transcript, value)):
            text = plain_text(value)
            transcript.hear(_raw(text if text is not None else value, given))
    if got not in (None, "") and not transcript.answered:
        value = structure(got)
        if kind == "embedding":
            return  # numbers: nobody said them
        if kind == "retrieval":
            if transcript.documents:
                return
            transcript.retrieved(value)
            if transcript.documents:
                return
        if not (isinstance(value, dict) and read_response(transcript, value)):
            text = plain_text(value)
            transcript.answer(_raw(text if text is not None else value, got))


def requested_model(rest: Attributes) -> str:
    """The model that a call without an answer asked for; only its parameters say it."""
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        parameters = structure(rest.get(name))
        if isinstance(parameters, dict):
            for key in ("model", "model_name", "modelId"):
                if isinstance(parameters.get(key), str) and parameters[key]:
                    return str(parameters[key])
    return ""


def _raw(value: Any, sent: Any) -> Any:
    """Messages as they are; any other structure as the text it was sent as, in a message of its own."""
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        leaves = [leaf for item in value for leaf in (item if isinstance(item, list) else [item])]
        if all(isinstance(leaf, dict) and ({"role", "lc", "content", "kwargs"} & leaf.keys()) for leaf in leaves):
            return value
    elif isinstance(value, dict) and ("role" in value or "lc" in value or ("content" in value and "type" in value)):
        return value
    elif isinstance(value, str):
        return [{"role": None, "content": value}] if value[:1] in "[{" else value
    return [{"role": None, "content": as_text(sent)}]


def _inner(items: list[Any] | None, outer: str, inner: str) -> list[str]:
    """The texts in a flattened list whose items are {outer: {inner: text}}."""
    found = []
    for item in items or ():
        node = item.get(outer) if isinstance(item, dict) else None
        text = node.get(inner) if isinstance(node, dict) else None
        if text not in (None, ""):
            found.append(as_text(text))
    return found
