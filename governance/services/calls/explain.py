"""Why a call was decided as it was: the decision again, what its conditions came to, what would have turned it.

Reading it needs the right to read the call. Nothing of the call's words is given; its lengths and names may stand in
the conditions' values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from governance.domain.calls import Call
from governance.domain.content import Part
from governance.domain.decisions import Decision
from governance.domain.findings import DetectorFailure, Finding
from governance.domain.people import Actor, Permission
from governance.engine.explanation import Explanation, PolicyExplanation, explain
from governance.errors import NotFound
from governance.policy.policy import PolicySet
from governance.services.authorise import Authority
from governance.services.ports import UnitOfWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A stored decision with all that it was made of. `call` is None when its content cannot be read any more, with the
    reason in `unreadable`. `changed` says that the call has got further content since."""

    decision_id: int
    call_id: int
    system: str
    decision: Decision
    findings: Sequence[Finding]
    failures: Sequence[DetectorFailure]
    policy_set: PolicySet
    at: datetime
    call: Call | None
    parts: Sequence[Part] = ()
    changed: bool = False
    unreadable: str = ""


class Decisions(Protocol):
    def load(self, decision_id: int) -> Decided | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedDecision:
    """`told` explains `decided`: `replays` when the same comes out again, to the last value."""

    decided: Decided
    told: Explanation

    @property
    def replays(self) -> bool:
        return not self.told.differs

    def document(self) -> dict[str, Any]:
        """As `GET /v1/decisions/{id}/explanation` and `governance calls explain --json` give it."""
        return {
            "decision_id": str(self.decided.decision_id),
            "call_id": str(self.decided.call_id),
            "policy_set": self.decided.decision.policy_set,
            "decided_at": self.decided.at.isoformat(),
            "action": self.decided.decision.action.value,
            "queue": self.decided.decision.queue,
            "replays": self.replays,
            "differs": list(self.told.differs),
            "call_changed_since": self.decided.changed,
            "policies": [_policy(one, self.decided.findings) for one in self.told.policies],
        }


class ExplainService:
    """Explains stored decisions."""

    def __init__(self, authority: Authority[UnitOfWork], decisions: Decisions) -> None:
        self._authority = authority
        self._decisions = decisions

    def explain(self, actor: Actor, decision_id: int) -> ExplainedDecision:
        """Raises `NotFound` (also where the actor may not know of the call's system), or when content was erased."""
        decided = self._decisions.load(decision_id)
        if decided is None:
            raise NotFound("There is no such decision.")
        self._authority.require(actor, Permission.READ_CALLS, subject=f"call:{decided.call_id}", system=decided.system)
        if decided.call is None:
            raise NotFound(
                f"This decision cannot be made again. {decided.unreadable}",
                advice="What was decided and found is still in the record.",
            )
        told = explain(
            decided.policy_set,
            decided.call,
            decided.parts,
            decided.findings,
            decided.failures,
            decided=decided.decision,
            at=decided.at,
        )
        return ExplainedDecision(decided=decided, told=told)


def _policy(one: PolicyExplanation, findings: Sequence[Finding]) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "policy": one.policy,
        "title": one.title,
        "condition": one.condition,
        "outcome": outcome.outcome.value if outcome is not None else None,
        "status": outcome.status.value if outcome is not None else None,
        "action": outcome.action.value if outcome is not None else None,
        "explanation": outcome.explanation if outcome is not None else "",
        "values": dict(outcome.values) if outcome is not None else {},
        "findings": [_finding(findings[index]) for index in outcome.findings] if outcome is not None else [],
        "parts": [
            {
                "text": part.text,
                "start": part.start,
                "end": part.end,
                "true": seen.true,
                "false": seen.false,
                "failed": seen.failed,
            }
            for part, seen in one.parts
        ],
        "flips": [
            {"param": flip.name, "value": flip.value, "to": flip.to, "condition": flip.holds} for flip in one.flips
        ],
    }


def _finding(finding: Finding) -> Mapping[str, Any]:
    return {
        "detector": finding.detector,
        "rule": finding.rule,
        "pack": finding.pack,
        "label": finding.label,
        "score": finding.score,
        "part": finding.part.value if finding.part is not None else None,
        "index": finding.index,
        "start": finding.start,
        "end": finding.end,
    }
