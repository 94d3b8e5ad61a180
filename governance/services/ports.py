"""What the services need from the outside, as Protocols; `store` implements them, `bootstrap` puts them together.

A use case opens `database.write()`, acts through the transaction's repositories, appends its audit events to the same
transaction, and leaves: everything commits together, or nothing does. Each slice's repositories are declared here as
Protocols and are attributes of `Transaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from governance.domain.events import Event
from governance.domain.people import Actor, Permission

Clock = Callable[[], datetime]


class Permissions(Protocol):
    """Answers from `policies/access/console.cedar`; `context` holds facts the rules read, as `claimed_by_actor`."""

    def allowed(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool: ...


class Transaction(Protocol):
    """A unit of work."""

    def append(self, event: Event) -> None: ...


class Database(Protocol):
    def write(self) -> AbstractContextManager[Transaction]: ...
