"""Request and response bodies of model providers, as instrumentors and gateways log them whole: OpenAI chat,
completions and Responses, Anthropic Messages, Gemini, Bedrock Converse, LangChain results."""

from __future__ import annotations

from typing import Any, NamedTuple

from governance.domain.calls import Usage
from governance.ingest.text import as_integer, as_text, label, structure
from governance.ingest.transcript import Transcript, unwrapped


class Facts(NamedTuple):
    """What a body states besides its messages."""

    model: str
    usage: Usage
    finish_reasons: tuple[str, ...]


def read_request(transcript: Transcript, body: dict[str, Any]) -> bool:
    """Reads the input messages of a request body; whether it was one."""
    before = len(transcript.input) + len(transcript.system) + len(transcript.calls)
    config = body.get("config")
    if transcript.tools is None and isinstance(tools := body.get("tools"), list):
        transcript.tools = tools
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
    """Reads the output messages of a response body; whether it was one."""
    if transcript.answered:
        return True
    choices: Any = None
    if isinstance(body.get("choices"), list):
        choices = [_choice(choice) for choice in body["choices"]]
    elif isinstance(body.get("replies"), list):  # Haystack
        choices = body["replies"]
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
    elif isinstance(message := body.get("message"), dict) and ("content" in message or "blocks" in message):
        choices = message
    elif isinstance(content := body.get("content"), dict) and "parts" in content:
        choices = _candidate(body)
    elif isinstance(body.get("raw"), str) and "pydantic" in body:  # CrewAI
        choices = body["raw"]
    elif isinstance(messages := body.get("messages"), list) and messages:
        if _is_answer(messages[-1]):
            choices = messages[-1:]
        elif len(body) == 1 or isinstance(messages[-1], list):
            choices = messages
    if choices is None:
        return False
    transcript.answer(choices)
    return True


def read_value(transcript: Transcript, kind: str, given: Any, got: Any) -> None:
    """Reads the input and output of a step that is no tool, when nothing else is known about them."""
    if given not in (None, "") and not transcript.heard:
        whole = structure(given)
        value = opened(whole)
        if not (isinstance(value, dict) and read_request(transcript, value)):
            transcript.hear(_raw(value, given if value is whole else value))
    if got not in (None, "") and not transcript.answered:
        whole = structure(got)
        value = opened(whole)
        if kind == "embedding":
            return  # numbers: nobody said them
        if kind == "retrieval":
            if transcript.documents:
                return
            transcript.retrieved(value)
            if transcript.documents:
                return
        if not (isinstance(value, dict) and read_response(transcript, value)):
            transcript.answer(_raw(value, got if value is whole else value))


def _raw(value: Any, sent: Any) -> Any:
    """Messages unchanged; any other structure as one message with the text it was sent as."""
    if (text := plain_text(value)) is not None:
        value = text
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        leaves = [leaf for item in value for leaf in (item if isinstance(item, list) else [item])]
        if all(
            isinstance(leaf, dict) and (_MESSAGE & leaf.keys() or leaf.get("type") == "tool_call") for leaf in leaves
        ):
            return value
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    elif isinstance(value, dict):
        if "role" in value or "lc" in value or ("type" in value and ("content" in value or "data" in value)):
            return value
        if all(item is None for item in value.values()):
            return None
    elif isinstance(value, str):
        return [{"role": None, "content": value}] if value[:1] in "[{" else value
    return [{"role": None, "content": as_text(sent)}]


_MESSAGE = {"role", "lc", "content", "kwargs", "data", "update"}


def facts_of(body: dict[str, Any]) -> Facts:
    """Model, tokens and finish reasons of a response body."""
    usage: dict[str, Any] = next(
        (body[k] for k in ("usage", "usageMetadata", "usage_metadata") if isinstance(body.get(k), dict)), {}
    )
    reasons = [
        label(reason, 60)
        for item in [*_dicts(body.get("choices")), *_dicts(body.get("candidates")), body]
        for reason in (item.get("finish_reason"), item.get("finishReason"), item.get("stop_reason"))
        if isinstance(reason, str) and reason
    ]
    return Facts(
        model=label(body.get("model") or body.get("modelVersion"), 200),
        usage=usage_of(usage),
        finish_reasons=tuple(reasons),
    )


def usage_of(usage: dict[str, Any]) -> Usage:
    """The tokens of a provider's or framework's usage object. Langfuse's splits the input by its sorts: their sum."""
    details: dict[str, Any] = next((usage[k] for k in _DETAILS if isinstance(usage.get(k), dict)), {})
    cached = _count(details, "cached_tokens", "cache_read")
    return Usage(
        input_tokens=_sum(usage, "input")
        if "input" in usage
        else _count(usage, "prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens"),
        output_tokens=_sum(usage, "output")
        if "output" in usage
        else _count(usage, "completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens"),
        cached_tokens=_count(usage, *_CACHED) if cached is None else cached,
    )


_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_CACHED = ("cache_read_input_tokens", "cachedContentTokenCount", "cacheReadInputTokens", "input_cache_read")


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


def _is_answer(message: Any) -> bool:
    """Whether the last message of a state is the answer; a rendered prompt ends with the user's."""
    if not isinstance(message, dict):
        return False
    message = unwrapped(message)
    return (message.get("role") or message.get("type")) not in ("user", "human")


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


def _sum(usage: dict[str, Any], sort: str) -> int:
    return sum(as_integer(count) or 0 for key, count in usage.items() if key == sort or key.startswith(sort + "_"))


def opened(value: Any) -> Any:
    """What a function was given or gave back, out of what decorators and callbacks put around it: {"args": [...],
    "kwargs": {...}}, LangChain's {"inputs": ..., "tags": ...}, and {"output": ...} alone or beside its arguments."""
    value = structure(value)
    if isinstance(value, dict):
        if "args" in value and isinstance(value.get("kwargs"), dict):
            args, kwargs = value["args"], value["kwargs"]
            return (
                kwargs if not args else args[0] if isinstance(args, list) and len(args) == 1 and not kwargs else value
            )
        if value.keys() == {"tool_name", "arguments"}:  # OpenLLMetry's MCP
            return value["arguments"]
        for key in ("inputs", "outputs", "input", "output", "query"):
            if value.get(key) not in (None, "", [], {}) and (len(value) == 1 or "kwargs" in value or "tags" in value):
                return value[key]
    return value


def plain_text(value: Any) -> str | None:
    """The text of an object that says nothing but one text: {"input": "..."}; None where it says more. Flags are
    nothing said."""
    if isinstance(value, dict):
        texts = [item for item in value.values() if item not in (None, "", [], {}, False, True)]
        if len(texts) == 1 and isinstance(texts[0], str) and next(iter(value)) in _SINGLE:
            return texts[0]
    return None


_SINGLE = frozenset(
    {"input", "output", "text", "query", "question", "prompt", "answer", "result", "response", "content", "message"}
    | {"inputs", "outputs", "task", "q"}
)
