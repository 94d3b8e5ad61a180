"""Tables of the governed systems, their releases and daily figures."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from governance.store.base.tables.metadata import Id, id_column, metadata

system = Table(
    "system",
    metadata,
    id_column(),
    Column("name", String(200), nullable=False, unique=True, comment="As the application calls itself."),
    Column("first_seen_at", BigInteger, nullable=False),
)

release = Table(
    "release",
    metadata,
    id_column(),
    Column("system_id", Id, ForeignKey("system.id"), nullable=False),
    Column("fingerprint", String(16), nullable=False, comment="domain.calls.Release.fingerprint"),
    Column("parts", Text, nullable=False, comment="JSON {name, model, prompt_version, retrieval, tools}"),
    Column("first_seen_at", BigInteger, nullable=False),
    UniqueConstraint("system_id", "fingerprint"),
)

daily_figure = Table(
    "daily_figure",
    metadata,
    Column("system_id", Id, ForeignKey("system.id"), primary_key=True, autoincrement=False),
    Column(
        "day", Integer, primary_key=True, autoincrement=False, comment="Of the calls' start, in days since 1970, UTC."
    ),
    Column(
        "calls", BigInteger, nullable=False, comment="Calls with a decision in force, or that could not be decided."
    ),
    Column("flagged", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False, comment="Ended with an error."),
    Column("uncaptured", BigInteger, nullable=False, comment="Came without content."),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    comment="What the console counts, kept with each decision (store/calls/figures.py): no page counts the calls.",
)
