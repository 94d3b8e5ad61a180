"""Counts of a backtest: made by several processes, each over a part of the calls, and added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from governance.engine.compare import Said

EXAMPLES = 8
"""Calls named for a policy and direction."""


@dataclass(slots=True)
class Side:
    """Counts of one set over some calls. `right` and `wrong` are of calls that people judged."""

    flagged: int = 0
    queued: int = 0
    right: int = 0
    wrong: int = 0

    def add(self, flagged: bool, queued: bool, judged: bool | None) -> None:
        self.flagged += flagged
        self.queued += queued
        if flagged and judged is not None:
            self.right += judged
            self.wrong += not judged


@dataclass(slots=True)
class Pair:
    """What the set in force and the tried set say of the same calls."""

    calls: int = 0
    newly: int = 0
    no_longer: int = 0
    violations: int = 0
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)

    def add(self, before: tuple[bool, bool], after: tuple[bool, bool], judged: bool | None, *, count: int = 1) -> None:
        self.calls += count
        self.newly += after[0] and not before[0]
        self.no_longer += before[0] and not after[0]
        self.violations += judged is True
        self.before.add(*before, judged)
        self.after.add(*after, judged)


@dataclass(slots=True)
class Tally:
    """`stale` are calls that nobody can decide without examining them again; `unread` those whose check had failed.
    `about` counts calls by what `applies_to` reads: (system, kind, role, release), the ids of system and release."""

    whole: Pair = field(default_factory=Pair)
    systems: dict[int, Pair] = field(default_factory=dict)
    policies: dict[str, Pair] = field(default_factory=dict)
    about: dict[tuple[int, str, str, int | None], int] = field(default_factory=dict)
    newly: dict[str, list[int]] = field(default_factory=dict)
    no_longer: dict[str, list[int]] = field(default_factory=dict)
    stale: int = 0
    unread: int = 0
    stale_calls: list[int] = field(default_factory=list)

    def quiet(self, key: tuple[int, str, str, int | None]) -> None:
        """A call, not judged, of which neither set says anything: the most frequent case, made cheap."""
        self.about[key] = self.about.get(key, 0) + 1

    def add(
        self,
        call: int,
        key: tuple[int, str, str, int | None],
        before: Sequence[Said],
        after: Sequence[Said],
        judged: bool | None,
    ) -> None:
        """A call, with what the two sets say of it; `judged`: it was a violation (True) or a false alarm."""
        self.about[key] = self.about.get(key, 0) + 1
        was, now = _sums(before), _sums(after)
        self.whole.add(was, now, judged, count=0)
        self.systems.setdefault(key[0], Pair()).add(was, now, judged, count=0)
        spoke_before = {one.policy: one for one in before if one.fired}
        spoke_after = {one.policy: one for one in after if one.fired}
        for policy in spoke_before.keys() | spoke_after.keys():
            old, new = spoke_before.get(policy), spoke_after.get(policy)
            self.policies.setdefault(policy, Pair()).add(
                (old is not None, old is not None and old.queued),
                (new is not None, new is not None and new.queued),
                judged,
                count=0,
            )
            if (old is None) is not (new is None):
                named = (self.newly if old is None else self.no_longer).setdefault(policy, [])
                if len(named) < EXAMPLES:
                    named.append(call)

    def merge(self, other: Tally) -> None:
        _merge(self.whole, other.whole)
        for number, pair in other.systems.items():
            _merge(self.systems.setdefault(number, Pair()), pair)
        for policy, pair in other.policies.items():
            _merge(self.policies.setdefault(policy, Pair()), pair)
        for key, count in other.about.items():
            self.about[key] = self.about.get(key, 0) + count
        for mine, theirs in ((self.newly, other.newly), (self.no_longer, other.no_longer)):
            for policy, calls in theirs.items():
                mine[policy] = [*mine.get(policy, ()), *calls][:EXAMPLES]
        self.stale += other.stale
        self.unread += other.unread
        self.stale_calls += other.stale_calls

    @property
    def calls(self) -> int:
        """How many calls both sets were asked about."""
        return sum(self.about.values())

    def document(self) -> dict[str, Any]:
        """As JSON, for another process."""
        return {
            "whole": _plain(self.whole),
            "systems": [[number, _plain(pair)] for number, pair in self.systems.items()],
            "policies": {policy: _plain(pair) for policy, pair in self.policies.items()},
            "about": [[list(key), count] for key, count in self.about.items()],
            "newly": self.newly,
            "no_longer": self.no_longer,
            "stale": self.stale,
            "unread": self.unread,
            "stale_calls": self.stale_calls,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Tally:
        """What `document` gave."""
        return cls(
            whole=_pair(document["whole"]),
            systems={number: _pair(pair) for number, pair in document["systems"]},
            policies={policy: _pair(pair) for policy, pair in document["policies"].items()},
            about={(key[0], key[1], key[2], key[3]): count for key, count in document["about"]},
            newly=dict(document["newly"]),
            no_longer=dict(document["no_longer"]),
            stale=document["stale"],
            unread=document["unread"],
            stale_calls=list(document["stale_calls"]),
        )


def _sums(said: Iterable[Said]) -> tuple[bool, bool]:
    flags = queued = False
    for one in said:
        flags = flags or one.flags
        queued = queued or one.queued
    return flags, queued


def _merge(mine: Pair, theirs: Pair) -> None:
    mine.calls += theirs.calls
    mine.newly += theirs.newly
    mine.no_longer += theirs.no_longer
    mine.violations += theirs.violations
    for one, other in ((mine.before, theirs.before), (mine.after, theirs.after)):
        one.flagged += other.flagged
        one.queued += other.queued
        one.right += other.right
        one.wrong += other.wrong


def _plain(pair: Pair) -> list[int]:
    sides = [(side.flagged, side.queued, side.right, side.wrong) for side in (pair.before, pair.after)]
    return [pair.calls, pair.newly, pair.no_longer, pair.violations, *sides[0], *sides[1]]


def _pair(values: Sequence[int]) -> Pair:
    calls, newly, no_longer, violations = values[:4]
    return Pair(
        calls=calls,
        newly=newly,
        no_longer=no_longer,
        violations=violations,
        before=Side(*values[4:8]),
        after=Side(*values[8:12]),
    )


def interval(hits: int, of: int, *, z: float = 1.96) -> dict[str, Any]:
    """A share with its 95 % interval (Wilson 1927, without continuity correction); all None where `of` is 0."""
    if not of:
        return {"value": None, "low": None, "high": None, "of": 0}
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return {
        "value": round(share, 6),
        "low": round(max(0.0, middle - half), 6),
        "high": round(min(1.0, middle + half), 6),
        "of": of,
    }
