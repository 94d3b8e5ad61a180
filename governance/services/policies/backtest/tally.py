"""Counts of a backtest: made by several processes, each over a part of the calls, and added up."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from governance.engine.compare import Said

EXAMPLES = 8
"""Calls named for a policy, or for all of them, and direction."""


class Key(NamedTuple):
    """What calls are counted by: all that `applies_to` reads, and the day of their start (in days since 1970, UTC).
    `system` and `release` are ids; the latter None where nothing is known."""

    system: int
    kind: str
    role: str
    release: int | None
    day: int


@dataclass(slots=True)
class Counts:
    """What the set before and the set after say of the same calls. A call is flagged where they act or ask for a
    person, queued where they ask for one. `right` and `wrong` are flagged calls that people judged."""

    newly: int = 0
    no_longer: int = 0
    stricter: int = 0
    milder: int = 0
    violations: int = 0
    flagged_before: int = 0
    flagged_after: int = 0
    queued_before: int = 0
    queued_after: int = 0
    right_before: int = 0
    right_after: int = 0
    wrong_before: int = 0
    wrong_after: int = 0

    def add(self, before: _Sum, after: _Sum, judged: bool | None) -> None:
        self.newly += after.flagged and not before.flagged
        self.no_longer += before.flagged and not after.flagged
        self.stricter += after.action > before.action
        self.milder += after.action < before.action
        self.flagged_before += before.flagged
        self.flagged_after += after.flagged
        self.queued_before += before.queued
        self.queued_after += after.queued
        if judged is not None:
            self.violations += judged
            if before.flagged:
                self.right_before += judged
                self.wrong_before += not judged
            if after.flagged:
                self.right_after += judged
                self.wrong_after += not judged

    def merge(self, other: Counts) -> None:
        for name in _NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def plain(self) -> list[int]:
        return [getattr(self, name) for name in _NAMES]


_NAMES = tuple(one.name for one in fields(Counts))


class _Sum(NamedTuple):
    """What several policies, or one, say together."""

    flagged: bool
    queued: bool
    action: int


_SILENT = _Sum(False, False, 0)


@dataclass(slots=True)
class Tally:
    """`stale` are calls that cannot be decided from what was found, `unchecked` those whose check had failed, `waiting`
    those without a decision yet. `recorded_queued` counts the calls that asked for a person when they were decided.

    `newly` and `no_longer` name calls by policy, "" for the set as a whole. `sample` holds up to `most` stale calls as
    (order, call): an even choice of all, the same each time.
    """

    most: int = 0
    whole: Counts = field(default_factory=Counts)
    systems: dict[int, Counts] = field(default_factory=dict)
    policies: dict[str, Counts] = field(default_factory=dict)
    days: dict[int, list[int]] = field(default_factory=dict)
    about: dict[Key, int] = field(default_factory=dict)
    newly: dict[str, list[int]] = field(default_factory=dict)
    no_longer: dict[str, list[int]] = field(default_factory=dict)
    recorded_queued: int = 0
    stale: int = 0
    unchecked: int = 0
    waiting: int = 0
    sample: list[tuple[int, int]] = field(default_factory=list)

    def quiet(self, key: Key) -> None:
        """A call, not judged, of which neither set says anything: the most frequent case, made cheap."""
        self.about[key] = self.about.get(key, 0) + 1

    def add(
        self, call: int, key: Key, before: Sequence[Said], after: Sequence[Said], judged: bool | None = None
    ) -> None:
        """A call, with what the two sets say of it; `judged`: it was a violation (True) or a false alarm."""
        self.about[key] = self.about.get(key, 0) + 1
        was, now = _sum(before), _sum(after)
        self.whole.add(was, now, judged)
        self.systems.setdefault(key.system, Counts()).add(was, now, judged)
        if was.flagged or now.flagged:
            day = self.days.setdefault(key.day, [0, 0])
            day[0] += was.flagged
            day[1] += now.flagged
            self._name("", call, was.flagged, now.flagged)
        if not before and not after:
            return
        spoke_before = {one.policy: one for one in before if one.fired}
        spoke_after = {one.policy: one for one in after if one.fired}
        for policy in spoke_before.keys() | spoke_after.keys():
            old, new = spoke_before.get(policy), spoke_after.get(policy)
            counts = self.policies.setdefault(policy, Counts())
            counts.add(_one(old), _one(new), judged)
            self._name(policy, call, old is not None, new is not None)

    def _name(self, policy: str, call: int, was: bool, now: bool) -> None:
        if was is not now:
            named = (self.newly if now else self.no_longer).setdefault(policy, [])
            if len(named) < EXAMPLES:
                named.append(call)

    def undecidable(self, call: int) -> None:
        """A stale call."""
        self.stale += 1
        if self.most:
            heapq.heappush(self.sample, (-_order(call), call))
            if len(self.sample) > self.most:
                heapq.heappop(self.sample)

    def merge(self, other: Tally) -> None:
        """Adds what another process counted of other calls."""
        self.whole.merge(other.whole)
        for number, counts in other.systems.items():
            self.systems.setdefault(number, Counts()).merge(counts)
        for policy, counts in other.policies.items():
            self.policies.setdefault(policy, Counts()).merge(counts)
        for day, (before, after) in other.days.items():
            mine = self.days.setdefault(day, [0, 0])
            mine[0] += before
            mine[1] += after
        for key, count in other.about.items():
            self.about[key] = self.about.get(key, 0) + count
        for named, others in ((self.newly, other.newly), (self.no_longer, other.no_longer)):
            for policy, calls in others.items():
                named[policy] = sorted({*named.get(policy, ()), *calls}, reverse=True)[:EXAMPLES]
        self.recorded_queued += other.recorded_queued
        self.stale += other.stale
        self.unchecked += other.unchecked
        self.waiting += other.waiting
        for one in other.sample:
            heapq.heappush(self.sample, one)
            if len(self.sample) > self.most:
                heapq.heappop(self.sample)

    @property
    def calls(self) -> int:
        """How many calls both sets were asked about."""
        return sum(self.about.values())

    @property
    def seen(self) -> int:
        """How many calls were looked at at all."""
        return self.calls + self.stale + self.unchecked + self.waiting

    def document(self) -> dict[str, Any]:
        """As JSON, for another process."""
        return {
            "most": self.most,
            "whole": self.whole.plain(),
            "systems": [[number, counts.plain()] for number, counts in self.systems.items()],
            "policies": {policy: counts.plain() for policy, counts in self.policies.items()},
            "days": list(self.days.items()),
            "about": [[*key, count] for key, count in self.about.items()],
            "newly": self.newly,
            "no_longer": self.no_longer,
            "counts": [self.recorded_queued, self.stale, self.unchecked, self.waiting],
            "sample": self.sample,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Tally:
        """What `document` gave."""
        recorded_queued, stale, unchecked, waiting = document["counts"]
        return cls(
            most=document["most"],
            whole=Counts(*document["whole"]),
            systems={number: Counts(*counts) for number, counts in document["systems"]},
            policies={policy: Counts(*counts) for policy, counts in document["policies"].items()},
            days={day: list(counts) for day, counts in document["days"]},
            about={Key(*key): count for *key, count in document["about"]},
            newly=dict(document["newly"]),
            no_longer=dict(document["no_longer"]),
            recorded_queued=recorded_queued,
            stale=stale,
            unchecked=unchecked,
            waiting=waiting,
            sample=[(order, call) for order, call in document["sample"]],
        )


def _sum(said: Iterable[Said]) -> _Sum:
    flags = queued = False
    action = 0
    for one in said:
        flags = flags or one.flags
        queued = queued or one.queued
        action = max(action, one.action)
    return _Sum(flags, queued, action)


def _one(said: Said | None) -> _Sum:
    """A policy counts where it fired, also in shadow: what it would do is what a backtest is asked for."""
    return _SILENT if said is None else _Sum(True, said.queued, said.action)


def _order(call: int) -> int:
    """Scatters calls evenly, the same each time (Fibonacci hashing)."""
    return call * 11_400_714_819_323_198_485 % 2**64
