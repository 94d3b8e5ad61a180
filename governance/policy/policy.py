"""A policy and a policy set: what follows from findings, as immutable values.

The models below *are* the policy language (`governance/v1`): the published JSON Schema, the editor's completion and
the field tables of docs/policies.md are made from them. Defaults never change within an apiVersion, since a set's
digest covers what was written, not what was left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from governance.detectors.interface import DetectorUse
from governance.detectors.registry import resolved, selects
from governance.domain.calls import Call, CallKind
from governance.domain.content import PartKind
from governance.domain.decisions import Action, Operator, PolicyScope, PolicyStatus, Severity
from governance.domain.findings import Finding
from governance.policy.controls import describe

API_VERSION = "governance/v1"

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Of a detector in a condition, or of a parameter: an identifier that CEL accepts."""
Queue: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,39})?$")]
PolicyId: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)+$", max_length=120)
]
Line: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Condition: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=8000)]
ParamValue: TypeAlias = bool | int | float | str | list[str] | list[float]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Scope(_Model):
    """Which calls a policy applies to, and in which of their parts findings count."""

    systems: list[Line] = Field(default=["*"], min_length=1, description="Systems, by name or shell pattern.")
    parts: list[Annotated[PartKind, Field(strict=False)]] = Field(
        default=[],
        description="Parts whose findings count; empty is every part. Findings about the call as a whole always count.",
    )
    kinds: list[Annotated[CallKind, Field(strict=False)]] = Field(
        default=[], description="Kinds of call; empty is every kind."
    )
    roles: list[Line] = Field(default=["*"], min_length=1, description="End-user roles, by name or shell pattern.")
    releases: list[Line] = Field(
        default=["*"], min_length=1, description="Releases, by name or fingerprint, or shell pattern of either."
    )

    def covers(self, call: Call) -> bool:
        """Whether the policy applies to this call at all."""
        if self.kinds and call.kind not in self.kinds:
            return False
        return (
            _matches(self.systems, call.system)
            and _matches(self.roles, call.user.role)
            and (
                self.releases == ["*"]
                or _matches(self.releases, call.release.name)
                or _matches(self.releases, call.release.fingerprint)
            )
        )


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(pattern == "*" or fnmatchcase(name, pattern) for pattern in patterns)


