"""Redacted texts are sealed, search holds keyed tokens; erasure, legal holds, retention

What is there already is sealed in batches afterwards, by the job `privacy.seal`: a migration must not take hours. Until
a text is sealed it is read as it was; it is found by words again once it is.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FROZEN = Path(__file__).parents[1] / "frozen"


def upgrade() -> None:
    _sealed()
    _erasure()
    _holds_and_retention()
    op.create_index("ix_call_conversation_id", "call", ["conversation_id"])
    connection = op.get_bind()
    text = (FROZEN / f"search_keyed_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in text.strip().split("\n\n"):
        if not statement.startswith("--"):
            connection.exec_driver_sql(statement)


def _sealed() -> None:
    op.add_column(
        "examination",
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="A message's text without what must not be shown, under the key of its conversation.",
        ),
    )
    op.add_column(
        "case",
        sa.Column(
            "excerpt_sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="Redacted text around what made the case, under the key of its call's conversation.",
        ),
    )
    for table, column, clear in (
        ("examination", "subject_id", sa.text("redacted IS NOT NULL")),
        ("case", "id", sa.text("excerpt <> ''")),
    ):
        op.create_index(f"ix_{table}_clear", table, [column], sqlite_where=clear, postgresql_where=clear)


def _erasure() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", ID, autoincrement=True, nullable=False, comment="The small number people say."),
        sa.Column("what", sa.String(length=12), nullable=False, comment="domain.privacy.Erasable"),
        sa.Column(
            "target",
            sa.String(length=300),
            nullable=False,
            comment="The number of a conversation, call or report. A subject's id until it is erased, then its keyed "
            "digest.",
        ),
        sa.Column(
            "system",
            sa.String(length=200),
            nullable=False,
            comment="'' is every system; only a subject's erasure has others.",
        ),
        sa.Column(
            "code", sa.String(length=12), nullable=False, comment="domain.privacy.ErasureCode, as the log says it."
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="Free text, redacted, so it is kept here and never in the log.",
        ),
        sa.Column("state", sa.String(length=10), nullable=False, comment="domain.privacy.ErasureState"),
        sa.Column(
            "requested_by",
            sa.String(length=340),
            nullable=False,
            comment="person:17, operator:<account>, or service:0.",
        ),
        sa.Column("requested_name", sa.String(length=200), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "settled_by", sa.String(length=340), nullable=False, comment="Who approved or rejected it; '' before."
        ),
        sa.Column("settled_name", sa.String(length=200), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "erased_at", sa.BigInteger(), nullable=True, comment="When the last of it was destroyed in the tables."
        ),
        sa.Column(
            "purged_at",
            sa.BigInteger(),
            nullable=True,
            comment="When its bytes were gone from the database's own files.",
        ),
        sa.Column("conversations", sa.Integer(), nullable=False, comment="How many were erased."),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        comment="Requests to erase content, who approved them, and what became of them: the tombstones.",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_erasure_state", "erasure", ["state", "id"])
    op.create_table(
        "erased",
        sa.Column("kind", sa.String(length=12), nullable=False, comment="'conversation', 'call' or 'report'"),
        sa.Column("number", ID, autoincrement=False, nullable=False),
        sa.Column("erasure_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name=op.f("fk_erased_erasure_id")),
        sa.PrimaryKeyConstraint("kind", "number", name=op.f("pk_erased")),
        comment="Under which erasure the content of a conversation, call or report went.",
    )
    op.create_index(op.f("ix_erased_erasure_id"), "erased", ["erasure_id"])
    op.create_table(
        "erasure_mark",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False, comment="Always 1."),
        sa.Column(
            "erasures",
            sa.BigInteger(),
            nullable=False,
            comment="Counts them: who keeps keys in memory sees that one went.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_mark")),
    )
    op.execute("INSERT INTO erasure_mark (id, erasures) VALUES (1, 0)")


def _holds_and_retention() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("id", ID, autoincrement=True, nullable=False, comment="The small number people say."),
        sa.Column("what", sa.String(length=12), nullable=False, comment="domain.privacy.Holdable"),
        sa.Column(
            "target",
            sa.String(length=300),
            nullable=False,
            comment="A number, a system's name, or a subject's id.",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Free text, redacted."),
        sa.Column("placed_by", sa.String(length=340), nullable=False),
        sa.Column("placed_name", sa.String(length=200), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("released_by", sa.String(length=340), nullable=False, comment="'' while it stands."),
        sa.Column("released_name", sa.String(length=200), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
        comment="What must not be erased, by anybody, while the hold stands.",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_legal_hold_released_at", "legal_hold", ["released_at"])
    op.create_table(
        "retention_rule",
        sa.Column(
            "system",
            sa.String(length=200),
            nullable=False,
            comment="'' is every system without a rule of its own.",
        ),
        sa.Column("subject", sa.String(length=12), nullable=False, comment="domain.privacy.RetentionClass"),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.String(length=340), nullable=False),
        sa.Column("changed_name", sa.String(length=200), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system", "subject", name=op.f("pk_retention_rule")),
        comment="How long what is kept; without a rule it is kept until somebody erases it.",
    )
    op.create_table(
        "installation_secret",
        sa.Column("purpose", sa.String(length=40), nullable=False, comment="privacy.keys.PURPOSES"),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False, comment="Wrapped as content keys are."),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_installation_secret")),
        comment="What keyed digests are made with, from the first rotation of the key-encryption key on.",
    )
