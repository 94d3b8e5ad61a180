"""Sign-in's use cases as the door needs them, from the services of the process's application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from governance.access import claims as role_claims
from governance.domain.people import Actor
from governance.errors import Unauthenticated

if TYPE_CHECKING:
    from governance.bootstrap import Application

_LOG = structlog.get_logger("governance.signin")


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """What opening a session gives: the cookie's token, whether the password must be changed before all else, and
    what the person should know of their roles ("" for nothing)."""

    token: str
    must_change_password: bool = False
    notice: str = ""


class Gate(Protocol):
    """The services behind sign-in. Each method is one use case, audited, and may block.

    `browser` is the id of the browser's device cookie: a sign-out ends all its sessions of the person.
    """

    def actor(self, token: str) -> Actor | None:
        """Who holds this session now; None when it is unknown, over, closed, or its person disabled. With
        `must_change_password` they are let no further than to the form that changes it."""

    def sign_in(self, name: str, password: str, *, known: bool, browser: str) -> SignedIn:
        """A local account; `known` when it has signed in with this browser before. Raises `Unauthenticated` (wrong,
        waiting, disabled) in words for the person."""

    def welcome(self, claims: Mapping[str, Any], *, browser: str) -> SignedIn:
        """A person whom the issuer vouches for, by verified ID token claims. Raises `Refused`."""

    def change_password(self, token: str, old: str, new: str, *, browser: str) -> SignedIn:
        """Ends all sessions and opens a new one. Raises `Unauthenticated` when `old` is wrong, which counts as a failed
        sign-in, `BadInput` when `new` is too weak."""

    def sign_out(self, token: str) -> None: ...


class ServiceGate:
    """`Gate` over the session and people services."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def actor(self, token: str) -> Actor | None:
        return self._application.sessions.find(token)

    def sign_in(self, name: str, password: str, *, known: bool, browser: str) -> SignedIn:
        opened = self._application.sessions.sign_in_local(name, password, known_browser=known, browser=browser)
        return SignedIn(token=opened.token, must_change_password=opened.must_change_password)

    def welcome(self, claims: Mapping[str, Any], *, browser: str) -> SignedIn:
        claim = role_claims.read(claims, self._application.settings.roles_claim)
        admitted = self._application.people.signed_in_elsewhere(
            str(claims.get("iss", "")),
            str(claims.get("sub", "")),
            name=str(claims.get("name") or claims.get("preferred_username") or claims.get("email") or ""),
            email=str(claims.get("email") or ""),
            claim=claim,
        )
        if not claim.readable or admitted.notice:
            _LOG.warning(
                "signin.no_roles_from_claim",
                claim=claim.path,
                came_as=str(claim.shape),
                names=len(claim.names),
                problem=claim.problem,
                person=admitted.person.id,
            )
        token = self._application.sessions.open_session(admitted.person, browser=browser)
        return SignedIn(token=token, notice=admitted.notice)

    def change_password(self, token: str, old: str, new: str, *, browser: str) -> SignedIn:
        actor = self._application.sessions.find(token)
        if actor is None:
            raise Unauthenticated("Your session is over.", advice="Sign in again.")
        person = self._application.people.change_password(actor, old, new)
        return SignedIn(token=self._application.sessions.open_session(person, browser=browser))

    def sign_out(self, token: str) -> None:
        self._application.sessions.close(token)
