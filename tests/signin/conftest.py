"""Sign-in in this process: the routes and the middleware over real services, and a page that says who it was given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.door.cookies import Cookies
from app.door.entrance import Entrance
from app.door.gate import ServiceGate
from app.door.middleware import HEADER, DoorMiddleware
from app.door.routes import door_routes
from governance.bootstrap import Application
from governance.bootstrap.settings import Settings
from governance.openid.client import OpenIdProvider
from tests.signin.provider import CLIENT, Provider


class Browser:
    """A client with a cookie jar. `origin` is sent with posts, as browsers do."""

    def __init__(self, app: Any, portal: BlockingPortal, base: str = "http://127.0.0.1:8501") -> None:
        self.base = base
        self.app = app
        self._portal = portal
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)

    def __call__(self, method: str, path: str, *, client: httpx.AsyncClient | None = None, **more: Any) -> Any:
        async def send() -> httpx.Response:
            return await (client or self.client).request(method, path, **more)

        return self._portal.call(send)

    def get(self, path: str, **more: Any) -> httpx.Response:
        answer: httpx.Response = self("GET", path, **more)
        return answer

    def post(self, path: str, data: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        headers = {"Origin": self.base, "Sec-Fetch-Site": "same-origin"} | more.pop("headers", {})
        answer: httpx.Response = self("POST", path, data=data or {}, headers=headers, **more)
        return answer

    def outside(self, method: str, url: str) -> httpx.Response:
        """A request over the real network of this machine, as a browser follows a redirect to the provider."""
        with httpx.Client() as client:
            return client.request(method, url)


@pytest.fixture
def application(tmp_path: Path, sqlite_template: Path) -> Iterator[Application]:
    data = tmp_path / "var"
    data.mkdir(mode=0o700)
    shutil.copy(sqlite_template, data / "governance.db")
    application = Application(Settings(_env_file=None, data_dir=data))  # type: ignore[call-arg]
    yield application
    application.close()


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


async def page(request: Request) -> Response:
    return PlainTextResponse(f"page {request.url.path} {request.headers.get(HEADER, '-')}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.headers.get(HEADER, "-"))
    await websocket.close()


def build(application: Application, *, public_url: str = "", issuer: str = "", secret: str = CLIENT[1]) -> Starlette:
    cookies = Cookies(secret=b"s" * 32, https=public_url.startswith("https:"), hours=8)
    gate = ServiceGate(application)
    provider = None
    if issuer:
        provider = OpenIdProvider(
            issuer=issuer, client_id=CLIENT[0], client_secret=secret, roles_claim=application.settings.roles_claim
        )
    entrance = Entrance(gate=gate, cookies=cookies, public_url=public_url)
    hosts = frozenset({"127.0.0.1", "localhost", "gov.example.org"})
    return Starlette(
        routes=[
            *door_routes(entrance, provider),
            Route("/v1/echo", page),
            WebSocketRoute("/_stcore/stream", socket),
            Route("/{path:path}", page),
        ],
        middleware=[
            Middleware(
                DoorMiddleware,
                gate=gate,
                cookies=cookies,
                hosts=hosts,
                policy="default-src 'self'",
                pages=frozenset({"overview", "queue", "case", "calls", "audit"}),
                public_url=public_url,
            )
        ],
    )


@pytest.fixture
def browser(application: Application, portal: BlockingPortal) -> Browser:
    return Browser(build(application), portal)


@pytest.fixture
def password(application: Application) -> str:
    """Of the account "admin"."""
    made = application.people.ensure_administrator()
    assert made is not None
    return made[1]


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    provider.start()
    yield provider
    provider.stop()
