"""A model call as it was sent: one step of a trace, as an OpenTelemetry span has it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

UNKNOWN_SYSTEM = "unknown"
"""The system of a call that names none, and of a report about a trace that nobody has sent yet, by a key that is bound
to no system."""


class CallKind(StrEnum):
    LLM = "llm"
    EMBEDDING = "embedding"
    RETRIEVAL = "retrieval"
    TOOL = "tool"
    AGENT = "agent"
    CHAIN = "chain"
    GUARDRAIL = "guardrail"
    OTHER = "other"


class CallStatus(StrEnum):
    """The state of a call: committed, decided, or undecidable (and then under human review)."""

    RECORDED = "recorded"
    CHECKED = "checked"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What was said. `type` is the part's type as the producer named it (text, reasoning, image, refusal ...);
    a part that is no text has a bracketed description as its text, for example `[image: https://...]`."""

    role: str
    text: str
    type: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What was retrieved. `score` is the retriever's own; `labels` are the data labels that access policies read."""

    id: str = ""
    text: str = ""
    score: float | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A tool asked for (arguments as JSON text, as sent) and, where known, what it gave back."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    result: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens, as the provider counted them; None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EndUser:
    """The governed application's own user: never a person of the console."""

    id: str = ""
    role: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """The exact combination that ran, as far as the call tells."""

    name: str = ""
    model: str = ""
    prompt_version: str = ""
    retrieval: str = ""
    tools: str = ""
    fingerprint: str = field(init=False, repr=False, compare=False)
    """First 16 hex digits of SHA-256 over the parts' canonical JSON; "" when nothing is known."""

    def __post_init__(self) -> None:
        parts = (self.name, self.model, self.prompt_version, self.retrieval, self.tools)
        object.__setattr__(self, "fingerprint", _fingerprint(parts))


@lru_cache(maxsize=1024)
def _fingerprint(parts: tuple[str, ...]) -> str:
    if not any(parts):
        return ""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One step of a trace.

    `trace_id` is 32 and `span_id` 16 lower-case hex digits; together they identify the call. Times are UTC.
    `content_captured` is False when the producer sent no content: that is shown as such, never as clean.
    `attributes` are all attributes that are not represented by another field, values as JSON-compatible types.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    kind: CallKind = CallKind.OTHER
    name: str = ""
    system: str
    release: Release = Release()
    session_id: str = ""
    user: EndUser = EndUser()
    started_at: datetime
    duration_ms: float | None = None
    model: str = ""
    provider: str = ""
    usage: Usage = Usage()
    error: str = ""
    finish_reasons: tuple[str, ...] = ()
    content_captured: bool = False
    input: tuple[Message, ...] = ()
    output: tuple[Message, ...] = ()
    documents: tuple[Document, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentEvent:
    """Content of a call that came apart from its span, as an OpenTelemetry log record; joined on trace and span id.

    `at` orders the events of one call. A span may come before, after, or never.
    """

    trace_id: str
    span_id: str
    system: str
    at: datetime
    name: str = ""
    provider: str = ""
    session_id: str = ""
    user: EndUser = EndUser()
    input: tuple[Message, ...] = ()
    output: tuple[Message, ...] = ()
    documents: tuple[Document, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reasons: tuple[str, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)


_ERROR_KIND = re.compile(r"[A-Za-z0-9_.\-/]{1,80}")
_NO_KIND = re.compile(r"\d{3}[-._/]?\d|(?=[A-Z]*\d)[A-Z0-9]{12}")


def kind_of_error(error: str) -> str:
    """What sort of error it was, for wherever an error is said in clear: its first word (`RateLimitError`, `429`), or
    `error` where that could be a number or key of somebody's. The other words may quote the prompt."""
    found = _ERROR_KIND.match(error)
    if found is None or error[found.end() : found.end() + 1] == "@" or _NO_KIND.search(found.group()):
        return "error" if error else ""
    return found.group()
