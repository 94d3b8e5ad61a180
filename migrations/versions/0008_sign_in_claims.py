"""What came in the roles claim at the latest sign-ins through the identity provider; the browser of a session"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "session",
        sa.Column(
            "browser_hash",
            sa.LargeBinary(length=32),
            nullable=True,
            comment="SHA-256 of the browser's device id: a sign-out ends all its sessions of the person.",
        ),
    )
    op.create_table(
        "provider_sign_in",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("principal_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("claim", sa.String(length=200), nullable=False, comment="GOVERNANCE_ROLES_CLAIM as it was then."),
        sa.Column("shape", sa.String(length=20), nullable=False, comment="access.claims.ClaimShape"),
        sa.Column("names", sa.Text(), nullable=False, comment="JSON list: the first names of the claim, each cut."),
        sa.Column("names_count", sa.Integer(), nullable=False),
        sa.Column(
            "problem",
            sa.String(length=200),
            nullable=False,
            comment="Why the claim could not be read; '' when it could.",
        ),
        sa.Column("roles", sa.String(length=200), nullable=False, comment="The roles that the claim gave, by commas."),
        sa.Column("outcome", sa.String(length=10), nullable=False, comment="'admitted' or 'disabled'"),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_provider_sign_in_principal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_sign_in")),
        comment="The latest sign-ins through the identity provider: what came in the roles claim, and what followed.",
    )
    op.create_index(op.f("ix_provider_sign_in_principal_id"), "provider_sign_in", ["principal_id"], unique=False)
