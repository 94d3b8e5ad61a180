"""The OTLP/HTTP receiver (OTLP 1.x): 200 means committed; every error is a `Status`, in the format of the request."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from governance.api.access import key_holder
from governance.api.body import Bodies
from governance.api.metrics import Metrics
from governance.api.problems import UnsupportedMediaType
from governance.domain.people import Actor, Scope
from governance.ingest import otlp
from governance.ingest.batch import Batch
from governance.ingest.body import Media, media_of

if TYPE_CHECKING:
    from governance.bootstrap import Application

_LOG = structlog.get_logger("governance.receiver")
# Decoded objects take several times the bytes they came in: this many bodies at once, whatever waits.
_DECODERS = 2
_CODINGS = ("", "identity", "gzip")
_MESSAGE_BYTES = 1_000
_BODY = {
    "requestBody": {
        "required": True,
        "content": {media.value: {"schema": {"type": "string", "format": "binary"}} for media in Media},
    }
}

Decode = Callable[..., Batch]


def router(application: Application, bodies: Bodies, metrics: Metrics) -> APIRouter:
    """`POST /traces` and `POST /logs`."""
    routes = APIRouter(tags=["OpenTelemetry"])
    decoders = anyio.CapacityLimiter(_DECODERS)

    async def receive(request: Request, kind: str, decode: Decode) -> Response:
        actor = await key_holder(application, request, Scope.INGEST)
        content_type = request.headers.get("content-type", "")
        coding = request.headers.get("content-encoding", "").strip().lower()
        _refuse_unknown(content_type, coding)
        with await bodies.read(request) as body:
            work = functools.partial(decode, body, content_type, coding, limit=bodies.limit, system=actor.system)
            batch = await anyio.to_thread.run_sync(work, limiter=decoders)
            weight = _weight(body, coding, bodies.limit)
        conflicts = await _commit(batch, weight, actor)
        metrics.received(kind, batch)
        if batch.rejected:
            _LOG.info("otlp.rejected", kind=kind, rejected=batch.rejected, key=actor.reference)
        if not batch.rejected and not batch.problems and not conflicts:
            answer, media = otlp.empty_response(content_type)
        else:
            answer, media = otlp.partial_success(kind, batch.rejected, _words(batch, conflicts), content_type)
        return Response(answer, 200, media_type=media)

    async def _commit(batch: Batch, weight: int, actor: Actor) -> int:
        """Waits until the batch is committed; gives the number of conflicts. Raises `Overloaded`."""
        if not batch.calls and not batch.content_events:
            return 0
        receipt = await asyncio.wrap_future(application.recorder.submit(batch, weight=weight))
        metrics.recorded(receipt)
        return int(receipt.conflicts)

    @routes.post("/traces", openapi_extra=_BODY, summary="Record model calls", response_class=Response)
    async def traces(request: Request) -> Response:
        """An `ExportTraceServiceRequest`, as protobuf or JSON, plain or gzip. Needs a key with scope `ingest`."""
        return await receive(request, "traces", otlp.decode_traces)

    @routes.post("/logs", openapi_extra=_BODY, summary="Record content sent as log events", response_class=Response)
    async def logs(request: Request) -> Response:
        """An `ExportLogsServiceRequest`, as protobuf or JSON, plain or gzip. Needs a key with scope `ingest`."""
        return await receive(request, "logs", otlp.decode_logs)

    return routes


def _refuse_unknown(content_type: str, coding: str) -> None:
    if media_of(content_type) is None:
        raise UnsupportedMediaType(
            f"The content type {content_type[:80]!r} is not taken.",
            advice="Send application/x-protobuf or application/json.",
        )
    if coding not in _CODINGS:
        raise UnsupportedMediaType(
            f"The content encoding {coding[:40]!r} is not taken.", advice="Send gzip, or no encoding."
        )


def _weight(body: bytes, coding: str, limit: int) -> int:
    """About how many bytes the decoded batch holds: gzip states its length in its last four (RFC 1952 §2.3.1)."""
    if coding != "gzip":
        return len(body)
    return min(limit, max(len(body), int.from_bytes(body[-4:], "little")))


def _words(batch: Batch, conflicts: int) -> str:
    words = list(batch.problems)
    if conflicts:
        words.append(f"{conflicts} came before with other content; kept as a conflict.")
    return " ".join(words).encode()[:_MESSAGE_BYTES].decode("utf-8", "ignore")
