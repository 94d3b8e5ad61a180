"""Tables of work to do, and of who does it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from governance.store.base.tables.metadata import Id, id_column, metadata

check_job = Table(
    "check_job",
    metadata,
    id_column(),
    Column("call_ids", Text, nullable=False, comment="JSON list of at most 200 call ids."),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", BigInteger, nullable=False, comment="0 when free; a claim that dies runs out."),
    comment="Work that is committed with the calls (SQLite; PostgreSQL uses Procrastinate).",
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
    id_column(),
    Column("name", String(100), nullable=False, comment="host:pid"),
    Column("policy_set", String(64), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="Heartbeat."),
)

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("kind", String(60), nullable=False, comment="domain.jobs.JobKind, or a kind of a newer version."),
    Column("payload", Text, nullable=False, comment="JSON object, at most 16 KiB."),
    Column("priority", SmallInteger, nullable=False, comment="The higher goes first."),
    Column("lock", String(120), nullable=False, comment="Jobs with the same lock never run at once; '' is none."),
    Column("schedule", String(60), nullable=False, comment="The job_schedule that added it; '' where none did."),
    Column("state", String(10), nullable=False, comment="domain.jobs.JobState"),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, comment="That began; an outage of the database is none."),
    Column("claim", Integer, nullable=False, comment="Counts claims: only the last one may complete the job."),
    Column("lease_until", BigInteger, nullable=False, comment="A claim of a process that died runs out; 0 while free."),
    Column("last_error", String(300), nullable=False, comment="Type and place, or words of ours: never content."),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=True),
    Column("finished_at", BigInteger, nullable=True),
    Index(
        "ix_job_open",
        "priority",
        "id",
        sqlite_where=text("state IN ('waiting', 'running')"),
        postgresql_where=text("state IN ('waiting', 'running')"),
    ),
    Index("ix_job_state", "state", "id"),
    # The database itself says no to a second job of a lock.
    Index(
        "uq_job_lock_running",
        "lock",
        unique=True,
        sqlite_where=text("state = 'running' AND lock <> ''"),
        postgresql_where=text("state = 'running' AND lock <> ''"),
    ),
    comment="Background jobs of every kind but checking (check_job).",
    sqlite_autoincrement=True,
)

job_schedule = Table(
    "job_schedule",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("rule", String(100), nullable=False, comment="As the code or a setting says it; a change is planned anew."),
    Column("next_at", BigInteger, nullable=False, comment="When it is due next; one process moves it on."),
    Column("last_at", BigInteger, nullable=True, comment="When it was due last and its job was added."),
)

outbox_message = Table(
    "outbox_message",
    metadata,
    id_column(),
    Column("message_id", String(40), nullable=False, unique=True, comment="The same at every attempt (webhook-id)."),
    Column("kind", String(60), nullable=False, comment="What it speaks of, as audit.verification_failed."),
    Column("body", Text, nullable=False, comment="The exact JSON that is sent, at most 16 KiB."),
    Column("job_id", Id, ForeignKey("job.id"), nullable=False, index=True, comment="The job that delivers it."),
    Column("created_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger, nullable=True),
    comment="Messages that leave the installation, committed with what they speak of.",
)
