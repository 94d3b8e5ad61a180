"""What routes that read have in common: they run as the key's actor, in keyset pages whose position is a cursor."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import Path, Query
from pydantic import BaseModel
from starlette.requests import Request

from governance.api.access import key_holder
from governance.api.parameters import LARGEST, Moment, Whole
from governance.api.validation import Invalid
from governance.domain.people import Actor, Scope
from governance.errors import BadInput
from governance.services.named import UnknownName

if TYPE_CHECKING:
    from governance.bootstrap import Application

T = TypeVar("T")
PathNumber = Annotated[int, Path(ge=0, le=LARGEST), Whole]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200), Whole]
Since = Annotated[Moment | None, Query(description="From this time on (RFC 3339).")]
Until = Annotated[Moment | None, Query(description="Up to, without, this time (RFC 3339).")]


class Page(BaseModel):
    """`next` goes into `after` for the following page; None at the end."""

    items: list[dict[str, Any]]
    next: str | None


async def read_as(application: Application, request: Request, query: Callable[[Actor], T]) -> T:
    """Runs a query as the key's actor (scope `read`). Raises `Invalid` for a parameter whose value names nothing."""
    actor = await key_holder(application, request, Scope.READ)
    try:
        return await anyio.to_thread.run_sync(query, actor)
    except UnknownName as error:
        problem = f"{error.message[:1].lower()}{error.message[1:]} {error.advice}".strip().removesuffix(".")
        raise Invalid([{"at": error.what, "problem": problem}]) from None


def cursor(position: tuple[int, ...] | None) -> str | None:
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode().rstrip("=")


def position_of(cursor: str | None, length: int) -> Any:
    """The keyset of a cursor. Raises `BadInput` for one that we did not give."""
    if not cursor:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    whole = isinstance(found, list) and len(found) == length
    if not whole or not all(type(item) is int and abs(item) < 2**63 for item in found):
        raise BadInput("after: not the `next` of a page.", advice="Leave it out for the first page.")
    return tuple(found)
