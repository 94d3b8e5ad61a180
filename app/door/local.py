"""Local accounts at the door: the sign-in form, and the form that changes a password."""

from __future__ import annotations

import functools

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.door import pages
from app.door.addresses import led, safe_target, to
from app.door.entrance import Entrance, address, form
from governance.errors import BadInput, GovernanceError, Overloaded

FOREIGN = "This form was not sent from the console's own page."


class LocalAccounts:
    """The routes `/signin`, `/signin/local` and `/signin/password` of an installation without an issuer."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def routes(self) -> list[Route]:
        return [
            Route("/signin", self.begin, methods=["GET"]),
            Route("/signin/local", self.sign_in, methods=["GET", "POST"]),
            Route("/signin/password", self.password, methods=["GET", "POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """On to the form; straight to the page for those already signed in."""
        target = safe_target(request.query_params.get("next", "/"))
        if "out" in request.query_params:
            return pages.local_page(target, note="You are signed out.")
        holder = await self._entrance.holder(request)
        if holder is None:
            return led("/signin/local", target)
        return led("/signin/password", target) if holder.must_change_password else to(target)

    async def sign_in(self, request: Request) -> Response:
        """The form, and what it sends."""
        target = safe_target(request.query_params.get("next", "/"))
        if request.method == "GET":
            if holder := await self._entrance.holder(request):
                return led("/signin/password", target) if holder.must_change_password else to(target)
            return pages.local_page(target)
        entrance = self._entrance
        if not entrance.from_here(request):
            return pages.local_page(target, error=FOREIGN, status=403)
        typed = await form(request)
        user = typed.get("user", "").strip()
        device = entrance.cookies.device(request)
        known = entrance.cookies.trusted(request, user)
        if seconds := entrance.throttle.begin(address(request), user, known):
            return _too_many(target, seconds, user)
        check = functools.partial(
            entrance.gate.sign_in, user, typed.get("password", ""), known=bool(known), browser=device.id
        )
        try:
            opened = await anyio.to_thread.run_sync(check)
        except Overloaded as error:
            entrance.throttle.succeeded(address(request), user, known)
            return pages.local_page(target, error=str(error), user=user, status=503, retry_after=error.retry_after)
        except GovernanceError as error:
            return pages.local_page(target, error=str(error), user=user, status=401)
        entrance.throttle.succeeded(address(request), user, known)
        response = led("/signin/password", target) if opened.must_change_password else to(target)
        return await entrance.open(request, response, opened, device, account=user)

    async def password(self, request: Request) -> Response:
        """A person changes their password: because somebody else gave it, or because they want to."""
        entrance = self._entrance
        target = safe_target(request.query_params.get("next", "/"))
        holder = await entrance.holder(request)
        if not holder:
            return led("/signin", target)
        page = functools.partial(pages.password_page, target, given=holder.must_change_password)
        if request.method == "GET":
            return page()
        if not entrance.from_here(request):
            return page(error=FOREIGN, status=403)
        who = (address(request), f"password of {holder.id}", entrance.cookies.trusted(request, holder.name))
        if seconds := entrance.throttle.begin(*who):
            return page(error=_wait(seconds), status=429)
        typed, device = await form(request), entrance.cookies.device(request)
        change = functools.partial(
            entrance.gate.change_password,
            entrance.cookies.token(request),
            typed.get("password", ""),
            typed.get("new", ""),
            browser=device.id,
        )
        try:
            opened = await anyio.to_thread.run_sync(change)
        except Overloaded as error:
            entrance.throttle.succeeded(*who)
            return page(error=str(error), status=503)
        except BadInput as error:  # The present password was right.
            entrance.throttle.succeeded(*who)
            return page(error=str(error), status=400)
        except GovernanceError as error:
            return page(error=str(error), status=400)
        entrance.throttle.succeeded(*who)
        return await entrance.open(request, to(target), opened, device, account=holder.name)


def _wait(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"Too many attempts. Try again in {f'{seconds} seconds' if seconds < 120 else f'{minutes} minutes'}."


def _too_many(target: str, seconds: int, user: str) -> Response:
    return pages.local_page(target, error=_wait(seconds), user=user, status=429, retry_after=seconds)
