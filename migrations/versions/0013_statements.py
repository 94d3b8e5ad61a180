"""Secrets for the audit log's commitments to texts; whether rows older than that are still to be stated"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = (
    *("principal", "case", "case_note", "verdict", "reveal"),
    *("policy_rollout", "policy_rollout_step", "policy_backtest", "audit_finding", "access_review"),
)


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(
            table,
            sa.Column(
                "salt",
                sa.LargeBinary(length=16),
                nullable=True,
                comment="Opens the audit log's commitments to this row's texts; NULL once erased.",
            ),
        )
    op.create_table(
        "state_adoption",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False, comment="Always 1."),
        sa.Column("adopted_at", sa.BigInteger(), nullable=True, comment="NULL while it is still to be done."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_adoption")),
        comment="In a database that is older than the log's statements of rows: when its rows were stated "
        "(state.adopted).",
    )
    # A new database has nothing to adopt: all its rows will be stated by the events that make them.
    op.execute("INSERT INTO state_adoption (id, adopted_at) SELECT 1, NULL WHERE EXISTS (SELECT 1 FROM audit_event)")
