"""Monthly reviews of who may do what and who read what"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_review",
        sa.Column("month", sa.String(length=7), nullable=False, comment="As 2026-10."),
        sa.Column(
            "due_at",
            sa.BigInteger(),
            nullable=False,
            comment="When the month was over and the review was first asked for.",
        ),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True, comment="When an alert asked for it last."),
        sa.Column("document", sa.Text(), nullable=True, comment="JSON as it was signed; NULL until then."),
        sa.Column(
            "digest", sa.String(length=64), nullable=True, comment="SHA-256 of the document: what the event proves."
        ),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.Column("signed_by", sa.String(length=120), nullable=True, comment="person:<id>, or operator:<account>."),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_access_review")),
        comment="Monthly reviews of who may do what and who read what, signed by an officer.",
        sqlite_with_rowid=False,
    )
