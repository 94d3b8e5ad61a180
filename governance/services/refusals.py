"""Refusals of API keys, one audit event a key and minute: a flood of them must not fill the log.

The first refusal of a key is an event at once. What follows within a minute is counted, and is one event when the
minute is over or the process ends. Nothing but a crash loses a count, and then at most a minute's. All keys that nobody
knows share one entry, so guessing makes no more events than one broken client.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

import structlog

from governance.domain.events import Event, EventKind, Json
from governance.domain.people import SERVICE, Actor
from governance.services.ports import Clock, Database

INTERVAL = timedelta(minutes=1)
_NETWORKS = 64
_KEPT = 4_096
_LOG = structlog.get_logger("governance.keys")


class Reason(StrEnum):
    """Why a key was refused. `MISSING` is counted only: no key was there to be refused."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"
    SCOPE = "scope"
    SYSTEM = "system"
    PERMISSION = "permission"


@dataclass(slots=True)
class _Pending:
    """Refusals of one key that no event speaks of yet. `tried` is when an event was last written, or failed to be."""

    tried: datetime | None = None
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    wanted: set[str] = field(default_factory=set)
    subject: str = ""
    system: str = ""
    networks: Counter[str] = field(default_factory=Counter)

    def due(self, now: datetime) -> bool:
        return self.tried is None or not timedelta(0) <= now - self.tried < INTERVAL

    def take(self, now: datetime) -> _Pending:
        """What waits, which is then no longer here."""
        taken = _Pending(
            tried=now,
            count=self.count,
            reasons=self.reasons,
            wanted=self.wanted,
            subject=self.subject,
            system=self.system,
            networks=self.networks,
        )
        self.tried, self.count, self.subject, self.system = now, 0, "", ""
        self.reasons, self.wanted, self.networks = Counter(), set(), Counter()
        return taken

    def put_back(self, taken: _Pending) -> None:
        self.count += taken.count
        self.reasons += taken.reasons
        self.wanted |= taken.wanted
        self.subject, self.system = taken.subject, taken.system
        self.networks += taken.networks


class Refusals:
    """Thread-safe. Bounded: as many entries as keys that were refused lately, and one for all that nobody knows."""

    def __init__(self, database: Database[Any], clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._counts: Counter[Reason] = Counter(dict.fromkeys(Reason, 0))
        self._timer: threading.Timer | None = None
        self._closed = False

    @property
    def counts(self) -> dict[Reason, int]:
        """How often keys were refused in this process, by reason."""
        with self._lock:
            return dict(self._counts)

    def missing(self) -> None:
        """Counts a request without a key."""
        with self._lock:
            self._counts[Reason.MISSING] += 1

    def unknown(self, reason: Reason, address: str) -> None:
        """A key that is none of ours, from an address; only its network is kept, and only for the process's own log."""
        self._add(SERVICE.reference, reason, network=network_of(address))

    def key(self, actor: Actor, reason: Reason, *, wanted: str = "", subject: str = "", system: str = "") -> None:
        """A key that we know, and whose holder has all of it."""
        self._add(actor.reference, reason, wanted=wanted, subject=subject, system=system)

    def flush(self, *, all_of_them: bool = False) -> None:
        """Writes what waits: of keys whose minute is over, or of all."""
        now = self._clock()
        with self._lock:
            self._timer = None
            due = {
                reference: one.take(now)
                for reference, one in self._pending.items()
                if one.count and (all_of_them or one.due(now))
            }
            self._forget(now)
        self._write(due)
        with self._lock:
            self._start_timer()

    def close(self) -> None:
        """Writes all that waits."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
        self.flush(all_of_them=True)

    def _add(
        self,
        reference: str,
        reason: Reason,
        *,
        wanted: str = "",
        subject: str = "",
        system: str = "",
        network: str = "",
    ) -> None:
        now = self._clock()
        with self._lock:
            self._counts[reason] += 1
            one = self._pending.setdefault(reference, _Pending())
            one.count += 1
            one.reasons[reason.value] += 1
            if wanted:
                one.wanted.add(wanted)
            one.subject, one.system = one.subject or subject, one.system or system
            if network:
                one.networks[network if len(one.networks) < _NETWORKS or network in one.networks else "others"] += 1
            taken = one.take(now) if one.due(now) else None
            if taken is None:
                self._start_timer()
            elif len(self._pending) > _KEPT:
                self._forget(now)
        if taken is not None:
            self._write({reference: taken})

    def _forget(self, now: datetime) -> None:
        self._pending = {name: one for name, one in self._pending.items() if one.count or not one.due(now)}

    def _start_timer(self) -> None:
        """The lock is held."""
        waiting = [one.tried for one in self._pending.values() if one.count and one.tried is not None]
        if self._timer is None and not self._closed and waiting:
            rest = (min(waiting) + INTERVAL - self._clock()).total_seconds()
            self._timer = threading.Timer(min(max(rest, 1.0), INTERVAL.total_seconds()), self.flush)
            self._timer.daemon = True
            self._timer.start()

    def _write(self, taken: dict[str, _Pending]) -> None:
        """One transaction. What cannot be written now is kept for the next: whoever was refused is answered anyway."""
        if not taken:
            return
        try:
            with self._database.write() as tx:
                for event in self._events(taken.items()):
                    tx.append(event)
        except Exception as error:
            _LOG.warning("api_keys.refusals_not_recorded", error=type(error).__name__)
            with self._lock:
                for reference, one in taken.items():
                    self._pending.setdefault(reference, _Pending(tried=one.tried)).put_back(one)
                self._start_timer()
            return
        for reference, one in taken.items():
            _LOG.warning(
                "api_keys.refused",
                key="" if reference == SERVICE.reference else reference,
                count=one.count,
                reasons=dict(one.reasons),
                networks=dict(one.networks.most_common(5)),
            )

    def _events(self, taken: Iterable[tuple[str, _Pending]]) -> Iterable[Event]:
        now = self._clock()
        for reference, one in taken:
            data: dict[str, Json] = {
                "wanted": ", ".join(sorted(one.wanted)),
                "count": one.count,
                "reasons": dict(sorted(one.reasons.items())),
            }
            yield Event(
                kind=EventKind.ACTION_REFUSED,
                at=now,
                actor=reference,
                subject=one.subject,
                system=one.system,
                data=data,
            )


def network_of(address: str) -> str:
    """The /24 or /48 of an address; "" for what is none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    plain = getattr(found, "ipv4_mapped", None) or found
    return str(ip_network((plain, 24 if plain.version == 4 else 48), strict=False))
