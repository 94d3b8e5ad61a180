"""When recurring jobs are due next: one row each, moved on by a conditional update."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from governance.domain.schedule import Schedule
from governance.domain.times import micros
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlSchedules:
    """Implements `services.jobs.ports.Schedules`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def due(self, now: datetime, schedules: Mapping[str, Schedule]) -> bool:
        rows = {row.name: row for row in self._connection.execute(sa.select(t.job_schedule))}
        return any(
            (row := rows.get(name)) is None
            or row.rule != str(schedule)
            or row.next_at <= micros(now)
            or _too_far(row.next_at, schedule, now)
            for name, schedule in schedules.items()
        )

    def advance(self, name: str, schedule: Schedule, now: datetime) -> bool:
        s = t.job_schedule.c
        upcoming, at, rule = micros(schedule.after(now)), micros(now), str(schedule)
        row = self._connection.execute(sa.select(t.job_schedule).where(s.name == name)).first()
        if row is None:
            new = bulk.insert_unless_there(self._connection, t.job_schedule)
            self._connection.execute(new.values(name=name, rule=rule, next_at=upcoming))
            return False
        # Only who still sees the time it saw may move it on: of several processes, one.
        move = t.job_schedule.update().where(s.name == name, s.next_at == row.next_at, s.rule == row.rule)
        if row.next_at <= at:
            moved = self._connection.execute(move.values(rule=rule, next_at=upcoming, last_at=row.next_at))
            return moved.rowcount == 1
        if row.rule != rule or _too_far(row.next_at, schedule, now):
            self._connection.execute(move.values(rule=rule, next_at=upcoming))
        return False


def _too_far(next_at: int, schedule: Schedule, now: datetime) -> bool:
    """Whether a clock that was ahead has put the schedule off: it is never more than two times away. (One would not
    do: clocks that differ a little would have a time run twice.)"""
    return next_at > micros(schedule.after(schedule.after(now)))
