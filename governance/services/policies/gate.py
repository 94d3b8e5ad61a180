"""What a policy set must pass before it is proposed: the tests that its policies carry, and their budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from governance.detectors.interface import DetectorUse
from governance.engine.check import Examiner
from governance.engine.trial import trials
from governance.policy.policy import PolicySet
from governance.services.policies.backtest.run import BacktestService
from governance.services.policies.rollout import GateReport, Progress

EXAMINES = 1_000
"""Calls that are looked at again where what was found in them is out of date: enough for a rate, soon done."""

BuildRunner = Callable[[Iterable[DetectorUse], Mapping[str, str]], Examiner]
"""Makes the detectors that are asked for, with a set's access files (text by name)."""


class PolicyGate:
    """Implements `services.policies.rollout.Gate`."""

    def __init__(self, build: BuildRunner, backtest: BacktestService, *, processes: int = 1) -> None:
        self._build = build
        self._backtest = backtest
        self._processes = processes

    def __call__(self, candidate: PolicySet, against: PolicySet, *, by: str, progress: Progress) -> GateReport:
        results = list(trials(candidate, lambda uses: self._build(uses, candidate.access)))
        failed = [
            f"{one.policy}: {one.name}: "
            + (f"expected {one.expected}, got {one.got}" if not one.todo else "it is `todo`, but passes now")
            for one in results
            if not one.passed
        ]
        if failed:  # nobody needs to know what a broken set would cost
            return GateReport(tests=len(results), failed=tuple(failed))
        report = self._backtest.tried(
            by,
            candidate,
            against=against,
            span=self._backtest.span(),
            examine=EXAMINES,
            processes=self._processes,
            progress=progress,
        )
        return GateReport(
            tests=len(results),
            budgets=tuple(one.words for one in report.broken),
            calls=report.calls,
            undecided=report.stale + report.unchecked + report.waiting,
            backtest=report.id,
        )
