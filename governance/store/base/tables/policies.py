"""Tables of policy sets, their rollouts and backtests."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    text,
)

from governance.store.base.tables.metadata import Id, id_column, metadata, salt_column

policy_set = Table(
    "policy_set",
    metadata,
    id_column(),
    Column("digest", String(64), nullable=False, unique=True),
    Column("policies", Text, nullable=False, comment="JSON: the whole set as loaded, so that a decision replays."),
    Column("loaded_at", BigInteger, nullable=False),
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
    Column("origin", String(10), nullable=False, comment="domain.policies.RolloutOrigin"),
    Column("state", String(10), nullable=False, comment="domain.policies.RolloutState"),
    Column("proposed_by", String(340), nullable=False, comment="person:17, operator:<account>, or service:0."),
    Column("proposed_at", BigInteger, nullable=False),
    Column("gate", Text, nullable=False, comment="JSON: what tests and budgets said when it was proposed."),
    salt_column(),
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
    id_column(),
    Column("rollout_id", Id, ForeignKey("policy_rollout.id"), nullable=False, index=True),
    Column("state", String(10), nullable=False, comment="What the rollout became."),
    Column("by", String(340), nullable=False),
    Column("by_name", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False, comment="Free text, so it is kept here and never in the audit log."),
    salt_column(),
)

policy_backtest = Table(
    "policy_backtest",
    metadata,
    id_column(),
    Column("digest", String(64), nullable=False, index=True, comment="The set that was tried."),
    Column("against", String(64), nullable=False, comment="The set it was compared with."),
    Column("by_name", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("result", Text, nullable=False, comment="JSON, see services.policies.backtest.report."),
    salt_column(),
    comment="Backtests that were run, so that who approves a set sees what it would do.",
)
