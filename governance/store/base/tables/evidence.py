"""Tables of the audit log. audit_event is written as tuples, in the order of its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from governance.store.base.tables.metadata import Id, id_column, metadata, salt_column

state_adoption = Table(
    "state_adoption",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1."),
    Column("adopted_at", BigInteger, nullable=True, comment="NULL while it is still to be done."),
    comment="In a database that is older than the log's statements of rows: when its rows were stated (state.adopted).",
)


def as_bytes(value: object) -> bytes:
    """What a column of bytes holds, as bytes. SQLite keeps whatever somebody writes there, of any type: that is not
    what was signed, and no reason to stop before it was found."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return b"" if value is None else str(value).encode("utf-8", "surrogateescape")


class Bytes(TypeDecorator[bytes]):
    """Bytes that can be read whatever is stored."""

    impl = LargeBinary
    cache_ok = True

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], bytes]:
        return as_bytes


audit_event = Table(
    "audit_event",
    metadata,
    id_column(),
    Column(
        "seq",
        BigInteger,
        nullable=True,
        unique=True,
        comment="The leaf's index from 0; NULL until sealed (PostgreSQL).",
    ),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False, comment="domain.events.EventKind"),
    Column("actor", String(40), nullable=False),
    Column("subject", String(60), nullable=False),
    Column("system", String(200), nullable=False),
    Column("leaf", Bytes, nullable=False, comment="The exact bytes whose RFC 6962 leaf hash is in the log."),
    Column("xid", BigInteger, nullable=True, comment="PostgreSQL's transaction id, for the sealing watermark."),
    # Calls and decisions are the bulk, found by their seq; people's acts are what is browsed.
    Index(
        "ix_audit_event_acts",
        "id",
        sqlite_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
        postgresql_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
    ),
    Index(
        "ix_audit_event_subject",
        "subject",
        "id",
        sqlite_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
        postgresql_where=text("kind NOT IN ('call.recorded', 'decision.made')"),
    ),
    Index(
        "ix_audit_event_unsealed", "xid", "id", sqlite_where=text("seq IS NULL"), postgresql_where=text("seq IS NULL")
    ),
    Index("ix_audit_event_at", "at"),
)

audit_tile = Table(
    "audit_tile",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", Bytes, nullable=False, comment="256 hashes of 32 bytes (C2SP tlog-tiles), complete tiles only."),
    sqlite_with_rowid=False,
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="Always 1."),
    Column("size", BigInteger, nullable=False),
    Column("edge", Bytes, nullable=False, comment="Hashes of the incomplete tiles, level by level."),
    Column("checkpoint", Text, nullable=False, comment="The signed note for this size (C2SP tlog-checkpoint)."),
    Column("at", BigInteger, nullable=False),
    Column("latest", BigInteger, nullable=False, server_default="0", comment="The latest time of any sealed event."),
    Column(
        "late",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="By how many microseconds an event happened before one that stands before it, at most.",
    ),
)

audit_stream = Table(
    "audit_stream",
    metadata,
    Column("system", String(200), primary_key=True, comment="'' for what belongs to no system."),
    Column("next", BigInteger, nullable=False, comment="The number of the stream's next event."),
    Column(
        "before", BigInteger, nullable=False, comment="Events of leaf version 1, which have no number of their own."
    ),
    sqlite_with_rowid=False,
)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    comment="Past checkpoints, at most one a second.",
)

audit_finding = Table(
    "audit_finding",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True, comment="The small number people say."),
    Column("kind", String(40), nullable=False, comment="The check that failed, as audit verify names it."),
    Column("fingerprint", String(64), nullable=False, comment="The same failure again renews the finding."),
    Column("detail", String(1000), nullable=False, comment="Words of the verifier: never content."),
    Column("size", BigInteger, nullable=False, comment="Only a kept checkpoint of at least this size clears it."),
    Column("checkpoint", Text, nullable=False, comment="The kept checkpoint that was not met (signed note); '' none."),
    Column("at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False, comment="When a verification found it last."),
    Column("times", Integer, nullable=False, comment="How many verifications found it."),
    Column(
        "met_at", BigInteger, nullable=True, comment="When a verification met the kept checkpoint; NULL until then."
    ),
    Column("acknowledged_at", BigInteger, nullable=True),
    Column("acknowledged_by", String(120), nullable=True, comment="person:<id>, or operator:<account>."),
    Column("note", Text, nullable=False, comment="What whoever acknowledged it wrote; '' until then."),
    salt_column(),
    # The database itself lets the same failure stand once, however many verify at the same time.
    Index(
        "uq_audit_finding_unmet",
        "fingerprint",
        unique=True,
        sqlite_where=text("met_at IS NULL"),
        postgresql_where=text("met_at IS NULL"),
    ),
    comment="What verifications of the log found wrong: an alarm until it is met again or somebody acknowledges it.",
    sqlite_autoincrement=True,
)

access_review = Table(
    "access_review",
    metadata,
    Column("month", String(7), primary_key=True, comment="As 2026-10."),
    Column("due_at", BigInteger, nullable=False, comment="When the month was over and the review was first asked for."),
    Column("reminded_at", BigInteger, nullable=True, comment="When an alert asked for it last."),
    Column("document", Text, nullable=True, comment="JSON as it was signed; NULL until then."),
    Column("digest", String(64), nullable=True, comment="SHA-256 of the document: what the event proves."),
    Column("signed_at", BigInteger, nullable=True),
    Column("signed_by", String(120), nullable=True, comment="person:<id>, or operator:<account>."),
    Column("note", Text, nullable=False),
    salt_column(),
    comment="Monthly reviews of who may do what and who read what, signed by an officer.",
    sqlite_with_rowid=False,
)

checkpoint_copy = Table(
    "checkpoint_copy",
    metadata,
    Column("name", String(10), primary_key=True, comment="Where to: file, http, s3, mail."),
    Column("since", BigInteger, nullable=False, comment="When a copy was first tried."),
    Column("size", BigInteger, nullable=True, comment="Of the log, in the last copy; NULL before the first."),
    Column("note", Text, nullable=False, comment="The checkpoint that was copied last; '' before the first."),
    Column("copied_at", BigInteger, nullable=True, comment="When the outside last held the latest checkpoint."),
    Column("failed_at", BigInteger, nullable=True, comment="When an attempt failed after that; NULL when none did."),
    Column("error", String(300), nullable=False, comment="Words of ours, never a receiver's; '' when none failed."),
    Column("alerted_at", BigInteger, nullable=True, comment="When an alert said last that it is too old."),
    comment="Copies of the log's checkpoints outside this installation: the last one of each place.",
    sqlite_with_rowid=False,
)
