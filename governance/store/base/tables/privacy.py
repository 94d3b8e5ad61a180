"""Tables of erasure, legal holds, retention, and of secrets that outlive the key-encryption key."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from governance.store.base.tables.metadata import Id, metadata

erasure = Table(
    "erasure",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("what", String(12), nullable=False, comment="domain.privacy.Erasable"),
    Column(
        "target",
        String(300),
        nullable=False,
        comment="The number of a conversation, call or report. A subject's id until it is erased, then its keyed "
        "digest.",
    ),
    Column("system", String(200), nullable=False, comment="'' is every system; only a subject's erasure has others."),
    Column("code", String(12), nullable=False, comment="domain.privacy.ErasureCode, as the log says it."),
    Column("reason", Text, nullable=False, comment="Free text, redacted, so it is kept here and never in the log."),
    Column("state", String(10), nullable=False, comment="domain.privacy.ErasureState"),
    Column("requested_by", String(340), nullable=False, comment="person:17, operator:<account>, or service:0."),
    Column("requested_name", String(200), nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("settled_by", String(340), nullable=False, comment="Who approved or rejected it; '' before."),
    Column("settled_name", String(200), nullable=False),
    Column("settled_at", BigInteger, nullable=True),
    Column("erased_at", BigInteger, nullable=True, comment="When the last of it was destroyed in the tables."),
    Column("purged_at", BigInteger, nullable=True, comment="When its bytes were gone from the database's own files."),
    Column("conversations", Integer, nullable=False, comment="How many were erased."),
    Column("calls", Integer, nullable=False),
    Column("reports", Integer, nullable=False),
    Index("ix_erasure_state", "state", "id"),
    comment="Requests to erase content, who approved them, and what became of them: the tombstones.",
    sqlite_autoincrement=True,
)

erased = Table(
    "erased",
    metadata,
    Column("kind", String(12), primary_key=True, comment="'conversation', 'call' or 'report'"),
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("erasure_id", Id, ForeignKey("erasure.id"), nullable=False, index=True),
    comment="Under which erasure the content of a conversation, call or report went.",
)

erasure_mark = Table(
    "erasure_mark",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1."),
    Column("erasures", BigInteger, nullable=False, comment="Counts them: who keeps keys in memory sees that one went."),
)

legal_hold = Table(
    "legal_hold",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("what", String(12), nullable=False, comment="domain.privacy.Holdable"),
    Column("target", String(300), nullable=False, comment="A number, a system's name, or a subject's id."),
    Column("reason", Text, nullable=False, comment="Free text, redacted."),
    Column("placed_by", String(340), nullable=False),
    Column("placed_name", String(200), nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("released_by", String(340), nullable=False, comment="'' while it stands."),
    Column("released_name", String(200), nullable=False),
    Column("released_at", BigInteger, nullable=True),
    Index("ix_legal_hold_released_at", "released_at"),
    comment="What must not be erased, by anybody, while the hold stands.",
    sqlite_autoincrement=True,
)

retention_rule = Table(
    "retention_rule",
    metadata,
    Column("system", String(200), primary_key=True, comment="'' is every system without a rule of its own."),
    Column("subject", String(12), primary_key=True, comment="domain.privacy.RetentionClass"),
    Column("days", Integer, nullable=False),
    Column("changed_by", String(340), nullable=False),
    Column("changed_name", String(200), nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    comment="How long what is kept; without a rule it is kept until somebody erases it.",
)

installation_secret = Table(
    "installation_secret",
    metadata,
    Column("purpose", String(40), primary_key=True, comment="privacy.keys.PURPOSES"),
    Column("wrapped_key", LargeBinary, nullable=False, comment="Wrapped as content keys are."),
    comment="What keyed digests are made with, from the first rotation of the key-encryption key on.",
)
