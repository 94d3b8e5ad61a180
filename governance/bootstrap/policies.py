"""Policies: their way into force, backtests, and the sets that decide now."""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from governance.bootstrap.foundation import Foundation
from governance.bootstrap.resources import resource
from governance.errors import GovernanceError, Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from governance.domain.policies import StandingSet
    from governance.engine.trial import Trial
    from governance.policy.load import Loaded
    from governance.policy.policy import PolicySet
    from governance.services.calls.in_force import InForce, ReadySet
    from governance.services.policies.backtest.ports import CountersFor
    from governance.services.policies.backtest.run import BacktestService
    from governance.services.policies.controls.report import ControlsService
    from governance.services.policies.read import ReadPolicies
    from governance.services.policies.rollout import RolloutService
    from governance.services.policies.suggest import SuggestService
    from governance.store.calls.decisions import SqlDecisions
    from governance.store.policies.traffic import SqlTraffic


class PolicyParts(Foundation):
    """The use cases of policies."""

    @property
    def policy_files(self) -> PolicySet:
        """The policies of `policies_dir`, read anew: the source, not what is in force. Raises `PolicyErrors`."""
        from governance.policy.load import load as load_policies

        return load_policies(self.policies_dir, packaged=resource("policies"))

    def examine_policies(self, folder: Path | None = None) -> Loaded:
        """The files of `folder` (default: `policies_dir`), read anew, with all that is wrong with them."""
        from governance.policy.load import examine

        return examine(folder or self.policies_dir, packaged=resource("policies"))

    @cached_property
    def read_policies(self) -> ReadPolicies:
        """What policies did, for who may see it."""
        from governance.services.policies.read import ReadPolicies
        from governance.store.policies.queries import PolicyQueries

        return ReadPolicies(self.visible, PolicyQueries(self.database, self.key_ring))

    @cached_property
    def controls(self) -> ControlsService:
        """Which controls of outside frameworks the policies in force are mapped to."""
        from governance.services.policies.controls.report import ControlsService
        from governance.store.policies.queries import PolicyQueries

        queries = PolicyQueries(self.database)
        return ControlsService(self.authority, self.visible, queries, self.rollout.in_force, self.clock)

    def run_tests(self, policy_set: PolicySet) -> list[Trial]:
        """What the tests of a policy set say."""
        from governance.engine.trial import trials

        return list(trials(policy_set, lambda uses: self.build_runner(uses, policy_set.access, thorough=True)))

    @cached_property
    def rollout(self) -> RolloutService:
        """Proposes, approves, promotes and restores policy sets."""
        from governance.services.policies.gate import PolicyGate
        from governance.services.policies.rollout import RolloutService

        gate = PolicyGate(
            partial(self.build_runner, thorough=True), self.backtest, processes=min(2, os.cpu_count() or 1)
        )
        return RolloutService(self.authority, gate)

    @cached_property
    def backtest(self) -> BacktestService:
        """Tries policy sets on recorded calls."""
        from governance.services.policies.backtest.run import BacktestService

        return BacktestService(self.authority, self.new_traffic, self.build_runner, self._counters)

    @cached_property
    def _counters(self) -> CountersFor:
        from governance.services.policies.backtest.counting import counters

        return partial(
            counters,
            build=self.build_runner,
            command=[sys.executable, "-m", "governance.cli.policies.backtester"],
            environment=lambda: {**os.environ, **self.settings.environment()},
        )

    def new_traffic(self, snapshot: str | None = None) -> SqlTraffic:
        """Where one thread reads recorded calls from, for a backtest: as of one moment, which may be another
        process's (`SqlTraffic.shared`). To be closed."""
        from governance.store.policies.traffic import SqlTraffic

        return SqlTraffic(self.database, lambda: self.key_ring, snapshot=snapshot)

    @cached_property
    def in_force(self) -> InForce:
        """The policy sets that decide now. On the first start of all that is the files' set."""
        from governance.services.calls.in_force import InForce

        return InForce(lambda: self.rollout.ensure(lambda: self.policy_files), self._ready_set, _not_ready)

    def _ready_set(self, wanted: StandingSet) -> ReadySet:
        from governance.engine.check import Checker
        from governance.engine.decide import DecisionEngine
        from governance.services.calls.in_force import ReadySet
        from governance.store.calls.checks import register
        from governance.store.policies.rollouts import genuine_set

        try:
            with self.database.read() as connection:
                policy_set = genuine_set(connection, wanted.policy_set_id)
        except ValueError as error:
            raise Misconfigured(
                f"The policy set {wanted.digest[:12]} cannot be read by this version ({type(error).__name__}).",
                advice="Roll back to another: governance policy history.",
            ) from None
        runner = self.build_runner(policy_set.detector_uses(), policy_set.access)
        register(self.database, self.clock, digest=runner.digest, units=runner.units | runner.heeds)
        if self.prepares:
            runner.prepare()
        checker = Checker(runner, DecisionEngine(policy_set, clock=self.clock))
        return ReadySet(policy_set_id=wanted.policy_set_id, policy_set=policy_set, runner=runner, checker=checker)

    @cached_property
    def suggest(self) -> SuggestService:
        from governance.services.policies.suggest import SuggestService
        from governance.store.policies.verdicts import SqlVerdicts

        verdicts = SqlVerdicts(self.database, self.decisions, self.read_call)
        return SuggestService(self.authority, verdicts, partial(self.build_runner, thorough=True), self.backtest)

    @cached_property
    def decisions(self) -> SqlDecisions:
        """Stored decisions with all that they were made of."""
        from governance.store.calls.decisions import SqlDecisions

        return SqlDecisions(self.database, self.key_ring)

    @abstractmethod
    def read_call(self, call_id: int) -> dict[str, Any]:
        """The call object (`CallParts`): suggestions show examples."""


def _not_ready(wanted: StandingSet, error: Exception) -> None:
    import structlog

    reason = str(error) if isinstance(error, GovernanceError) else type(error).__name__
    log = structlog.get_logger("governance.policies")
    log.error("a policy set cannot be used here; the one before goes on", digest=wanted.digest, reason=reason)
