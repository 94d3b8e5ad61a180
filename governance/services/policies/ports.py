"""What the use cases of policies need from the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from governance.domain.policies import Rollout, RolloutOrigin, RolloutState, StandingSets
from governance.services.ports import UnitOfWork

if TYPE_CHECKING:  # who only records needs no policies, and what they need takes 40 MB
    from governance.policy.policy import PolicySet


class Rollouts(Protocol):
    """Policy sets as stored, and their way into force."""

    def standing(self) -> StandingSets:
        """Which sets decide now."""

    def policy_set(self, policy_set_id: int) -> PolicySet:
        """Raises `ValueError` where this version of the product cannot read what was stored."""

    def genuine(self, policy_set_id: int) -> PolicySet:
        """As `policy_set`, for a set that is to decide. Raises `Tampered` where it does not give its digest."""

    def altered(self) -> Sequence[str]:
        """Digests of the sets that decide now and do not give them: somebody changed them in the database."""

    def known(self, digest: str) -> Sequence[tuple[int, str]]:
        """Id and digest of up to two sets whose digest begins so, the newest first."""

    def keep(self, policy_set: PolicySet, at: datetime) -> tuple[int, bool]:
        """The stored set's id, and whether it is new: the first time a set is seen it is stored whole."""

    def add(
        self,
        *,
        policy_set_id: int,
        against_id: int | None,
        origin: RolloutOrigin,
        state: RolloutState,
        by: str,
        by_name: str,
        at: datetime,
        note: str,
        gate: Mapping[str, Any],
    ) -> int | None:
        """Begins a rollout; None where another set is in force (or in shadow) and this was to be."""

    def move(
        self,
        rollout_id: int,
        was: RolloutState,
        becomes: RolloutState,
        *,
        by: str,
        by_name: str,
        at: datetime,
        note: str = "",
    ) -> bool:
        """False when somebody was faster."""

    def take_turns(self) -> None:
        """Makes transactions that move rollouts wait for each other."""

    def get(self, rollout_id: int) -> Rollout | None: ...

    def steps(self, rollout_id: int) -> Sequence[int]:
        """The ids of a rollout's steps so far."""

    def latest(self, *, limit: int, before: int | None = None) -> Sequence[Rollout]: ...

    def with_digest(self, digest: str) -> Sequence[Rollout]: ...

    def enforced_before(self, *, policy_set_id: int | None = None) -> Rollout | None:
        """The rollout that was in force last before now, of this set or of any other than the present one."""


class Backtests(Protocol):
    """Backtests of policy sets that were run."""

    def add(self, *, digest: str, against: str, by_name: str, at: datetime, result: Mapping[str, Any]) -> int:
        """Gives the id under which `result`, a JSON document, is kept."""

    def of(self, digest: str, against: str) -> Sequence[Mapping[str, Any]]:
        """The documents of the latest backtests of the set with this digest beside another, the newest first, each with
        its `id` and who ran it (`by`)."""


class Transaction(UnitOfWork, Protocol):
    """A unit of work about policies."""

    @property
    def rollouts(self) -> Rollouts: ...

    @property
    def backtests(self) -> Backtests: ...
