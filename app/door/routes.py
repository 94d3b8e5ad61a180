"""The routes of the door: those of the way to sign in that this installation has, and sign-out."""

from __future__ import annotations

import functools

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.door import pages
from app.door.entrance import Entrance
from app.door.local import LocalAccounts
from app.door.oidc import ProviderSignIn
from governance.errors import Overloaded
from governance.openid.client import OpenIdProvider


def door_routes(entrance: Entrance, provider: OpenIdProvider | None) -> list[Route]:
    """`/signin...` and `/auth/logout`; `provider` is None for local accounts."""
    way = ProviderSignIn(entrance, provider) if provider else LocalAccounts(entrance)
    return [
        *way.routes(),
        Route("/signin/open", functools.partial(is_open, entrance), methods=["GET"]),
        Route("/auth/logout", SignOut(entrance).answer, methods=["GET", "POST"]),
    ]


async def is_open(entrance: Entrance, request: Request) -> Response:
    """Whether the request's session is open: 204, or 401. Pages that were left open ask (`session_over`)."""
    token = entrance.cookies.token(request)
    try:
        holder = await anyio.to_thread.run_sync(entrance.gate.actor, token) if token else None
    except Overloaded:
        return Response(status_code=503)
    return Response(status_code=204 if holder else 401, headers={"Cache-Control": "no-store"})


class SignOut:
    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def answer(self, request: Request) -> Response:
        """Closes the session. A link on another site only gets as far as a question."""
        entrance = self._entrance
        site = request.headers.get("sec-fetch-site", "none")
        if request.method == "POST" and not entrance.from_here(request):
            return pages.sign_out_page()
        if request.method == "GET" and site not in ("none", "same-origin"):
            return pages.sign_out_page()
        token = entrance.cookies.token(request)
        if token:
            try:
                await anyio.to_thread.run_sync(entrance.gate.sign_out, token)
            except Overloaded as error:
                return pages.sign_out_page(error=str(error), status=503)
        headers = {"Cache-Control": "no-store", "Clear-Site-Data": '"cache", "storage"'}
        response = RedirectResponse("/signin?out", 303, headers)
        entrance.cookies.close(response)
        return response
