"""Tiles of the audit log stand in the order of their places on SQLite: an index less to write with each commit"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    # SQLite cannot alter this. The tiles are copied as they are; `governance audit verify` reckons them anew.
    op.rename_table("audit_tile", "audit_tile_before")
    op.create_table(
        "audit_tile",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "hashes",
            sa.LargeBinary(),
            nullable=False,
            comment="256 hashes of 32 bytes (C2SP tlog-tiles), complete tiles only.",
        ),
        sa.PrimaryKeyConstraint("level", "number", name=op.f("pk_audit_tile")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO audit_tile (level, number, hashes) "
        "SELECT level, number, hashes FROM audit_tile_before ORDER BY level, number"
    )
    op.drop_table("audit_tile_before")  # its triggers go with it
    frozen = Path(__file__).parents[1] / "frozen" / "audit_triggers_sqlite.sql"
    for statement in frozen.read_text(encoding="utf-8").strip().split("\n\n")[1:]:  # after its heading
        op.execute(statement)
