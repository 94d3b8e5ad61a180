"""`POST /v1/check`: may this go on? Asked before a prompt is sent to a model, or before an answer is shown."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from starlette.requests import Request

from governance.api.access import key_holder, own_system
from governance.api.body import Bodies, parse_json
from governance.api.validation import body_schema, validated
from governance.domain.calls import Call, CallKind, Document, EndUser, Message, Release, ToolCall
from governance.domain.people import Actor, Scope
from governance.errors import BadInput

if TYPE_CHECKING:
    from datetime import datetime

    from governance.bootstrap import Application

_MOST_PARTS = 10_000
_TRACE = r"^[0-9a-fA-F]{32}$"
# NUL is no mistake here: like a lone surrogate, it has become U+FFFD (`parse_json`).
Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x01-\x1f\x7f]*$")]


def _text_of(value: Any) -> Any:
    """Text, or a list of content parts as chat APIs have it: text parts joined, others as bracketed descriptions."""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, dict):
            texts.append(f"[{part.get('type', 'part')}]")
        else:
            return value
    return "\n".join(texts)


def _json_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _document_of(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


_TEXT = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
    ],
    "description": "A text, or a list of content parts: texts, {text} or others, which stand as [type] in the text.",
}
_NOT_NULL = {"type": ["string", "object", "array", "number", "boolean"]}
Text = Annotated[str, BeforeValidator(_text_of)]
Json = Annotated[str, BeforeValidator(_json_text), WithJsonSchema({**_NOT_NULL, "description": "JSON, also as text."})]


def _said(schema: dict[str, Any]) -> None:
    """The text goes by one of two names."""
    text = schema["properties"].pop("text")
    schema["properties"] |= {"text": _TEXT | {"title": text["title"]}, "content": _TEXT | {"title": "Content"}}
    schema["required"] = ["role"]
    schema["oneOf"] = [{"required": ["text"]}, {"required": ["content"]}]


def _something(schema: dict[str, Any]) -> None:
    """A check is of something."""
    schema["anyOf"] = [
        {"required": [name], "properties": {name: {"minItems": 1}}} for name in ("messages", "documents", "tool_calls")
    ]


class _Model(BaseModel):
    # A field that nobody knows would be content that nobody checks.
    model_config = ConfigDict(extra="forbid", strict=True)


class MessageIn(_Model):
    """What was said. `text` may also be called `content`, and be a list of parts."""

    model_config = ConfigDict(json_schema_extra=_said)

    role: Name
    text: Text = Field(validation_alias=AliasChoices("text", "content"))


class DocumentIn(_Model):
    """What was retrieved; a plain text is a document without an id."""

    id: Name = ""
    text: str
    score: float | None = Field(default=None, allow_inf_nan=False)
    labels: list[Name] = Field(default_factory=list, max_length=100)


DocumentOrText = Annotated[DocumentIn, BeforeValidator(_document_of, json_schema_input_type=DocumentIn | str)]


class ToolCallIn(_Model):
    """A tool asked for, and what it gave back where it ran. Arguments and result: JSON, or JSON as text."""

    id: Name = ""
    name: Name
    arguments: Json = ""
    result: Annotated[
        str | None, BeforeValidator(_json_text), WithJsonSchema({"description": "JSON, also as text."})
    ] = None


class UserIn(_Model):
    """The application's own user."""

    id: Name = ""
    role: Annotated[str, StringConstraints(max_length=100)] = ""


class ReleaseIn(_Model):
    """The combination that runs, as far as the application says."""

    name: Name = ""
    model: Name = ""
    prompt_version: Name = ""
    retrieval: Json = ""
    tools: Json = ""


