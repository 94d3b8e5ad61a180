"""Background jobs of every kind, their schedules, and the outbox"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", ID, autoincrement=True, nullable=False, comment="The small number people say."),
        sa.Column(
            "kind", sa.String(length=60), nullable=False, comment="domain.jobs.JobKind, or a kind of a newer version."
        ),
        sa.Column("payload", sa.Text(), nullable=False, comment="JSON object, at most 16 KiB."),
        sa.Column("priority", sa.SmallInteger(), nullable=False, comment="The higher goes first."),
        sa.Column(
            "lock",
            sa.String(length=120),
            nullable=False,
            comment="Jobs with the same lock never run at once; '' is none.",
        ),
        sa.Column(
            "schedule",
            sa.String(length=60),
            nullable=False,
            comment="The job_schedule that added it; '' where none did.",
        ),
        sa.Column("state", sa.String(length=10), nullable=False, comment="domain.jobs.JobState"),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="That began; an outage of the database is none."),
        sa.Column(
            "claim", sa.Integer(), nullable=False, comment="Counts claims: only the last one may complete the job."
        ),
        sa.Column(
            "lease_until",
            sa.BigInteger(),
            nullable=False,
            comment="A claim of a process that died runs out; 0 while free.",
        ),
        sa.Column(
            "last_error",
            sa.String(length=300),
            nullable=False,
            comment="Type and place, or words of ours: never content.",
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        comment="Background jobs of every kind but checking (check_job).",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_job_open",
        "job",
        ["priority", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'running')"),
        postgresql_where=sa.text("state IN ('waiting', 'running')"),
    )
    op.create_index("ix_job_state", "job", ["state", "id"], unique=False)
    op.create_index(
        "uq_job_lock_running",
        "job",
        ["lock"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND lock <> ''"),
        postgresql_where=sa.text("state = 'running' AND lock <> ''"),
    )
    op.create_table(
        "job_schedule",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column(
            "rule",
            sa.String(length=100),
            nullable=False,
            comment="As the code or a setting says it; a change is planned anew.",
        ),
        sa.Column(
            "next_at",
            sa.BigInteger(),
            nullable=False,
            comment="When it is due next; one process moves it on.",
        ),
        sa.Column("last_at", sa.BigInteger(), nullable=True, comment="When it was due last and its job was added."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_schedule")),
    )
    op.create_table(
        "outbox_message",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column(
            "message_id", sa.String(length=40), nullable=False, comment="The same at every attempt (webhook-id)."
        ),
        sa.Column(
            "kind", sa.String(length=60), nullable=False, comment="What it speaks of, as audit.verification_failed."
        ),
        sa.Column("body", sa.Text(), nullable=False, comment="The exact JSON that is sent, at most 16 KiB."),
        sa.Column("job_id", ID, nullable=False, comment="The job that delivers it."),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_outbox_message_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint("message_id", name=op.f("uq_outbox_message_message_id")),
        comment="Messages that leave the installation, committed with what they speak of.",
    )
    op.create_index(op.f("ix_outbox_message_job_id"), "outbox_message", ["job_id"], unique=False)