class Detect(BaseModel):
    """A detector, under the name that the condition uses. Every further key is an option of the detector."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    use: Line = Field(description="The detector's registered name (`governance detectors list`).")

    @cached_property
    def stated(self) -> DetectorUse:
        """The request as the policy makes it."""
        return DetectorUse(name=self.use, options=dict(self.__pydantic_extra__ or {}))

    @cached_property
    def requested(self) -> DetectorUse:
        """The request of the detector that answers it: `pii` and `secrets` are answered by `patterns`."""
        return resolved(self.stated)

    def states(self, finding: Finding) -> bool:
        """Whether this use asked for such a finding: of the detector and, for patterns, of one of its packs ..."""
        return selects(self.requested, finding)


class Then(_Model):
    """What happens when the condition is true."""

    action: Annotated[Action, Field(strict=False)] = Field(
        default=Action.ALLOW,
        description="What the application is told to do; the strictest action of all policies wins.",
    )
    queue: Queue = Field(
        default="",
        description="The queue in which a person looks at the call, whatever the action; empty is no review.",
    )
    explain: Line = Field(
        description="Why, for the person who reads the case. Placeholders: {finding.*}, {params.*}, {call.*}."
    )
    redact: dict[Name, Operator] = Field(
        default={},
        description="How `redact` takes something out, by label or category (email: mask): replace by what it is, mask "
        "all but the last four characters, hash with the installation's key, encrypt for this call. Default: replace.",
    )
    safe_response: Annotated[str, StringConstraints(max_length=2000)] = Field(
        default="", description="What the application says instead of the answer, for safe_default and block."
    )


class Exemption(_Model):
    """A case in which the policy does not act, approved by somebody, for a limited time."""

    when: Condition = Field(description="CEL, over the same names as the policy's condition.")
    expires: Annotated[date, Field(strict=False)] = Field(description="The last day on which it counts (UTC).")
    approved_by: Line = Field(description="Who approved it.")
    reason: Line = Field(description="Why it was approved.")


class PolicyTest(_Model):
    """An example call, and what the policy must decide about it. `todo` states what it does not decide yet."""

    name: Line = Field(description="What the example shows.")
    call: dict[str, Any] | Line = Field(
        description="The call, as for `governance check`, or a JSON file beside the policy that holds one."
    )
    expect: Literal["fire", "allow", "redact", "retry", "fallback", "safe_default", "block", "error"] | None = Field(
        default=None,
        description="The action, or `fire`: the condition is true, whatever the action; `error`: on_error applies.",
    )
    todo: Literal["fire", "allow", "redact", "retry", "fallback", "safe_default", "block"] | None = Field(
        default=None, description="As expect, for what the policy does not manage yet: it may fail, not pass unnoticed."
    )
    queue: str | None = Field(default=None, description="The queue that is expected, if the test is about it.")
    explain: str | None = Field(default=None, description="Text that the explanation must contain.")


class Budget(_Model):
    """What the policy may cost before somebody looks at it again (`policy backtest`)."""

    max_alert_rate: float = Field(default=1.0, ge=0, le=1, description="Largest share of calls that it may flag.")
    min_precision: float = Field(default=0.0, ge=0, le=1, description="Least share of alerts that reviewers confirm.")


Direction: TypeAlias = Literal["lower", "higher", "more", "fewer"]
"""In which direction a parameter is stricter: a smaller or larger number, a list with more or with fewer items."""


class Floor(_Model):
    """Makes the policy a floor: limits what policies that extend it may change."""

    params: dict[Name, Direction] = Field(
        default={},
        description="In which direction each parameter may be changed; one that is not named is fixed.",
        examples=[{"min_score": "lower", "labels": "more"}],
    )
    exceptions_days: int = Field(
        default=0, ge=0, le=366, description="How long an exception of such a policy may run; 0: it may have none."
    )


OnError: TypeAlias = Literal["review", "redact", "retry", "fallback", "safe_default", "block"]


class Policy(_Model):
    """One policy file."""

    apiVersion: Literal["governance/v1"] = Field(description="The version of this language.")
    kind: Literal["Policy"] = Field(description="The kind of the file.")
    id: PolicyId = Field(description="`family.name`, unique in the set: what decisions, cases and evidence refer to.")
    title: Line = Field(description="What it is about, in a few words, as reviewers see it.")
    owner: Line = Field(description="The team that answers for it.")
    status: Annotated[PolicyStatus, Field(strict=False)] = Field(
        description="draft: tests only; shadow: decides and is recorded, acts on nothing; enforce; retired."
    )
    severity: Annotated[Severity, Field(strict=False)] = Field(description="How bad it is if true: orders the queue.")
    description: Annotated[str, StringConstraints(max_length=4000)] = Field(
        default="", description="What it is for, what it misses, and what a reviewer should look at."
    )
    scope: Annotated[PolicyScope, Field(strict=False)] = Field(
        default=PolicyScope.CALL,
        description="call: the condition is about one call; trace, session: about the `steps` that it is one of.",
    )
    applies_to: Scope = Field(default=Scope(), description="Which calls, and which parts of them.")
    detectors: dict[Name, Detect] = Field(
        default={}, description="The detectors it reads, by the name that `f.detector` has."
    )
    params: dict[Name, ParamValue] = Field(
        default={}, description="Numbers and words that the condition reads as params.*."
    )
    when: Condition = Field(description="The condition, in CEL: true means that the policy fires.")
    then: Then = Field(description="What happens then.")
    on_error: OnError = Field(
        default="review",
        description="What happens when the condition or a detector fails: human review, or an action and review.",
    )
    controls: dict[str, list[Line]] = Field(
        default={}, description="Controls of outside frameworks that it is mapped to.", json_schema_extra=describe
    )
    exceptions: list[Exemption] = Field(default=[], description="Approved exceptions, each with an end.")
    tests: list[PolicyTest] = Field(default=[], description="Examples: at least one that fires and one that does not.")
    budget: Budget = Field(default=Budget(), description="What it may cost.")
    floor: Floor | None = Field(
        default=None, description="Makes it part of the organisation's floor (in the folder `floor/`)."
    )
    extends: PolicyId | Literal[""] = Field(
        default="",
        description="The floor's policy of which it takes over all that it does not state; it may only tighten it.",
    )

    def document(self) -> dict[str, Any]:
        """The policy as a JSON-compatible value: what was written, without what was left to its default."""
        return self.model_dump(mode="json", exclude_defaults=True)


class PolicySet:
    """All policies in force together. Equal content has an equal digest, whatever the order and layout of the files.

    `policies` are ordered by id, without duplicates. `access` holds the Cedar files that data access is decided by,
    text by relative path.
    """

    def __init__(self, policies: Iterable[Policy], *, access: Mapping[str, str] | None = None) -> None:
        self.policies: tuple[Policy, ...] = tuple(sorted(policies, key=lambda policy: policy.id))
        self.access: Mapping[str, str] = dict(sorted((access or {}).items()))
        identifiers = [policy.id for policy in self.policies]
        if len(set(identifiers)) != len(identifiers):
            raise ValueError("A policy set contains each id once.")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of `document()`, 64 hex digits."""
        return hashlib.sha256(canonical_json(self.document())).hexdigest()

    def get(self, identifier: str) -> Policy | None:
        return next((policy for policy in self.policies if policy.id == identifier), None)

    @cached_property
    def scopes(self) -> frozenset[PolicyScope]:
        """The scopes of the policies that decide: where none is about sequences, no other call need be known."""
        return frozenset(
            policy.scope for policy in self.policies if policy.status in (PolicyStatus.SHADOW, PolicyStatus.ENFORCE)
        )

    def detector_uses(self) -> tuple[DetectorUse, ...]:
        """What the policies that decide (shadow, enforce) ask for, each distinct request once."""
        uses: dict[str, DetectorUse] = {}
        for policy in self.policies:
            if policy.status in (PolicyStatus.SHADOW, PolicyStatus.ENFORCE):
                for detect in policy.detectors.values():
                    use = detect.requested
                    uses[canonical_json([use.name, use.options]).decode()] = use
        return tuple(uses[key] for key in sorted(uses))

    def document(self) -> dict[str, Any]:
        """The set as a JSON-compatible value, from which `from_document` makes an equal set again."""
        return {
            "apiVersion": API_VERSION,
            "kind": "PolicySet",
            "policies": [policy.document() for policy in self.policies],
            "access": dict(self.access),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PolicySet:
        """The stored set: raises ValueError (of pydantic) when the value is no set of this language version."""
        policies = [Policy.model_validate(item) for item in document["policies"]]
        return cls(policies, access=document.get("access"))


def canonical_json(value: object) -> bytes:
    """Sorted keys, no spaces, UTF-8: one byte sequence for one value. Floats as Python's shortest repr."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def stored_digest(text: str) -> str:
    """The digest of a set as it was stored (JSON of `PolicySet.document`), whatever this version would make of it; ""
    for what is no JSON."""
    try:
        return hashlib.sha256(canonical_json(json.loads(text))).hexdigest()
    except (ValueError, RecursionError):
        return ""
