"""A call made ready to be written: all that can be said of its rows without the database and without a key.

Made by a process that only decodes, so that the one that writes has less to do. That process reads what strangers
wrote: the types say all that the writer relies on, and `intake.wire` refuses anything else.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta
from pydantic_core import to_json

from governance.audit import leaf
from governance.domain.calls import Call, Release, kind_of_error
from governance.domain.times import micros
from governance.store.calls import parts

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
TraceId = Annotated[bytes, Meta(min_length=16, max_length=16)]
SpanId = Annotated[bytes, Meta(min_length=8, max_length=8)]
Frame = Annotated[list[str | int | float | list[str] | None], Meta(min_length=2, max_length=7)]
"""A part without its text, as `store.parts` describes it."""
Piece = tuple[Frame, bytes, bytes]
"""A part: its frame with 0 for the message id, what beside the text makes content the same, and the text. The last two
together are what is digested to know equal content of a conversation."""

Tokens = Int64 | None
Facts = tuple[str, str, str, str, str, Int64, Int64 | None, str, str, Tokens, Tokens, Tokens, str, Literal[0, 1]]
"""The columns `kind` to `content_captured` of `call`, in their order."""


class PreparedCall(NamedTuple):
    """`head` is what the span's digest starts with."""

    trace_id: TraceId
    span_id: SpanId
    parent_span_id: SpanId | None
    system: str
    conversation: str
    fingerprint: str
    release: str
    started: Annotated[str, Meta(max_length=40)]
    facts: Facts
    pieces: list[Piece]
    attributes: bytes | None
    head: bytes

    @property
    def kind(self) -> str:
        return str(self.facts[0])

    @property
    def captured(self) -> bool:
        return bool(self.facts[-1])


def prepare(call: Call) -> PreparedCall:
    release, user, usage = call.release, call.user, call.usage
    kind, started = call.kind.value, micros(call.started_at)
    pieces = pieces_of(call)
    fingerprint = release.fingerprint
    head = (
        call.parent_span_id,
        kind,
        call.name,
        call.system,
        fingerprint,
        call.session_id,
        user.id,
        user.role,
        started,
        call.duration_ms,
        call.model,
        call.provider,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        call.error,
        [frame for frame, _, _ in pieces],
    )
    return PreparedCall(
        bytes.fromhex(call.trace_id),
        bytes.fromhex(call.span_id),
        bytes.fromhex(call.parent_span_id) if call.parent_span_id else None,
        call.system,
        f"session:{call.session_id[:200]}" if call.session_id else f"trace:{call.trace_id}",
        fingerprint,
        _release_parts(release) if fingerprint else "",
        leaf.moment(call.started_at),
        (
            kind,
            call.name[:200],
            call.session_id[:200],
            user.id[:200],
            user.role[:100],
            started,
            None if call.duration_ms is None else round(call.duration_ms * 1000),
            call.model[:200],
            call.provider[:100],
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            kind_of_error(call.error),
            1 if call.content_captured else 0,
        ),
        pieces,
        _attributes(call),
        to_json(head),
    )


def pieces_of(call: Call) -> list[Piece]:
    return [(frame, f"{same}\0\0".encode(), text.encode()) for frame, same, text in parts.pieces_of(call)]


def whole(call: PreparedCall) -> bytes:
    """All of a call as JSON, to be kept sealed."""
    pieces = [[*frame, text.decode()] for frame, _, text in call.pieces]
    return to_json({"name": call.facts[1], "model": call.facts[7], "started_at": call.started, "parts": pieces})


@lru_cache(maxsize=256)
def _release_parts(release: Release) -> str:
    return json.dumps(
        {
            "name": release.name,
            "model": release.model,
            "prompt_version": release.prompt_version,
            "retrieval": release.retrieval,
            "tools": release.tools,
        }
    )


def _attributes(call: Call) -> bytes | None:
    if not call.attributes and not call.finish_reasons and not call.error:
        return None
    body: dict[str, Any] = {"attributes": dict(call.attributes), "finish_reasons": call.finish_reasons}
    if call.error:
        body["error"] = call.error
    return to_json(body)
