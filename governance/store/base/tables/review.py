"""Tables of cases, verdicts and reports."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from governance.store.base.tables.metadata import Id, id_column, metadata, salt_column

case = Table(
    "case",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("kind", String(10), nullable=False, comment="domain.review.CaseKind"),
    Column("state", String(10), nullable=False, comment="domain.review.CaseState"),
    Column("queue", String(40), nullable=False),
    Column("severity", SmallInteger, nullable=False, comment="1 low to 4 critical."),
    Column("title", String(300), nullable=False),
    Column("excerpt", String(300), nullable=False, comment="As `excerpt_sealed`, in clear: of an earlier version."),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column("call_id", Id, ForeignKey("call.id"), nullable=True),
    Column("decision_id", Id, ForeignKey("decision.id"), nullable=True),
    Column("policy", String(120), nullable=False, comment="Id of the policy that sets the title; '' for reports."),
    Column("evidence", BigInteger, nullable=True, index=True, comment="The message that the policy fired on first."),
    Column("reports", Integer, nullable=False, comment="How many people reported the answer."),
    Column("opened_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("escalated", Boolean, nullable=False, comment="Once escalated, only a senior may decide."),
    Column("escalated_by", Id, ForeignKey("principal.id"), nullable=True),
    Column("closed_at", BigInteger, nullable=True),
    Column(
        "version",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="Counts changes: a step is taken only on the version that its rules were asked about.",
    ),
    salt_column(),
    Column(
        "excerpt_sealed",
        LargeBinary,
        nullable=True,
        comment="Redacted text around what made the case, under the key of its call's conversation.",
    ),
    Index("ix_case_clear", "id", sqlite_where=text("excerpt <> ''"), postgresql_where=text("excerpt <> ''")),
    Index(
        "ix_case_open",
        "severity",
        "due_at",
        "id",
        sqlite_where=text("state <> 'decided'"),
        postgresql_where=text("state <> 'decided'"),
    ),
    Index("ix_case_call_id", "call_id"),
    Index("ix_case_policy", "policy", "system_id", "id"),
    Index("ix_case_closed_at", "closed_at"),
    Index(
        "uq_case_call_kind_open",
        "call_id",
        "kind",
        unique=True,
        sqlite_where=text("state <> 'decided'"),
        postgresql_where=text("state <> 'decided'"),
    ),
    sqlite_autoincrement=True,
)

assignment = Table(
    "assignment",
    metadata,
    id_column(),
    Column("case_id", Id, ForeignKey("case.id"), nullable=False, index=True),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False),
    Column("claimed_at", BigInteger, nullable=False, comment="Handling time counts from here."),
    Column(
        "lease_hash",
        LargeBinary(32),
        nullable=False,
        comment="SHA-256 of the lease token; a completion must show the token.",
    ),
    Column("lease_until", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=True, comment="NULL while it stands, also past lease_until."),
    Column("end", String(10), nullable=False, comment="'' while it stands; domain.review.AssignmentEnd"),
    Index(
        "uq_assignment_standing",
        "case_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_assignment_standing_principal",
        "principal_id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    comment="Who held a case, from when to when: one standing claim a case; those that ended stay as history.",
)

case_note = Table(
    "case_note",
    metadata,
    id_column(),
    Column("case_id", Id, ForeignKey("case.id"), nullable=False, index=True),
    Column("kind", String(10), nullable=False, comment="'escalated' or 'returned'"),
    Column("note", Text, nullable=False),
    Column("written_by", Id, ForeignKey("principal.id"), nullable=False),
    Column("written_at", BigInteger, nullable=False),
    salt_column(),
    comment="Why a case was handed on: free text, so it is kept here and never in the audit log.",
)

case_call = Table(
    "case_call",
    metadata,
    Column("call_id", Id, ForeignKey("call.id"), primary_key=True),
    Column("case_id", Id, ForeignKey("case.id"), primary_key=True, index=True),
    comment="Further calls that show the same incident: one case, not one for each.",
)

verdict = Table(
    "verdict",
    metadata,
    id_column(),
    Column("case_id", Id, ForeignKey("case.id"), nullable=False, index=True),
    Column("outcome", String(12), nullable=False),
    Column("reason", String(20), nullable=False),
    Column("note", Text, nullable=False),
    Column("given_by", Id, ForeignKey("principal.id"), nullable=False),
    Column("given_at", BigInteger, nullable=False),
    Column("seconds", Integer, nullable=False, comment="From claim to verdict: handling time."),
    Column("approved_by", Id, ForeignKey("principal.id"), nullable=True),
    Column("approved_at", BigInteger, nullable=True),
    Column("returned_by", Id, ForeignKey("principal.id"), nullable=True),
    Column("returned_at", BigInteger, nullable=True),
    salt_column(),
    Index("ix_verdict_given_by", "given_by", "given_at"),
    Index(
        "uq_verdict_standing",
        "case_id",
        unique=True,
        sqlite_where=text("returned_at IS NULL"),
        postgresql_where=text("returned_at IS NULL"),
    ),
    comment="One standing verdict a case; a returned one stays as history.",
)

report = Table(
    "report",
    metadata,
    id_column(),
    Column("reference", String(20), nullable=False, unique=True),
    Column("receipt_hash", LargeBinary(32), nullable=False),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column("trace_id", LargeBinary(16), nullable=True),
    Column("call_id", Id, ForeignKey("call.id"), nullable=True),
    Column("case_id", Id, ForeignKey("case.id"), nullable=True, index=True),
    Column("wrapped_key", LargeBinary, nullable=True),
    Column(
        "body", LargeBinary, nullable=True, comment="Encrypted JSON {why, claim, correct_source, acted_upon, contact}"
    ),
    Column("digest", LargeBinary(32), nullable=False, unique=True, comment="A resent report is the same report."),
    Column(
        "state", String(24), nullable=False, server_default=text("'received'"), comment="domain.reports.ReportState"
    ),
    Column("received_at", BigInteger, nullable=False, index=True),
)
