"""What repositories act in: one transaction, the ids it takes, and the audit events that commit with it."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from governance.domain.events import Event, Json
from governance.store.base import stated
from governance.store.base.ids import IdAllocator


class UnitOfWork:
    """Repositories act through `connection`; events appended here commit with what they did."""

    def __init__(self, connection: sa.Connection, ids: IdAllocator) -> None:
        self.connection = connection
        self.ids = ids
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    def rows(self, **keys: Collection[stated.Key]) -> dict[str, Json]:
        """What an event is to say of these rows, as they stand in this transaction (`store.base.stated`)."""
        said: dict[str, Json] = {}
        for table, wanted in keys.items():
            said |= stated.statements(self.connection, table, wanted)
        return {"rows": said}

    def take(self) -> int:
        """A fresh id for a row of this transaction."""
        return self.ids.take_within(self.connection)
