"""The messages between a server, its decoder and its recorder: MessagePack of fixed types, bounded in length.

The decoder reads what strangers wrote, so nobody trusts what it says: a message is decoded into these types or refused
(`Malformed`), and no message can run code, claim more memory than its length allows or name a field of its own.
Values go by position; the body of a request is a message of its own, so that it is not copied.
"""

from __future__ import annotations

import json
import struct
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from governance import errors
from governance.domain.calls import CallKind, ContentEvent, Document, EndUser, Message, ToolCall
from governance.domain.content import PartKind
from governance.domain.times import micros, moment
from governance.errors import GovernanceError, Overloaded, TooLarge
from governance.intake import Body, Decoded, Signal, Taken
from governance.store.calls.parts import TOOL_MESSAGE
from governance.store.calls.prepared import Frame, Int64, PreparedCall

ANSWER_BYTES = 2**20
"""The longest answer: an outcome, or an error with its words."""
_MOST_WORDS = 8_000
_MOST_PROBLEMS = 100
# A batch takes more bytes than its body where spans are small: each has a head and facts of some 300 bytes.
_GROWTH = 8
_ROOM = 16 * 2**20
# Of a message from decoder to recorder: the body's number, and whether the body was refused.
_HEAD = struct.Struct(">Q?")
_ERRORS = {kind.__name__: kind for kind in (errors.BadInput, errors.TooLarge, errors.Overloaded, errors.Misconfigured)}
_KINDS = frozenset({*PartKind, TOOL_MESSAGE})
_LAST: tuple[tuple[type, ...], ...] = ((str,), (float, int, type(None)), (list,))
_CALL_KINDS = frozenset(CallKind)

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Number = Annotated[int, msgspec.Meta(ge=0)]
Words = Annotated[str, msgspec.Meta(max_length=_MOST_WORDS)]


class Malformed(Exception):
    """A message that is none of these: whoever sent it is not to be listened to any longer."""


def batch_bytes(limit: int) -> int:
    """The longest message about a body of at most `limit` bytes."""
    return _GROWTH * limit + _ROOM


class _Struct(msgspec.Struct, array_like=True, forbid_unknown_fields=True, kw_only=True):
    pass


class _Request(_Struct):
    number: Number
    signal: Signal
    content_type: str
    coding: str
    system: str
    limit: Count


class _Error(_Struct):
    kind: Literal["BadInput", "TooLarge", "Overloaded", "Misconfigured", "GovernanceError"]
    message: Words
    advice: Words
    retry_after: Annotated[int, msgspec.Meta(ge=0, le=86_400)]


class _Answer(_Struct):
    """Either how many of each, in the order of `Taken`, or an error."""

    number: Number
    counts: tuple[Count, Count, Count, Count, Count] | None
    problems: Annotated[tuple[Words, ...], msgspec.Meta(max_length=_MOST_PROBLEMS)]
    error: _Error | None


_Message = tuple[str, str, str]
_Document = tuple[str, str, float | None, list[str]]
_Tool = tuple[str, str, str, str | None]


class _Event(_Struct):
    """A `ContentEvent`; `at` in microseconds since 1970, attributes as JSON, whose integers have no bound."""

    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    span_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    system: str
    at: Int64
    name: str
    provider: str
    session_id: str
    user: tuple[str, str]
    input: list[_Message]
    output: list[_Message]
    documents: list[_Document]
    tool_calls: list[_Tool]
    finish_reasons: tuple[str, ...]
    attributes: bytes


class _Batch(_Struct):
    calls: list[PreparedCall]
    events: list[_Event]
    rejected: Count
    problems: Annotated[tuple[Words, ...], msgspec.Meta(max_length=_MOST_PROBLEMS)]


_encode = msgspec.msgpack.Encoder().encode
_REQUEST = msgspec.msgpack.Decoder(_Request)
_BATCH = msgspec.msgpack.Decoder(_Batch)
_ERROR = msgspec.msgpack.Decoder(_Error)
_ANSWER = msgspec.msgpack.Decoder(_Answer)
_JSON = msgspec.json.Decoder(msgspec.Raw)  # reads over the value, and makes no object of it

T = TypeVar("T")


def _decoded(decoder: msgspec.msgpack.Decoder[T] | msgspec.json.Decoder[T], message: bytes | memoryview) -> T:
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        # What was wrong may quote the message: only its sort is said.
        raise Malformed(f"not a message of this kind ({type(error).__name__})") from None


def request(number: int, body: Body) -> tuple[bytes, bytes]:
    """Two messages, so that a body is not copied to put something before it."""
    head = _Request(
        number=number,
        signal=body.signal,
        content_type=body.content_type,
        coding=body.coding,
        system=body.system,
        limit=body.limit,
    )
    return _encode(head), body.content


def read_request(head: bytes, content: bytes) -> tuple[int, Body]:
    found = _decoded(_REQUEST, head)
    return found.number, Body(
        signal=found.signal,
        content=content,
        content_type=found.content_type,
        coding=found.coding,
        system=found.system,
        limit=found.limit,
    )


def batch(number: int, decoded: Decoded, *, limit: int) -> bytes:
    """What a body of at most `limit` bytes holds. Raises `TooLarge` for a message that the recorder would refuse."""
    content = _Batch(
        calls=list(decoded.calls),
        events=[_event(event) for event in decoded.content_events],
        rejected=decoded.rejected,
        problems=tuple(sentence[:_MOST_WORDS] for sentence in decoded.problems[:_MOST_PROBLEMS]),
    )
    message = _HEAD.pack(number, False) + _encode(content)
    if len(message) > batch_bytes(limit):
        raise TooLarge("The body holds too many spans for its size.", advice="Send smaller batches.")
    return message


