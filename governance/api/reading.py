"""Reading over HTTP: calls, cases and decisions, redacted, in keyset pages; the log's checkpoint for everybody."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from governance.api.access import key_holder
from governance.api.pages import fill, page
from governance.api.parameters import LARGEST, Moment, Whole, refuse_empty_period
from governance.api.validation import Invalid
from governance.domain.people import Actor, Scope
from governance.errors import BadInput, NotFound
from governance.services.calls.read import CallFilter, position
from governance.services.named import UnknownName
from governance.services.review.documents import case_document, case_with_verdicts
from governance.services.review.read import CaseFilter

if TYPE_CHECKING:
    from governance.bootstrap import Application

T = TypeVar("T")
MOST_STEPS = 10_000
STEPS_A_PAGE = 200
PathNumber = Annotated[int, Path(ge=0, le=LARGEST), Whole]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200), Whole]
Since = Annotated[Moment | None, Query(description="From this time on (RFC 3339).")]
Until = Annotated[Moment | None, Query(description="Up to, without, this time (RFC 3339).")]


class Page(BaseModel):
    """`next` goes into `after` for the following page; None at the end."""

    items: list[dict[str, Any]]
    next: str | None


def router(application: Application) -> APIRouter:
    """`GET /calls`, `/cases`, `/decisions` (scope `read`), and `/audit/checkpoint` (public)."""
    routes = APIRouter(tags=["Reading"])

    async def read(request: Request, query: Callable[[Actor], T]) -> T:
        """Runs a query as the key's actor. What was named and does not exist is told of the parameter that names it."""
        actor = await key_holder(application, request, Scope.READ)
        try:
            return await anyio.to_thread.run_sync(query, actor)
        except UnknownName as error:
            problem = f"{error.message[:1].lower()}{error.message[1:]} {error.advice}".strip().removesuffix(".")
            raise Invalid([{"at": error.what, "problem": problem}]) from None

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
                begin = max(0, *(_position(after, 1) or (0,)))
                asked = [step.id for step in steps[begin : begin + STEPS_A_PAGE]]
                items, done = fill(asked, lambda ids: [one for one in documents(ids) if wanted(one)])
                end = begin + done
                return page(items, _cursor((end,) if end < len(steps) else None))
            want = CallFilter(systems=systems, status=status or "", flagged=flagged, since=since, until=until)
            listed = calls.page(actor, want, after=_position(after, 2), limit=limit)
            items, done = fill([row.id for row in listed.rows], documents)
            if done < len(listed.rows):
                return page(items, _cursor(position(listed.rows[done - 1])))
            return page(items, _cursor(listed.next))

        return Response(await read(request, query), media_type="application/json")

    @routes.get("/calls/{call_id}", summary="One call")
    async def one_call(request: Request, call_id: PathNumber) -> dict[str, Any]:
        """The call with its texts redacted, its findings, decisions and cases."""

        return await read(request, lambda actor: application.read_calls.document(actor, call_id))

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
            rows, following = application.read_cases.page(actor, want, after=_position(after, 3), limit=limit)
            return Page(items=[case_document(row) for row in rows], next=_cursor(following))

        return await read(request, query)

    @routes.get("/cases/{case_id}", summary="One case")
    async def one_case(request: Request, case_id: PathNumber) -> dict[str, Any]:
        """The case and the verdicts given on it."""

        def query(actor: Actor) -> dict[str, Any]:
            view = application.read_cases.view(actor, case_id)
            if view is None:
                raise NotFound(f"There is no case {case_id}.")
            return case_with_verdicts(view)

        return await read(request, query)

    @routes.get("/decisions/{decision_id}", summary="One decision")
    async def one_decision(request: Request, decision_id: PathNumber) -> dict[str, Any]:
        """What the policies said, with the findings and the digest of the policy set."""

        return await read(request, lambda actor: application.read_calls.decision_document(actor, decision_id))

    @routes.get("/decisions/{decision_id}/explanation", summary="Why a call was decided so")
    async def one_explanation(request: Request, decision_id: PathNumber) -> dict[str, Any]:
        """The decision made again from what was known then; what each part of a condition came to; and the smallest
        change of each parameter that would have turned it."""

        await one_decision(request, decision_id)  # raises where the key must not know of it
        actor = await key_holder(application, request, Scope.READ)
        return await anyio.to_thread.run_sync(lambda: application.explain.explain(actor, decision_id).document())

    @routes.get(
        "/audit/checkpoint",
        summary="The latest signed checkpoint of the audit log",
        response_class=PlainTextResponse,
        tags=["Audit"],
    )
    async def checkpoint() -> Response:
        """A signed note (C2SP tlog-checkpoint). Public: keep it elsewhere, and nobody can rewrite what came before."""

        return PlainTextResponse(await anyio.to_thread.run_sync(application.read_audit.checkpoint))

    return routes


def _cursor(position: tuple[int, ...] | None) -> str | None:
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode().rstrip("=")


def _position(cursor: str | None, length: int) -> Any:
    """The keyset of a cursor. Raises `BadInput` for one that we did not give."""
    if not cursor:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    whole = isinstance(found, list) and len(found) == length
    if not whole or not all(type(item) is int and abs(item) < 2**63 for item in found):
        raise BadInput("after: not the `next` of a page.", advice="Leave it out for the first page.")
    return tuple(found)
