"""What every service needs from the outside, as Protocols; `store` implements them, `bootstrap` puts them together.

A use case opens `database.write()`, acts through the transaction's repositories, appends its audit events to the same
transaction, and leaves: everything commits together, or nothing does. Each wing declares its repositories in its own
`ports.py`, and its transaction as those it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from governance.domain.events import Event, Json
from governance.domain.people import Actor, Permission

Clock = Callable[[], datetime]


class Permissions(Protocol):
    """Answers from `policies/access/console.cedar`; `context` holds facts the rules read, as `claimed_by_actor`."""

    def allowed(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool: ...


class UnitOfWork(Protocol):
    """What every use case needs of a transaction; a wing's own `Transaction` adds its repositories."""

    def append(self, event: Event) -> None:
        """Adds an audit event that commits with the rows it speaks of."""

    def rows(self, **keys: Collection[int | str | tuple[int | str, ...]]) -> dict[str, Json]:
        """What an event says of rows that it made or changed, by table: `{"rows": {"verdict:12": {...}}}`, to be added
        to its data. To be asked for once all of them are written; rows that are gone are null."""


T_co = TypeVar("T_co", bound=UnitOfWork, covariant=True)


class Database(Protocol[T_co]):
    """Opens units of work."""

    def write(self, *, wait: float | None = None) -> AbstractContextManager[T_co]:
        """A unit of work that commits once, at its end; an exception undoes all of it. `wait` bounds the seconds that
        it waits for others. Raises `Overloaded`."""

    def look(self) -> AbstractContextManager[T_co]:
        """The repositories over a snapshot, for reading."""
