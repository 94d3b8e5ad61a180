"""Reading about people: what Admin lists, and display names for those who read what they did."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from governance.domain.people import Actor, Permission, Role
from governance.services.visible import Visible


@dataclass(frozen=True, kw_only=True, slots=True)
class BindingRow:
    """A role; `system` is "" for everywhere; `from_claim` when the identity provider sets it at each sign-in."""

    role: Role
    system: str
    from_claim: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonRow:
    id: int
    local: bool
    account: str
    name: str
    email: str
    bindings: tuple[BindingRow, ...]
    disabled_at: datetime | None
    must_change_password: bool
    last_seen_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow:
    id: int
    prefix: str
    scopes: tuple[str, ...]
    system: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class PeopleQueries(Protocol):
    """What is read of people, each on a connection of its own."""

    def names(self, ids: Collection[int] | None) -> Mapping[int, str]: ...

    def people(self) -> list[PersonRow]: ...

    def keys(self) -> list[KeyRow]: ...


class ReadPeople:
    """What may be read of people. People belong to no system."""

    def __init__(self, visible: Visible, queries: PeopleQueries) -> None:
        self._visible = visible
        self._queries = queries

    def names(self, actor: Actor, ids: Collection[int]) -> Mapping[int, str]:
        """Display names, no more, of people to whom a case or an event refers: for all who read any of these."""
        self._visible.names(actor, Permission.READ_CASES, Permission.READ_AUDIT, Permission.MANAGE_ACCESS)
        return self._queries.names(ids) if ids else {}

    def everybody(self, actor: Actor) -> Mapping[int, str]:
        """Everybody's display name: for those who look for what a person did."""
        self._visible.names(actor, Permission.READ_AUDIT, Permission.MANAGE_ACCESS)
        return self._queries.names(None)

    def people(self, actor: Actor) -> list[PersonRow]:
        """Everybody, those who may still sign in first, then by name."""
        self._visible.names(actor, Permission.MANAGE_ACCESS)
        return self._queries.people()

    def keys(self, actor: Actor) -> list[KeyRow]:
        """All API keys without their secrets, those that still open something first, the newest first."""
        self._visible.names(actor, Permission.MANAGE_ACCESS)
        return self._queries.keys()
