"""States the rows of a database that is older than the log's statements, once: from then on a change of them is found.

What happened to such rows before is attested only: the log says nothing of it that can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

from governance.domain.events import Event, EventKind, Json
from governance.domain.people import SERVICE
from governance.services.ports import Database, UnitOfWork

ROWS_A_LEAF = 20


class Adoption(Protocol):
    """Rows that no event has stated."""

    def pending(self) -> bool:
        """Whether the database is older than statements, and its rows are not stated yet."""

    def begin(self, at: datetime) -> bool:
        """Gives every row its secret; False where another process was faster, which it waits for."""

    def statements(self, most: int) -> Iterator[Mapping[str, Json]]:
        """All rows that the log states, at most so many at a time."""


class Transaction(UnitOfWork, Protocol):
    @property
    def adoption(self) -> Adoption: ...


def adopt_state(database: Database[Transaction], clock: Callable[[], datetime]) -> int:
    """Appends `state.adopted` where that is to be done; gives the number of rows."""
    with database.look() as tx:
        if not tx.adoption.pending():
            return 0
    count = 0
    with database.write() as tx:
        now = clock()
        if not tx.adoption.begin(now):
            return 0
        for rows in tx.adoption.statements(ROWS_A_LEAF):
            count += len(rows)
            data: dict[str, Json] = {"rows": dict(rows)}
            tx.append(Event(kind=EventKind.STATE_ADOPTED, at=now, actor=SERVICE.reference, subject="state", data=data))
    return count
