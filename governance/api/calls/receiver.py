"""The OTLP/HTTP receiver (OTLP 1.x): 200 means committed; every error is a `Status`, in the format of the request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from governance.api.access import key_holder
from governance.api.body import PLAIN, Bodies, coding_of
from governance.api.calls.otlp_schema import media
from governance.api.metrics import Metrics
from governance.api.problems import UnsupportedMediaType
from governance.domain.people import Scope
from governance.ingest import otlp
from governance.ingest.body import media_of
from governance.intake import Body, Signal, Taken

if TYPE_CHECKING:
    from governance.bootstrap import Application

_LOG = structlog.get_logger("governance.receiver")
# Decoded objects take several times the bytes they came in: this many bodies at once, whatever waits.
_DECODERS = 2
_CODINGS = (*PLAIN, "gzip")
_MESSAGE_BYTES = 1_000


def _documented(kind: str) -> dict[str, Any]:
    """Request and answer in the API's document."""
    return {
        "requestBody": {"required": True, "content": media(f"Export{kind}ServiceRequest")},
        "responses": {
            "200": {
                "description": "Committed, but for what `partialSuccess` counts.",
                "content": media(f"Export{kind}ServiceResponse"),
            }
        },
    }


def router(application: Application, bodies: Bodies, metrics: Metrics) -> APIRouter:
    """`POST /traces` and `POST /logs`."""
    routes = APIRouter(tags=["OpenTelemetry"])
    decoders = anyio.CapacityLimiter(_DECODERS)

    async def receive(request: Request, signal: Signal) -> Response:
        actor = await key_holder(application, request, Scope.INGEST)
        content_type = request.headers.get("content-type", "")
        _refuse_unknown(content_type)
        with await bodies.read(request, _CODINGS) as content:
            body = Body(
                signal=signal,
                content=content,
                content_type=content_type,
                coding=coding_of(request),
                system=actor.system,
                limit=bodies.limit,
            )
            # A local intake decodes in the thread that asks; a remote one only queues.
            future = await anyio.to_thread.run_sync(application.intake.take, body, limiter=decoders)
            taken = await asyncio.wrap_future(future)
        metrics.received(signal, taken)
        if taken.rejected:
            _LOG.info("otlp.rejected", kind=signal, rejected=taken.rejected, key=actor.reference)
        if not taken.rejected and not taken.problems and not taken.conflicts:
            answer, media = otlp.empty_response(content_type)
        else:
            answer, media = otlp.partial_success(signal, taken.rejected, _words(taken), content_type)
        return Response(answer, 200, media_type=media)

    @routes.post("/traces", openapi_extra=_documented("Trace"), summary="Record model calls", response_class=Response)
    async def traces(request: Request) -> Response:
        """An `ExportTraceServiceRequest`, as protobuf or JSON, plain or gzip (`Content-Encoding`). Needs a key with
        scope `ingest`. The answer comes when the calls are committed; a resend changes nothing."""
        return await receive(request, "traces")

    @routes.post(
        "/logs",
        openapi_extra=_documented("Logs"),
        summary="Record content sent as log events",
        response_class=Response,
    )
    async def logs(request: Request) -> Response:
        """An `ExportLogsServiceRequest`, as protobuf or JSON, plain or gzip (`Content-Encoding`). Needs a key with
        scope `ingest`. Events of `gen_ai.*` join the call of their trace and span id, before or after it comes."""
        return await receive(request, "logs")

    return routes


def _refuse_unknown(content_type: str) -> None:
    if media_of(content_type) is None:
        raise UnsupportedMediaType(
            f"The content type {content_type[:80]!r} is not taken.",
            advice="Send application/x-protobuf or application/json.",
        )


def _words(taken: Taken) -> str:
    words = list(taken.problems)
    if taken.conflicts:
        words.append(f"{taken.conflicts} came before with other content; kept as a conflict.")
    return " ".join(words).encode()[:_MESSAGE_BYTES].decode("utf-8", "ignore")
