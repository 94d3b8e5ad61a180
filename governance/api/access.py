"""Who calls: an API key, its scopes, and the one system that it may be bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.requests import Request

from governance.domain.people import Actor, Scope

if TYPE_CHECKING:
    from governance.bootstrap import Application


async def key_holder(application: Application, request: Request, scope: Scope) -> Actor:
    """The actor of a Bearer key (RFC 6750) that has `scope`. Raises `Unauthenticated` or `Refused`; both are counted,
    and recorded once a minute a key."""
    header = request.headers.get("authorization")
    address = request.client.host if request.client else ""

    def verified() -> Actor:
        actor = application.keys.authenticate(header, address=address)
        application.authority.require_scope(actor, scope)
        return actor

    return await anyio.to_thread.run_sync(verified)


def own_system(application: Application, actor: Actor, scope: Scope, asked: str) -> str:
    """The system that a request is for: the key's own, or the one it names. Raises `Refused` for another's."""
    application.authority.require_scope(actor, scope, system=asked)
    return actor.system or asked
