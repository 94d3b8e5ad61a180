"""Who acts: a person, an API key, or the system itself. Rights come from roles, checked in the services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Systems = tuple[int, ...] | None
"""Ids of the systems that may be seen; None is all of them."""


class Role(StrEnum):
    REVIEWER = "reviewer"
    SENIOR_REVIEWER = "senior_reviewer"
    COMPLIANCE_OFFICER = "compliance_officer"
    AUDITOR = "auditor"
    ENGINEER = "engineer"
    ADMIN = "admin"


class Permission(StrEnum):
    """What may be allowed: the actions of `policies/access/console.cedar`."""

    READ_CALLS = "read_calls"
    READ_CASES = "read_cases"
    CLAIM_CASE = "claim_case"
    DECIDE_CASE = "decide_case"
    DECIDE_ESCALATION = "decide_escalation"
    APPROVE_VERDICT = "approve_verdict"
    REVEAL_CONTENT = "reveal_content"
    READ_AUDIT = "read_audit"
    EXPORT_EVIDENCE = "export_evidence"
    PROPOSE_POLICY = "propose_policy"
    APPROVE_POLICY = "approve_policy"
    HOLD_AND_ERASE = "hold_and_erase"
    MANAGE_ACCESS = "manage_access"
    ACKNOWLEDGE_FINDING = "acknowledge_finding"
    REVIEW_ACCESS = "review_access"


class Scope(StrEnum):
    """What an API key may be used for."""

    INGEST = "ingest"
    CHECK = "check"
    REPORT = "report"
    READ = "read"


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleBinding:
    """A role, everywhere (`system` is "") or for one system."""

    role: Role
    system: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who can sign in: a local account (`issuer` is "local") or one of an OpenID Connect issuer."""

    id: int
    issuer: str
    subject: str
    name: str
    email: str
    bindings: tuple[RoleBinding, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    must_change_password: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderSignIn:
    """What an identity provider said of somebody's roles at one sign-in, and what followed.

    `shape` is how the claim `claim` came, `names` the first of the `count` names in it, `problem` why it could not be
    read ("" when it could), `outcome` "admitted" or "disabled".
    """

    at: datetime
    person_id: int
    person: str
    claim: str
    shape: str
    names: tuple[str, ...]
    count: int
    problem: str
    roles: tuple[Role, ...]
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """What a list shows of an API key: never its secret. `system` is "" for any."""

    id: int
    prefix: str
    scopes: tuple[Scope, ...]
    system: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class ActorKind(StrEnum):
    PERSON = "person"
    KEY = "key"
    SERVICE = "service"


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who acts, as the session, the key or the process says: never as a request body says.

    `id` is the principal's id (0 for the product itself); audit leaves carry `reference`, never a name. Somebody whose
    password another person gave (`must_change_password`) holds no rights until it is their own.
    """

    kind: ActorKind
    id: int
    name: str
    bindings: tuple[RoleBinding, ...] = ()
    scopes: tuple[Scope, ...] = ()
    system: str = ""
    must_change_password: bool = False

    @property
    def reference(self) -> str:
        return f"{self.kind}:{self.id}"


SERVICE = Actor(kind=ActorKind.SERVICE, id=0, name="The console")


def operator(name: str) -> Actor:
    """The person at the command line: whoever can read the data directory has every right, and is named in the log."""
    return Actor(
        kind=ActorKind.SERVICE,
        id=0,
        name=name,
        bindings=tuple(RoleBinding(role=role) for role in Role),
    )
