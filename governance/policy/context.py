"""What a condition can read: the tables below are the one source of the CEL schema, of lint and of docs/policies.md.

Conditions see a call's circumstances and the findings, never its texts: what a text holds is for detectors to say.
A field marked optional is absent where the producer did not say it (`has(call.usage.input_tokens)`); reading it then
gives 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from governance.domain.calls import Call, Document
from governance.domain.content import PartKind
from governance.domain.findings import Finding

INT64 = 2**63 - 1
LONGEST_TEXT = 2_000
"""Code points of a producer's value that conditions see; no honest name, model or role is longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A field that conditions can read. `type` is string, int, double, bool, `list(...)`, `map(string, ...)` or a
    message's name."""

    name: str
    type: str
    doc: str
    optional: bool = False


def _field(name: str, kind: str, doc: str, *, optional: bool = False) -> Field:
    return Field(name=name, type=kind, doc=doc, optional=optional)


MESSAGES: Mapping[str, tuple[Field, ...]] = {
    "Finding": (
        _field("detector", "string", "The name under which the policy uses the detector."),
        _field("category", "string", "What it is: injection, jailbreak, secret, pii, refusal, empty, latency ..."),
        _field("rule", "string", "The detector's rule."),
        _field("pack", "string", "The rule's pack (patterns), or empty."),
        _field("label", "string", "Narrows the category: email, iban ... for pii."),
        _field("score", "double", "0 to 1, how sure the detector is."),
        _field("part", "string", "The part it lies in (input, output, document ...); empty: the call as a whole."),
        _field("index", "int", "Which of the parts of that kind, from 0."),
        _field("document", "string", "The id of the document it lies in, or empty."),
        _field("tool", "string", "The name of the tool whose arguments or result it lies in, or empty."),
        _field("length", "int", "Length of the place found, in code points."),
        _field("count", "int", "How many places it stands for: detectors unite what repeats very often."),
        _field("data", "map(string, string)", "Further values from the detector, as text."),
        _field("numbers", "map(string, double)", "Further values from the detector that are numbers."),
    ),
    "User": (
        _field("id", "string", "The governed application's own user id."),
        _field("role", "string", "The end user's role, as the application states it."),
    ),
    "Release": (
        _field("name", "string", "The release's name."),
        _field("model", "string", "The model of the release."),
        _field("prompt_version", "string", "The prompt's version."),
        _field("retrieval", "string", "The retrieval configuration."),
        _field("tools", "string", "The tool definitions' version."),
        _field("fingerprint", "string", "16 hex digits over all of these; empty when nothing is known."),
    ),
    "Usage": (
        _field("input_tokens", "int", "Tokens sent.", optional=True),
        _field("output_tokens", "int", "Tokens generated.", optional=True),
        _field("cached_tokens", "int", "Tokens read from the provider's cache.", optional=True),
    ),
    "Document": (
        _field("id", "string", "The document's id."),
        _field("labels", "list(string)", "Its data labels."),
        _field("score", "double", "The retriever's score.", optional=True),
        _field("length", "int", "Length of its text, in code points."),
    ),
    "Call": (
        _field("system", "string", "The governed application."),
        _field(
            "kind", "string", "llm, embedding, retrieval, tool, agent, chain, guardrail (an inline check) or other."
        ),
        _field("name", "string", "The span's name."),
        _field("model", "string", "The model that answered."),
        _field("provider", "string", "Who serves the model."),
        _field("user", "User", "The end user."),
        _field("release", "Release", "The combination that ran."),
        _field("session_id", "string", "The conversation."),
        _field("error", "string", "The error's type or message; empty when the call succeeded."),
        _field("duration_ms", "double", "How long the call took.", optional=True),
        _field("usage", "Usage", "Tokens."),
        _field("finish_reasons", "list(string)", "Why generation ended: stop, length, tool_calls, content_filter ..."),
        _field("content_captured", "bool", "False when the producer sent no content: then nothing was examined."),
        _field("inputs", "int", "Number of input messages, the system prompt included."),
        _field("outputs", "int", "Number of output messages."),
        _field("output_length", "int", "Length of the whole answer, in code points."),
        _field("documents", "list(Document)", "What was retrieved."),
        _field("tools", "list(string)", "Names of the tools that were called."),
        _field("attributes", "map(string, string)", "Attributes that no other field represents, as text."),
    ),
    "StepDocument": (
        _field("id", "string", "The document's id."),
        _field("labels", "list(string)", "Its data labels."),
        _field("score", "double", "The retriever's score.", optional=True),
    ),
    "Step": (
        _field("order", "int", "Its place in the sequence, from 1; a tool call stands after the call that carries it."),
        _field("current", "bool", "Whether it belongs to the call that is being decided."),
        _field("kind", "string", "As of a call; tool for a tool call that a call carries."),
        _field("name", "string", "The span's name, or the tool's."),
        _field("system", "string", "The governed application."),
        _field("model", "string", "The model that answered."),
        _field("user", "User", "The end user."),
        _field("failed", "bool", "Whether the call ended with an error."),
        _field("seconds", "double", "When it began, in seconds after the first step."),
        _field("tools", "list(string)", "Tools that it asks for, unless an earlier step did so already."),
        _field("documents", "list(StepDocument)", "Documents that no earlier step had."),
        _field("findings", "list(Finding)", "Findings of the policy's detectors in content that no earlier step had."),
    ),
}