def refusal(number: int, error: Exception) -> bytes:
    """Instead of a batch: what the server is to be answered."""
    return _HEAD.pack(number, True) + _encode(_error(error))


def read_head(message: bytes) -> tuple[int, GovernanceError | None]:
    """The body's number, and the error to answer where the body was refused. Raises `Malformed`."""
    if len(message) < _HEAD.size:
        raise Malformed("too short")
    number, refused = _HEAD.unpack_from(message)
    return number, _read_error(_decoded(_ERROR, memoryview(message)[_HEAD.size :])) if refused else None


def read_batch(message: bytes) -> Decoded:
    """Raises `Malformed` also for what the types cannot say: the frames of parts, texts that are not UTF-8."""
    found = _decoded(_BATCH, memoryview(message)[_HEAD.size :])
    try:
        for call in found.calls:
            if call.facts[0] not in _CALL_KINDS:
                raise ValueError("no kind of a call")
            for frame, _, text in call.pieces:
                if not text.isascii():
                    text.decode()
                if not _is_frame(frame):
                    raise ValueError("no frame of a part")
            if call.attributes is not None and not bytes(_JSON.decode(call.attributes)).startswith(b"{"):
                raise ValueError("no object")
        return Decoded(
            calls=found.calls,
            content_events=[_read_event(event) for event in found.events],
            rejected=found.rejected,
            problems=found.problems,
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(f"not a batch ({type(error).__name__})") from None


def _is_frame(frame: Frame) -> bool:
    """Whether `store.parts` can read it. A frame is cut after its last value; most have the first two to four."""
    if frame[0] not in _KINDS or frame[1] != 0:
        return False
    size = len(frame)
    if (size > 2 and type(frame[2]) is not str) or (size > 3 and type(frame[3]) is not str):
        return False
    return size <= 4 or _ends_a_frame(frame[4:])


def _ends_a_frame(values: list[Any]) -> bool:
    """Reference, score and labels."""
    return all(isinstance(value, kinds) for value, kinds in zip(values, _LAST, strict=False))


def _event(event: ContentEvent) -> _Event:
    return _Event(
        trace_id=event.trace_id,
        span_id=event.span_id,
        system=event.system,
        at=micros(event.at),
        name=event.name,
        provider=event.provider,
        session_id=event.session_id,
        user=(event.user.id, event.user.role),
        input=[(message.role, message.text, message.type) for message in event.input],
        output=[(message.role, message.text, message.type) for message in event.output],
        documents=[(one.id, one.text, one.score, list(one.labels)) for one in event.documents],
        tool_calls=[(tool.id, tool.name, tool.arguments, tool.result) for tool in event.tool_calls],
        finish_reasons=event.finish_reasons,
        attributes=json.dumps(dict(event.attributes)).encode(),
    )


def _read_event(event: _Event) -> ContentEvent:
    attributes: Any = json.loads(event.attributes)
    if not isinstance(attributes, dict):
        raise TypeError("attributes are an object")
    return ContentEvent(
        trace_id=event.trace_id,
        span_id=event.span_id,
        system=event.system,
        at=moment(event.at),
        name=event.name,
        provider=event.provider,
        session_id=event.session_id,
        user=EndUser(id=event.user[0], role=event.user[1]),
        input=_messages(event.input),
        output=_messages(event.output),
        documents=tuple([Document(id=a, text=b, score=c, labels=tuple(d)) for a, b, c, d in event.documents]),
        tool_calls=tuple([ToolCall(id=a, name=b, arguments=c, result=d) for a, b, c, d in event.tool_calls]),
        finish_reasons=event.finish_reasons,
        attributes=attributes,
    )


def _messages(values: list[_Message]) -> tuple[Message, ...]:
    return tuple([Message(role=role, text=text, type=type) for role, text, type in values])


def answer(number: int, outcome: Taken | BaseException) -> bytes:
    """An error that is not ours says nothing of itself: its words may quote the content."""
    if isinstance(outcome, Taken):
        counts = (outcome.items, outcome.rejected, outcome.new, outcome.repeated, outcome.conflicts)
        return _encode(_Answer(number=number, counts=counts, problems=outcome.problems, error=None))
    return _encode(_Answer(number=number, counts=None, problems=(), error=_error(outcome)))


def read_answer(message: bytes) -> tuple[int, Taken | GovernanceError]:
    """Raises `Malformed`."""
    found = _decoded(_ANSWER, message)
    if (found.counts is None) == (found.error is None):
        raise Malformed("neither an outcome nor an error")
    if found.error is not None:
        return found.number, _read_error(found.error)
    assert found.counts is not None
    items, rejected, new, repeated, conflicts = found.counts
    return found.number, Taken(
        items=items, rejected=rejected, problems=found.problems, new=new, repeated=repeated, conflicts=conflicts
    )


def _error(error: BaseException) -> _Error:
    if not isinstance(error, GovernanceError):
        error = Overloaded("The body could not be recorded.", advice="Send again later.")
    kind = type(error).__name__
    return _Error(
        kind=kind if kind in _ERRORS else "GovernanceError",  # type: ignore[arg-type]
        message=error.message[:_MOST_WORDS],
        advice=error.advice[:_MOST_WORDS],
        retry_after=error.retry_after if isinstance(error, Overloaded) else 0,
    )


def _read_error(error: _Error) -> GovernanceError:
    if error.kind == "Overloaded":
        return Overloaded(error.message, advice=error.advice, retry_after=error.retry_after)
    return _ERRORS.get(error.kind, GovernanceError)(error.message, advice=error.advice)
