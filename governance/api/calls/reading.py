"""Calls and decisions over HTTP: redacted, in keyset pages, for keys with the scope `read`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from governance.api.access import key_holder
from governance.api.pages import fill, page
from governance.api.parameters import refuse_empty_period
from governance.api.reads import After, Limit, Page, PathNumber, Since, Until, cursor, position_of, read_as
from governance.domain.people import Actor, Scope
from governance.services.calls.read import CallFilter, position

if TYPE_CHECKING:
    from governance.bootstrap import Application

MOST_STEPS = 10_000
STEPS_A_PAGE = 200


def router(application: Application) -> APIRouter:
    """`GET /calls` and `/decisions`."""
    routes = APIRouter(tags=["Reading"])

    @routes.get("/calls", response_model=Page, summary="Calls, newest first")
    async def list_calls(
        request: Request,
        trace_id: Annotated[str, Query(pattern="^[0-9a-fA-F]{32}$")] | None = None,
        status: Literal["recorded", "checked", "failed"] | None = None,
        system: Annotated[str, Query(max_length=200)] | None = None,
        flagged: bool = False,
        since: Since = None,
        until: Until = None,
        after: After = None,
        limit: Limit = 50,
    ) -> Response:
        """`since` and `until` are about `started_at`. With `trace_id`, the calls of one trace in the order of its
        steps, up to 10,000, 200 a page. A page ends early, with `next`, when it would be larger than 8 MiB; a call
        that is larger by itself comes alone."""

        def wanted(call: dict[str, Any]) -> bool:
            started = datetime.fromisoformat(call["started_at"])
            within = (since is None or since <= started) and (until is None or started < until)
            return within and status in (None, call["status"])

        def query(actor: Actor) -> bytes:
            refuse_empty_period(since, until)
            calls, systems = application.read_calls, (system,) if system is not None else ()

            def documents(ids: Sequence[int]) -> list[dict[str, Any]]:
                return calls.documents(actor, ids)

            if trace_id is not None:
                found = calls.steps(actor, trace_id.lower(), systems=systems, most=MOST_STEPS)
                steps = [step for step in found if step.flagged or not flagged]
                begin = max(0, *(position_of(after, 1) or (0,)))
                asked = [step.id for step in steps[begin : begin + STEPS_A_PAGE]]
                items, done = fill(asked, lambda ids: [one for one in documents(ids) if wanted(one)])
                end = begin + done
                return page(items, cursor((end,) if end < len(steps) else None))
            want = CallFilter(systems=systems, status=status or "", flagged=flagged, since=since, until=until)
            listed = calls.page(actor, want, after=position_of(after, 2), limit=limit)
            items, done = fill([row.id for row in listed.rows], documents)
            if done < len(listed.rows):
                return page(items, cursor(position(listed.rows[done - 1])))
            return page(items, cursor(listed.next))

        return Response(await read_as(application, request, query), media_type="application/json")

    @routes.get("/calls/{call_id}", summary="One call")
    async def one_call(request: Request, call_id: PathNumber) -> dict[str, Any]:
        """The call with its texts redacted, its findings, decisions and cases."""

        return await read_as(application, request, lambda actor: application.read_calls.document(actor, call_id))

    @routes.get("/decisions/{decision_id}", summary="One decision")
    async def one_decision(request: Request, decision_id: PathNumber) -> dict[str, Any]:
        """What the policies said, with the findings and the digest of the policy set."""

        return await read_as(
            application, request, lambda actor: application.read_calls.decision_document(actor, decision_id)
        )

    @routes.get("/decisions/{decision_id}/explanation", summary="Why a call was decided so")
    async def one_explanation(request: Request, decision_id: PathNumber) -> dict[str, Any]:
        """The decision made again from what was known then; what each part of a condition came to; and the smallest
        change of each parameter that would have turned it."""

        await one_decision(request, decision_id)  # raises where the key must not know of it
        actor = await key_holder(application, request, Scope.READ)
        return await anyio.to_thread.run_sync(lambda: application.explain.explain(actor, decision_id).document())

    return routes
