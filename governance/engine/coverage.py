"""What the tests of a policy show of its condition: each part of it (`policy.subconditions`) seen true and seen false.

A test that fires and one that does not say little about `a || b && c`. A part that no test has seen true may be
misspelt; one that none has seen false may as well not be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from governance.domain.decisions import PolicyStatus
from governance.engine.trial import Trial
from governance.policy.policy import PolicySet
from governance.policy.subconditions import SubCondition, split


@dataclass(frozen=True, kw_only=True, slots=True)
class PartSeen:
    """A part of a condition: whether a test has seen it true, and whether one has seen it (or the same, for another
    item) false.
    """

    part: SubCondition
    true: bool
    false: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """What no test has seen: "true", "false"."""
        return tuple(word for word, seen in (("true", self.true), ("false", self.false)) if not seen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """One policy's condition as its tests have seen it."""

    policy: str
    parts: tuple[PartSeen, ...]

    @property
    def wanted(self) -> int:
        """Two for each part."""
        return 2 * len(self.parts)

    @property
    def seen(self) -> int:
        return self.wanted - sum(len(one.missing) for one in self.parts)

    @property
    def percent(self) -> float:
        """0 to 100."""
        return 100 * self.seen / self.wanted


def coverage(policy_set: PolicySet, results: Iterable[Trial], *, only: str = "") -> tuple[Coverage, ...]:
    """Of each policy that is not retired (of one with `only`), by id. `results` are observed trials; a `todo` test
    counts, since it shows what the condition came to."""
    by_policy: dict[str, list[Trial]] = {}
    for trial in results:
        by_policy.setdefault(trial.policy, []).append(trial)
    return tuple(
        Coverage(policy=policy.id, parts=_seen(split(policy.when), by_policy.get(policy.id, [])))
        for policy in policy_set.policies
        if policy.status is not PolicyStatus.RETIRED and only in ("", policy.id)
    )


def _seen(parts: Sequence[SubCondition], trials: Iterable[Trial]) -> tuple[PartSeen, ...]:
    true: set[SubCondition] = set()
    false: set[SubCondition] = set()
    for trial in trials:
        true.update(part for part, observed in trial.seen if observed.true)
        false.update(part for part, observed in trial.seen if observed.false)
    return tuple(PartSeen(part=part, true=part in true, false=part in false) for part in parts)
