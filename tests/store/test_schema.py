"""The migrations make what the tables declare, on both databases, from nothing and when asked twice."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from procrastinate.schema import SchemaManager

from governance.errors import Misconfigured
from governance.store.base import migrate
from governance.store.base import tables as t
from governance.store.base.database import connect
from governance.store.jobs.checking import ProcrastinateQueue, TableQueue
from governance.store.transaction import Database

OTHERS = ("search_text", "procrastinate")


def test_the_migrated_schema_is_the_declared_one(database: Database) -> None:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or not str(name).startswith(OTHERS)

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": ours})
        found = compare_metadata(context, t.metadata)
    # SQLite keeps no column comments.
    assert [item for item in found if "comment" not in str(item)] == []


def test_migrating_again_does_nothing(database: Database) -> None:
    assert migrate.upgrade(database.engine) is False
    migrate.check(database.engine)


def test_since_when_a_detector_is_absent_is_taken_from_the_text_that_held_it(empty_engine: sa.Engine) -> None:
    migrate.upgrade(empty_engine, "0002")
    database = Database(empty_engine)
    rows = {
        "there": ("NotScanned: once", 7_000_000, "NotScanned: once", None),
        "gone": (
            "unavailable since 2026-11-01T10:00:00+00:00: it ended: badly", 7_000_000,
            "unavailable: it ended: badly", 1_793_527_200_000_000,
        ),
        "older": ("unavailable: it is not installed", 7_000_000, "unavailable: it is not installed", 7_000_000),
    }  # fmt: skip
    with database.write() as transaction:
        c = transaction.connection
        insert = sa.text("INSERT INTO detector_health VALUES (:name, '1', 2, 3, :failure, :since, 9000000)")
        for name, (failure, since, *_) in rows.items():
            c.execute(insert, {"name": name, "failure": failure, "since": since})
    assert migrate.upgrade(database.engine) is True
    with database.read() as connection:
        found = connection.execute(sa.select(t.detector_health)).all()
    assert {row.detector: (row.last_failure, row.absent_since) for row in found} == {
        name: (failure, since) for name, (_, _, failure, since) in rows.items()
    }
    assert {(row.answered, row.failed, row.updated_at) for row in found} == {(2, 3, 9_000_000)}


def test_calls_that_wait_in_a_database_of_the_version_before_jobs_still_wait(empty_engine: sa.Engine) -> None:
    migrate.upgrade(empty_engine, "0004")
    database = Database(empty_engine)
    queue = TableQueue(database.ids) if database.dialect == "sqlite" else ProcrastinateQueue()
    with database.write() as transaction:
        queue.enqueue(transaction.connection, [7, 8, 9])
    assert migrate.upgrade(empty_engine) is True
    with database.read() as connection:
        assert queue.waiting(connection) == 1
        if database.dialect == "sqlite":
            (held,) = connection.execute(sa.select(t.check_job.c.call_ids)).scalars()
            assert json.loads(held) == [7, 8, 9]
    with database.write() as tx:
        job = tx.jobs.add("audit.verify", {}, at=datetime(2026, 11, 23, tzinfo=UTC))
        assert tx.jobs.get(job) is not None


def test_migrations_do_not_import_the_code_of_today() -> None:
    """They are history: what the product does later must not change what they made."""
    for script in sorted((migrate.migrations_folder() / "versions").glob("*.py")):
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.partition(".")[0] not in {"governance", "app", "procrastinate"}, f"{script.name}: {name}"


def test_procrastinates_schema_is_the_one_that_was_frozen() -> None:
    """A new version of Procrastinate needs a migration of ours that runs its migrations' SQL; then freeze its schema
    beside this one and name it here."""
    frozen = (migrate.migrations_folder() / "frozen" / "procrastinate_3_10_0.sql").read_text(encoding="utf-8")
    schema = SchemaManager.get_schema()
    assert frozen.endswith(schema)
    assert all(line.startswith("--") or not line for line in frozen.removesuffix(schema).splitlines())


def test_a_newer_database_is_refused_and_untouched(database: Database) -> None:
    with database.write() as transaction:
        transaction.connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (migrate.upgrade, migrate.check):
        with pytest.raises(Misconfigured, match="newer version"):
            attempt(database.engine)
    with database.read() as connection:
        assert migrate.current(connection) == "9999"


def test_an_empty_database_is_said_to_be_empty(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Misconfigured, match="empty"):
        migrate.check(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://x/y", "not supported"),
        ("sqlite:////no/such/folder/x.db", "not exist"),
    ],
)
def test_a_wrong_url_is_named(url: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        connect(url)


def test_the_audit_log_cannot_be_changed_through_sql(database: Database) -> None:
    from governance.domain.events import Event, EventKind

    with database.write() as transaction:
        transaction.append(Event(kind=EventKind.SIGN_IN, at=datetime(2026, 1, 1, tzinfo=UTC), actor="person:1"))
    for statement in (
        "UPDATE audit_event SET actor = 'person:2'",
        "DELETE FROM audit_event",
        "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event",
    ):
        if "REPLACE" in statement and database.dialect != "sqlite":
            continue
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as transaction:
            transaction.connection.execute(sa.text(statement))
