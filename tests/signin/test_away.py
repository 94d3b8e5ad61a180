"""Pages while the database does not answer: a plain 503 that the browser tries again, not a sign-in page."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from starlette.applications import Starlette

from app.door.cookies import Cookies
from app.door.middleware import DoorMiddleware
from governance.store.base.dialects.pool import unavailable


class Away:
    def actor(self, _token: str) -> Any:
        raise unavailable()


def asked(kind: str, path: str) -> list[dict[str, Any]]:
    """What the middleware sends for a request of somebody who has a cookie."""
    door = DoorMiddleware(
        Starlette(),
        gate=Away(),  # type: ignore[arg-type]
        cookies=Cookies(secret=hashlib.sha256(b"test").digest(), https=False, hours=8),
        hosts=frozenset({"localhost"}),
        policy="default-src 'self'",
        pages=frozenset({"queue"}),
    )
    headers = [(b"host", b"localhost"), (b"accept", b"text/html"), (b"cookie", b"governance_session=some-token")]
    scope = {"type": kind, "method": "GET", "path": path, "query_string": b"", "headers": headers}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(door(scope, receive, send))
    return sent


def test_a_page_says_that_the_database_is_away_and_comes_again() -> None:
    start, body = asked("http", "/queue")
    headers = dict(start["headers"])
    assert start["status"] == 503
    assert headers[b"retry-after"] == headers[b"refresh"] == b"5"
    assert headers[b"content-security-policy"]
    assert body["body"] == b"The database does not answer. Try again in a moment.\n"


def test_a_session_is_closed_to_be_tried_again() -> None:
    assert asked("websocket", "/_stcore/stream") == [{"type": "websocket.close", "code": 1013}]
