"""Tables of calls: content, examinations, decisions, reveals. The hot ones (call, message, examination, decision) are
written as tuples, in the order of their columns."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from governance.store.base.tables.metadata import Id, id_column, metadata, salt_column

conversation = Table(
    "conversation",
    metadata,
    id_column(),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column(
        "key",
        String(300),
        nullable=False,
        comment="session:<session id>, or trace:<trace id> where no session is known.",
    ),
    Column("wrapped_key", LargeBinary, nullable=True, comment="The content key, wrapped (RFC 3394); NULL once erased."),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("system_id", "key"),
)

call = Table(
    "call",
    metadata,
    id_column(),
    Column("trace_id", LargeBinary(16), nullable=False),
    Column("span_id", LargeBinary(8), nullable=False),
    Column("parent_span_id", LargeBinary(8), nullable=True),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column("release_id", Id, ForeignKey("release.id"), nullable=True),
    Column("conversation_id", Id, ForeignKey("conversation.id"), nullable=False),
    Column("kind", String(16), nullable=False, comment="domain.calls.CallKind"),
    Column("name", String(200), nullable=False),
    Column("session_id", String(200), nullable=False),
    Column("user_id", String(200), nullable=False, comment="The application's end user; never in the audit log."),
    Column("user_role", String(100), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration_us", BigInteger, nullable=True),
    Column("model", String(200), nullable=False),
    Column("provider", String(100), nullable=False),
    Column("input_tokens", BigInteger, nullable=True),
    Column("output_tokens", BigInteger, nullable=True),
    Column("cached_tokens", BigInteger, nullable=True),
    Column(
        "error",
        String(100),
        nullable=False,
        comment="The sort of error; its words are in attributes, redacted in examination.",
    ),
    Column("content_captured", SmallInteger, nullable=False, comment="1 when the producer sent content, else 0."),
    Column("parts", Text, nullable=False, comment="JSON list of the parts in order; see store/calls/parts.py."),
    Column(
        "attributes",
        LargeBinary,
        nullable=True,
        comment="Encrypted JSON of the attributes no column holds; finish_reasons too.",
    ),
    Column(
        "span_digest",
        LargeBinary(32),
        nullable=True,
        comment="Keyed digest of the span as received; NULL until a span came.",
    ),
    Column(
        "revision",
        Integer,
        nullable=False,
        comment="Counts content that came later; a decision is made for a revision.",
    ),
    Column("status", String(10), nullable=False, comment="domain.calls.CallStatus"),
    Column("action", String(14), nullable=False, comment="Of the decision in force; '' before."),
    Column("queue", String(40), nullable=False, comment="Of the decision in force; '' where nobody need look."),
    Column("failure", String(500), nullable=False, comment="Why status is failed, else ''."),
    Column("counted", SmallInteger, nullable=False, comment="What daily_figure counts of it: store/calls/figures.py."),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("trace_id", "span_id"),
    Index("ix_call_conversation_id", "conversation_id"),
    Index("ix_call_started_at", "started_at", "id"),
    Index("ix_call_system_started_at", "system_id", "started_at", "id"),
    Index(
        "ix_call_pending", "id", sqlite_where=text("status = 'recorded'"), postgresql_where=text("status = 'recorded'")
    ),
    Index(
        "ix_call_flagged",
        "started_at",
        "id",
        sqlite_where=text("queue <> '' OR action NOT IN ('', 'allow')"),
        postgresql_where=text("queue <> '' OR action NOT IN ('', 'allow')"),
    ),
)

call_log = Table(
    "call_log",
    metadata,
    Column("call_id", Id, ForeignKey("call.id"), primary_key=True),
    Column(
        "digest", LargeBinary(32), primary_key=True, comment="Keyed digest of one log record: a resend changes nothing."
    ),
    Column("at", BigInteger, nullable=False),
    comment="Log records whose content was added to a call.",
)

call_conflict = Table(
    "call_conflict",
    metadata,
    id_column(),
    Column("call_id", Id, ForeignKey("call.id"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("body", LargeBinary, nullable=False, comment="Encrypted JSON of the call that came second."),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("call_id", "digest"),
    comment="The same trace and span id with other content: kept and shown, never silently dropped.",
)

message = Table(
    "message",
    metadata,
    id_column(),
    Column("conversation_id", Id, ForeignKey("conversation.id"), nullable=False),
    Column(
        "digest", LargeBinary(16), nullable=False, comment="Keyed BLAKE2b of the content, under the conversation's key."
    ),
    Column("call_id", Id, nullable=False, comment="The call it first came with."),
    Column(
        "body",
        LargeBinary,
        nullable=True,
        comment="The encrypted text; its frame (role, name ...) is in call.parts. NULL once erased.",
    ),
    UniqueConstraint("conversation_id", "digest"),
    comment="A content item, once for each conversation.",
)

examination = Table(
    "examination",
    metadata,
    Column(
        "subject_id", Id, primary_key=True, autoincrement=False, comment="A message's or a call's id (one sequence)."
    ),
    Column("detector_set", String(16), primary_key=True, comment="Digest of the detectors and versions that ran."),
    Column(
        "findings",
        Text,
        nullable=False,
        comment="JSON {findings: [...], failures: [...]}; examined and nothing found is a row too.",
    ),
    Column(
        "redacted", Text, nullable=True, comment="As `sealed`, in clear: of an earlier version, until it is sealed."
    ),
    Column(
        "sealed",
        LargeBinary,
        nullable=True,
        comment="A message's text without what must not be shown, under the key of its conversation.",
    ),
    Index(
        "ix_examination_clear",
        "subject_id",
        sqlite_where=text("redacted IS NOT NULL"),
        postgresql_where=text("redacted IS NOT NULL"),
    ),
)

detector_set = Table(
    "detector_set",
    metadata,
    Column("digest", String(16), primary_key=True, comment="As examinations and decisions name it."),
    Column(
        "versions",
        Text,
        nullable=False,
        comment="JSON {unit: version}; findings of units that are the same in a later set are read, not made again.",
    ),
    Column("first_seen_at", BigInteger, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    id_column(),
    Column(
        "call_id", Id, ForeignKey("call.id"), nullable=True, comment="NULL for an inline check of what is no call yet."
    ),
    Column("revision", Integer, nullable=False),
    Column("policy_set_id", Id, ForeignKey("policy_set.id"), nullable=False),
    Column("action", String(14), nullable=False),
    Column("queue", String(40), nullable=False),
    Column("severity", SmallInteger, nullable=False, comment="1 low to 4 critical; 0 where nothing fired."),
    Column("detail", Text, nullable=False, comment="JSON {policies, findings, failures, explanation}"),
    Column("decided_at", BigInteger, nullable=False),
    Column(
        "shadow",
        SmallInteger,
        nullable=False,
        server_default=text("0"),
        comment="1: of a set that decided beside the one in force, and acted on nothing.",
    ),
    Column(
        "detector_set",
        String(16),
        nullable=False,
        server_default=text("''"),
        comment="Whose findings these are; '' in decisions from before this was kept.",
    ),
    UniqueConstraint("call_id", "revision", "policy_set_id"),
)

reveal = Table(
    "reveal",
    metadata,
    id_column(),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False),
    Column("case_id", Id, ForeignKey("case.id"), nullable=True),
    Column("call_id", Id, ForeignKey("call.id"), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False),
    salt_column(),
)

daily_set_figure = Table(
    "daily_set_figure",
    metadata,
    Column("system_id", Id, ForeignKey("system.id"), primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="As daily_figure.day."),
    Column("policy_set_id", Id, ForeignKey("policy_set.id"), primary_key=True, autoincrement=False),
    Column("calls", BigInteger, nullable=False, comment="Calls that it decided while in force."),
    Column("flagged", BigInteger, nullable=False),
    Column("shadow_calls", BigInteger, nullable=False, comment="Calls that it decided in shadow."),
    Column("shadow_flagged", BigInteger, nullable=False),
    comment="What each policy set decided, kept with each decision (store/calls/policy_figures.py).",
)

daily_policy_figure = Table(
    "daily_policy_figure",
    metadata,
    Column("system_id", Id, ForeignKey("system.id"), primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False, comment="As daily_figure.day."),
    Column("policy", String(120), primary_key=True),
    Column("policy_set_id", Id, ForeignKey("policy_set.id"), primary_key=True, autoincrement=False),
    Column("fired", BigInteger, nullable=False, comment="Calls on which it fired and acted."),
    Column("errors", BigInteger, nullable=False, comment="Calls on which on_error answered."),
    Column("excepted", BigInteger, nullable=False, comment="Calls on which an exception kept it from acting."),
    Column(
        "shadow_fired",
        BigInteger,
        nullable=False,
        comment="Calls on which it fired and acted on nothing: the policy or its whole set is in shadow.",
    ),
    Column("shadow_errors", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False, comment="Start of the latest call on which it fired or failed."),
    Index("ix_daily_policy_figure_policy", "policy", "day"),
    comment="How often each policy spoke, kept with each decision: no page looks through the decisions.",
)
