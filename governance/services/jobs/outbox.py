"""Messages that leave the installation: committed with what they speak of, delivered at least once.

A message has an id that stays the same at every attempt. A receiver that sees the id again got the message twice: the
process died, or the answer was lost, after the message had arrived.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from governance.domain.events import Json
from governance.domain.jobs import Backoff
from governance.services.jobs.ports import Deliver, NotDelivered, Transaction
from governance.services.jobs.run import Attempt, NotDone
from governance.services.ports import Clock, Database

BACKOFF = Backoff(attempts=10, first=timedelta(seconds=10), factor=4.0, longest=timedelta(hours=6))
"""Some 20 hours in all, so that a receiver that is repaired the next morning still gets the message."""


class Alerts:
    """Messages to the operator's alert address. `wanted` is False where no address is set: then none is kept."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted

    def send(self, tx: Transaction, kind: str, data: Mapping[str, Json], *, at: datetime) -> None:
        """Queues a message in the transaction of what it is about. `data` holds no words of calls."""
        if self.wanted:
            body = {"type": kind, "timestamp": at.isoformat().replace("+00:00", "Z"), "data": dict(data)}
            tx.outbox.add(kind, json.dumps(body, separators=(",", ":")), message_id=f"msg_{uuid.uuid4().hex}", at=at)


class DeliverMessages:
    """The use case: sends one message of the outbox."""

    def __init__(self, database: Database[Transaction], deliver: Deliver | None, clock: Clock) -> None:
        """`deliver` is None where no address is set."""
        self._database = database
        self._deliver = deliver
        self._clock = clock

    def deliver(self, message_id: int, attempt: Attempt[Transaction]) -> None:
        """Sends a message, then says in one transaction that it arrived and that the job is done. Raises `NotDone`."""
        with self._database.look() as tx:
            message = tx.outbox.get(message_id)
        if message is None or message.delivered_at is not None:
            return
        if self._deliver is None:
            raise NotDone("No address is set (GOVERNANCE_ALERT_WEBHOOK_URL).", final=True)
        try:
            self._deliver(message, now=self._clock())
        except NotDelivered as error:
            raise NotDone(error.said, retry_after=error.retry_after, final=error.final) from None
        with attempt.finishing() as tx:
            tx.outbox.delivered(message.id, self._clock())
