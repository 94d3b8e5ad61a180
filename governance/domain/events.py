"""Audit events: what happened, who did it, to what. Each becomes one leaf of the log, its bytes fixed for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"


class EventKind(StrEnum):
    """`noun.verb`, stable for ever: exported evidence carries these names."""

    CALL_RECORDED = "call.recorded"
    CALL_CONTENT_ADDED = "call.content_added"
    CALL_CONFLICT = "call.conflict"
    DECISION_MADE = "decision.made"
    CASE_OPENED = "case.opened"
    CASE_CLAIMED = "case.claimed"
    CASE_RELEASED = "case.released"
    CASE_ESCALATED = "case.escalated"
    VERDICT_GIVEN = "verdict.given"
    VERDICT_APPROVED = "verdict.approved"
    VERDICT_RETURNED = "verdict.returned"
    REPORT_RECEIVED = "report.received"
    CONTENT_REVEALED = "content.revealed"
    SIGN_IN = "session.opened"
    SIGN_IN_FAILED = "session.refused"
    SIGN_OUT = "session.closed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    PERSON_ADDED = "person.added"
    PERSON_DISABLED = "person.disabled"
    PASSWORD_CHANGED = "person.password_changed"  # noqa: S105
    ROLES_CHANGED = "person.roles_changed"
    POLICY_SET_LOADED = "policy_set.loaded"
    POLICY_SET_PROPOSED = "policy_set.proposed"
    POLICY_SET_APPROVED = "policy_set.approved"
    POLICY_SET_REJECTED = "policy_set.rejected"
    POLICY_SET_SHADOWED = "policy_set.shadowed"
    POLICY_SET_ENFORCED = "policy_set.enforced"
    POLICY_SET_RETIRED = "policy_set.retired"
    POLICY_SET_ROLLED_BACK = "policy_set.rolled_back"
    EXPORT_MADE = "export.made"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"
    DATABASE_RESTORED = "database.restored"
    JOB_RETRIED = "job.retried"
    JOB_CANCELLED = "job.cancelled"
    ACTION_REFUSED = "action.refused"
    # Privacy
    ERASURE_REQUESTED = "erasure.requested"
    ERASURE_APPROVED = "erasure.approved"
    ERASURE_REJECTED = "erasure.rejected"
    CONTENT_ERASED = "content.erased"
    HOLD_PLACED = "hold.placed"
    HOLD_RELEASED = "hold.released"
    RETENTION_CHANGED = "retention.changed"
    KEYS_ROTATED = "keys.rotated"
    SUBJECT_EXPORTED = "subject.exported"
    # Who looks after the log, and who reads what.
    FINDING_ACKNOWLEDGED = "finding.acknowledged"
    ACCESS_OPENED = "access.opened"
    ACCESS_SEARCHED = "access.searched"
    ACCESS_REVIEWED = "access.reviewed"
    # What the policies are mapped to.
    CONTROLS_REPORTED = "controls.reported"
    # The log, and what is made of it.
    LOG_UPGRADED = "log.upgraded"
    EXPORT_BEGUN = "export.begun"
    # What else makes or changes a row that the log states.
    STATE_ADOPTED = "state.adopted"
    CASE_JOINED = "case.joined"
    PERSON_CHANGED = "person.changed"
    POLICY_SET_BACKTESTED = "policy_set.backtested"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """`actor` and `subject` are references such as `person:17`, `case:214`, `call:9001`, never names.

    `data` is what the leaf proves: ASCII keys, no floats, integers within +-(2**53 - 1), no end-user ids and no
    hashes that can be guessed back (see docs/audit.md).
    """

    kind: EventKind
    at: datetime
    actor: str
    subject: str = ""
    system: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
