"""Each leaf gets a number within its stream: what the log before had is counted, what waits gets its number"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# A waiting leaf may change when it gets its place, and then only by its number and lateness before its subject, and
# by its version. LATIN1 reads any byte as one character; a leaf has no zero byte.
_SEAL_ONLY = """
CREATE OR REPLACE FUNCTION audit_seal_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was text := convert_from(OLD.leaf, 'LATIN1');
  is_now text := convert_from(NEW.leaf, 'LATIN1');
  mark CONSTANT text := ',"subject":"';
  rest int := strpos(reverse(was), reverse(mark)) + length(mark) - 1;
  head int := length(was) - rest;
BEGIN
  IF OLD.seq IS NULL AND NEW.seq IS NOT NULL
    AND (NEW.id, NEW.at, NEW.kind, NEW.actor, NEW.subject, NEW.system)
      = (OLD.id, OLD.at, OLD.kind, OLD.actor, OLD.subject, OLD.system)
    AND NEW.xid IS NOT DISTINCT FROM OLD.xid
    AND rest >= length(mark)
    AND left(is_now, head) = left(was, head)
    AND left(right(is_now, rest), -2) = left(right(was, rest), -2)
    AND right(is_now, 2) = '2}'
    AND substr(is_now, head + 1, greatest(length(is_now) - length(was), 0)) ~ '^,"late":[0-9]+,"n":[0-9]+$'
  THEN RETURN NEW;
  END IF;
  RAISE EXCEPTION 'the audit log is append-only';
END $$
"""


def upgrade() -> None:
    for name, comment in (
        ("latest", "The latest time of any sealed event."),
        ("late", "By how many microseconds an event happened before one that stands before it, at most."),
    ):
        op.add_column(
            "audit_head", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0", comment=comment)
        )
    op.create_table(
        "audit_stream",
        sa.Column("system", sa.String(length=200), nullable=False, comment="'' for what belongs to no system."),
        sa.Column("next", sa.BigInteger(), nullable=False, comment="The number of the stream's next event."),
        sa.Column(
            "before",
            sa.BigInteger(),
            nullable=False,
            comment="Events of leaf version 1, which have no number of their own.",
        ),
        sa.PrimaryKeyConstraint("system", name=op.f("pk_audit_stream")),
        sqlite_with_rowid=False,
    )
    op.execute(
        'INSERT INTO audit_stream (system, "next", "before") '
        "SELECT system, count(*), count(*) FROM audit_event WHERE seq IS NOT NULL GROUP BY system"
    )
    op.execute(
        "UPDATE audit_head SET "
        "latest = (SELECT coalesce(max(at), 0) FROM audit_event WHERE seq IS NOT NULL), "
        "late = (SELECT coalesce(max(sofar - at), 0) FROM "
        "(SELECT at, max(at) OVER (ORDER BY seq) AS sofar FROM audit_event WHERE seq IS NOT NULL) AS ordered)"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_seal_only")
        # Canonical JSON of the first version ends with `"v":1}`.
        op.execute(
            "UPDATE audit_event SET leaf = substring(leaf FROM 1 FOR length(leaf) - 2) || convert_to('2}', 'UTF8') "
            "WHERE seq IS NULL"
        )
        op.execute("ALTER TABLE audit_event ENABLE TRIGGER audit_event_seal_only")
        op.execute(_SEAL_ONLY)
