"""Who calls: an API key, its scopes, and the one system that it may be bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.requests import Request

from governance.domain.people import Actor, Scope
from governance.errors import Refused

if TYPE_CHECKING:
    from governance.bootstrap import Application


async def key_holder(application: Application, request: Request, scope: Scope) -> Actor:
    """The actor of a Bearer key (RFC 6750) that has `scope`. Raises `Unauthenticated`, or `Refused` (and recorded)."""
    header = request.headers.get("authorization")

    def verified() -> Actor:
        actor = application.keys.authenticate(header)
        application.authority.require_scope(actor, scope)
        return actor

    return await anyio.to_thread.run_sync(verified)


def own_system(actor: Actor, asked: str) -> str:
    """The system that a request is for: the key's own, or the one it names. Raises `Refused` for another's."""
    if actor.system and asked and asked != actor.system:
        raise Refused("This key belongs to another system.", advice="Leave the system out, or use its own key.")
    return actor.system or asked
