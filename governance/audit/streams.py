"""Streams of the log: each event has a number within the stream of its system, so that a selection of one system shows
by itself that nothing of it was left out.

The events of one system are a stream; those that belong to none are the stream "". Where a leaf gets its place it also
gets `n`, its number within its stream from 0 on, and `late`: no event up to it, of any stream, happened more than that
many microseconds before one that stands before it. So an event of time `at` says that all before it happened at or
before `at + late`, which lets a selection of a period prove its ends although clocks step and transactions wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance.domain.events import Json

UPGRADED = "log.upgraded"
# Events that wait for others, and clocks that are set right, differ by less.
LATE_FLAGGED = 60_000_000


@dataclass(slots=True)
class Streams:
    """The next number of each stream, the latest time of any event, and how late an event was at most (microseconds).

    `before` counts the events of leaf version 1, which have no numbers: numbers go on from there.
    """

    next: dict[str, int] = field(default_factory=dict)
    latest: int = 0
    late: int = 0
    before: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Streams:
        return Streams(dict(self.next), self.latest, self.late, self.before)

    def take(self, system: str, at: int) -> tuple[int, int]:
        """The number and the lateness of the next event of a system, which happened at `at` (microseconds)."""
        n = self.next.get(system, 0)
        self.next[system] = n + 1
        if at >= self.latest:
            self.latest = at
        elif self.latest - at > self.late:
            self.late = self.latest - at
        return n, self.late

    def pass_by(self, system: str, at: int) -> None:
        """Counts an event of leaf version 1."""
        self.take(system, at)
        self.before[system] = self.next[system]

    def statement(self) -> dict[str, Json]:
        """The data of `log.upgraded`: how many events without a number each stream has."""
        return {"streams": [{"system": name, "events": count} for name, count in sorted(self.before.items()) if count]}


def stated(data: Mapping[str, Any]) -> dict[str, int] | None:
    """Reads `Streams.statement`; None where it is of another shape."""
    found: dict[str, int] = {}
    streams = data.get("streams")
    if not isinstance(streams, Sequence) or isinstance(streams, str):
        return None
    for one in streams:
        if not isinstance(one, Mapping) or not isinstance(one.get("system"), str) or type(one.get("events")) is not int:
            return None
        found[one["system"]] = one["events"]
    return found
