"""Errors on the wire: `application/problem+json` (RFC 9457), and `google.rpc.Status` for OTLP. Never internals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from governance.errors import (
    BadInput,
    Conflict,
    GovernanceError,
    Misconfigured,
    NotFound,
    Overloaded,
    Refused,
    Tampered,
    TooLarge,
    Unauthenticated,
)
from governance.ingest import otlp

_STATUS: dict[type[GovernanceError], int] = {
    TooLarge: 413,
    BadInput: 400,
    Unauthenticated: 401,
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    Overloaded: 503,
}
# google.rpc.Code by HTTP status; anything else is UNKNOWN (2).
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}
_OURS = "The server could not do this."


class UnsupportedMediaType(BadInput):
    """A body in a format that this address does not take (HTTP 415)."""


class TimedOut(BadInput):
    """A body that did not arrive in time (HTTP 408)."""


_STATUS = {UnsupportedMediaType: 415, TimedOut: 408, **_STATUS}


def status_of(error: GovernanceError) -> int:
    """The HTTP status for an error of ours; 500 for what is our own trouble (`Misconfigured`, `Tampered`)."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def answer(request: Request, error: GovernanceError) -> Response:
    """What to send for an error that a service raised."""
    status = status_of(error)
    headers = {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="governance"'
    if isinstance(error, (Misconfigured, Tampered)) or status == 500:
        return problem(request, 500, _OURS, headers=headers)
    return problem(request, status, str(error), headers=headers)


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> Response:
    """The body in the format of the address: a `Status` for the OTLP receiver, else a problem document.

    `errors` lists {at, problem} for each wrong field.
    """
    if is_otlp(request):
        body, media = otlp.error_status(_CODES.get(status, 2), detail, request.headers.get("content-type", ""))
        return Response(body, status, dict(headers or {}), media)
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": getattr(request.state, "request_id", ""),
    }
    if errors:
        document["errors"] = list(errors)
    return Response(json.dumps(document), status, dict(headers or {}), "application/problem+json")


def is_otlp(request: Request) -> bool:
    return request.url.path.endswith(("/v1/traces", "/v1/logs"))
