"""Two policy sets over a recorded call: what each would say, from what was found and said when it was checked.

No detector runs. A policy that is the same in the set that decided then and in the one that is tried has said already
what it says; only what differs is decided again. Exact, or not at all: `Recorded.units` tells whether the findings are
those that the tried set's own detectors would give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.detectors.interface import DetectorUse
from governance.detectors.registry import KINDS
from governance.domain.calls import Call
from governance.domain.content import Part
from governance.domain.decisions import Action, Decision, Outcome, PolicyScope, PolicyStatus
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.decide import Engine
from governance.policy.context import READERS
from governance.policy.policy import Policy, PolicySet, canonical_json

_SAYS_NOTHING = ("tests", "budget", "description", "owner", "title", "controls", "severity")
"""What a policy file holds that changes neither whether it fires nor what happens then."""


@dataclass(frozen=True, slots=True)
class Said:
    """One policy's outcome. `fired`: its condition held or it could not tell, whatever its status, unless an exception
    kept it; `flags`: it made the decision one that acts or asks for a person; `queued`: for a person."""

    policy: str
    fired: bool
    flags: bool
    queued: bool


def said_of(decision: Decision) -> list[Said]:
    """What each policy said in a decision."""
    return [
        _said(one.policy, one.outcome.value, one.status.value, one.action.value, one.queue) for one in decision.policies
    ]


def said_in(policies: Iterable[Mapping[str, Any]]) -> list[Said]:
    """What each policy said in a stored decision's documents."""
    return [_said(one["policy"], one["outcome"], one["status"], one["action"], one["queue"]) for one in policies]


def _said(policy: str, outcome: str, status: str, action: str, queue: str) -> Said:
    kept = outcome == Outcome.EXCEPTED
    acts = status == PolicyStatus.ENFORCE and not kept
    return Said(policy, not kept, acts and (action != Action.ALLOW or bool(queue)), acts and bool(queue))


class Side:
    """One of the two sets, beside the set that decided then: `kept` are the policies that are the same in both, the
    engine decides the rest. `stale` asks whether findings by these units are those that it would read."""

    def __init__(
        self, policy_set: PolicySet, units: Mapping[str, str], decided: PolicySet | None, clock: Callable[[], datetime]
    ) -> None:
        before = {policy.id: meaning(policy) for policy in decided.policies} if decided is not None else {}
        policies = [policy for policy in policy_set.policies if decides(policy)]
        self.kept = frozenset(policy.id for policy in policies if before.get(policy.id) == meaning(policy))
        changed = [policy for policy in policies if policy.id not in self.kept]
        self.sequences = any(policy.scope is not PolicyScope.CALL for policy in changed)
        self.engine = Engine(PolicySet(changed), clock=clock) if changed else None
        self.needs = needs(changed)
        self.needs_texts = needs_texts(changed)
        self._read = {unit: units.get(unit) for policy in policies for unit in units_of(policy, units)}

    def stale(self, versions: Mapping[str, str]) -> bool:
        """Whether a detector that the set's policies read has changed since: `versions` are those of then."""
        return any(versions.get(unit) != version for unit, version in self._read.items())

    def said(
        self,
        recorded: Sequence[Said],
        call: Call | None,
        parts: Sequence[Part],
        findings: Sequence[Finding],
        failures: Sequence[DetectorFailure],
    ) -> list[Said]:
        """What the set says of the call; `call` may be None where nothing has to be decided again."""
        said = [one for one in recorded if one.policy in self.kept]
        if self.engine is not None and call is not None:
            said += said_of(self.engine.decide(call, parts, findings, failures))
        return said


def meaning(policy: Policy) -> bytes:
    """What of a policy decides, as comparable bytes."""
    stated = policy.document()
    return canonical_json({name: value for name, value in stated.items() if name not in _SAYS_NOTHING})


def decides(policy: Policy) -> bool:
    return policy.status in (PolicyStatus.SHADOW, PolicyStatus.ENFORCE)


def needs(policies: Iterable[Policy]) -> frozenset[str]:
    """The fields of `call` that conditions and exceptions of these policies may read."""
    words = _words(policies)
    return frozenset(name for name in READERS if name in words)


def needs_texts(policies: Iterable[Policy]) -> bool:
    """Whether any of them reads how long texts are: then the calls' contents must be opened."""
    words = _words(policies)
    return "output_length" in words or {"documents", "length"} <= words


def _words(policies: Iterable[Policy]) -> set[str]:
    texts = (text for policy in policies for text in (policy.when, *(one.when for one in policy.exceptions)))
    return set(re.findall(r"\w+", " ".join(texts)))


def units_of(policy: Policy, units: Mapping[str, str]) -> set[str]:
    """The detectors' units whose findings the policy reads: of the packs that it names, or of the whole detector."""
    read: set[str] = set()
    for detect in policy.detectors.values():
        use: DetectorUse = detect.requested
        prefix = f"{use.name}/"
        parts = {unit for unit in units if unit.startswith(prefix)}
        kind = KINDS.get(use.name)
        packs = kind.selected(use.options) if kind is not None and kind.selected is not None else None
        if parts and packs is not None:
            read |= {f"{prefix}{pack}" for pack in packs}
        else:
            read |= parts or {use.name}
    return read
