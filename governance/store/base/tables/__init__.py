"""The tables, the same on SQLite and PostgreSQL: one module a wing, as foreign keys and joins cross wings.

Column comments say what a column holds; times are microseconds since 1970 in UTC; ids come from `ids.IdAllocator`
unless said otherwise; JSON is text that we write ourselves.
"""

from __future__ import annotations

from governance.store.base.tables.calls import (
    call,
    call_conflict,
    call_log,
    conversation,
    daily_policy_figure,
    daily_set_figure,
    decision,
    detector_set,
    examination,
    message,
    reveal,
)
from governance.store.base.tables.evidence import (
    access_review,
    as_bytes,
    audit_checkpoint,
    audit_event,
    audit_finding,
    audit_head,
    audit_stream,
    audit_tile,
    checkpoint_copy,
    state_adoption,
)
from governance.store.base.tables.jobs import check_job, detector_health, job, job_schedule, outbox_message, worker
from governance.store.base.tables.metadata import id_block, metadata
from governance.store.base.tables.people import api_key, principal, provider_sign_in, role_binding, session
from governance.store.base.tables.policies import policy_backtest, policy_rollout, policy_rollout_step, policy_set
from governance.store.base.tables.privacy import (
    erased,
    erasure,
    erasure_mark,
    installation_secret,
    legal_hold,
    retention_rule,
)
from governance.store.base.tables.review import assignment, case, case_call, case_note, report, verdict
from governance.store.base.tables.systems import daily_figure, release, system

__all__ = [
    "access_review",
    "api_key",
    "as_bytes",
    "assignment",
    "audit_checkpoint",
    "audit_event",
    "audit_finding",
    "audit_head",
    "audit_stream",
    "audit_tile",
    "call",
    "call_conflict",
    "call_log",
    "case",
    "case_call",
    "case_note",
    "check_job",
    "checkpoint_copy",
    "conversation",
    "daily_figure",
    "daily_policy_figure",
    "daily_set_figure",
    "decision",
    "detector_health",
    "detector_set",
    "erased",
    "erasure",
    "erasure_mark",
    "examination",
    "id_block",
    "installation_secret",
    "job",
    "job_schedule",
    "legal_hold",
    "message",
    "metadata",
    "outbox_message",
    "policy_backtest",
    "policy_rollout",
    "policy_rollout_step",
    "policy_set",
    "principal",
    "provider_sign_in",
    "release",
    "report",
    "retention_rule",
    "reveal",
    "role_binding",
    "session",
    "state_adoption",
    "system",
    "verdict",
    "worker",
]
