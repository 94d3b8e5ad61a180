"""Reading what policies did: how often each fired, and whether people agreed, in systems that the reader may see.

Policies themselves belong to no system: `rollout` gives them to everybody who reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from governance.domain.people import Actor, Permission, Systems
from governance.domain.review import CaseState
from governance.services.visible import Visible


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoke:
    """How often a policy spoke on one day (in days since 1970, UTC), by number of calls. `fired` acted, `shadow_fired`
    acted on nothing; `errors` were answered by on_error; `last_at` is the start of the latest such call."""

    policy: str
    day: int
    fired: int
    errors: int
    excepted: int
    shadow_fired: int
    shadow_errors: int
    last_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """How many calls of a system were decided, by the sets in force and, beside them, in shadow."""

    system: str
    calls: int
    flagged: int
    shadow_calls: int
    shadow_flagged: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What people decided on the cases that a policy opened; `seconds` is their handling time together."""

    policy: str
    violations: int
    false_alarms: int
    seconds: int

    @property
    def cases(self) -> int:
        return self.violations + self.false_alarms


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A case that a policy opened; `outcome` is "" while it is undecided."""

    id: int
    system: str
    state: CaseState
    outcome: str
    opened_at: datetime
    excerpt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyFigures:
    """What all policies did in a period: by policy and day, the calls decided by system, and verdicts by policy."""

    spoke: Sequence[Spoke]
    decided: Sequence[Decided]
    judged: Mapping[str, Judged]


class PolicyQueries(Protocol):
    """What is read of policies' effects, each on a connection of its own. `systems` limits what is found to these."""

    def figures(self, systems: Systems, since: int, *, until: int | None = None) -> PolicyFigures:
        """From day `since` on, up to before `until`."""

    def waiting(self, systems: Systems) -> Mapping[str, int]:
        """How many cases are open now, by policy."""

    def decided(self, systems: Systems, since: int, *, policy_set: int) -> list[Decided]: ...

    def latest_cases(self, policy: str, systems: Systems, *, most: int) -> list[Opened]: ...


class ReadPolicies:
    """What may be read of policies' effects. Every method raises `Denied` for who may read no cases at all.

    Days count from 1970, in UTC.
    """

    def __init__(self, visible: Visible, queries: PolicyQueries) -> None:
        self._visible = visible
        self._queries = queries

    def figures(self, actor: Actor, since: int) -> PolicyFigures:
        """What each policy did from day `since` on."""
        return self._queries.figures(self._seen(actor), since)

    def decided(self, actor: Actor, since: int, *, policy_set: int) -> list[Decided]:
        """The calls that a policy set decided from day `since` on, by system."""
        return self._queries.decided(self._seen(actor), since, policy_set=policy_set)

    def latest_cases(self, actor: Actor, policy: str, *, most: int = 6) -> list[Opened]:
        """The latest cases of a policy."""
        return self._queries.latest_cases(policy, self._seen(actor), most=most)

    def _seen(self, actor: Actor) -> Systems:
        return self._visible.systems(actor, Permission.READ_CASES)
