"""Cases over HTTP, in keyset pages, for keys with the scope `read`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from governance.api.parameters import refuse_empty_period
from governance.api.reads import After, Limit, Page, PathNumber, Since, Until, cursor, position_of, read_as
from governance.domain.people import Actor
from governance.errors import NotFound
from governance.services.review.documents import case_document, case_with_verdicts
from governance.services.review.read import CaseFilter

if TYPE_CHECKING:
    from governance.bootstrap import Application


def router(application: Application) -> APIRouter:
    """`GET /cases`."""
    routes = APIRouter(tags=["Reading"])

    @routes.get("/cases", response_model=Page, summary="Open cases, the most urgent first")
    async def list_cases(
        request: Request,
        queue: Annotated[str, Query(max_length=40)] | None = None,
        state: Literal["open", "claimed", "escalated", "approval"] | None = None,
        system: Annotated[str, Query(max_length=200)] | None = None,
        since: Since = None,
        until: Until = None,
        after: After = None,
        limit: Limit = 50,
    ) -> Page:
        """By severity, then deadline. `since` and `until` are about `opened_at`. A claim that ran out is no claim."""

        def query(actor: Actor) -> Page:
            refuse_empty_period(since, until)
            want = CaseFilter(
                systems=(system,) if system is not None else (),
                queues=(queue,) if queue is not None else (),
                state=state or "",
                since=since,
                until=until,
            )
            if queue is not None:
                application.read_cases.need_queue(actor, queue)
            rows, following = application.read_cases.page(actor, want, after=position_of(after, 3), limit=limit)
            return Page(items=[case_document(row) for row in rows], next=cursor(following))

        return await read_as(application, request, query)

    @routes.get("/cases/{case_id}", summary="One case")
    async def one_case(request: Request, case_id: PathNumber) -> dict[str, Any]:
        """The case and the verdicts given on it."""

        def query(actor: Actor) -> dict[str, Any]:
            view = application.read_cases.view(actor, case_id)
            if view is None:
                raise NotFound(f"There is no case {case_id}.")
            return case_with_verdicts(view)

        return await read_as(application, request, query)

    return routes
