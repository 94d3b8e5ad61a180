"""People: accounts, sessions and API keys."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from governance.bootstrap.foundation import Foundation
from governance.errors import Misconfigured

if TYPE_CHECKING:
    from governance.services.people.accounts import PeopleService
    from governance.services.people.keys import KeyService
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
    def keys(self) -> KeyService:
        from governance.services.people.keys import KeyService

        return KeyService(self.authority)

    @cached_property
    def restored(self) -> RecordRestore:
        from governance.services.people.restored import RecordRestore

        return RecordRestore(self.authority)
