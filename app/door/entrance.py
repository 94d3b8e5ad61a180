"""What both ways to sign in have in common: who is there already, and the answer that opens a session."""

from __future__ import annotations

from urllib.parse import parse_qsl

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from app.door.addresses import own_form
from app.door.cookies import Cookies, Device
from app.door.gate import Gate, SignedIn
from app.door.throttle import Throttle
from governance.domain.people import Actor
from governance.errors import Overloaded


class Entrance:
    """One for the process, used by `routes`, `local` and `oidc`."""

    def __init__(self, *, gate: Gate, cookies: Cookies, public_url: str, throttle: Throttle | None = None) -> None:
        """`public_url` is "" on a loopback trial."""
        self.gate = gate
        self.cookies = cookies
        self.public_url = public_url.rstrip("/")
        self.throttle = throttle or Throttle()

    async def holder(self, request: Request) -> Actor | None:
        """Who holds the request's session; None also while the database does not answer."""
        token = self.cookies.token(request)
        try:
            return await anyio.to_thread.run_sync(self.gate.actor, token) if token else None
        except Overloaded:
            return None

    def from_here(self, request: Request) -> bool:
        return own_form(request.headers, self.public_url)

    def base(self, request: Request) -> str:
        """The address people use, without a slash at its end."""
        return self.public_url or f"http://{request.headers.get('host', '')}"

    async def open(
        self, request: Request, response: Response, opened: SignedIn, device: Device, *, account: str
    ) -> Response:
        """`response` with the new session's cookie. Another person's session in this browser ends; one of the same
        person goes on, for its pages in other tabs."""
        previous = await self.holder(request)
        if previous is not None:
            present = await anyio.to_thread.run_sync(self.gate.actor, opened.token)
            if present is None or present.id != previous.id:
                await anyio.to_thread.run_sync(self.gate.sign_out, self.cookies.token(request))
        self.cookies.open(response, opened.token)
        self.cookies.remember(response, device, account=account)
        return response


def address(request: Request) -> str:
    return request.client.host if request.client else ""


async def form(request: Request) -> dict[str, str]:
    """The form's text fields; at most 16 KiB, whatever the sender claims."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > 16_384:
            return {}
    try:
        pairs = parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: value[:1000] for name, value in pairs}
