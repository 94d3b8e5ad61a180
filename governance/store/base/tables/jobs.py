"""Tables of work to do, and of who does it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    String,
    Table,
    Text,
)

from governance.store.base.tables.metadata import id_column, metadata

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
