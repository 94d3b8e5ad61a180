"""Records who opens and searches what: one audit event a reader, object and hour, written beside the reading.

Reading must not wait for a commit, so what is to be recorded waits here for at most a second, and is committed
together. A process that is killed loses that second; one that ends writes it. While the database takes no writes,
reading goes on until `MOST` events wait, and is then refused: what nobody can record, nobody reads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from governance.domain.events import Event, EventKind, Json
from governance.domain.people import Actor, ActorKind
from governance.errors import Overloaded
from governance.services.ports import Clock, Database

SECONDS = 1.0
MOST = 10_000
LONG = timedelta(seconds=10)
_KNOWN = 200_000
_LOG = structlog.get_logger("governance.access")
_Key = tuple[str, str, str, str, str]


class AccessLog:
    """Thread-safe, one for the process. A restart within an hour may record once more what is recorded."""

    def __init__(self, database: Database[Any], clock: Clock, *, seconds: float = SECONDS, most: int = MOST) -> None:
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._hour: datetime | None = None
        self._known: set[_Key] = set()
        self._waiting: list[Event] = []
        self._timer: threading.Timer | None = None
        self._closed = False

    def opened(self, actor: Actor, subject: str, system: str) -> None:
        """Somebody reads one object, such as `call:9001`. Raises `Overloaded` where too much waits to be recorded."""
        self._add(EventKind.ACCESS_OPENED, actor, subject, system, ())

    def searched(self, actor: Actor, what: str, by: Iterable[str], system: str = "") -> None:
        """Somebody reads a list (`calls`, `cases`). `by` names the filters used, never what they looked for: words of a
        search may be content."""
        self._add(EventKind.ACCESS_SEARCHED, actor, what, system, tuple(sorted(by)))

    def read_trail(self, actor: Actor, by: Iterable[str]) -> None:
        """Somebody reads the audit trail."""
        self._add(EventKind.AUDIT_READ, actor, "log", "", tuple(sorted(by)))

    def flush(self) -> None:
        """Writes what waits, in one transaction. What cannot be written waits for the next time."""
        with self._writing:
            with self._lock:
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            try:
                with self._database.write() as tx:
                    now = self._clock()
                    for event in waiting:
                        tx.append(_written(event, now))
            except Exception as error:
                _LOG.warning("access.not_recorded", waiting=len(waiting), error=type(error).__name__)
                with self._lock:
                    self._waiting = waiting + self._waiting
                    self._start_timer()

    def close(self) -> None:
        """Writes what waits; nothing starts by itself after this."""
        with self._lock:
            self._closed = True
        self.flush()

    def _add(self, kind: EventKind, actor: Actor, subject: str, system: str, by: tuple[str, ...]) -> None:
        now = self._clock()
        operator = actor.name if actor.kind is ActorKind.SERVICE else ""
        key = (kind.value, f"{actor.reference} {operator}", subject, system, ",".join(by))
        hour = now.replace(minute=0, second=0, microsecond=0)
        with self._lock:
            if hour != self._hour or len(self._known) >= _KNOWN:
                self._hour, self._known = hour, set()
            if key in self._known:
                return
            if len(self._waiting) >= self._most:
                raise Overloaded(
                    "Reading cannot be recorded now, so nothing is shown.",
                    advice="The database takes no writes. See /readyz.",
                    retry_after=5,
                )
            self._known.add(key)
            data: dict[str, Json] = {"by": list(by)} if kind is not EventKind.ACCESS_OPENED else {}
            if operator:
                data["operator"] = operator
            self._waiting.append(
                Event(kind=kind, at=now, actor=actor.reference, subject=subject, system=system, data=data)
            )
            self._start_timer()
        if operator:  # a command ends before a second is over
            self.flush()

    def _start_timer(self) -> None:
        """The lock is held."""
        if self._timer is None and not self._closed and self._waiting:
            self._timer = threading.Timer(self._seconds, self.flush)
            self._timer.daemon = True
            self._timer.start()


def _written(event: Event, now: datetime) -> Event:
    """The event as of its commit: times in the log follow each other. One that waited long says when it was read."""
    if now - event.at <= LONG:
        return replace(event, at=now)
    return replace(event, at=now, data={**event.data, "read_at": event.at.isoformat()})
