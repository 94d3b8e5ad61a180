"""What verifications of the audit log found wrong"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_finding",
        sa.Column("id", ID, autoincrement=True, nullable=False, comment="The small number people say."),
        sa.Column(
            "kind", sa.String(length=40), nullable=False, comment="The check that failed, as audit verify names it."
        ),
        sa.Column(
            "fingerprint", sa.String(length=64), nullable=False, comment="The same failure again renews the finding."
        ),
        sa.Column("detail", sa.String(length=1000), nullable=False, comment="Words of the verifier: never content."),
        sa.Column(
            "size", sa.BigInteger(), nullable=False, comment="Only a kept checkpoint of at least this size clears it."
        ),
        sa.Column(
            "checkpoint",
            sa.Text(),
            nullable=False,
            comment="The kept checkpoint that was not met (signed note); '' none.",
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, comment="When a verification found it last."),
        sa.Column("times", sa.Integer(), nullable=False, comment="How many verifications found it."),
        sa.Column(
            "met_at",
            sa.BigInteger(),
            nullable=True,
            comment="When a verification met the kept checkpoint; NULL until then.",
        ),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "acknowledged_by", sa.String(length=120), nullable=True, comment="person:<id>, or operator:<account>."
        ),
        sa.Column("note", sa.Text(), nullable=False, comment="What whoever acknowledged it wrote; '' until then."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_finding")),
        comment="What verifications of the log found wrong: an alarm until it is met again or somebody acknowledges it.",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_audit_finding_unmet",
        "audit_finding",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("met_at IS NULL"),
        postgresql_where=sa.text("met_at IS NULL"),
    )
