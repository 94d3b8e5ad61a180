"""Recurring jobs: adds each one when it is due, once, whatever number of processes look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from governance.domain.events import Json
from governance.domain.schedule import Schedule
from governance.services.jobs.ports import Transaction
from governance.services.ports import Clock, Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Recurring:
    """`name` is unique; a job of it never runs beside another of its kind."""

    name: str
    kind: str
    schedule: Schedule
    payload: Mapping[str, Json] = field(default_factory=dict)
    priority: int = 0


class Timetable:
    def __init__(self, database: Database[Transaction], clock: Clock, entries: Sequence[Recurring]) -> None:
        self._database = database
        self._clock = clock
        self._entries = {entry.name: entry for entry in entries}

    def tick(self) -> int:
        """Adds the jobs that are due now; returns how many. Several missed times of one entry are one job, and none
        is added while the last one still waits or runs."""
        now = self._clock()
        schedules = {name: entry.schedule for name, entry in self._entries.items()}
        with self._database.look() as tx:
            if not tx.schedules.due(now, schedules):
                return 0
        added = 0
        for name, entry in self._entries.items():
            with self._database.write() as tx:
                if tx.schedules.advance(name, entry.schedule, now) and not tx.jobs.open(schedule=name):
                    tx.jobs.add(
                        entry.kind, entry.payload, at=now, priority=entry.priority, lock=entry.kind, schedule=name
                    )
                    added += 1
        return added
