"""People: accounts, sessions and API keys."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from governance.bootstrap.foundation import Foundation
from governance.errors import Misconfigured

if TYPE_CHECKING:
    from governance.openid.client import OpenIdProvider
    from governance.services.people.accounts import PeopleService
    from governance.services.people.keys import KeyService
    from governance.services.people.read import ReadPeople
    from governance.services.people.restored import RecordRestore
    from governance.services.people.sessions import SessionService


class PeopleParts(Foundation):
    """The use cases of people."""

    @cached_property
    def sessions(self) -> SessionService:
        from governance.services.people.sessions import SessionService

        return SessionService(self.authority, lasts=timedelta(hours=self.settings.session_hours))

    @cached_property
    def people(self) -> PeopleService:
        from governance.services.people.accounts import PeopleService

        try:
            return PeopleService(self.authority, group_roles=self.settings.role_map)
        except ValueError as error:
            raise Misconfigured(f"GOVERNANCE_ROLE_MAP: {error}.", advice="See docs/settings.md.") from None

    @cached_property
    def provider(self) -> OpenIdProvider | None:
        """The OpenID Connect provider that people sign in with; None for local accounts."""
        from governance.openid.client import OpenIdProvider

        if not self.settings.oidc_issuer:
            return None
        return OpenIdProvider(
            issuer=self.settings.oidc_issuer,
            client_id=self.settings.oidc_client_id,
            client_secret=self.settings.oidc_client_secret.get_secret_value(),
            roles_claim=self.settings.roles_claim,
        )

    @cached_property
    def read_people(self) -> ReadPeople:
        from governance.services.people.read import ReadPeople
        from governance.store.people.queries import PeopleQueries

        return ReadPeople(self.visible, PeopleQueries(self.database))

    @cached_property
    def keys(self) -> KeyService:
        from governance.services.people.keys import KeyService

        return KeyService(self.authority)

    @cached_property
    def restored(self) -> RecordRestore:
        from governance.services.people.restored import RecordRestore

        return RecordRestore(self.authority)
