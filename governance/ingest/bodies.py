"""Request and response bodies of model providers, as instrumentors and gateways log them whole: OpenAI chat,
completions and Responses, Anthropic Messages, Gemini, Bedrock Converse, LangChain results."""

from __future__ import annotations

from typing import Any, NamedTuple

from governance.ingest.text import as_integer, as_text, label
from governance.ingest.transcript import Transcript


class Facts(NamedTuple):
    """What a body says beside its messages."""

    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()


def read_request(transcript: Transcript, body: dict[str, Any]) -> bool:
    """Input messages of a request body; whether it was one."""
    before = len(transcript.input) + len(transcript.system) + len(transcript.calls)
    config = body.get("config")
    inner: dict[str, Any] = config if isinstance(config, dict) else {}
    if isinstance(messages := body.get("messages"), (list, dict, str)):
        transcript.instruct(body.get("system"))
        transcript.hear(messages)
    elif isinstance(contents := body.get("contents"), (list, dict, str)):
        for source in (body, inner):
            for key in ("system_instruction", "systemInstruction"):
                transcript.instruct(_parts(source.get(key)))
        transcript.hear(contents)
    elif "input" in body and ("model" in body or "instructions" in body or _items(body["input"])):
        transcript.instruct(body.get("instructions"))
        transcript.hear(body["input"])
    elif isinstance(prompt := body.get("prompt") or body.get("prompts"), (str, list)) and "model" in body | inner:
        transcript.hear(prompt)
    return len(transcript.input) + len(transcript.system) + len(transcript.calls) > before


def read_response(transcript: Transcript, body: dict[str, Any]) -> bool:
    """Output messages of a response body; whether it was one."""
    if transcript.answered:
        return True
    choices: Any = None
    if isinstance(body.get("choices"), list):
        choices = [_choice(choice) for choice in body["choices"]]
    elif isinstance(body.get("candidates"), list):
        choices = [_candidate(candidate) for candidate in body["candidates"]]
    elif isinstance(body.get("generations"), list):
        choices = [_generation(item) for item in _leaves(body["generations"])]
    elif isinstance(output := body.get("output"), dict) and isinstance(output.get("message"), dict):
        choices = output["message"]  # Bedrock Converse
    elif _items(body.get("output")):
        choices = body["output"]
    elif body.get("role") in ("assistant", "model") and "content" in body:
        choices = body
    elif isinstance(message := body.get("message"), dict) and "content" in message:
        choices = message
    elif isinstance(messages := body.get("messages"), list):
        choices = messages[-1:] if messages and not isinstance(messages[-1], list) else messages
    if choices is None:
        return False
    transcript.answer(choices)
    return True


def facts_of(body: dict[str, Any]) -> Facts:
    """Model, tokens and finish reasons of a response body."""
    usage: dict[str, Any] = next(
        (body[k] for k in ("usage", "usageMetadata", "usage_metadata") if isinstance(body.get(k), dict)), {}
    )
    details: dict[str, Any] = next(
        (usage[k] for k in ("prompt_tokens_details", "input_tokens_details") if isinstance(usage.get(k), dict)), {}
    )
    reasons = [
        label(reason, 60)
        for item in [*_dicts(body.get("choices")), *_dicts(body.get("candidates")), body]
        for reason in (item.get("finish_reason"), item.get("finishReason"), item.get("stop_reason"))
        if isinstance(reason, str) and reason
    ]
    return Facts(
        model=label(body.get("model") or body.get("modelVersion"), 200),
        input_tokens=_count(usage, "prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens"),
        output_tokens=_count(usage, "completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens"),
        cached_tokens=_count(details, "cached_tokens")
        if details.get("cached_tokens") is not None
        else _count(usage, "cache_read_input_tokens", "cachedContentTokenCount", "cacheReadInputTokens"),
        finish_reasons=tuple(reasons),
    )


def error_of(value: Any) -> str:
    """An error object, or text, of a provider as one line."""
    if isinstance(value, dict):
        inner = value.get("error")
        if isinstance(inner, (dict, str)) and inner:
            return error_of(inner)
        kind = as_text(value.get("type") or value.get("code") or value.get("error_class"))
        message = as_text(value.get("message") or value.get("error_message") or value.get("error_information"))
        return ": ".join(part for part in (kind, message) if part)
    return as_text(value)


def _choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    for key in ("message", "delta"):
        if isinstance(inner := choice.get(key), dict):
            return {k: v for k, v in choice.items() if k in ("finish_reason", "index")} | inner
    if "text" in choice:
        return {"role": "assistant", "content": choice["text"], "finish_reason": choice.get("finish_reason")}
    return choice


def _candidate(candidate: Any) -> Any:
    if not isinstance(candidate, dict):
        return candidate
    content = candidate.get("content")
    reason = candidate.get("finishReason") or candidate.get("finish_reason")
    if isinstance(content, dict):
        return {**content, "finish_reason": reason}
    return {"role": "assistant", "content": as_text(content), "finish_reason": reason}


def _generation(item: Any) -> Any:
    """A LangChain generation: its message where it has one, else its text."""
    if isinstance(item, dict):
        if isinstance(message := item.get("message"), dict):
            return message
        if isinstance(text := item.get("text"), str):
            return {"role": "assistant", "content": text}
    return item


def _parts(value: Any) -> Any:
    return value["parts"] if isinstance(value, dict) and isinstance(value.get("parts"), list) else value


def _leaves(value: list[Any]) -> list[Any]:
    return [leaf for item in value for leaf in (item if isinstance(item, list) else [item])]


def _items(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(item, dict) and ("type" in item or "role" in item) for item in value
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(usage: dict[str, Any], *keys: str) -> int | None:
    return next((count for key in keys if (count := as_integer(usage.get(key))) is not None), None)


def plain_text(value: Any) -> str | None:
    """The text of an object that says nothing but one text: {"input": "..."}; None where it says more."""
    if isinstance(value, dict):
        texts = [item for item in value.values() if item not in (None, "", [], {})]
        if len(texts) == 1 and isinstance(texts[0], str) and next(iter(value)) in _SINGLE:
            return texts[0]
    return None


_SINGLE = frozenset(
    {"input", "output", "text", "query", "question", "prompt", "answer", "result", "response", "content", "message"}
)
