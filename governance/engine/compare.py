"""Two policy sets over a recorded call: what each would say, from what was found and said when it was checked.

No detector runs. A policy that is the same in the set that decided then and in the one that is tried has said already
what it says; only what differs is decided again. Exact, or not at all: `Side.stale` tells where what differs would
need findings that are not those of the tried set's own detectors. What a policy said that is the same in all three
stands as it was recorded: it is no difference, whatever its detectors have become since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from governance.detectors.interface import DetectorUse
from governance.detectors.registry import KINDS
from governance.detectors.runner import LATE, Runner, unit_of
from governance.domain import steps
from governance.domain.calls import Call
from governance.domain.content import Part
from governance.domain.decisions import Action, Decision, Outcome, PolicyScope, PolicyStatus
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.decide import DecisionEngine
from governance.policy.conditions import Language
from governance.policy.policy import Policy, PolicySet, canonical_json

_SAYS_NOTHING = ("tests", "budget", "description", "owner", "title", "controls", "severity")
"""What a policy file holds that changes neither whether it fires nor what happens then."""


class Said(NamedTuple):
    """One policy's outcome. `fired`: its condition held or it could not tell, whatever its status, unless an exception
    kept it; `flags`: it made the decision one that acts or asks for a person; `queued`: for a person. `action` is the
    rank of what it does (0 where it acts on nothing)."""

    policy: str
    fired: bool
    flags: bool
    queued: bool
    action: int = 0


def said_of(decision: Decision) -> list[Said]:
    """The outcome of each policy in a decision."""
    return [_said(one.policy, one.outcome, one.status, one.action, one.queue) for one in decision.policies]


def said_in(policies: Iterable[Mapping[str, Any]]) -> list[Said]:
    """The outcome of each policy in a stored decision's documents."""
    return [_said(one["policy"], one["outcome"], one["status"], one["action"], one["queue"]) for one in policies]


_RANKS = {action.value: action.rank for action in Action}


