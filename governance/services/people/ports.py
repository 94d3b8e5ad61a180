"""What the use cases of people, sessions and keys need from the outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from governance.domain.people import ApiKey, Person, ProviderSignIn, RoleBinding, Scope
from governance.services.ports import UnitOfWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A person and what a sign-in needs of them. `password_hash` is "" for OpenID Connect."""

    person: Person
    password_hash: str
    locked_until: datetime


class People(Protocol):
    """Persons, their passwords and role bindings. `source` of a binding is "local" or "claim"."""

    def account(self, issuer: str, subject: str) -> Account | None: ...

    def get(self, principal_id: int) -> Account | None: ...

    def list(self) -> Sequence[Person]: ...

    def count(self) -> int: ...

    def add(
        self, *, issuer: str, subject: str, name: str, email: str, password_hash: str, must_change: bool, at: datetime
    ) -> int | None:
        """Gives the new principal's id; None when issuer and subject are there already."""

    def rename(self, principal_id: int, *, name: str, email: str) -> None: ...

    def set_password(self, principal_id: int, password_hash: str, *, must_change: bool) -> None:
        """Also unlocks the account."""

    def rehash(self, principal_id: int, old: str, new: str) -> bool:
        """The same password under newer parameters; False when it was changed meanwhile."""

    def disable(self, principal_id: int, at: datetime) -> bool: ...

    def bindings(self, principal_id: int, source: str) -> tuple[RoleBinding, ...]: ...

    def bind(self, principal_id: int, bindings: Sequence[RoleBinding], *, source: str) -> Sequence[int]:
        """Replaces the bindings of that source; gives the ids of those that went and of those that came."""

    def take_turns(self) -> None:
        """Makes transactions that change people and their rights wait for each other, before they write anything: so
        the log has them in the order in which they took effect."""

    def failed(self, principal_id: int, *, limit: int, lock_until: datetime) -> bool:
        """Counts a failed sign-in; at `limit` it locks the account, starts anew and says True."""

    def succeeded(self, principal_id: int) -> None: ...

    def keep_sign_in(self, sign_in: ProviderSignIn, *, most: int) -> None:
        """Keeps what came at a sign-in through the identity provider; beyond the latest `most` it forgets."""

    def sign_ins(self, limit: int) -> Sequence[ProviderSignIn]:
        """The latest ones that were kept, the newest first."""


class Sessions(Protocol):
    def open(
        self, token_hash: bytes, principal_id: int, *, at: datetime, until: datetime, browser_hash: bytes | None
    ) -> int:
        """Gives the session's id."""

    def find(self, token_hash: bytes, now: datetime) -> Person | None:
        """The person of a session that is neither over nor closed, unless disabled; with the bindings of now."""

    def close(self, token_hash: bytes, at: datetime) -> int | None:
        """Closes a session, with those that the same person opened in the same browser, and gives the principal's id;
        None where it is unknown or closed."""

    def close_all(self, principal_id: int, at: datetime) -> int:
        """Closes every session of a person; gives how many."""

    def close_every(self, at: datetime) -> int:
        """Closes every session of everybody; gives how many."""

    def prune(self, *, ended_before: datetime) -> int:
        """Deletes sessions that ended before, except each person's latest; returns how many."""


class Keys(Protocol):
    def add(
        self,
        *,
        prefix: str,
        secret_hash: bytes,
        scopes: Sequence[Scope],
        system: str,
        created_by: str,
        at: datetime,
        expires_at: datetime | None,
    ) -> int: ...

    def find(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        """A key and the SHA-256 of the whole of it."""

    def get(self, key_id: int) -> ApiKey | None: ...

    def list(self) -> Sequence[ApiKey]: ...

    def revoke(self, key_id: int, at: datetime) -> bool:
        """False when it was revoked before."""

    def used(self, key_id: int, at: datetime) -> None: ...


class Transaction(UnitOfWork, Protocol):
    """A unit of work about people, sessions and keys."""

    @property
    def people(self) -> People: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def keys(self) -> Keys: ...
