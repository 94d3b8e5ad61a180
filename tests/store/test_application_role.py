"""The account of docs/operations.md that can only add to the audit log: the product works with it, changes do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from governance.access.permissions import CedarPermissions
from governance.audit.note import Signer
from governance.domain.people import Role
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.services.evidence.verify import VerifyLog, verify_snapshot
from governance.store.base import migrate
from governance.store.base.database import connect
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database
from tests.audit.building import reader
from tests.conftest import Clock
from tests.review.conftest import POLICIES, House, build

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
NAME = "governance_app"


def documented() -> str:
    section = DOCUMENT.read_text(encoding="utf-8").partition("### An account that can only add to the audit log")[2]
    found = re.search(r"```sql\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def house(postgresql_url: str, signer: Signer, clock: Clock) -> Iterator[House]:
    owner = sa.create_engine(postgresql_url)
    with owner.begin() as connection:
        connection.exec_driver_sql(documented())
    engine = connect(sa.make_url(postgresql_url).set(username=NAME).render_as_string(hide_password=False))
    database = Database(engine, SqlAuditLog(signer, clock))
    yield build(database, clock, CedarPermissions.load(POLICIES, POLICIES))
    engine.dispose()
    with owner.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {NAME}")
    owner.dispose()


def work(house: House) -> int:
    """Everything from a call to its verdict; gives the number of events."""
    reviewer, senior = house.person(Role.REVIEWER), house.person(Role.SENIOR_REVIEWER)
    call = house.call()
    case = house.case(call_id=call)
    house.reveals.reveal(senior, "fraud check", case_id=case)
    claim = house.review.claim(reviewer, case)
    house.review.decide(
        reviewer, case, claim.lease_token, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.HARM, note="as it says"
    )
    reader(house.database).settle()
    return len(house.events())


def sealed(house: House) -> int:
    """The size of the log, which verifies: its entries, tiles and checkpoints."""
    log = reader(house.database)
    log.settle()
    with log.snapshot() as snapshot:
        found = verify_snapshot(snapshot, log.signer.verifier)
    assert found.ok, found.failed
    return found.size


def test_the_product_works_with_the_account_and_its_log_verifies(house: House) -> None:
    with house.database.read() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == NAME
    assert migrate.upgrade(house.database.engine) is False, "a server that starts changes nothing"
    count = work(house)
    VerifyLog(house.authority, reader(house.database)).verify(house.person(Role.AUDITOR))
    assert sealed(house) > count


CHANGES = [
    "DELETE FROM audit_event",
    "TRUNCATE audit_event",
    "UPDATE audit_event SET kind = 'call.recorded'",
    "UPDATE audit_event SET at = 0",
    "UPDATE audit_event SET leaf = '{}' WHERE seq = 0",
    "UPDATE audit_event SET seq = NULL WHERE seq = 0",
    "UPDATE audit_event SET seq = seq + 1000",
    "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_event_seal_only ON audit_event",
    "CREATE OR REPLACE FUNCTION audit_seal_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "SET session_replication_role = replica",
    "DROP TABLE audit_event",
    "UPDATE audit_tile SET hashes = ''",
    "DELETE FROM audit_tile",
    "UPDATE audit_checkpoint SET note = ''",
    "DELETE FROM audit_checkpoint",
    "TRUNCATE audit_checkpoint",
    "DELETE FROM audit_head",
    "DELETE FROM audit_finding",
    "DELETE FROM access_review",
    "UPDATE alembic_version SET version_num = '0001'",
]


def test_the_account_cannot_change_what_was_logged(house: House) -> None:
    count = work(house)
    for statement in CHANGES:
        with house.database.engine.connect() as connection:
            with pytest.raises(DBAPIError, match=r"permission denied|must be owner|append-only"):
                connection.exec_driver_sql(statement)
            connection.rollback()
    assert sealed(house) == count


def test_an_event_without_a_place_can_be_given_one_and_nothing_else(house: House) -> None:
    work(house)
    house.person(Role.AUDITOR)
    with house.database.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            connection.exec_driver_sql("UPDATE audit_event SET leaf = '{}' WHERE seq IS NULL")
        connection.rollback()
        with pytest.raises(DBAPIError, match="append-only"):
            connection.exec_driver_sql("UPDATE audit_event SET seq = 10000, leaf = '{\"v\":2}' WHERE seq IS NULL")
        connection.rollback()
