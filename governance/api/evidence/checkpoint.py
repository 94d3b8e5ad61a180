"""The audit log's latest signed checkpoint over HTTP: for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from governance.bootstrap import Application


def router(application: Application) -> APIRouter:
    """`GET /audit/checkpoint`."""
    routes = APIRouter(tags=["Audit"])

    @routes.get(
        "/audit/checkpoint",
        summary="The latest signed checkpoint of the audit log",
        response_class=PlainTextResponse,
    )
    async def checkpoint() -> Response:
        """A signed note (C2SP tlog-checkpoint). Public: keep it elsewhere, and nobody can rewrite what came before."""

        return PlainTextResponse(await anyio.to_thread.run_sync(application.read_audit.checkpoint))

    return routes
