"""Claims leave the row of their case, cases count their changes, and reports have a state of their own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("state <> 'decided'")
_STANDING = sa.text("ended_at IS NULL")
_KEPT = (
    "id, kind, state, queue, severity, title, excerpt, system_id, call_id, decision_id, policy, evidence, reports, "
    "opened_at, due_at, escalated, escalated_by, closed_at"
)


def upgrade() -> None:
    _assignments()
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_case()
    else:
        op.add_column("case", _version())
        for column in ("claimed_by", "claimed_at", "lease_hash", "lease_until"):
            op.drop_column("case", column)
    _report_states()


def _assignments() -> None:
    op.create_table(
        "assignment",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("principal_id", ID, nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False, comment="Handling time counts from here."),
        sa.Column(
            "lease_hash",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="SHA-256 of the lease token; a completion must show the token.",
        ),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True, comment="NULL while it stands, also past lease_until."),
        sa.Column(
            "end", sa.String(length=10), nullable=False, comment="'' while it stands; domain.review.AssignmentEnd"
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"], name=op.f("fk_assignment_case_id")),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("fk_assignment_principal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        comment="Who held a case, from when to when: one standing claim a case; those that ended stay as history.",
    )
    op.create_index(op.f("ix_assignment_case_id"), "assignment", ["case_id"])
    for name, column, unique in (
        ("uq_assignment_standing", "case_id", True),
        ("ix_assignment_standing_principal", "principal_id", False),
    ):
        op.create_index(name, "assignment", [column], unique=unique, sqlite_where=_STANDING, postgresql_where=_STANDING)
    connection = op.get_bind()
    held = connection.execute(
        sa.text(
            'SELECT id, claimed_by, claimed_at, lease_hash, lease_until FROM "case" '
            "WHERE state = 'claimed' AND claimed_by IS NOT NULL AND lease_hash IS NOT NULL ORDER BY id"
        )
    ).all()
    if not held:
        return
    # All ids come from one sequence, which is taken in blocks.
    first = connection.execute(sa.text("SELECT next FROM id_block WHERE name = 'all'")).scalar_one()
    connection.execute(sa.text("UPDATE id_block SET next = next + :taken WHERE name = 'all'"), {"taken": len(held)})
    insert = sa.text(
        'INSERT INTO assignment (id, case_id, principal_id, claimed_at, lease_hash, lease_until, ended_at, "end") '
        "VALUES (:id, :case_id, :by, :at, :lease, :until, NULL, '')"
    )
    for number, row in enumerate(held, first):
        values = {"id": number, "case_id": row.id, "by": row.claimed_by, "at": row.claimed_at}
        connection.execute(insert, values | {"lease": bytes(row.lease_hash), "until": row.lease_until})


def _version() -> sa.Column[int]:
    return sa.Column(
        "version",
        sa.Integer(),
        nullable=False,
        server_default=sa.text("0"),
        comment="Counts changes: a step is taken only on the version that its rules were asked about.",
    )


def _rebuild_case() -> None:
    """SQLite drops no column that a foreign key names: the table is made anew. Foreign keys are off meanwhile, and all
    are checked before the commit."""
    op.create_table(
        "case_after",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("queue", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("excerpt", sa.String(length=300), nullable=False),
        sa.Column("system_id", ID, nullable=False),
        sa.Column("call_id", ID, nullable=True),
        sa.Column("decision_id", ID, nullable=True),
        sa.Column("policy", sa.String(length=120), nullable=False),
        sa.Column("evidence", sa.BigInteger(), nullable=True),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        sa.Column("escalated_by", ID, nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        _version(),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("fk_case_call_id")),
        sa.ForeignKeyConstraint(["decision_id"], ["decision.id"], name=op.f("fk_case_decision_id")),
        sa.ForeignKeyConstraint(["escalated_by"], ["principal.id"], name=op.f("fk_case_escalated_by")),
        sa.ForeignKeyConstraint(["system_id"], ["system.id"], name=op.f("fk_case_system_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case")),
        sqlite_autoincrement=True,
    )
    op.execute(f'INSERT INTO case_after ({_KEPT}) SELECT {_KEPT} FROM "case"')  # noqa: S608 - our own names
    op.drop_table("case")
    op.rename_table("case_after", "case")
    op.create_index("ix_case_call_id", "case", ["call_id"])
    op.create_index("ix_case_closed_at", "case", ["closed_at"])
    op.create_index(op.f("ix_case_evidence"), "case", ["evidence"])
    op.create_index("ix_case_policy", "case", ["policy", "system_id", "id"])
    op.create_index("ix_case_open", "case", ["severity", "due_at", "id"], sqlite_where=_OPEN)
    op.create_index("uq_case_call_kind_open", "case", ["call_id", "kind"], unique=True, sqlite_where=_OPEN)


def _report_states() -> None:
    op.add_column(
        "report",
        sa.Column(
            "state",
            sa.String(length=24),
            nullable=False,
            server_default=sa.text("'received'"),
            comment="domain.reports.ReportState",
        ),
    )
    op.execute(
        """
        UPDATE report SET state = COALESCE((
            SELECT CASE
                WHEN c.state = 'decided' AND v.outcome = 'violation' THEN 'confirmed'
                WHEN c.state = 'decided' THEN 'not_confirmed'
                WHEN c.state = 'open' THEN 'received'
                ELSE 'in_review'
            END
            FROM "case" c LEFT JOIN verdict v ON v.case_id = c.id AND v.returned_at IS NULL
            WHERE c.id = report.case_id
        ), 'received')
        """
    )
