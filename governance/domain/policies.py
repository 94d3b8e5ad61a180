"""How a policy set comes into force: who proposed and approved it, when it ran in shadow, and when in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class RolloutState(StrEnum):
    """proposed -> approved (by another person) -> shadow -> enforce -> retired; a rejected one goes no further.

    `SHADOW` decides every call beside the set in force, is recorded, and acts on nothing.
    """

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    SHADOW = "shadow"
    ENFORCE = "enforce"
    RETIRED = "retired"


UNDER_WAY = (RolloutState.PROPOSED, RolloutState.APPROVED, RolloutState.SHADOW)
"""Of a set that may still come into force."""


class RolloutOrigin(StrEnum):
    """Where the set came from: the policy files, an earlier set that was restored, or the first start."""

    FILES = "files"
    ROLLBACK = "rollback"
    FIRST = "first"


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutStep:
    """What a rollout became, by whom (`by` is a reference such as `person:17` or `operator:anna`), and why."""

    state: RolloutState
    by: str
    by_name: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """`id` is the small number people say. `digest` is the set's, `against` that of the set in force when it was
    proposed ("" for the first). `gate` is what tests and budgets said then, a JSON object."""

    id: int
    state: RolloutState
    origin: RolloutOrigin
    policy_set_id: int
    digest: str
    against: str
    proposed_by: str
    proposed_at: datetime
    gate: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[RolloutStep, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it may still go further."""
        return self.state not in (RolloutState.REJECTED, RolloutState.RETIRED)

    def when(self, state: RolloutState) -> datetime | None:
        """When it last became so; None if it never did."""
        return next((step.at for step in reversed(self.steps) if step.state is state), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingSet:
    """A policy set that decides now."""

    rollout: int
    policy_set_id: int
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingSets:
    """The sets that decide now: the one in force (None before the first start), and the one in shadow, if any."""

    enforce: StandingSet | None = None
    shadow: StandingSet | None = None
