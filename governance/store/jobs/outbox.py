"""Messages that leave the installation, each with the job that delivers it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from governance.domain.jobs import JobKind
from governance.domain.times import micros, moment, moment_or_none
from governance.services.jobs.ports import Message
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.jobs.queue import SqlJobs

_PRIORITY = 10


class SqlOutbox:
    """Implements `services.jobs.ports.Outbox`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def add(self, kind: str, body: str, *, message_id: str, at: datetime) -> int:
        number = self._tx.take()
        job = SqlJobs(self._tx).add(JobKind.DELIVER_MESSAGE, {"message": number}, at=at, priority=_PRIORITY)
        self._connection.execute(
            t.outbox_message.insert().values(
                id=number, message_id=message_id, kind=kind, body=body, job_id=job, created_at=micros(at)
            )
        )
        return number

    def get(self, message: int) -> Message | None:
        row = self._connection.execute(sa.select(t.outbox_message).where(t.outbox_message.c.id == message)).first()
        if row is None:
            return None
        return Message(
            id=row.id,
            message_id=row.message_id,
            kind=row.kind,
            body=row.body,
            created_at=moment(row.created_at),
            delivered_at=moment_or_none(row.delivered_at),
        )

    def delivered(self, message: int, at: datetime) -> None:
        m = t.outbox_message
        self._connection.execute(m.update().where(m.c.id == message).values(delivered_at=micros(at)))