def text(value: str) -> str:
    """A string that protobuf takes (no lone surrogates), of bounded length."""
    if len(value) > LONGEST_TEXT:
        value = value[:LONGEST_TEXT]
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()


def whole(value: int) -> int:
    """An integer within CEL's 64 bits."""
    return max(-INT64, min(INT64, value))


def _usage(call: Call) -> dict[str, int]:
    usage = call.usage
    values = (
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cached_tokens", usage.cached_tokens),
    )
    return {name: whole(value) for name, value in values if value is not None}


def _documents(call: Call) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = []
    for document in call.documents:
        value: dict[str, Any] = {
            "id": text(document.id),
            "labels": [text(label) for label in document.labels],
            "length": len(document.text),
        }
        if document.score is not None:
            value["score"] = document.score
        values.append(value)
    return values


READERS: Mapping[str, Callable[[Call], Any]] = {
    "system": lambda call: text(call.system),
    "kind": lambda call: call.kind.value,
    "name": lambda call: text(call.name),
    "model": lambda call: text(call.model),
    "provider": lambda call: text(call.provider),
    "user": lambda call: {"id": text(call.user.id), "role": text(call.user.role)},
    "release": lambda call: {
        "name": text(call.release.name),
        "model": text(call.release.model),
        "prompt_version": text(call.release.prompt_version),
        "retrieval": text(call.release.retrieval),
        "tools": text(call.release.tools),
        "fingerprint": call.release.fingerprint,
    },
    "session_id": lambda call: text(call.session_id),
    "error": lambda call: text(call.error),
    "duration_ms": lambda call: call.duration_ms,
    "usage": _usage,
    "finish_reasons": lambda call: [text(reason) for reason in call.finish_reasons],
    "content_captured": lambda call: call.content_captured,
    "inputs": lambda call: len(call.input),
    "outputs": lambda call: len(call.output),
    "output_length": lambda call: sum(len(message.text) for message in call.output),
    "documents": _documents,
    "tools": lambda call: [text(tool.name) for tool in call.tool_calls],
    "attributes": lambda call: {text(name): text(str(value)) for name, value in call.attributes.items()},
}
"""How each field of `Call` is read from a call; None stays unset."""


STEP_READERS: Mapping[str, Callable[[Call], Any]] = {
    "system": READERS["system"],
    "model": READERS["model"],
    "user": READERS["user"],
    "failed": lambda call: bool(call.error),
}
"""The fields of `Step` that are read from its call; the others are said by its place in the sequence."""


def step_documents(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """The fields of a step's documents: their texts are not there."""
    return [
        {"id": text(document.id), "labels": [text(label) for label in document.labels]}
        | ({} if document.score is None else {"score": document.score})
        for document in documents
    ]


def finding_values(finding: Finding, *, alias: str, name: str) -> dict[str, Any]:
    """The fields of a finding. `name` is that of the part it lies in: a document's id, a tool's name."""
    count = finding.data.get("count", 1)
    values: dict[str, Any] = {
        "detector": alias,
        "category": text(finding.category),
        "rule": text(finding.rule),
        "pack": finding.pack,
        "label": text(finding.label),
        "score": finding.score,
        "index": finding.index,
        "length": finding.end - finding.start,
        "count": int(count) if isinstance(count, int | float) and math.isfinite(count) else 1,
    }
    if finding.part is not None:
        values["part"] = finding.part.value
        if finding.part is PartKind.DOCUMENT:
            values["document"] = text(name)
        elif finding.part in (PartKind.TOOL_CALL, PartKind.TOOL_RESULT):
            values["tool"] = text(name)
    if finding.data:
        values["data"] = {text(key): _shown(value) for key, value in finding.data.items()}
        values["numbers"] = {
            text(key): float(value)
            for key, value in finding.data.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
    return values


def _shown(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(str(value))
