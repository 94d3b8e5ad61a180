"""Sign-in's use cases, from the services of the process's application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from app.identity import SignedIn
from governance.domain.people import Actor
from governance.errors import Unauthenticated

if TYPE_CHECKING:
    from governance.bootstrap import Application


class ServiceGate:
    """`identity.Gate` over the session and people services."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def actor(self, token: str) -> Actor | None:
        return self._application.sessions.find(token)

    def sign_in(self, name: str, password: str) -> SignedIn:
        opened = self._application.sessions.sign_in_local(name, password)
        return SignedIn(token=opened.token, must_change_password=opened.must_change_password)

    def welcome(self, claims: Mapping[str, Any]) -> SignedIn:
        person = self._application.people.signed_in_elsewhere(
            str(claims.get("iss", "")),
            str(claims.get("sub", "")),
            name=str(claims.get("name") or claims.get("preferred_username") or claims.get("email") or ""),
            email=str(claims.get("email") or ""),
            groups=groups_of(claims, self._application.settings.roles_claim),
        )
        return SignedIn(token=self._application.sessions.open_session(person))

    def change_password(self, token: str, old: str, new: str) -> SignedIn:
        actor = self._application.sessions.find(token)
        if actor is None:
            raise Unauthenticated("Your session is over.", advice="Sign in again.")
        person = self._application.people.change_password(actor, old, new)
        return SignedIn(token=self._application.sessions.open_session(person))

    def sign_out(self, token: str) -> None:
        self._application.sessions.close(token)


def groups_of(claims: Mapping[str, Any], path: str) -> Iterable[str]:
    """The groups in a claim: a list, or one text of words apart by spaces or commas. `path` may go into objects with
    dots (Keycloak's `realm_access.roles`); a claim whose own name has dots or is an address is found first."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
