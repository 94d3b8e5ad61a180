"""Runs the tests that policies carry: each policy alone, enforced, on its own examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from governance.detectors.interface import DetectorUse
from governance.domain.calls import Call
from governance.domain.decisions import Outcome, PolicyOutcome, PolicyStatus
from governance.engine.check import Checked, Checker, Examiner, around_of
from governance.engine.decide import DecisionEngine
from governance.engine.request import call_from, steps_from
from governance.errors import BadInput
from governance.policy.policy import Policy, PolicySet, PolicyTest
from governance.policy.subconditions import Observation, SubCondition, SubConditions


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One test's result. A `todo` test may fail; one that passes is a failure, so that it is made a promise.

    `seen` is what each part of the condition came to, where that was asked for; empty for a policy that is not about
    the call, and for a call that is none.
    """

    policy: str
    name: str
    number: int
    expected: str
    got: str
    todo: bool
    met: bool
    reason: str = ""
    seconds: float = 0.0
    seen: tuple[tuple[SubCondition, Observation], ...] = ()

    @property
    def passed(self) -> bool:
        return self.met is not self.todo


def trials(
    policy_set: PolicySet,
    build: Callable[[Iterable[DetectorUse]], Examiner],
    *,
    only: str = "",
    observe: bool = False,
) -> Iterator[Trial]:
    """All tests of all policies (of one with `only`), in order. `build` makes the detectors they ask for; with
    `observe` each trial says what the parts of the condition came to."""
    enforced = PolicySet(
        [
            policy.model_copy(update={"status": PolicyStatus.ENFORCE})
            for policy in policy_set.policies
            if policy.status is not PolicyStatus.RETIRED and only in ("", policy.id)
        ],
        access=policy_set.access,
    )
    runner = build(enforced.detector_uses())
    for policy in enforced.policies:
        if policy.tests:
            checker = Checker(runner, DecisionEngine(PolicySet([policy], access=policy_set.access)))
            asked = SubConditions(checker.engine.language, policy) if observe else None
            for number, test in enumerate(policy.tests):
                yield _try(policy, test, number, checker, asked)


def _try(policy: Policy, test: PolicyTest, number: int, checker: Checker, asked: SubConditions | None) -> Trial:
    began = time.perf_counter()
    seen: tuple[tuple[SubCondition, Observation], ...] = ()
    todo = test.todo is not None
    expected = (test.todo if todo else test.expect) or "allow"
    try:
        call = call_from(test.call, strict=True)
        checked = checker.check(call, around=around_of(steps_from(test.call, call, strict=True)))
    except BadInput as error:
        # What is no call can be no promise either: it fails, todo or not.
        got, met, reason = "no call", todo, str(error)
    else:
        outcome = next(iter(checked.decision.policies), None)
        got, reason = _said(outcome), outcome.explanation if outcome is not None else ""
        met = _meets(expected, got, outcome)
        if met and test.queue is not None and checked.decision.queue != test.queue:
            met, reason = False, f"the queue is {checked.decision.queue!r}, not {test.queue!r}"
        if met and test.explain is not None and test.explain not in reason:
            met, reason = False, f"the explanation does not say {test.explain!r}: {reason}"
        if asked is not None:
            seen = _seen(checked, call, checker.engine, asked)
    return Trial(
        policy=policy.id,
        name=test.name,
        number=number,
        expected=expected,
        got=got,
        todo=todo,
        met=met,
        reason=reason,
        seconds=time.perf_counter() - began,
        seen=seen,
    )


def _seen(
    checked: Checked, call: Call, engine: DecisionEngine, asked: SubConditions
) -> tuple[tuple[SubCondition, Observation], ...]:
    for reading in engine.readings(call, checked.parts, checked.findings, checked.failures, checked.sequence):
        observed = asked.observe(reading.call, reading.findings, reading.steps)
        return tuple(zip(asked.items, observed, strict=True))
    return ()


def _said(outcome: PolicyOutcome | None) -> str:
    if outcome is None or outcome.outcome is Outcome.EXCEPTED:
        return "allow"
    if outcome.outcome is Outcome.ERROR:
        return "error"
    return "fire" if outcome.action.rank == 0 else outcome.action.value


def _meets(expected: str, got: str, outcome: PolicyOutcome | None) -> bool:
    if expected == "fire":
        return outcome is not None and outcome.outcome is Outcome.FIRED
    return expected == got
