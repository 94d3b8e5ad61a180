"""Copies of checkpoints outside the installation"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoint_copy",
        sa.Column("name", sa.String(length=10), nullable=False, comment="Where to: file, http, s3, mail."),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="When a copy was first tried."),
        sa.Column(
            "size", sa.BigInteger(), nullable=True, comment="Of the log, in the last copy; NULL before the first."
        ),
        sa.Column(
            "note",
            sa.Text(),
            nullable=False,
            comment="The checkpoint that was copied last; '' before the first.",
        ),
        sa.Column(
            "copied_at", sa.BigInteger(), nullable=True, comment="When the outside last held the latest checkpoint."
        ),
        sa.Column(
            "failed_at",
            sa.BigInteger(),
            nullable=True,
            comment="When an attempt failed after that; NULL when none did.",
        ),
        sa.Column(
            "error",
            sa.String(length=300),
            nullable=False,
            comment="Words of ours, never a receiver's; '' when none failed.",
        ),
        sa.Column("alerted_at", sa.BigInteger(), nullable=True, comment="When an alert said last that it is too old."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_checkpoint_copy")),
        comment="Copies of the log's checkpoints outside this installation: the last one of each place.",
        sqlite_with_rowid=False,
    )
