"""Sign-in and the session behind the cookie: one row, keyed by the token's hash, asked anew at each call."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from governance.access.passwords import PASSWORD_LENGTH
from governance.domain.events import EventKind, Json
from governance.domain.people import SERVICE, Actor, ActorKind, Person
from governance.errors import Unauthenticated
from governance.services.authorise import Authority
from governance.services.jobs.run import Attempt
from governance.services.people.ports import Account, Transaction

FAILURES = 100
"""Wrong passwords in a row, wherever they were tried, after which an account waits for `LOCK`, except in browsers in
which it has signed in before. One client is slowed down long before that (`app.door.throttle`)."""
LOCK = timedelta(minutes=15)
WAIT = "After a few wrong attempts there is a wait, which grows."
LOCAL = "local"
KEEP_ENDED = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """A fresh session: its token (for the cookie), who it is, and whether somebody else knows their password."""

    token: str
    actor: Actor
    must_change_password: bool


class SessionService:
    def __init__(
        self, authority: Authority[Transaction], *, lasts: timedelta, hasher: PasswordHasher | None = None
    ) -> None:
        self._authority = authority
        self._lasts = lasts
        self._hasher = hasher or PasswordHasher()
        # An unknown name costs as much time as a wrong password, so that time tells no names.
        self._decoy = self._hasher.hash(secrets.token_hex())

    def sign_in_local(self, name: str, password: str, *, known_browser: bool = False, browser: str = "") -> SignIn:
        """Opens a session for a local account. Raises `Unauthenticated`, with the same words whatever was wrong.

        `known_browser`: the account has signed in there before, so a lock that strangers caused does not concern it.
        `browser` is the browser's own id, "" for none.
        """
        now = self._authority.clock()
        with self._authority.database.look() as tx:
            account = tx.people.account(LOCAL, name[:300])
        usable = account is not None and _usable(account, now, known_browser)
        right = self._verify(account.password_hash if account and usable else self._decoy, password)
        if account is None or not usable or not right:
            self._refuse(account, wrong_password=usable)
        with self._authority.database.write() as tx:
            current = tx.people.get(account.person.id)
            # What happened while the password was being verified counts: a lock, a disabling, a new password.
            unchanged = (
                current is not None
                and _usable(current, now, known_browser)
                and current.password_hash == account.password_hash
            )
            if unchanged:
                tx.people.succeeded(account.person.id)
        if not unchanged:
            self._refuse(account, wrong_password=False)
        if self._hasher.check_needs_rehash(account.password_hash):
            renewed = self._hasher.hash(password)
            with self._authority.database.write() as tx:
                tx.people.take_turns()
                if tx.people.rehash(account.person.id, account.password_hash, renewed):
                    subject, stated = f"person:{account.person.id}", tx.rows(principal=[account.person.id])
                    data: dict[str, Json] = {"by": "hash", **stated}
                    tx.append(self._authority.event(EventKind.PERSON_CHANGED, SERVICE, subject, data=data))
        return SignIn(
            token=self.open_session(account.person, browser=browser),
            actor=actor_of(account.person),
            must_change_password=account.person.must_change_password,
        )

    def open_session(self, person: Person, *, browser: str = "") -> str:
        """A new session of somebody whose sign-in was verified; gives the token for the cookie. A sign-out in
        `browser` (its own id, "" for none) ends all sessions that the person opened there."""
        token = secrets.token_urlsafe(32)
        now = self._authority.clock()
        actor = actor_of(person)
        with self._authority.database.write() as tx:
            kept = _hash(browser) if browser else None
            opened = tx.sessions.open(_hash(token), person.id, at=now, until=now + self._lasts, browser_hash=kept)
            kind = LOCAL if person.issuer == LOCAL else "oidc"
            data: dict[str, Json] = {"by": kind, **tx.rows(session=[opened])}
            tx.append(self._authority.event(EventKind.SIGN_IN, actor, actor.reference, data=data))
        return token

    def find(self, token: str) -> Actor | None:
        """Who a token speaks for now; None when it is unknown, over or closed, or the person is disabled. With
        `must_change_password` they may do nothing but choose a password of their own."""
        if not token or len(token) > 200:
            return None
        with self._authority.database.look() as tx:
            person = tx.sessions.find(_hash(token), self._authority.clock())
        return actor_of(person) if person else None

    def close(self, token: str) -> None:
        """Ends a session, and the person's others in the same browser; nothing happens when it is not open."""
        with self._authority.database.write() as tx:
            principal_id = tx.sessions.close(_hash(token), self._authority.clock())
            if principal_id is not None:
                actor = Actor(kind=ActorKind.PERSON, id=principal_id, name="")
                tx.append(self._authority.event(EventKind.SIGN_OUT, actor, actor.reference))

    def prune(self, attempt: Attempt[Transaction]) -> None:
        """Deletes sessions that ended over a day ago, except each person's latest, which says when they signed in."""
        with attempt.finishing() as tx:
            tx.sessions.prune(ended_before=self._authority.clock() - KEEP_ENDED)

    def _verify(self, password_hash: str, password: str) -> bool:
        if len(password) > PASSWORD_LENGTH:
            return False
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _refuse(self, account: Account | None, *, wrong_password: bool) -> NoReturn:
        record_failure(self._authority, SERVICE, account, wrong_password=wrong_password)
        raise Unauthenticated("Wrong name or password.", advice=WAIT)


def record_failure(
    authority: Authority[Transaction], by: Actor, account: Account | None, *, wrong_password: bool
) -> None:
    """Records that a password was tried, never what was typed. A wrong one counts: the account waits after `FAILURES`,
    wherever they were tried."""
    now = authority.clock()
    with authority.database.write() as tx:
        locked = False
        if account is not None and wrong_password:
            locked = tx.people.failed(account.person.id, limit=FAILURES, lock_until=now + LOCK)
        subject = f"person:{account.person.id}" if account else ""
        tx.append(authority.event(EventKind.SIGN_IN_FAILED, by, subject, data={"locked": locked}))


def _usable(account: Account, now: datetime, known_browser: bool) -> bool:
    return account.person.disabled_at is None and (known_browser or account.locked_until <= now)


def actor_of(person: Person) -> Actor:
    """A person as who acts: without any right while somebody else knows their password."""
    return Actor(
        kind=ActorKind.PERSON,
        id=person.id,
        name=person.name,
        bindings=() if person.must_change_password else person.bindings,
        must_change_password=person.must_change_password,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