def _said(policy: str, outcome: str, status: str, action: str, queue: str) -> Said:
    kept = outcome == Outcome.EXCEPTED
    rank = _RANKS[action] if status == PolicyStatus.ENFORCE and not kept else 0
    queued = status == PolicyStatus.ENFORCE and not kept and bool(queue)
    return Said(policy, not kept, rank > 0 or queued, queued, rank)


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """The detectors that a policy set gets here: the version of each unit, those that are absent, and what the late
    ones are to look at. As `Runner` says it, and as it is written down with each detector set."""

    units: Mapping[str, str]
    absent: frozenset[str] = frozenset()
    heeds: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, runner: Runner) -> Installed:
        return cls(units=runner.units, absent=runner.absent, heeds=runner.heeds)

    def document(self) -> dict[str, Any]:
        """As JSON, for another process."""
        return {"units": dict(self.units), "absent": sorted(self.absent), "heeds": dict(self.heeds)}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Installed:
        """Reads what `document` gave."""
        return cls(units=document["units"], absent=frozenset(document["absent"]), heeds=document["heeds"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """Policies that read the same of a call, by themselves. Where nothing was found and nothing failed, they say the
    same of all calls that are alike to `applies_to` and in what is read (as `read_by` names it)."""

    reads: frozenset[str]
    engine: DecisionEngine

    def said(
        self,
        call: Call,
        parts: Sequence[Part] = (),
        findings: Sequence[Finding] = (),
        failures: Sequence[DetectorFailure] = (),
        sequence: steps.OtherSteps = steps.ALONE,
    ) -> list[Said]:
        """What the policies say about a call, as `DecisionEngine.decide` takes it."""
        return said_of(self.engine.decide(call, parts, findings, failures, sequence))


class Side:
    """One of the two sets, beside the set that decided then: `kept` are the policies that are the same in both, the
    engines decide the rest, as on the day of `now`: an exception that has ended is one no more.

    `decided` is None where this version cannot read the set that decided: then nothing is kept. `beside` is the other
    side's set. `alike` holds the policies that are decided, by what they read.
    """

    def __init__(
        self,
        policy_set: PolicySet,
        installed: Installed,
        decided: PolicySet | None,
        *,
        beside: PolicySet,
        now: datetime,
    ) -> None:
        before = {policy.id: meaning(policy) for policy in decided.policies} if decided is not None else {}
        policies = [policy for policy in policy_set.policies if decides(policy)]
        today = now.astimezone(UTC).date()
        self.kept = frozenset(
            policy.id
            for policy in policies
            if before.get(policy.id) == meaning(policy) and all(one.expires >= today for one in policy.exceptions)
        )
        changed = [policy for policy in policies if policy.id not in self.kept]
        others = {policy.id: meaning(policy) for policy in beside.policies}
        differing = [
            policy for policy in policies if policy.id not in self.kept or others.get(policy.id) != meaning(policy)
        ]
        self.scopes = frozenset(policy.scope for policy in changed) - {PolicyScope.CALL}
        by_reads: dict[frozenset[str], list[Policy]] = {}
        for policy in changed:
            by_reads.setdefault(read_by(policy), []).append(policy)
        self.alike = tuple(
            Alike(reads=reads, engine=DecisionEngine(PolicySet(some), clock=lambda: now))
            for reads, some in by_reads.items()
        )
        self.reads = frozenset[str]().union(*(one.engine.language.reads for one in self.alike))
        self.reads_lengths = "output_length" in self.reads or ("documents" in self.reads and _names_length(changed))
        self._installed = installed
        self._units = frozenset(unit for policy in differing for unit in units_of(policy, installed.units))
        self._names = frozenset(unit.partition("/")[0] for unit in self._units)
        self._asked = (
            frozenset(use.name for use in decided.detector_uses()) if decided is not None else frozenset[str]()
        )

    def stale(self, versions: Mapping[str, str]) -> bool:
        """Whether a detector that differing policies read has changed since, or did not run then; `versions` are what
        was written down of the detectors of then."""
        units = self._installed.units
        for unit in self._units:
            version = units.get(unit)
            if version is not None:
                if versions.get(unit) != version:
                    return True
            elif unit not in self._asked or any(one == unit or one.startswith(f"{unit}/") for one in versions):
                return True  # it is not there now, and that is not what was known of it then
        return False

    def looks_elsewhere(self, skipped: Iterable[str], versions: Mapping[str, str]) -> bool:
        """Whether one of these detectors, which did not examine a call then, would examine other calls now."""
        heeds = self._installed.heeds
        return any(
            name in self._names and versions.get(f"{LATE}{name}") != heeds.get(f"{LATE}{name}") for name in skipped
        )

    def own(self, findings: Sequence[Finding], versions: Mapping[str, str]) -> Sequence[Finding]:
        """Those of the findings that the set's detectors would make."""
        units = self._installed.units
        return [finding for finding in findings if unit_of(finding, versions) in units]

    def said(
        self,
        call: Call,
        parts: Sequence[Part] = (),
        findings: Sequence[Finding] = (),
        failures: Sequence[DetectorFailure] = (),
        sequence: steps.OtherSteps = steps.ALONE,
    ) -> list[Said]:
        """What the policies that are not kept say of the call."""
        return [said for one in self.alike for said in one.said(call, parts, findings, failures, sequence)]


def meaning(policy: Policy) -> bytes:
    """The parts of a policy that affect decisions, as comparable bytes."""
    stated = policy.document()
    return canonical_json({name: value for name, value in stated.items() if name not in _SAYS_NOTHING})


def decides(policy: Policy) -> bool:
    """Whether the policy decides, if only in shadow."""
    return policy.status in (PolicyStatus.SHADOW, PolicyStatus.ENFORCE)


DOCUMENTS = "documents.size"
"""That conditions read how many documents a call has, and nothing else of them."""
_ONLY = (
    ("user", re.compile(r"\bcall\s*\.\s*user\s*\.\s*role\b"), frozenset[str]()),
    ("documents", re.compile(r"\bcall\s*\.\s*documents\s*\.\s*size\s*\(\s*\)"), frozenset({DOCUMENTS})),
)
"""Selections of a part of a field: where nothing else names the field, that part is all that is read of it."""


def read_by(policy: Policy) -> frozenset[str]:
    """The fields of `call` that a policy's conditions read, besides what `applies_to` reads; perhaps too many, never
    too few."""
    reads = Language([policy]).reads
    for name, part, instead in _ONLY:
        if name in reads and re.search(rf"\b{name}\b", part.sub(" ", _conditions([policy]))) is None:
            reads = reads - {name} | instead
    return reads


def _names_length(policies: Iterable[Policy]) -> bool:
    return re.search(r"\blength\b", _conditions(policies)) is not None


def _conditions(policies: Iterable[Policy]) -> str:
    return " ".join(text for policy in policies for text in (policy.when, *(one.when for one in policy.exceptions)))


def units_of(policy: Policy, units: Iterable[str]) -> set[str]:
    """The detectors' units whose findings the policy reads: of the packs that it names, or of the whole detector."""
    read: set[str] = set()
    for detect in policy.detectors.values():
        use: DetectorUse = detect.requested
        prefix = f"{use.name}/"
        parts = {unit for unit in units if unit.startswith(prefix)}
        kind = KINDS.get(use.name)
        packs = kind.selected(use.options) if kind is not None and kind.selected is not None else None
        if parts and packs is not None:
            read |= {unit if (unit := f"{prefix}{pack}") in parts else use.name for pack in packs}
        else:
            read |= parts or {use.name}
    return read
