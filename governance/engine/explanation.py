"""Explains a decision: decides again what was decided, and says of each policy what the parts of its condition came to
and which smallest change of a parameter would have turned it.

A decision is a pure function of the policy set, the call, its findings and the day (exceptions expire), so the same
must come out again; `differs` says where it does not. No detector runs here, and no text of the call is given.

Policies about a trace or session saw the steps that were known then; more may have come since. What they said stands
as it was recorded, without being made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from governance.domain.calls import Call
from governance.domain.content import Part
from governance.domain.decisions import Decision, PolicyOutcome, PolicyScope
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.decide import DecisionEngine, Reading
from governance.engine.flips import Flip, flips
from governance.policy.policy import PolicySet
from governance.policy.subconditions import Observation, SubCondition, SubConditions


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyExplanation:
    """Why one policy said what it said. `outcome` is None for one that had nothing to say though it read findings.

    `parts` are those of its condition, the whole first, each with what it came to. `flips` name the smallest change of
    each parameter that would have turned the condition.
    """

    policy: str
    title: str
    condition: str
    outcome: PolicyOutcome | None
    parts: tuple[tuple[SubCondition, Observation], ...]
    flips: tuple[Flip, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """`decision` is what comes out today of what was known then. `differs` names the fields of the stored decision that
    it does not agree with: empty when it replays exactly."""

    decision: Decision
    differs: tuple[str, ...]
    policies: tuple[PolicyExplanation, ...]


def explain(
    policy_set: PolicySet,
    call: Call,
    parts: Sequence[Part],
    findings: Sequence[Finding],
    failures: Sequence[DetectorFailure],
    *,
    decided: Decision,
    at: datetime,
) -> Explanation:
    """Explains `decided`, which the set said at that time (UTC) of these findings, in their stored order."""
    engine = DecisionEngine(policy_set, clock=lambda: at)
    standing = [outcome for outcome in decided.policies if outcome.scope is not PolicyScope.CALL]
    made = [one for one in engine.decide(call, parts, findings, failures).policies if one.scope is PolicyScope.CALL]
    again = engine.combine([*made, *standing])
    outcomes = {outcome.policy: outcome for outcome in again.policies}
    return Explanation(
        decision=again,
        differs=tuple(_differences(decided, again)),
        policies=tuple(
            _policy(engine, reading, outcomes.get(reading.policy.id))
            for reading in engine.readings(call, parts, findings, failures)
            if (reading.findings and reading.policy.scope is PolicyScope.CALL) or reading.policy.id in outcomes
        ),
    )


def _policy(engine: DecisionEngine, reading: Reading, outcome: PolicyOutcome | None) -> PolicyExplanation:
    policy = reading.policy
    if policy.scope is not PolicyScope.CALL:
        return PolicyExplanation(
            policy=policy.id, title=policy.title, condition=policy.when, outcome=outcome, parts=(), flips=()
        )
    asked = SubConditions(engine.language, policy)
    observed = asked.observe(reading.call, reading.findings)
    return PolicyExplanation(
        policy=policy.id,
        title=policy.title,
        condition=policy.when,
        outcome=outcome,
        parts=tuple(zip(asked.items, observed, strict=True)),
        flips=flips(reading.condition, policy.params, reading.call, reading.findings),
    )


def _differences(then: Decision, now: Decision) -> Iterator[str]:
    for field in fields(Decision):
        if field.name != "policies" and getattr(then, field.name) != getattr(now, field.name):
            yield field.name
    before = {outcome.policy: outcome for outcome in then.policies}
    after = {outcome.policy: outcome for outcome in now.policies}
    for policy in sorted(before.keys() | after.keys()):
        if before.get(policy) != after.get(policy):
            yield f"policies.{policy}"
