"""Decisions: what a policy set decided about one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """1 (low) to 4 (critical)."""
        return list(Severity).index(self) + 1


Operator: TypeAlias = Literal["replace", "hash", "encrypt", "mask"]
"""What stands in place of a text that is taken out; from the least that is shown to the most."""


class Action(StrEnum):
    """What is to happen with a call, from the least to the most strict."""

    ALLOW = "allow"
    REDACT = "redact"
    RETRY = "retry"
    FALLBACK = "fallback"
    SAFE_DEFAULT = "safe_default"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """0 (allow) to 5 (block): the strictest action wins."""
        return list(Action).index(self)


class PolicyStatus(StrEnum):
    """A policy's rollout: draft runs its tests only; shadow decides and is recorded but acts on nothing."""

    DRAFT = "draft"
    SHADOW = "shadow"
    ENFORCE = "enforce"
    RETIRED = "retired"


class PolicyScope(StrEnum):
    """What a policy's condition is about: one call, or the sequence of steps of its trace or of its whole session."""

    CALL = "call"
    TRACE = "trace"
    SESSION = "session"


class Outcome(StrEnum):
    """Why a policy is in a decision: its condition held, its condition or a detector failed (`on_error` answered),
    or an exception that somebody approved kept it from acting."""

    FIRED = "fired"
    ERROR = "error"
    EXCEPTED = "excepted"


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyOutcome:
    """One policy that had something to say. `findings` are indexes into the decision's findings.

    `queue` is "" where no human review is asked for. `explanation` is the policy's own sentence, filled in.
    `values` are the values of the condition's sub-expressions and parameters at the time. `scope` says what it is
    about: in a trace or a session, further calls may show the same incident.
    """

    policy: str
    title: str
    outcome: Outcome
    status: PolicyStatus
    action: Action
    severity: Severity
    queue: str = ""
    explanation: str = ""
    findings: tuple[int, ...] = ()
    controls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    scope: PolicyScope = PolicyScope.CALL


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the policy set `policy_set` (its digest, 64 hex digits) said. `queue` is "" or where a person must look.

    Only `enforce` policies move `action`, `queue` and `severity`; shadow ones are in `policies` and act on nothing.
    """

    action: Action
    policy_set: str
    queue: str = ""
    severity: Severity | None = None
    policies: tuple[PolicyOutcome, ...] = ()
    explanation: str = ""

    @property
    def flagged(self) -> bool:
        return self.action is not Action.ALLOW or bool(self.queue)
