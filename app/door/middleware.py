"""Stands before console, sign-in and API: which hosts are served, who may pass, and what a page is told of them.

The browser holds a random token in an HttpOnly cookie; the session itself is a row, looked up at every click, so that
signing out, disabling a person and changing roles take effect at once. `DoorMiddleware` passes the token to Streamlit
as the header `HEADER` (`server.trustedUserHeaders`) and never lets a client pass that header itself.
"""

from __future__ import annotations

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.door import pages as door_pages
from app.door.addresses import host_name, led, own_origin, safe_target, under
from app.door.cookies import Cookies
from app.door.csp import guarded
from app.door.gate import Gate
from governance.domain.people import Actor
from governance.errors import Overloaded

HEADER = "x-governance-session"
USER_KEY = "session"
"""Under this key `st.user` holds the session's token."""

_OPEN = ("/v1", "/healthz", "/readyz", "/metrics")
_SIGN_IN = ("/signin", "/auth")
_START = "overview"
"""The page that is shown at "/": Streamlit knows a start page by no other address."""
_PRIVATE = ("/media", "/_stcore/upload_file")
"""Files of people's sessions: evidence packages made for download, and what a browser sends."""
_ASSETS = ("/_stcore", "/static", "/app/static", "/media", "/component")
_NO_SESSION, _TRY_AGAIN = 1008, 1013
"""Codes with which a websocket is closed before it is accepted (RFC 6455 §7.4.1, and its registry)."""


class DoorMiddleware:
    """ASGI middleware: pages, files and websockets for the signed-in only (and none before a password that somebody
    else gave is changed); each answer with the headers of `csp`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Gate,
        cookies: Cookies,
        hosts: frozenset[str],
        policy: str,
        pages: frozenset[str],
        public_url: str = "",
    ) -> None:
        """`hosts` are the names the console answers to (against DNS rebinding); `policy` its
        Content-Security-Policy; `pages` its pages' addresses without their slash; `public_url` is "" on a loopback
        trial."""
        self._app = app
        self._gate = gate
        self._cookies = cookies
        self._hosts = hosts
        self._policy = policy
        self._pages = pages
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != HEADER.encode()]}
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, guarded(send, self._policy, https=self._cookies.https), send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a websocket on only for a session that is open now, from a page of our own."""
        headers = Headers(scope=scope)
        refused = _NO_SESSION
        if own_origin(headers, self._public_url) and host_name(headers.get("host", "")) in self._hosts:
            token = self._cookies.token(HTTPConnection(scope))
            try:
                holder = await self._holder(token)
            except Overloaded:
                refused = _TRY_AGAIN  # Who this is cannot be told now: the page tries again.
            else:
                if holder is not None and not holder.must_change_password:
                    scope["headers"].append((HEADER.encode(), token.encode("latin-1")))
                    await self._app(scope, receive, send)
                    return
        await receive()
        await send({"type": "websocket.close", "code": refused})

    async def _http(self, scope: Scope, receive: Receive, send: Send, bare: Send) -> None:
        path = scope["path"]
        if {b"content-length", b"transfer-encoding"} <= {name.lower() for name, _ in scope["headers"]}:
            # A proxy and we could see it end at two places (RFC 9112 §6.1): nothing that comes after it is read.
            twice = PlainTextResponse(
                "Both Content-Length and Transfer-Encoding are set.\n", 400, {"Connection": "close"}
            )
            await twice(scope, receive, bare)
            return
        if under(path, _OPEN):
            await self._app(scope, receive, send)
            return
        if host_name(Headers(scope=scope).get("host", "")) not in self._hosts:
            text = "This address is not served here. Use the console's own address (GOVERNANCE_PUBLIC_URL).\n"
            await PlainTextResponse(text, 421)(scope, receive, bare)
            return
        page, private = _is_page(scope), under(path, _PRIVATE)
        if page or private:
            try:
                holder = await self._holder(self._cookies.token(HTTPConnection(scope)))
            except Overloaded as error:
                headers = {"Retry-After": str(error.retry_after), "Refresh": str(error.retry_after)}
                await PlainTextResponse(f"{error}\n", 503, headers)(scope, receive, send)
                return
            other = self._page(scope, holder) if page else _file(holder)
            if other is not None:
                await other(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _holder(self, token: str) -> Actor | None:
        return await anyio.to_thread.run_sync(self._gate.actor, token) if token else None

    def _page(self, scope: Scope, holder: Actor | None) -> Response | None:
        """The answer in place of a page: the way to sign in, or that there is none at this address, at which
        Streamlit would show the start page and a dialog over it. None for a page that may be shown."""
        query = scope["query_string"].decode("latin-1")
        if holder is None or holder.must_change_password:
            target = safe_target(scope["path"] + (f"?{query}" if query else ""))
            return led("/signin/password" if holder else "/signin", target)
        page = scope["path"].strip("/")
        if page == _START:
            return RedirectResponse(f"/?{query}" if query else "/", 303)
        return None if page in self._pages or not page else door_pages.missing_page()


def _file(holder: Actor | None) -> Response | None:
    """The answer in place of a file of somebody's session; None when it may be given."""
    if holder is not None and not holder.must_change_password:
        return None
    words, status = ("Choose a password first.\n", 403) if holder else ("Sign in first.\n", 401)
    return PlainTextResponse(words, status, {"Cache-Control": "no-store"})


def _is_page(scope: Scope) -> bool:
    """Whether a browser asks for a page of the console: what the single-page application answers, and no file of it."""
    path = scope["path"]
    return (
        scope["method"] in ("GET", "HEAD")
        and not under(path, _ASSETS)
        and not under(path, _SIGN_IN)
        and "." not in path.rsplit("/", 1)[-1]
    )
