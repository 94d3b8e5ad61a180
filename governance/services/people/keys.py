"""API keys: `gov_<prefix>_<secret>`, shown once. The secret has 256 bits of its own, so its SHA-256 is what is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.domain.events import EventKind
from governance.domain.people import Actor, ActorKind, ApiKey, Permission, Scope
from governance.errors import BadInput, Conflict, NotFound, Overloaded, Unauthenticated
from governance.services.authorise import Authority
from governance.services.people.ports import Transaction
from governance.services.refusals import Reason

_HOUR = timedelta(hours=1)
_NOTE_SECONDS = 0.25
_HOW = "Send it as 'Authorization: Bearer gov_...'; make one with: governance key create."


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """A key and the whole of it as text, which is shown once and stored nowhere."""

    key: ApiKey
    secret: str


class KeyService:
    def __init__(self, authority: Authority[Transaction]) -> None:
        self._authority = authority

    def create(
        self, actor: Actor, scopes: Sequence[Scope], *, system: str = "", expires_in: timedelta | None = None
    ) -> NewKey:
        """`system` binds the key to one system. Raises `BadInput` without a scope or with a past expiry."""
        if not scopes:
            raise BadInput("A key needs a scope.", advice=f"One or more of: {', '.join(Scope)}.")
        if expires_in is not None and expires_in <= timedelta(0):
            raise BadInput("A key cannot expire before it is made.")
        system = system.strip()
        if len(system) > 200 or not system.isprintable():
            raise BadInput("A system's name is at most 200 printable characters.")
        now = self._authority.clock()
        prefix = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(10))
        secret = f"gov_{prefix}_{secrets.token_urlsafe(32)}"
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.MANAGE_ACCESS)
            key_id = tx.keys.add(
                prefix=prefix,
                secret_hash=_hash(secret),
                scopes=[scope for scope in Scope if scope in scopes],
                system=system,
                created_by=actor.reference,
                at=now,
                expires_at=now + expires_in if expires_in else None,
            )
            key = tx.keys.get(key_id)
            assert key is not None, "the key was added in this transaction"
            tx.append(
                self._authority.event(
                    EventKind.KEY_CREATED,
                    actor,
                    f"key:{key_id}",
                    system=system,
                    data={"scopes": [str(scope) for scope in key.scopes], **tx.rows(api_key=[key_id])},
                )
            )
        return NewKey(key=key, secret=secret)

    def list(self, actor: Actor) -> Sequence[ApiKey]:
        self._authority.require(actor, Permission.MANAGE_ACCESS)
        with self._authority.database.look() as tx:
            return tx.keys.list()

    def revoke(self, actor: Actor, key_id: int) -> None:
        """For ever, and at once in every process: a key is looked up whenever it is used."""
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.MANAGE_ACCESS, subject=f"key:{key_id}")
            key = tx.keys.get(key_id)
            if key is None:
                raise NotFound(f"There is no key {key_id}.", advice="List them: governance key list.")
            if not tx.keys.revoke(key_id, self._authority.clock()):
                raise Conflict(f"Key {key_id} is revoked already.")
            stated = tx.rows(api_key=[key_id])
            tx.append(
                self._authority.event(EventKind.KEY_REVOKED, actor, f"key:{key_id}", system=key.system, data=stated)
            )

    def authenticate(self, header: str | None, *, address: str = "") -> Actor:
        """Who the `Authorization` header speaks for; `address` is where it came from. Raises `Unauthenticated`, which
        is counted, and recorded once a minute.

        Only who has the whole key learns that it was revoked or is over; a guess learns nothing.
        """
        now = self._authority.clock()
        secret = self._bearer(header, address)
        key = self._known(secret, address)
        actor = Actor(kind=ActorKind.KEY, id=key.id, name=f"API key {key.prefix}", scopes=key.scopes, system=key.system)
        if key.revoked_at is not None:
            self._authority.refusals.key(actor, Reason.REVOKED, system=key.system)
            raise Unauthenticated("The API key was revoked.", advice="Ask for a new one.")
        if key.expires_at is not None and key.expires_at <= now:
            self._authority.refusals.key(actor, Reason.EXPIRED, system=key.system)
            raise Unauthenticated(f"The API key expired on {key.expires_at:%Y-%m-%d}.", advice="Ask for a new one.")
        self._note_use(key, now)
        return actor

    def _bearer(self, header: str | None, address: str) -> str:
        scheme, _, secret = (header or "").strip().partition(" ")
        secret = secret.strip()
        if not secret or scheme.lower() != "bearer":
            self._authority.refusals.missing()
            raise Unauthenticated("No API key was sent.", advice=_HOW)
        if len(secret) > 200 or not secret.isascii() or not secret.startswith("gov_") or secret.count("_") < 2:
            self._authority.refusals.unknown(Reason.MALFORMED, address)
            raise Unauthenticated("This is not an API key of this product.", advice=_HOW)
        return secret

    def _known(self, secret: str, address: str) -> ApiKey:
        prefix = secret.split("_", 2)[1]
        with self._authority.database.look() as tx:
            found = tx.keys.find(prefix)
        if found is None or not hmac.compare_digest(found[1], _hash(secret)):
            # Also where the prefix is a key's: who does not have the rest says nothing about that key.
            self._authority.refusals.unknown(Reason.UNKNOWN, address)
            raise Unauthenticated("The API key is not valid.", advice=_HOW)
        return found[0]

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        if key.last_used_at is None or now - key.last_used_at >= _HOUR:
            # Not worth a request's time: the next one notes it as well.
            with suppress(Overloaded), self._authority.database.write(wait=_NOTE_SECONDS) as tx:
                tx.keys.used(key.id, now)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
