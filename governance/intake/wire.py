"""What a server and its two processes say to each other: JSON, and of a request the body after it, as it came.

Between the two it is `marshal`: both are this interpreter running this code, and JSON holds no bytes and takes longer.
"""

from __future__ import annotations

import json
import marshal
import struct
from dataclasses import asdict, replace
from typing import Any

from governance import errors
from governance.domain.calls import ContentEvent, Document, EndUser, Message, ToolCall
from governance.errors import GovernanceError, Overloaded
from governance.intake import Body, Decoded, Taken
from governance.store.base.times import micros, moment
from governance.store.calls.prepared import PreparedCall

# Of a message between the two: the body's number, and whether an answer to the server follows, not a batch.
_HEAD = struct.Struct(">Q?")
_ERRORS = {kind.__name__: kind for kind in (errors.BadInput, errors.TooLarge, errors.Overloaded, errors.Misconfigured)}


def request(number: int, body: Body) -> tuple[bytes, bytes]:
    """Two messages, so that a body is not copied to put something before it."""
    head = asdict(replace(body, content=b""))
    del head["content"]
    return json.dumps([number, head]).encode(), body.content


def read_request(head: bytes, content: bytes) -> tuple[int, Body]:
    number, values = json.loads(head)
    return number, Body(content=content, **values)


def batch(number: int, decoded: Decoded) -> bytes:
    content = (
        [tuple(call) for call in decoded.calls],
        [_event(event) for event in decoded.content_events],
        decoded.rejected,
        decoded.problems,
    )
    return _HEAD.pack(number, False) + marshal.dumps(content)


def refusal(number: int, error: Exception) -> bytes:
    """Instead of a batch: what the server is to be answered."""
    return _HEAD.pack(number, True) + answer(number, error)


def read_head(message: bytes) -> tuple[int, bytes]:
    """The body's number, and what to answer where it was refused, else b""."""
    number, refused = _HEAD.unpack_from(message)
    return number, message[_HEAD.size :] if refused else b""


def read_batch(message: bytes) -> Decoded:
    calls, events, rejected, problems = marshal.loads(memoryview(message)[_HEAD.size :])  # noqa: S302 - our own process
    return Decoded(
        calls=list(map(PreparedCall._make, calls)),
        content_events=[_read_event(event) for event in events],
        rejected=rejected,
        problems=problems,
    )


def _event(event: ContentEvent) -> tuple[Any, ...]:
    return (
        event.trace_id,
        event.span_id,
        event.system,
        micros(event.at),
        event.name,
        event.provider,
        event.session_id,
        (event.user.id, event.user.role),
        [(message.role, message.text, message.type) for message in event.input],
        [(message.role, message.text, message.type) for message in event.output],
        [(document.id, document.text, document.score, document.labels) for document in event.documents],
        [(tool.id, tool.name, tool.arguments, tool.result) for tool in event.tool_calls],
        event.finish_reasons,
        dict(event.attributes),
    )


def _read_event(values: tuple[Any, ...]) -> ContentEvent:
    trace, span, system, at, name, provider, session, user, input_, output, documents, tools, reasons, rest = values
    return ContentEvent(
        trace_id=trace,
        span_id=span,
        system=system,
        at=moment(at),
        name=name,
        provider=provider,
        session_id=session,
        user=EndUser(id=user[0], role=user[1]),
        input=_messages(input_),
        output=_messages(output),
        documents=tuple([Document(id=a, text=b, score=c, labels=d) for a, b, c, d in documents]),
        tool_calls=tuple([ToolCall(id=a, name=b, arguments=c, result=d) for a, b, c, d in tools]),
        finish_reasons=reasons,
        attributes=rest,
    )


def _messages(values: list[tuple[str, str, str]]) -> tuple[Message, ...]:
    return tuple([Message(role=role, text=text, type=type) for role, text, type in values])


def answer(number: int, outcome: Taken | BaseException) -> bytes:
    """An error that is not ours says nothing of itself: its words may quote the content."""
    if isinstance(outcome, Taken):
        return json.dumps([number, asdict(outcome), None]).encode()
    if not isinstance(outcome, GovernanceError):
        outcome = Overloaded("The body could not be recorded.", advice="Send again later.")
    error = {"kind": type(outcome).__name__, "message": outcome.message, "advice": outcome.advice}
    if isinstance(outcome, Overloaded):
        error["retry_after"] = str(outcome.retry_after)
    return json.dumps([number, None, error]).encode()


def read_answer(message: bytes) -> tuple[int, Taken | GovernanceError]:
    number, taken, error = json.loads(message)
    if taken is not None:
        return number, Taken(**taken | {"problems": tuple(taken["problems"])})
    if "retry_after" in error:
        return number, Overloaded(error["message"], advice=error["advice"], retry_after=int(error["retry_after"]))
    kind = _ERRORS.get(error["kind"], GovernanceError)
    return number, kind(error["message"], advice=error["advice"])
