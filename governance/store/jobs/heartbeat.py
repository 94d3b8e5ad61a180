"""Who is checking, and how the detectors fare: heartbeats and health, for `/readyz` and the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from governance.store.base import tables as t
from governance.store.base.database import Database

_GONE = 3_600_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorCount:
    """What a detector did since it was last written down; `absent` while it is not there at all."""

    version: str
    answered: int
    failed: int
    last_failure: str
    absent: bool = False


class Heartbeat:
    """One worker's row. `beat` says it is alive; `health` adds what its detectors did."""

    def __init__(self, database: Database[Any], *, name: str, policy_set: str, now: int) -> None:
        self._database = database
        self._id = database.ids.take()
        with database.write() as transaction:
            transaction.connection.execute(t.worker.delete().where(t.worker.c.seen_at < now - _GONE))
            transaction.connection.execute(
                t.worker.insert().values(id=self._id, name=name, policy_set=policy_set, started_at=now, seen_at=now)
            )

    def beat(self, now: int, health: Mapping[str, DetectorCount], *, policy_set: str) -> None:
        with self._database.write() as transaction:
            connection = transaction.connection
            connection.execute(
                t.worker.update().where(t.worker.c.id == self._id).values(seen_at=now, policy_set=policy_set)
            )
            for detector, count in sorted(health.items()):
                self._add(connection, detector, count, now)

    def end(self) -> None:
        with self._database.write() as transaction:
            transaction.connection.execute(t.worker.delete().where(t.worker.c.id == self._id))

    @staticmethod
    def _add(connection: sa.Connection, detector: str, count: DetectorCount, now: int) -> None:
        table = t.detector_health
        since = None
        if count.absent:  # from the first heartbeat that said so, also of an earlier version
            said = connection.execute(sa.select(table.c.absent_since).where(table.c.detector == detector)).scalar()
            since = now if said is None else said
        values = {
            "version": count.version,
            "updated_at": now,
            "last_failure": count.last_failure[:300],
            "absent_since": since,
        }
        known = connection.execute(
            table.update()
            .where(table.c.detector == detector, table.c.version == count.version)
            .values(answered=table.c.answered + count.answered, failed=table.c.failed + count.failed, **values)
        )
        if known.rowcount == 0:  # new, or another version: its figures start anew
            connection.execute(table.delete().where(table.c.detector == detector))
            connection.execute(
                table.insert().values(
                    detector=detector,
                    answered=count.answered,
                    failed=count.failed,
                    since=now,
                    **values,
                )
            )
