"""`POST /v1/reports`: a user of the application says that an answer was wrong, and can ask what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import anyio.to_thread
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.requests import Request

from governance.api.access import key_holder
from governance.api.body import Bodies, parse_json
from governance.api.parameters import Number
from governance.api.validation import body_schema, validated
from governance.domain.people import Actor, Scope
from governance.errors import NotFound
from governance.services.review.reports import NewReport

if TYPE_CHECKING:
    from governance.bootstrap import Application

_TRACE = r"^[0-9a-fA-F]{32}$"


def _one_of_two(schema: dict[str, Any]) -> None:
    """`trace_id` or `call_id`; null is the same as absent."""
    null = {"type": "null"}
    trace = {"not": {"enum": [None, "0" * 32]}}
    schema["oneOf"] = [
        {"required": ["trace_id"], "properties": {"trace_id": trace, "call_id": null}},
        {"required": ["call_id"], "properties": {"trace_id": null, "call_id": {"not": null}}},
    ]
    schema["properties"]["why"]["pattern"] = r"[^\s\x1c-\x1f\x85]"  # not blank alone


class ReportIn(BaseModel):
    """What the user says: either `trace_id` or `call_id` tells of which answer."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_one_of_two)

    trace_id: Annotated[str, StringConstraints(pattern=_TRACE)] | None = None
    call_id: Number | None = None
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)] = Field(
        description="What is wrong with the answer."
    )
    claim: Annotated[str, StringConstraints(max_length=10_000)] | None = Field(
        default=None, description="The sentence that is wrong, as the answer has it."
    )
    correct_source: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        default=None, description="Where the right answer is to be found."
    )
    acted_upon: bool | None = Field(default=None, description="Whether somebody acted on the answer.")
    contact: Annotated[str, StringConstraints(max_length=300)] | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.trace_id is None) == (self.call_id is None):
            raise ValueError("give either trace_id or call_id")
        return self


class ReportAccepted(BaseModel):
    """Keep both: the reference names the report, the receipt opens it."""

    reference: str
    receipt: str


class ReportState(BaseModel):
    """`status` is received, in_review, confirmed or not_confirmed; `outcome` is None until a person has decided."""

    reference: str
    status: str
    outcome: str | None
    received_at: datetime
    decided_at: datetime | None


def router(application: Application, bodies: Bodies) -> APIRouter:
    """`POST /reports` and `GET /reports/{reference}`."""
    routes = APIRouter(tags=["Reports"])

    @routes.post(
        "/reports",
        status_code=202,
        response_model=ReportAccepted,
        openapi_extra=body_schema(ReportIn),
        summary="Report a wrong answer",
    )
    async def submit(request: Request) -> ReportAccepted:
        """Opens a case, or joins the one that is open for the same answer. Needs a key with scope `report`."""
        actor = await key_holder(application, request, Scope.REPORT)
        with await bodies.read(request) as body:
            return await anyio.to_thread.run_sync(_submit, body, actor)

    def _submit(body: bytes, actor: Actor) -> ReportAccepted:
        said = validated(ReportIn, parse_json(body))
        given: dict[str, Any] = said.model_dump(exclude_none=True)
        if said.trace_id:
            given["trace_id"] = said.trace_id.lower()
        receipt = application.reports.submit(actor, NewReport(**given))
        return ReportAccepted(reference=receipt.reference, receipt=receipt.receipt)

    @routes.get("/reports/{reference}", response_model=ReportState, summary="What became of a report")
    async def status(request: Request, reference: str, receipt: str = Query(default="", max_length=200)) -> ReportState:
        """For whoever has the receipt (header `X-Receipt`, or `?receipt=`); no account and no key is needed."""
        shown = request.headers.get("x-receipt", "")[:200] or receipt
        if not shown.isascii() or len(reference) > 40:
            raise NotFound("There is no report with this reference and receipt.")
        found = await anyio.to_thread.run_sync(application.reports.status, reference, shown)
        decided = found.state in ("confirmed", "not_confirmed")
        return ReportState(
            reference=found.reference,
            status=found.state.value,
            outcome=found.state.value if decided else None,
            received_at=found.received_at,
            decided_at=found.decided_at,
        )

    return routes
