"""Which detectors made findings; rollout of policy sets; decisions in shadow; figures of policies"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "detector_set",
        sa.Column("digest", sa.String(length=16), nullable=False, comment="As examinations and decisions name it."),
        sa.Column(
            "versions",
            sa.Text(),
            nullable=False,
            comment="JSON {unit: version}; findings of units that are the same in a later set are read, not made again.",
        ),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_detector_set")),
    )
    op.create_table(
        "policy_backtest",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="The set that was tried."),
        sa.Column("against", sa.String(length=64), nullable=False, comment="The set it was compared with."),
        sa.Column("by_name", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False, comment="JSON, see services.backtest."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_backtest")),
        comment="Backtests that were run, so that who approves a set sees what it would do.",
    )
    op.create_index(op.f("ix_policy_backtest_digest"), "policy_backtest", ["digest"], unique=False)
    op.create_table(
        "daily_policy_figure",
        sa.Column("system_id", ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="As daily_figure.day."),
        sa.Column("policy", sa.String(length=120), nullable=False),
        sa.Column("policy_set_id", ID, autoincrement=False, nullable=False),
        sa.Column("fired", sa.BigInteger(), nullable=False, comment="Calls on which it fired and acted."),
        sa.Column("errors", sa.BigInteger(), nullable=False, comment="Calls on which on_error answered."),
        sa.Column(
            "excepted", sa.BigInteger(), nullable=False, comment="Calls on which an exception kept it from acting."
        ),
        sa.Column(
            "shadow_fired",
            sa.BigInteger(),
            nullable=False,
            comment="Calls on which it fired and acted on nothing: the policy or its whole set is in shadow.",
        ),
        sa.Column("shadow_errors", sa.BigInteger(), nullable=False),
        sa.Column(
            "last_at", sa.BigInteger(), nullable=False, comment="Start of the latest call on which it fired or failed."
        ),
        sa.ForeignKeyConstraint(
            ["policy_set_id"], ["policy_set.id"], name=op.f("fk_daily_policy_figure_policy_set_id")
        ),
        sa.ForeignKeyConstraint(["system_id"], ["system.id"], name=op.f("fk_daily_policy_figure_system_id")),
        sa.PrimaryKeyConstraint("system_id", "day", "policy", "policy_set_id", name=op.f("pk_daily_policy_figure")),
        comment="How often each policy spoke, kept with each decision: no page looks through the decisions.",
    )
    op.create_index("ix_daily_policy_figure_policy", "daily_policy_figure", ["policy", "day"], unique=False)
    op.create_table(
        "daily_set_figure",
        sa.Column("system_id", ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="As daily_figure.day."),
        sa.Column("policy_set_id", ID, autoincrement=False, nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False, comment="Calls that it decided while in force."),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("shadow_calls", sa.BigInteger(), nullable=False, comment="Calls that it decided in shadow."),
        sa.Column("shadow_flagged", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["policy_set_id"], ["policy_set.id"], name=op.f("fk_daily_set_figure_policy_set_id")),
        sa.ForeignKeyConstraint(["system_id"], ["system.id"], name=op.f("fk_daily_set_figure_system_id")),
        sa.PrimaryKeyConstraint("system_id", "day", "policy_set_id", name=op.f("pk_daily_set_figure")),
        comment="What each policy set decided, kept with each decision (store/policy_figures.py).",
    )
    op.create_table(
        "policy_rollout",
        sa.Column("id", ID, autoincrement=True, nullable=False, comment="The small number people say."),
        sa.Column("policy_set_id", ID, nullable=False),
        sa.Column(
            "against_id", ID, nullable=True, comment="The set in force that it was compared with; NULL for the first."
        ),
        sa.Column("origin", sa.String(length=10), nullable=False, comment="domain.rollout.RolloutOrigin"),
        sa.Column("state", sa.String(length=10), nullable=False, comment="domain.rollout.RolloutState"),
        sa.Column(
            "proposed_by", sa.String(length=340), nullable=False, comment="person:17, operator:<account>, or service:0."
        ),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False, comment="JSON: what tests and budgets said when it was proposed."),
        sa.ForeignKeyConstraint(["against_id"], ["policy_set.id"], name=op.f("fk_policy_rollout_against_id")),
        sa.ForeignKeyConstraint(["policy_set_id"], ["policy_set.id"], name=op.f("fk_policy_rollout_policy_set_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_rollout")),
        comment="The way of a policy set: proposed, approved, shadow, enforce, retired.",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_policy_rollout_policy_set_id"), "policy_rollout", ["policy_set_id"], unique=False)
    op.create_index(
        "uq_policy_rollout_standing",
        "policy_rollout",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state IN ('shadow', 'enforce')"),
        postgresql_where=sa.text("state IN ('shadow', 'enforce')"),
    )
    op.create_table(
        "policy_rollout_step",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("rollout_id", ID, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False, comment="What the rollout became."),
        sa.Column("by", sa.String(length=340), nullable=False),
        sa.Column("by_name", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column(
            "note", sa.Text(), nullable=False, comment="Free text, so it is kept here and never in the audit log."
        ),
        sa.ForeignKeyConstraint(["rollout_id"], ["policy_rollout.id"], name=op.f("fk_policy_rollout_step_rollout_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_rollout_step")),
    )
    op.create_index(op.f("ix_policy_rollout_step_rollout_id"), "policy_rollout_step", ["rollout_id"], unique=False)
    op.add_column(
        "decision",
        sa.Column(
            "shadow",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="1: of a set that decided beside the one in force, and acted on nothing.",
        ),
    )
    op.add_column(
        "decision",
        sa.Column(
            "detector_set",
            sa.String(length=16),
            server_default=sa.text("''"),
            nullable=False,
            comment="Whose findings these are; '' in decisions from before this was kept.",
        ),
    )
