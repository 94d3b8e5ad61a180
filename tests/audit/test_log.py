"""The stored log: sealed with what it records, append-only, and every change of it found."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from governance.audit import merkle
from governance.audit.leaf import leaf_bytes
from governance.audit.note import Checkpoint, Signer
from governance.audit.tiles import Edge
from governance.audit.verify import Outcome, Verification
from governance.domain.events import EventKind
from governance.domain.people import SERVICE
from governance.domain.times import micros
from governance.errors import Refused
from governance.services.evidence.read import EventFilter
from governance.services.evidence.verify import VerifyLog, verify_snapshot
from governance.store.base import migrate
from governance.store.base.database import begin, connect
from governance.store.evidence import queries as audit
from governance.store.evidence.audit_log import PostgresSealer, SqlAuditLog, seal_lag
from governance.store.transaction import Database
from tests.audit import older
from tests.audit.building import authority, event, fill, reader, settle

Clock = Any


def verified(database: Database, kept: str = "") -> Verification:
    log = reader(database)
    log.settle()
    with log.snapshot() as snapshot:
        return verify_snapshot(snapshot, log.signer.verifier, kept=kept)


def note(database: Database) -> str:
    with database.read() as connection:
        head = audit.head(connection)
    assert head is not None
    return head.checkpoint


def as_owner(database: Database, *statements: str, **values: Any) -> None:
    """What somebody who owns the database can do: triggers removed, then anything."""
    with database.engine.connect() as connection:
        begin(connection)
        if database.dialect == "sqlite":
            names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
            for name in names:
                if name.startswith("audit_"):
                    connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in ("audit_event", "audit_tile", "audit_checkpoint"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            connection.execute(sa.text(statement), values)
        connection.commit()


def test_the_tiles_of_an_older_database_are_taken_over(empty_engine: sa.Engine, signer: Signer, clock: Clock) -> None:
    migrate.upgrade(empty_engine, "0003")
    database = Database(empty_engine, SqlAuditLog(signer, clock))
    older.write(empty_engine, signer, [(micros(event(n).at), "call.recorded", "bot") for n in range(700)])
    with database.read() as connection:
        before = connection.execute(sa.text("SELECT * FROM audit_tile ORDER BY level, number")).all()
    assert migrate.upgrade(database.engine) is True
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT * FROM audit_tile ORDER BY level, number")).all() == before
    if database.dialect == "sqlite":
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as transaction:
            transaction.connection.execute(sa.text("DELETE FROM audit_tile"))
    fill(database, 400, start=700, batch=150)
    assert verified(database).failed == (), verified(database).checks


def test_a_log_of_many_batches_verifies(database: Database, clock: Clock) -> None:
    for number in range(7):
        fill(database, 100, start=number * 100, batch=30)
        clock.forward(seconds=2)
    found = verified(database)
    assert found.ok
    assert found.size == 700
    assert {check.name for check in found.checks if check.outcome is Outcome.PASSED} == {
        "sequence",
        "leaves",
        "rows",
        "tiles",
        "checkpoints",
        "streams",
        "clock",
    }


def test_an_empty_log_verifies(database: Database) -> None:
    assert verified(database).ok


def test_leaves_are_the_events_in_the_order_of_the_log(sqlite_url: str, signer: Signer, clock: Clock) -> None:
    engine = connect(sqlite_url)
    database = Database(engine, SqlAuditLog(signer, clock))
    fill(database, 300)
    hashes = [merkle.leaf_hash(leaf_bytes(event(number), number)) for number in range(300)]
    assert Checkpoint.open(note(database), signer.verifier).root == merkle.root(hashes)
    engine.dispose()


def test_each_event_has_a_proof(database: Database, signer: Signer) -> None:
    fill(database, 517)
    with database.read() as connection:
        for seq in (0, 255, 256, 300, 512, 516):
            row = audit.event(connection, seq)
            assert audit.proof(connection, seq).verify(row.leaf, signer.verifier).size == 517


def test_any_earlier_size_is_proven_consistent(database: Database, signer: Signer) -> None:
    sizes = {}
    for count in (1, 254, 2, 300, 43):
        fill(database, count, batch=400)
        checkpoint = Checkpoint.open(note(database), signer.verifier)
        sizes[checkpoint.size] = checkpoint.root
    with reader(database).snapshot() as snapshot:
        for old, old_root in sizes.items():
            for new, new_root in sizes.items():
                if old < new:
                    merkle.verify_consistency(old, new, snapshot.consistency(old, new), old_root, new_root)


def _write_and_fail(database: Database) -> None:
    with database.write() as tx:
        assert database.audit is not None
        database.audit.write(tx.connection, [event(99)])
        raise ZeroDivisionError


def test_a_rollback_leaves_no_trace_and_the_log_goes_on(database: Database) -> None:
    fill(database, 10)
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(database)
    fill(database, 10, start=10)
    found = verified(database)
    assert found.ok
    assert found.size == 20


def test_checkpoints_are_kept_at_most_once_a_second(database: Database, clock: Clock) -> None:
    for number in range(6):
        fill(database, 5, start=number * 5)
        clock.forward(milliseconds=400)
    with database.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM audit_checkpoint").scalar_one()
    assert kept == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor = 'person:1' WHERE seq = 3",
        "UPDATE audit_event SET seq = 999 WHERE seq = 3",
        "UPDATE audit_event SET seq = NULL WHERE seq = 3",
        "DELETE FROM audit_event WHERE seq = 3",
        "DELETE FROM audit_tile",
        "UPDATE audit_tile SET number = 7",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_checkpoint SET note = ''",
    ],
)
def test_the_log_cannot_be_changed_while_its_triggers_stand(database: Database, statement: str) -> None:
    fill(database, 300)
    with pytest.raises(DatabaseError, match="append-only"), database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert verified(database).ok


def test_replacing_a_row_is_refused_too(sqlite_url: str, signer: Signer, clock: Clock) -> None:
    engine = connect(sqlite_url)
    database = Database(engine, SqlAuditLog(signer, clock))
    fill(database, 3)
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql("INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event WHERE seq = 1")
    engine.dispose()


def test_the_triggers_can_be_set_up_again(database: Database) -> None:
    with database.engine.begin() as connection:
        frozen = migrate.migrations_folder() / "frozen" / f"audit_triggers_{database.dialect}.sql"
        for statement in frozen.read_text(encoding="utf-8").strip().split("\n\n")[1:]:
            connection.exec_driver_sql(statement)


FLIPPED = leaf_bytes(event(123, EventKind.CALL_CONFLICT), 123)


@pytest.mark.parametrize(
    ("statements", "check", "place"),
    [
        (["UPDATE audit_event SET leaf = :leaf WHERE seq = 123"], "leaves", "Event 123"),
        (["UPDATE audit_event SET actor = 'person:9' WHERE seq = 7"], "rows", "Event 7"),
        (["UPDATE audit_event SET at = at + 1 WHERE seq = 7"], "rows", "Event 7"),
        (["DELETE FROM audit_event WHERE seq = 400"], "sequence", "Event 400"),
        (["DELETE FROM audit_event WHERE seq >= 590"], "sequence", "Event 590"),
        (["DELETE FROM audit_event"], "sequence", "Event 0"),
        (
            [
                "UPDATE audit_event SET seq = 100000 WHERE seq = 41",
                "UPDATE audit_event SET seq = 41 WHERE seq = 42",
                "UPDATE audit_event SET seq = 42 WHERE seq = 100000",
            ],
            "leaves",
            "Event 41",
        ),
        (["DELETE FROM audit_tile WHERE level = 0 AND number = 1"], "tiles", "Tile 0/1"),
        (["UPDATE audit_tile SET hashes = :zeros WHERE number = 1"], "tiles", "Tile 0/1"),
        (["UPDATE audit_tile SET number = 9 WHERE number = 1"], "tiles", "Tile 0/1"),
        (["UPDATE audit_head SET edge = :leaf"], "tiles", "edge"),
        (["UPDATE audit_head SET size = 599"], "checkpoints", "signed for size 600"),
        (["UPDATE audit_checkpoint SET size = size + 1"], "checkpoints", "was signed for size"),
        (["UPDATE audit_head SET checkpoint = (SELECT note FROM audit_checkpoint LIMIT 1)"], "checkpoints", "latest"),
    ],
)
def test_whatever_the_owner_changes_is_found_with_its_place(
    database: Database, clock: Clock, statements: list[str], check: str, place: str
) -> None:
    fill(database, 300)
    clock.forward(seconds=2)
    fill(database, 300, start=300)
    values = {"leaf": FLIPPED, "zeros": bytes(8192)}
    used = {name: value for name, value in values.items() if any(f":{name}" in one for one in statements)}
    as_owner(database, *statements, **used)
    found = verified(database)
    assert not found.ok
    failed = {one.name: one for one in found.checks if one.outcome is Outcome.FAILED}
    assert check in failed
    assert any(place in one for one in failed[check].places), failed[check].places


def rechained(database: Database, signer: Signer, size: int) -> None:
    """The log written anew by somebody who owns the database: event 50 is another, all hashes follow from it."""
    leaves = [leaf_bytes(event(number), number) for number in range(size)]
    leaves[50] = leaf_bytes(event(50, captured=False), 50)
    edge, tiles = Edge().append([merkle.leaf_hash(leaf) for leaf in leaves])
    forged = signer.sign(Checkpoint(signer.name, size, edge.root()).text)
    as_owner(database, "UPDATE audit_event SET leaf = :leaf WHERE seq = 50", leaf=leaves[50])
    for tile in tiles:
        as_owner(
            database,
            "UPDATE audit_tile SET hashes = :hashes WHERE level = :level AND number = :number",
            hashes=tile.hashes,
            level=tile.level,
            number=tile.number,
        )
    as_owner(database, "UPDATE audit_head SET edge = :edge, checkpoint = :note", edge=edge.to_bytes(), note=forged)
    as_owner(database, "DELETE FROM audit_checkpoint")


def test_a_log_written_anew_without_the_key_is_found(database: Database) -> None:
    fill(database, 600)
    rechained(database, Signer.from_seed("test.local/audit", b"\x66" * 32), 600)
    assert verified(database).failed == ("checkpoints",)


def test_a_log_written_anew_with_the_key_is_found_by_a_checkpoint_kept_elsewhere(
    database: Database, signer: Signer
) -> None:
    fill(database, 600)
    kept = note(database)
    rechained(database, signer, 600)
    assert verified(database).ok, "the key's owner can do this: only what was kept elsewhere tells"
    assert verified(database, kept).failed == ("continuity",)


def test_a_log_that_was_cut_is_found_by_a_checkpoint_kept_elsewhere(database: Database, signer: Signer) -> None:
    fill(database, 300)
    fill(database, 50, start=300)
    kept = note(database)
    hashes = [merkle.leaf_hash(leaf_bytes(event(number), number)) for number in range(300)]
    edge, _ = Edge().append(hashes)
    as_owner(
        database, "UPDATE audit_stream SET next = 300", "UPDATE audit_head SET latest = :at", at=micros(event(299).at)
    )
    as_owner(database, "DELETE FROM audit_event WHERE seq >= 300", "DELETE FROM audit_checkpoint WHERE size > 300")
    as_owner(
        database,
        "UPDATE audit_head SET size = 300, edge = :edge, checkpoint = :note",
        edge=edge.to_bytes(),
        note=signer.sign(Checkpoint(signer.name, 300, edge.root()).text),
    )
    found = verified(database, kept)
    assert found.failed == ("continuity",)
    assert "cut" in found.checks[-1].places[0]


def test_a_kept_checkpoint_of_any_size_is_continued(database: Database) -> None:
    fill(database, 130)
    kept = note(database)
    fill(database, 300, start=130)
    found = verified(database, kept)
    assert found.ok
    assert found.checks[-1].outcome is Outcome.PASSED


def test_erasing_content_leaves_every_proof_valid(database: Database) -> None:
    fill(database, 300)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE message SET body = NULL")
        connection.exec_driver_sql("UPDATE conversation SET wrapped_key = NULL")
    assert verified(database).ok


def test_verifying_is_an_event_and_needs_the_permission(database: Database, clock: Clock) -> None:
    fill(database, 5, kind=EventKind.AUDIT_READ)
    assert VerifyLog(authority(database, clock), reader(database)).verify(SERVICE).ok
    settle(database)
    with database.read() as connection:
        kinds = EventFilter(kinds=("audit.verified",))
        assert [row.data["ok"] for row in audit.events(connection, kinds)] == [True]
    with pytest.raises(Refused):
        VerifyLog(authority(database, clock, allowed=False), reader(database)).verify(SERVICE)


def test_events_are_read_in_pages_by_what_they_are(database: Database) -> None:
    with database.write() as tx:
        for number in range(30):
            tx.append(event(number))
            tx.append(event(number, EventKind.CASE_OPENED))
    with database.read() as connection:
        first = audit.events(connection, EventFilter(), limit=20)
        rest = audit.events(connection, EventFilter(), before=first[-1].id, limit=20)
        assert [row.subject for row in first + rest] == [f"call:{number}" for number in reversed(range(30))]
        assert {row.kind for row in first + rest} == {"case.opened"}
        one = audit.events(connection, EventFilter(subject="call:7", kinds=("call.recorded",)))
        assert [row.data for row in one] == [{"call": 7}]
        assert audit.events(connection, EventFilter(), frozenset({"other"})) == []
        assert len(audit.events(connection, EventFilter(since=event(28).at))) == 2


def _write(url: str, start: int, count: int) -> None:
    from tests.conftest import Clock as Standing

    engine = connect(url)
    database = Database(engine, SqlAuditLog(Signer.from_seed("test.local/audit", b"\x07" * 32), Standing()))
    fill(database, count, start=start, batch=7)
    engine.dispose()


def test_two_processes_writing_keep_one_log(database: Database, database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_write, args=(database_url, 1000 * number, 300)) for number in (1, 2)]
    for process in others:
        process.start()
    fill(database, 300, batch=7)
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    found = verified(database)
    assert found.ok
    assert found.size == 900


def test_threads_of_one_process_keep_one_log(database: Database) -> None:
    threads = [threading.Thread(target=fill, args=(database, 100), kwargs={"batch": 3}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verified(database)
    assert found.ok
    assert found.size == 400


@pytest.fixture
def postgresql(postgresql_url: str, signer: Signer, clock: Clock) -> Any:
    engine = connect(postgresql_url)
    yield Database(engine, SqlAuditLog(signer, clock))
    engine.dispose()


def test_a_slow_transaction_with_a_lower_number_is_not_skipped(
    postgresql: Database, signer: Signer, clock: Clock
) -> None:
    sealer = PostgresSealer(postgresql.engine, signer, clock)
    with postgresql.engine.connect() as slow:
        assert postgresql.audit is not None
        postgresql.audit.write(slow, [event(1)])
        with postgresql.write() as tx:
            tx.append(event(2))
        assert sealer.seal() == 0, "a lower transaction is still open: its events may come before"
        slow.commit()
    assert sealer.seal() == 2
    with postgresql.read() as connection:
        order = connection.exec_driver_sql("SELECT subject FROM audit_event ORDER BY seq").scalars().all()
    assert order == ["call:1", "call:2"]
    assert verified(postgresql).ok


def test_events_of_a_dump_of_another_server_are_sealed(postgresql: Database, signer: Signer, clock: Clock) -> None:
    """Transaction numbers of a new server begin low: what the dump holds unsealed is of its far future."""
    sealer = PostgresSealer(postgresql.engine, signer, clock)
    with postgresql.write() as tx:
        tx.append(event(1))
    sealer.seal()
    with postgresql.write() as tx:
        tx.append(event(2))
    with postgresql.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_event DISABLE TRIGGER USER")
        connection.exec_driver_sql("UPDATE audit_event SET xid = xid + 1000000000 WHERE seq IS NULL")
        connection.exec_driver_sql("ALTER TABLE audit_event ENABLE TRIGGER USER")
    with postgresql.write() as tx:
        tx.append(event(3))
    assert sealer.seal() == 2
    assert verified(postgresql).ok


def test_what_waits_is_told_and_two_sealers_do_not_meet(postgresql: Database, signer: Signer, clock: Clock) -> None:
    with postgresql.write() as tx:
        tx.append(event(0))
    clock.now = event(0).at
    clock.forward(seconds=3)
    with postgresql.read() as connection:
        assert seal_lag(connection, clock()) == 3.0
    sealers = [PostgresSealer(postgresql.engine, signer, clock, interval=0.01) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    for number in range(1, 40):
        with postgresql.write() as tx:
            tx.append(event(number))
    for sealer in sealers:
        sealer.stop()
    found = verified(postgresql)
    assert found.ok
    assert found.size == 40
    with postgresql.read() as connection:
        assert seal_lag(connection, clock()) == 0.0
