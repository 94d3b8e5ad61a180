"""Vercel AI SDK telemetry: `ai.*`. Outer `ai.generateText` spans are chains, `.doGenerate` and `.doStream` calls."""

from __future__ import annotations

from typing import Any

from governance.ingest.bodies import read_request
from governance.ingest.text import structure, unquoted
from governance.ingest.transcript import Transcript

_METADATA = "ai.telemetry.metadata."

FIELDS = {
    "ai.operationId": "vercel_operation",
    "ai.response.model": "response_model",
    "ai.model.id": "request_model",
    "ai.model.provider": "provider",
    "ai.usage.inputTokens": "input_tokens",
    "ai.usage.promptTokens": "input_tokens",
    "ai.usage.tokens": "input_tokens",
    "ai.usage.outputTokens": "output_tokens",
    "ai.usage.completionTokens": "output_tokens",
    "ai.usage.cachedInputTokens": "cached_tokens",
    "ai.response.finishReason": "finish_reasons",
    "ai.finishReason": "finish_reasons",
    "ai.prompt.tools": "tool_definitions",
    "ai.toolCall.name": "tool_name",
    "ai.toolCall.id": "tool_id",
    "ai.toolCall.args": "tool_arguments",
    "ai.toolCall.input": "tool_arguments",
    "ai.toolCall.result": "tool_result",
    "ai.toolCall.output": "tool_result",
    "ai.prompt": "",
    "ai.prompt.messages": "",
    "ai.response.text": "",
    "ai.response.object": "",
    "ai.response.reasoning": "",
    "ai.response.toolCalls": "",
    "ai.result.text": "ai.response.text",
    "ai.result.object": "ai.response.object",
    "ai.result.toolCalls": "ai.response.toolCalls",
    "ai.value": "",
    "ai.values": "",
    "ai.embedding": "",
    "ai.embeddings": "",
    _METADATA + "sessionId": "session",
    _METADATA + "session_id": "session",
    _METADATA + "session.id": "session",
    _METADATA + "threadId": "session",
    _METADATA + "chatId": "session",
    _METADATA + "conversationId": "session",
    _METADATA + "userId": "user",
    _METADATA + "user_id": "user",
    _METADATA + "user.id": "user",
    _METADATA + "userRole": "role",
    _METADATA + "user_role": "role",
    _METADATA + "role": "role",
    _METADATA + "promptVersion": "prompt_version",
    _METADATA + "prompt_version": "prompt_version",
    _METADATA + "promptName": "prompt_name",
}


def kind_of(operation: str) -> str:
    """Of an `ai.operationId` or span name."""
    if operation == "ai.toolCall":
        return "tool"
    if operation.startswith("ai.embed"):
        return "embedding" if operation.endswith(".doEmbed") else "chain"
    if operation.endswith((".doGenerate", ".doStream")):
        return "llm"
    if operation.startswith(("ai.generate", "ai.stream")):
        return "chain"
    return "other"


def read(fields: dict[str, Any], transcript: Transcript) -> None:
    transcript.hear(fields.get("ai.prompt.messages"))
    prompt = structure(fields.get("ai.prompt"))
    if isinstance(prompt, dict):
        if not read_request(transcript, {"model": "", **prompt}):
            transcript.instruct(prompt.get("system"))
            transcript.hear(prompt.get("prompt"))
        elif prompt.get("system"):
            transcript.instruct(prompt["system"])
    else:
        transcript.hear(prompt)
    for name in ("ai.value", "ai.values"):
        values = structure(fields.get(name))
        if isinstance(values, list):
            values = [unquoted(value) for value in values]
        transcript.hear(unquoted(values))
    if not transcript.answered:
        message: dict[str, Any] = {"role": "assistant"}
        for key, name in (
            ("content", "ai.response.text"),
            ("reasoning", "ai.response.reasoning"),
            ("tool_calls", "ai.response.toolCalls"),
        ):
            if fields.get(name):
                message[key] = fields[name]
        if "content" not in message and fields.get("ai.response.object"):
            message["content"] = fields["ai.response.object"]
        if len(message) > 1:
            message.setdefault("content", "")
            transcript.answer([message])
