"""Sign-in through an OpenID Connect provider.

What a sign-in under way needs lies in a signed cookie of its own, named by its `state`, so that several tabs can sign
in side by side and any server of the installation can answer the callback. Nothing is kept in a session of Starlette's.
"""

from __future__ import annotations

import functools
import secrets

import anyio
import anyio.to_thread
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.door import pages
from app.door.addresses import safe_target, to
from app.door.entrance import Entrance, address
from governance.errors import GovernanceError, Overloaded
from governance.openid.client import OpenIdProvider, ProviderError

CALLBACK = "/signin/callback"
MOST_RESTARTS = 2
"""How often a callback that fits no sign-in of this browser begins one anew by itself. A browser that keeps no cookies
would go round in circles."""
_END_SECONDS = 2.0
_LOG = structlog.get_logger("governance.signin")


class ProviderSignIn:
    """The routes `/signin` and `/signin/callback` of an installation with an issuer."""

    def __init__(self, entrance: Entrance, provider: OpenIdProvider) -> None:
        self._entrance = entrance
        self._provider = provider

    def routes(self) -> list[Route]:
        return [
            Route("/signin", self.begin, methods=["GET"]),
            Route(CALLBACK, self.callback, methods=["GET"]),
            # Sessions of local accounts from before there was an issuer.
            Route("/signin/password", self.begin, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """On to the identity provider; straight to the page for those already signed in."""
        target = safe_target(request.query_params.get("next", "/"))
        if "out" in request.query_params:
            end = ""
            with anyio.move_on_after(_END_SECONDS):
                end = await self._provider.end_address(self._entrance.base(request) + "/signin?out")
            return pages.provider_page(target, note="You are signed out.", end=end)
        holder = await self._entrance.holder(request)
        if holder and not holder.must_change_password:
            return to(target)
        return await self._start(request, target, restarts=0)

    async def callback(self, request: Request) -> Response:
        """What the identity provider sent the browser back with: proven, begun anew, or refused in words."""
        entrance, asked = self._entrance, request.query_params
        state = asked.get("state", "")[:200]
        begun = entrance.cookies.begun(request, state)
        target = safe_target(begun.target) if begun else "/"
        holder = await entrance.holder(request)
        if holder and not holder.must_change_password:
            return to(target)  # The page was loaded again, or another tab was faster.
        if stated := asked.get("error", ""):
            _LOG.warning("signin.refused", reason=stated[:60])
            words = "The identity provider did not let you in." if stated == "access_denied" else _unfinished(stated)
            return pages.provider_page(target, error=words, status=403)
        if begun is None or begun.done:
            return await self._restart(request, state, target)
        who = (address(request), "", entrance.cookies.trusted(request))
        if seconds := entrance.throttle.begin(*who):
            words = f"Too many attempts. Try again in {seconds} seconds."
            return pages.provider_page(target, error=words, status=429, retry_after=seconds)
        device = entrance.cookies.device(request)
        try:
            if asked.get("iss", self._provider.issuer).rstrip("/") != self._provider.issuer:  # RFC 9207
                words = "The answer came from another identity provider."
                raise ProviderError(words, kind="refused", reason="other_issuer")
            claims = await self._provider.claims(
                asked.get("code", ""),
                entrance.base(request) + CALLBACK,
                nonce=entrance.cookies.secret_for(state, "nonce"),
                verifier=entrance.cookies.secret_for(state, "verifier"),
            )
            opened = await anyio.to_thread.run_sync(functools.partial(entrance.gate.welcome, claims, browser=device.id))
        except ProviderError as error:
            if error.kind == "unreachable":
                entrance.throttle.succeeded(*who)
            return self._failed(target, error)
        except Overloaded as error:
            entrance.throttle.succeeded(*who)
            return pages.provider_page(target, error=str(error), status=503, retry_after=error.retry_after)
        except GovernanceError as error:
            return pages.provider_page(target, error=str(error), status=403)
        entrance.throttle.succeeded(*who)
        response: Response = pages.notice_page(target, opened.notice) if opened.notice else to(target)
        entrance.cookies.finish(response, state, target)
        account = f"{claims.get('iss')} {claims.get('sub')}"
        return await entrance.open(request, response, opened, device, account=account)

    async def _start(self, request: Request, target: str, *, restarts: int) -> Response:
        """To the provider, with a fresh state whose first digit counts how often this was begun anew."""
        entrance = self._entrance
        state = f"{restarts}{secrets.token_urlsafe(24)}"
        try:
            there = await self._provider.authorization_address(
                entrance.base(request) + CALLBACK,
                state=state,
                nonce=entrance.cookies.secret_for(state, "nonce"),
                verifier=entrance.cookies.secret_for(state, "verifier"),
            )
        except ProviderError as error:
            return self._failed(target, error)
        response = RedirectResponse(there, 302, {"Cache-Control": "no-store"})
        entrance.cookies.begin(request, response, state, target)
        if entrance.cookies.known(request) is None:
            entrance.cookies.remember(response, entrance.cookies.device(request))
        return response

    async def _restart(self, request: Request, state: str, target: str) -> Response:
        """A state that this browser did not begin, or long ago, or that has been used: begins anew by itself."""
        restarts = int(state[0]) + 1 if state[:1] in "0123456789" and state else 1
        if restarts > MOST_RESTARTS:
            words = "This sign-in was not begun in this browser, or took too long. Does your browser keep cookies?"
            return pages.provider_page(target, error=words, status=400)
        return await self._start(request, target, restarts=restarts)

    def _failed(self, target: str, error: ProviderError) -> Response:
        if error.kind == "unreachable":
            _LOG.error("signin.provider_unreachable", reason=error.reason)
            return pages.provider_page(target, error=error.message, status=503, retry_after=30)
        _LOG.warning("signin.refused", reason=error.reason)
        return pages.provider_page(target, error=f"{error.message} Please try again.", status=403)


def _unfinished(stated: str) -> str:
    later = stated in ("temporarily_unavailable", "server_error")
    return "The identity provider could not complete the sign-in. " + (
        "Please try again in a few minutes." if later else "Please try again."
    )
