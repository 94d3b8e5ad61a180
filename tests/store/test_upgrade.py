"""A database of an earlier version keeps its cases, claims and reports when it is upgraded, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from governance.store.base import migrate
from governance.store.base import tables as t

PEOPLE = "INSERT INTO principal (id, name, created_at, issuer, account, password_hash, failed, must_change_password) "


@pytest.fixture
def earlier(empty_engine: sa.Engine) -> sa.Engine:
    """A database at revision 0004, with an open, a claimed, an escalated and two decided cases, each reported once."""
    migrate.upgrade(empty_engine, "0004")
    with empty_engine.begin() as connection:
        fill(connection)
    return empty_engine


def fill(connection: sa.Connection) -> None:
    old = sa.MetaData()
    old.reflect(bind=connection, only=["system", "principal", "case", "report", "verdict", "case_note"])

    def add(table: str, **values: object) -> None:
        """Fills what is needed and not said with a value of its type."""
        columns = old.tables[table].columns
        for column in columns:
            if column.name not in values and not column.nullable and column.server_default is None:
                kind = column.type
                empty: object = 0
                if isinstance(kind, sa.String | sa.Text):
                    empty = f"{table}-{values['id']}"[: getattr(kind, "length", None) or 20]
                elif isinstance(kind, sa.LargeBinary):
                    empty = f"{table}-{values['id']}".encode().ljust(16, b".")
                elif isinstance(kind, sa.Boolean):
                    empty = False
                values[column.name] = empty
        connection.execute(old.tables[table].insert().values(**values))

    add("system", id=1, name="bot", first_seen_at=1)
    for number in (11, 12):
        add("principal", id=number)
    held = {"claimed_by": 11, "claimed_at": 50, "lease_hash": b"\x07" * 32, "lease_until": 90}
    add("case", id=1, system_id=1, state="open", kind="report", reports=1)
    add("case", id=2, system_id=1, state="claimed", kind="report", reports=1, **held)
    add("case", id=3, system_id=1, state="escalated", kind="report", reports=1, escalated=True, escalated_by=12)
    add("case", id=4, system_id=1, state="decided", kind="report", reports=1, closed_at=70)
    add("case", id=5, system_id=1, state="decided", kind="report", reports=1, closed_at=70)
    add("verdict", id=21, case_id=4, outcome="violation", given_by=11)
    add("verdict", id=22, case_id=5, outcome="false_alarm", given_by=11)
    add("case_note", id=31, case_id=3, kind="escalated", written_by=12)
    for number in range(1, 6):
        add("report", id=100 + number, case_id=number, system_id=1)


def test_claims_leave_the_case_and_reports_get_their_state(earlier: sa.Engine) -> None:
    with earlier.connect() as connection:
        before = connection.execute(sa.text("SELECT next FROM id_block WHERE name = 'all'")).scalar_one()
    assert migrate.upgrade(earlier) is True
    with earlier.connect() as connection:
        claims = connection.execute(sa.select(t.assignment)).all()
        cases = connection.execute(sa.select(t.case).order_by(t.case.c.id)).all()
        reports = connection.execute(sa.select(t.report.c.state).order_by(t.report.c.id)).scalars().all()
        after = connection.execute(sa.text("SELECT next FROM id_block WHERE name = 'all'")).scalar_one()
        notes = connection.execute(sa.select(t.case_note.c.case_id)).scalars().all()
    (claim,) = claims
    assert (claim.case_id, claim.principal_id, claim.claimed_at, claim.lease_until) == (2, 11, 50, 90)
    assert bytes(claim.lease_hash) == b"\x07" * 32
    assert (claim.ended_at, claim.end) == (None, "")
    assert (claim.id, after) == (before, before + 1), "its id is of the one sequence"
    assert [(row.id, row.state, bool(row.escalated), row.version) for row in cases] == [
        (1, "open", False, 0),
        (2, "claimed", False, 0),
        (3, "escalated", True, 0),
        (4, "decided", False, 0),
        (5, "decided", False, 0),
    ]
    assert reports == ["received", "in_review", "in_review", "confirmed", "not_confirmed"]
    assert notes == [3]


def test_foreign_keys_hold_after_the_upgrade(earlier: sa.Engine) -> None:
    migrate.upgrade(earlier)
    with earlier.connect() as connection:
        wrong = t.verdict.update().where(t.verdict.c.id == 21).values(case_id=99)
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(wrong)
        connection.rollback()
        # Numbers of cases go on from where they were.
        values = {"kind": "report", "state": "open", "queue": "q", "severity": 1, "title": "t", "excerpt": ""}
        values |= {"system_id": 1, "policy": "", "reports": 0, "opened_at": 1, "due_at": 2, "escalated": False}
        if connection.dialect.name == "sqlite":
            assert connection.execute(t.case.insert().values(**values).returning(t.case.c.id)).scalar() == 6
