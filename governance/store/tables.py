"""The tables, the same on SQLite and PostgreSQL. Column comments say what a column holds; times are microseconds
since 1970 in UTC; ids come from `ids.IdAllocator` unless said otherwise; JSON is text that we write ourselves.

The hot tables (call, message, examination, decision, audit_event) are written as tuples, in the order of these columns.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives a rowid alias (and so a cheap primary key) only to a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


def _id(**kw: object) -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=False, **kw)  # type: ignore[arg-type]


id_block = Table(
    "id_block",
    metadata,
    Column("name", String(16), primary_key=True, comment="Always 'all': one sequence of ids for all tables."),
    Column("next", BigInteger, nullable=False, comment="First id of the next block that a process may take."),
)

system = Table(
    "system",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True, comment="As the application calls itself."),
    Column("first_seen_at", BigInteger, nullable=False),
)

release = Table(
    "release",
    metadata,
    _id(),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column("fingerprint", String(16), nullable=False, comment="domain.calls.Release.fingerprint"),
    Column("parts", Text, nullable=False, comment="JSON {name, model, prompt_version, retrieval, tools}"),
    Column("first_seen_at", BigInteger, nullable=False),
    UniqueConstraint("system_id", "fingerprint"),
)

conversation = Table(
    "conversation",
    metadata,
    _id(),
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
    _id(),
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
    Column("parts", Text, nullable=False, comment="JSON list of the parts in order; see store/parts.py."),
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
    Column("counted", SmallInteger, nullable=False, comment="What daily_figure counts of it; see store/figures.py."),
    Column("received_at", BigInteger, nullable=False),
    UniqueConstraint("trace_id", "span_id"),
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
    _id(),
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
    _id(),
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
    Column("redacted", Text, nullable=True, comment="A message's text without what must not be shown."),
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

policy_set = Table(
    "policy_set",
    metadata,
    _id(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("policies", Text, nullable=False, comment="JSON: the whole set as loaded, so that a decision replays."),
    Column("loaded_at", BigInteger, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    _id(),
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

policy_rollout = Table(
    "policy_rollout",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("policy_set_id", Id, ForeignKey("policy_set.id"), nullable=False, index=True),
    Column(
        "against_id",
        Id,
        ForeignKey("policy_set.id"),
        nullable=True,
        comment="The set in force that it was compared with; NULL for the first.",
    ),
    Column("origin", String(10), nullable=False, comment="domain.rollout.RolloutOrigin"),
    Column("state", String(10), nullable=False, comment="domain.rollout.RolloutState"),
    Column("proposed_by", String(340), nullable=False, comment="person:17, operator:<account>, or service:0."),
    Column("proposed_at", BigInteger, nullable=False),
    Column("gate", Text, nullable=False, comment="JSON: what tests and budgets said when it was proposed."),
    # At most one set is in force and at most one decides beside it: the database itself says no to a second.
    Index(
        "uq_policy_rollout_standing",
        "state",
        unique=True,
        sqlite_where=text("state IN ('shadow', 'enforce')"),
        postgresql_where=text("state IN ('shadow', 'enforce')"),
    ),
    comment="The way of a policy set: proposed, approved, shadow, enforce, retired.",
    sqlite_autoincrement=True,
)

policy_rollout_step = Table(
    "policy_rollout_step",
    metadata,
    _id(),
    Column("rollout_id", Id, ForeignKey("policy_rollout.id"), nullable=False, index=True),
    Column("state", String(10), nullable=False, comment="What the rollout became."),
    Column("by", String(340), nullable=False),
    Column("by_name", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False, comment="Free text, so it is kept here and never in the audit log."),
)

policy_backtest = Table(
    "policy_backtest",
    metadata,
    _id(),
    Column("digest", String(64), nullable=False, index=True, comment="The set that was tried."),
    Column("against", String(64), nullable=False, comment="The set it was compared with."),
    Column("by_name", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("result", Text, nullable=False, comment="JSON, see services.backtest."),
    comment="Backtests that were run, so that who approves a set sees what it would do.",
)

check_job = Table(
    "check_job",
    metadata,
    _id(),
    Column("call_ids", Text, nullable=False, comment="JSON list of at most 200 call ids."),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", BigInteger, nullable=False, comment="0 when free; a claim that dies runs out."),
    comment="Work that is committed with the calls (SQLite; PostgreSQL uses Procrastinate).",
)

case = Table(
    "case",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("kind", String(10), nullable=False, comment="domain.review.CaseKind"),
    Column("state", String(10), nullable=False, comment="domain.review.CaseState"),
    Column("queue", String(40), nullable=False),
    Column("severity", SmallInteger, nullable=False, comment="1 low to 4 critical."),
    Column("title", String(300), nullable=False),
    Column("excerpt", String(300), nullable=False, comment="Redacted."),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column("call_id", Id, ForeignKey("call.id"), nullable=True),
    Column("decision_id", Id, ForeignKey("decision.id"), nullable=True),
    Column("policy", String(120), nullable=False, comment="Id of the policy that sets the title; '' for reports."),
    Column("evidence", BigInteger, nullable=True, index=True, comment="The message that the policy fired on first."),
    Column("reports", Integer, nullable=False, comment="How many people reported the answer."),
    Column("opened_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_by", Id, ForeignKey("principal.id"), nullable=True),
    Column("claimed_at", BigInteger, nullable=True, comment="Handling time counts from here."),
    Column(
        "lease_hash",
        LargeBinary(32),
        nullable=True,
        comment="SHA-256 of the lease token; a completion must show the token.",
    ),
    Column("lease_until", BigInteger, nullable=True),
    Column("escalated", Boolean, nullable=False, comment="Once escalated, only a senior may decide."),
    Column("escalated_by", Id, ForeignKey("principal.id"), nullable=True),
    Column("closed_at", BigInteger, nullable=True),
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

case_note = Table(
    "case_note",
    metadata,
    _id(),
    Column("case_id", Id, ForeignKey("case.id"), nullable=False, index=True),
    Column("kind", String(10), nullable=False, comment="'escalated' or 'returned'"),
    Column("note", Text, nullable=False),
    Column("written_by", Id, ForeignKey("principal.id"), nullable=False),
    Column("written_at", BigInteger, nullable=False),
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
    _id(),
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
    _id(),
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
    Column("received_at", BigInteger, nullable=False, index=True),
)

principal = Table(
    "principal",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("issuer", String(300), nullable=False, comment="'local' or the OpenID Connect issuer."),
    Column("subject", String(300), nullable=False, comment="The account name, or the `sub` claim."),
    Column("name", String(200), nullable=False),
    Column("email", String(300), nullable=False),
    Column("password_hash", String(300), nullable=False, comment="argon2id; '' for OpenID Connect."),
    Column("must_change_password", Boolean, nullable=False),
    Column("failed_sign_ins", Integer, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("disabled_at", BigInteger, nullable=True),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("issuer", "subject"),
    sqlite_autoincrement=True,
)

role_binding = Table(
    "role_binding",
    metadata,
    _id(),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False),
    Column("role", String(20), nullable=False),
    Column("system", String(200), nullable=False, comment="'' is everywhere."),
    Column("source", String(10), nullable=False, comment="'local', or 'claim' when set at each sign-in."),
    UniqueConstraint("principal_id", "role", "system", "source"),
)

session = Table(
    "session",
    metadata,
    _id(),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True, comment="SHA-256 of the cookie's token."),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger, nullable=True),
    Column(
        "browser_hash",
        LargeBinary(32),
        nullable=True,
        comment="SHA-256 of the browser's device id: a sign-out ends all its sessions of the person.",
    ),
)

provider_sign_in = Table(
    "provider_sign_in",
    metadata,
    _id(),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("claim", String(200), nullable=False, comment="GOVERNANCE_ROLES_CLAIM as it was then."),
    Column("shape", String(20), nullable=False, comment="access.claims.ClaimShape"),
    Column("names", Text, nullable=False, comment="JSON list: the first names of the claim, each cut."),
    Column("names_count", Integer, nullable=False),
    Column("problem", String(200), nullable=False, comment="Why the claim could not be read; '' when it could."),
    Column("roles", String(200), nullable=False, comment="The roles that the claim gave, by commas."),
    Column("outcome", String(10), nullable=False, comment="'admitted' or 'disabled'"),
    comment="The latest sign-ins through the identity provider: what came in the roles claim, and what followed.",
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("prefix", String(16), nullable=False, unique=True, comment="The part that is shown in lists."),
    Column(
        "secret_hash", LargeBinary(32), nullable=False, comment="SHA-256 of the whole key: it has 256 bits of its own."
    ),
    Column("scopes", String(100), nullable=False),
    Column("system", String(200), nullable=False, comment="'' is any system; else the key speaks for this one alone."),
    Column("created_by", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=True),
    Column("revoked_at", BigInteger, nullable=True),
    Column("last_used_at", BigInteger, nullable=True, comment="To the hour."),
    sqlite_autoincrement=True,
)

reveal = Table(
    "reveal",
    metadata,
    _id(),
    Column("principal_id", Id, ForeignKey("principal.id"), nullable=False),
    Column("case_id", Id, ForeignKey("case.id"), nullable=True),
    Column("call_id", Id, ForeignKey("call.id"), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False),
)

audit_event = Table(
    "audit_event",
    metadata,
    _id(),
    Column(
        "seq",
        BigInteger,
        nullable=True,
        unique=True,
        comment="The leaf's index from 0; NULL until sealed (PostgreSQL).",
    ),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False, comment="domain.events.EventKind"),
    Column("actor", String(40), nullable=False),
    Column("subject", String(60), nullable=False),
    Column("system", String(200), nullable=False),
    Column("leaf", LargeBinary, nullable=False, comment="The exact bytes whose RFC 6962 leaf hash is in the log."),
    Column("xid", BigInteger, nullable=True, comment="PostgreSQL's transaction id, for the sealing watermark."),
    # Calls and decisions are the bulk, found by their seq; people's acts are what is browsed.
    Index(
        "ix_audit_event_acts",
        "id",
        sqlite_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
        postgresql_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
    ),
    Index(
        "ix_audit_event_subject",
        "subject",
        "id",
        sqlite_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
        postgresql_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
    ),
    Index(
        "ix_audit_event_unsealed", "xid", "id", sqlite_where=text("seq IS NULL"), postgresql_where=text("seq IS NULL")
    ),
    Index("ix_audit_event_at", "at"),
)

audit_tile = Table(
    "audit_tile",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "hashes", LargeBinary, nullable=False, comment="256 hashes of 32 bytes (C2SP tlog-tiles), complete tiles only."
    ),
    sqlite_with_rowid=False,
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1."),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False, comment="Hashes of the incomplete tiles, level by level."),
    Column("checkpoint", Text, nullable=False, comment="The signed note for this size (C2SP tlog-checkpoint)."),
    Column("at", BigInteger, nullable=False),
)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="Past checkpoints, at most one a second.",
)

detector_health = Table(
    "detector_health",
    metadata,
    Column("detector", String(60), primary_key=True),
    Column("version", String(40), nullable=False),
    Column("answered", BigInteger, nullable=False, comment="Texts examined since `since`."),
    Column("failed", BigInteger, nullable=False),
    Column("last_failure", String(300), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column(
        "absent_since",
        BigInteger,
        nullable=True,
        comment="From when on it is not there (not installed, not running, not reachable); NULL while it is.",
    ),
)

worker = Table(
    "worker",
    metadata,
    _id(),
    Column("name", String(100), nullable=False, comment="host:pid"),
    Column("policy_set", String(64), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="Heartbeat."),
)

daily_figure = Table(
    "daily_figure",
    metadata,
    Column("system_id", Id, ForeignKey("system.id"), primary_key=True, autoincrement=False),
    Column(
        "day", Integer, primary_key=True, autoincrement=False, comment="Of the calls' start, in days since 1970, UTC."
    ),
    Column(
        "calls", BigInteger, nullable=False, comment="Calls with a decision in force, or that could not be decided."
    ),
    Column("flagged", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False, comment="Ended with an error."),
    Column("uncaptured", BigInteger, nullable=False, comment="Came without content."),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    comment="What the console counts, kept with each decision (store/figures.py): no page counts the calls.",
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
    comment="What each policy set decided, kept with each decision (store/policy_figures.py).",
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
