"""The API as one FastAPI application, mounted under /v1."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import structlog
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from governance.api import contract, problems
from governance.api.body import Bodies
from governance.api.calls import checks, reading, receiver
from governance.api.evidence import checkpoint
from governance.api.metrics import Metrics
from governance.api.parameters import only_known
from governance.api.policies import controls
from governance.api.review import cases, reports
from governance.api.validation import Invalid, describe
from governance.errors import GovernanceError

if TYPE_CHECKING:
    from governance.bootstrap import Application

_LOG = structlog.get_logger("governance.api")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WORDS = {
    404: "There is nothing at this address. See /v1/openapi.json.",
    405: "This method is not possible here.",
}


def create_api(application: Application, metrics: Metrics | None = None) -> FastAPI:
    """Everything under /v1; the OpenAPI document is at /v1/openapi.json. No page that loads from elsewhere."""
    metrics = metrics or Metrics()
    bodies = Bodies(limit=application.settings.max_body_mib * 2**20)
    api = FastAPI(
        title="Governance API",
        version="1",
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        dependencies=[Depends(only_known)],
    )
    api.include_router(receiver.router(application, bodies, metrics))
    api.include_router(checks.router(application, bodies))
    api.include_router(reports.router(application, bodies))
    api.include_router(reading.router(application))
    api.include_router(cases.router(application))
    api.include_router(controls.router(application))
    api.include_router(checkpoint.router(application))
    contract.describe(api, (checks.CheckIn, reports.ReportIn))
    api.add_exception_handler(GovernanceError, _governance_error)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_middleware(Envelope, metrics=metrics, patient=application.patient)
    return api


def mounted(api: FastAPI) -> Mount:
    """`api` under /v1, for every path below it: Starlette's own pattern ends at a line break, and what the server
    beside it would answer is no answer of the API."""
    mount = Mount("/v1", api)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount


async def _governance_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GovernanceError)
    if problems.status_of(error) == 500:
        _LOG.error("api.failed", error=error.message)
    if isinstance(error, Invalid):
        return problems.problem(request, 400, str(error), errors=error.errors)
    return problems.answer(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problems.problem(
        request, error.status_code, _WORDS.get(error.status_code, str(error.detail)), headers=error.headers
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = describe(error.errors())
    return problems.problem(request, 400, f"{found[0]['at']}: {found[0]['problem']}.", errors=found)


class Envelope:
    """ASGI middleware: a request id, no caching, figures, and an answer without internals when something breaks."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, patient: Callable[[], AbstractContextManager[None]]) -> None:
        """`patient` bounds how long what runs in it waits for the database."""
        self._app = app
        self._patient = patient
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        request.state.request_id = request_id
        started = time.perf_counter()
        status = 0

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                with self._patient():  # threads that work for this request take it with them
                    await self._app(scope, receive, enveloped)
            except ClientDisconnect:
                status = status or 499
            except Exception as error:
                _LOG.exception("api.broke", error=type(error).__name__)
                if not status:
                    answer = problems.problem(request, 500, f"The server broke off. Support number {request_id[:12]}.")
                    await answer(scope, receive, enveloped)
            finally:
                route = getattr(scope.get("route"), "path", "unknown")
                method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
                self._metrics.answered(route, method, status or 500, time.perf_counter() - started)
