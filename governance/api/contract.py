"""The OpenAPI document: what FastAPI knows of the routes, and what it cannot see of them.

Routes read their bodies, check keys and answer errors by themselves (bounds, `Status`, problem documents), so the
document gets request bodies, the key and every status from here. A status that is not listed for an address is a
defect: the tests of the API and `make test-contract` compare both.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from governance.api.calls.otlp_schema import SCHEMAS, media

_PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{model}"
_OTLP = "OpenTelemetry"
# Who may ask, by tag: the scope that the key needs.
_SCOPES = {_OTLP: "ingest", "Check": "check", "Reports": "report", "Reading": "read"}
# What names the thing itself opens it: no key.
_PUBLIC = ("/reports/{reference}", "/audit/checkpoint")
_WORDS = {
    "400": "The request cannot be understood: the body, a parameter or the address. `detail` says what and where.",
    "401": "No valid API key.",
    "403": "The key does not allow this: another scope is needed, or it belongs to another system.",
    "404": "There is no such thing, or the key may not know of it.",
    "408": "The body did not arrive in time.",
    "409": "Another request is changing the same thing. Send again.",
    "413": "The body is over the limit, which counts after decompression.",
    "415": "The format or the content encoding is not supported.",
    "500": "The server failed. `request_id` tells the operator which entry of the log is about it.",
    "503": "The server cannot do this now: too much is waiting, or the database does not answer. Send again later.",
}
_HEADERS = {
    "401": {"WWW-Authenticate": ("Bearer, with the realm.", {"type": "string"})},
    "503": {"Retry-After": ("Seconds after which to send again.", {"type": "string", "pattern": "^[0-9]+$"})},
}
_BODY_STATUSES = ("408", "413", "415")
DESCRIPTION = """Record, check and read model calls.

Authenticate with `Authorization: Bearer <API key>`; each operation names the scope that the key needs. A key may be
bound to one system: it then writes for this system only, and sees nothing of others.

An error is a problem document (RFC 9457). `/traces` and `/logs` answer with a `Status` in the format of the request,
as OTLP wants it. Lists come in pages: pass `next` as `after` to get the next one. Times are RFC 3339 in UTC.
"""


class WrongField(BaseModel):
    """A mistake in the request: where it is and what is wrong."""

    at: str
    problem: str


class Problem(BaseModel):
    """An error (RFC 9457). `detail` says what is wrong and what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[WrongField] = []


def describe(api: FastAPI, bodies: tuple[type[BaseModel], ...]) -> None:
    """Has `api` answer /openapi.json with the whole document. `bodies` are the models that routes validate by
    themselves (`validation.body_schema` refers to them)."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api, bodies)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _document(api: FastAPI, bodies: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    document = get_openapi(
        title=api.title,
        version=api.version,
        description=DESCRIPTION,
        routes=api.routes,
        servers=[{"url": "/v1"}],
    )
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    wanted: list[tuple[Any, Literal["validation"]]] = [(model, "validation") for model in (*bodies, Problem)]
    _, own = models_json_schema(wanted, ref_template=_REF)
    schemas |= own["$defs"] | SCHEMAS
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, made by `governance key create`. Scopes: ingest (send calls), check (ask before"
            " answering), report (send users' reports), read (read calls, cases and decisions).",
        }
    }
    return document


def _complete(path: str, operation: dict[str, Any]) -> None:
    tag = operation["tags"][0]
    responses = operation["responses"]
    responses.pop("422", None)  # a parameter that is wrong gets 400
    statuses = {"400", "500", "503"}
    if path not in _PUBLIC:
        operation["security"] = [{"key": [_SCOPES[tag]]}]
        statuses |= {"401", "403"}
    if path in _PUBLIC or "{" in path:
        statuses.add("404")
    if "requestBody" in operation:
        statuses.update(_BODY_STATUSES)
    if path == "/reports":
        statuses |= {"404", "409"}  # a report is about a call, and joins the case that is open for it
    for status in sorted(statuses):
        responses[status] = _error(status, otlp=tag == _OTLP)
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-Id"] = {
            "description": "The request's id: yours, if you sent one in this header.",
            "schema": {"type": "string"},
        }


def _error(status: str, *, otlp: bool) -> dict[str, Any]:
    problem = {_PROBLEM: {"schema": {"$ref": _REF.format(model="Problem")}}}
    headers = {
        name: {"description": words, "schema": schema} for name, (words, schema) in _HEADERS.get(status, {}).items()
    }
    content = media("Status") if otlp else problem
    return {"description": _WORDS[status], "content": content, **({"headers": headers} if headers else {})}