class CheckIn(_Model):
    """`system` may be left out with a key that is bound to one. With direction `output`, the assistant's messages at
    the end are what is checked as the answer; all before them is its context."""

    model_config = ConfigDict(json_schema_extra=_something)

    system: Name = ""
    direction: Literal["input", "output"] = "input"
    messages: list[MessageIn] = Field(default_factory=list, max_length=_MOST_PARTS)
    documents: list[Annotated[DocumentIn, BeforeValidator(_document_of, json_schema_input_type=DocumentIn | str)]] = (
        Field(default_factory=list, max_length=_MOST_PARTS)
    )
    tool_calls: list[ToolCallIn] = Field(default_factory=list, max_length=_MOST_PARTS)
    user: UserIn = UserIn()
    release: ReleaseIn = ReleaseIn()
    trace_id: Annotated[str, StringConstraints(pattern=_TRACE)] | None = None
    session_id: Name = ""

    def to_call(self, system: str, now: datetime) -> Call:
        """A guardrail step of its trace. Raises `BadInput` when there is nothing to check."""
        if not self.messages and not self.documents and not self.tool_calls:
            raise BadInput("There is nothing to check.", advice="Send messages, documents or tool_calls.")
        if not system:
            raise BadInput("system: missing.", advice="Name the system, or use a key that is bound to one.")
        said = [Message(role=message.role, text=message.text) for message in self.messages]
        answer = len(said)
        if self.direction == "output":
            while answer and said[answer - 1].role.lower() in ("assistant", "model", "ai"):
                answer -= 1
            # No message of the assistant: whoever asks for the output direction means the last one.
            answer = max(0, len(said) - 1) if answer == len(said) else answer
        return Call(
            trace_id=(self.trace_id or secrets.token_hex(16)).lower(),
            span_id=secrets.token_hex(8),
            kind=CallKind.GUARDRAIL,
            name=f"check {self.direction}",
            system=system,
            session_id=self.session_id,
            release=Release(**self.release.model_dump()),
            model=self.release.model,
            user=EndUser(id=self.user.id, role=self.user.role),
            started_at=now,
            content_captured=True,
            input=tuple(said[:answer]),
            output=tuple(said[answer:]),
            documents=tuple(
                Document(id=item.id, text=item.text, score=item.score, labels=tuple(item.labels))
                for item in self.documents
            ),
            tool_calls=tuple(
                ToolCall(id=tool.id, name=tool.name, arguments=tool.arguments, result=tool.result)
                for tool in self.tool_calls
            ),
        )


class CheckOut(BaseModel):
    """What the policies say. Follow `action`: allow, redact, retry, fallback, safe_default or block.

    `safe_response` is what to say instead, where the policy states it; `case_id` where a person will look. `failures`
    are detectors that could not look ({detector, reason}), `skipped` those that were not to look at all of it.
    """

    decision_id: str
    action: str
    redacted_messages: list[dict[str, str]]
    safe_response: str | None = None
    findings: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    policy_set: str
    case_id: int | None = None
    explanation: str
    queue: str
    call_id: str
    trace_id: str
    failures: list[dict[str, Any]] = []
    skipped: list[str] = []


def router(application: Application, bodies: Bodies) -> APIRouter:
    """`POST /check`."""
    routes = APIRouter(tags=["Check"])

    @routes.post("/check", response_model=CheckOut, openapi_extra=body_schema(CheckIn), summary="Check before going on")
    async def check(request: Request) -> CheckOut:
        """Recorded, checked and audited before the answer. Needs a key with scope `check`."""
        actor = await key_holder(application, request, Scope.CHECK)
        with await bodies.read(request) as body:
            return await anyio.to_thread.run_sync(_check, body, actor)

    def _check(body: bytes, actor: Actor) -> CheckOut:
        asked = validated(CheckIn, parse_json(body))
        call = asked.to_call(own_system(application, actor, Scope.CHECK, asked.system), application.clock())
        checked = application.inline.check(call)
        decision = checked.decision
        return CheckOut(
            decision_id=decision["id"],
            action=decision["action"],
            redacted_messages=[{"role": message.role, "text": message.text} for message in checked.messages],
            safe_response=checked.safe_response,
            findings=decision["findings"],
            policies=decision["policies"],
            policy_set=decision["policy_set"],
            case_id=checked.case_id,
            explanation=decision["explanation"],
            queue=decision["queue"],
            call_id=str(checked.call_id),
            trace_id=call.trace_id,
            failures=decision["failures"],
            skipped=decision["skipped"],
        )

    return routes
