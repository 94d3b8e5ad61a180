"""Since when a detector is not there, in a column of its own: it stood in the text of its last failure"""

from __future__ import annotations

import re
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ABSENT = "unavailable: "
SINCE = re.compile(r"unavailable since (\S+): ")


def upgrade() -> None:
    op.add_column(
        "detector_health",
        sa.Column(
            "absent_since",
            sa.BigInteger(),
            nullable=True,
            comment="From when on it is not there (not installed, not running, not reachable); NULL while it is.",
        ),
    )
    table = sa.table(
        "detector_health", *(sa.column(name) for name in ("detector", "last_failure", "since", "absent_since"))
    )
    connection = op.get_bind()
    for detector, failure, since in connection.execute(
        sa.select(table.c.detector, table.c.last_failure, table.c.since)
    ).all():
        stated = SINCE.match(failure)
        if stated:
            began = int(datetime.fromisoformat(stated[1]).timestamp()) * 1_000_000
            failure = f"{ABSENT}{failure[stated.end() :]}"
        elif failure.startswith(ABSENT):
            began = since
        else:
            continue
        connection.execute(
            table.update().where(table.c.detector == detector).values(last_failure=failure, absent_since=began)
        )
