"""Records that a backup was restored, and ends what must not come back with it."""

from __future__ import annotations

from governance.domain.events import EventKind
from governance.domain.people import Actor
from governance.services.authorise import Authority
from governance.services.people.ports import Transaction


class RecordRestore:
    """The use case: acts on the restored database, before anybody else may open it."""

    def __init__(self, authority: Authority[Transaction]) -> None:
        self._authority = authority

    def record(self, actor: Actor, *, events: int, replaced: int | None) -> int:
        """Ends every session of the backup's time, since some were signed out later; gives their number.

        `events` is the size of the backup's log, `replaced` that of the log that it replaces, None where that could
        not be read.
        """
        with self._authority.act(actor) as tx:
            closed = tx.sessions.close_every(self._authority.clock())
            tx.append(
                self._authority.event(
                    EventKind.DATABASE_RESTORED,
                    actor,
                    "database",
                    data={"events": events, "replaced_events": replaced, "sessions_closed": closed},
                )
            )
        return closed
