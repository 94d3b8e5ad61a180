"""Controls of outside frameworks over HTTP, for keys with the scope `read`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request

from governance.api.parameters import refuse_empty_period
from governance.api.reads import Since, Until, read_as
from governance.domain.people import Actor
from governance.errors import Conflict, Overloaded
from governance.services.policies.controls.forms import document
from governance.services.policies.controls.report import Asked, day

if TYPE_CHECKING:
    from governance.bootstrap import Application


def router(application: Application) -> APIRouter:
    """`GET /controls`."""
    routes = APIRouter(tags=["Reading"])

    @routes.get("/controls", summary="Controls that policies are mapped to")
    async def controls(
        request: Request,
        framework: Annotated[str, Query(max_length=40)] | None = None,
        since: Since = None,
        until: Until = None,
    ) -> dict[str, Any]:
        """The policies in force by the control that they name, with tests, hits, verdicts and gaps. Figures are kept by
        day: `since` and `until` are days that begin at 00:00 UTC; without them, the last 30 days. Tests are not run
        (`passed` is null). A mapping does not state that a control is met."""

        def query(actor: Actor) -> dict[str, Any]:
            refuse_empty_period(since, until)
            asked = Asked(framework=framework or "", since=day(since, "since"), until=day(until, "until"))
            try:
                return document(application.controls.report(actor, asked))
            except Conflict as error:  # before the first start of a server has put the files into force
                raise Overloaded(error.message, retry_after=30) from None

        return await read_as(application, request, query)

    return routes
