"""The audit log: events sealed as they are written, beside the same rows written unsealed; verification."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from benchmarks.table import Row, Table
from governance.audit.leaf import leaf_bytes
from governance.audit.note import Signer
from governance.domain.events import Event, EventKind
from governance.services.evidence.verify import verify_snapshot
from governance.store.base import bulk, migrate
from governance.store.base import tables as t
from governance.store.base.database import AuditWriter, connect
from governance.store.base.times import micros
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.evidence.queries import AuditReader
from governance.store.transaction import Database

EVENTS = 100_000
BATCH = 500
ROUNDS = 3
TURN = 20
GOAL = 0.8
AT = datetime(2026, 11, 1, tzinfo=UTC)
SIGNER = Signer.from_seed("bench.local/audit", b"\x01" * 32)


class Unsealed:
    """Writes the same rows, and nothing of the tree."""

    def __init__(self) -> None:
        self._next = 0

    def write(self, connection: sa.Connection, events: Sequence[Event]) -> None:
        rows = [
            (
                self._next + place + 1,
                self._next + place,
                micros(event.at),
                event.kind.value,
                event.actor,
                event.subject,
                event.system,
                leaf_bytes(event, self._next + place),
                None,
            )
            for place, event in enumerate(events)
        ]
        bulk.insert(connection, t.audit_event, rows)
        self._next += len(rows)

    def discard(self) -> None:
        pass


def event(number: int) -> Event:
    """As a recorded call's: a leaf of some 400 bytes."""
    return Event(
        kind=EventKind.CALL_RECORDED,
        at=AT,
        actor="service:0",
        subject=f"call:{number}",
        system="support-bot",
        data={
            "call": number,
            "trace": f"{number:032x}",
            "span": f"{number:016x}",
            "kind": "llm",
            "release": "0123456789abcdef",
            "started": "2026-11-01T00:00:00.000000+00:00",
            "captured": True,
            "content": f"{number:064x}",
        },
    )


def run() -> Table:
    """Events a second on SQLite (WAL, FULL). The two logs are written in turn, some commits each: what a commit
    waits for the disk changes from second to second by more than what is measured."""
    batches = [[event(number) for number in range(at, at + BATCH)] for at in range(0, EVENTS, BATCH)]
    sealed = unsealed = verified = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            plain = _database(Path(folder) / f"u{number}.db", Unsealed())
            log = SqlAuditLog(SIGNER, lambda: datetime.now(UTC))
            whole = _database(Path(folder) / f"s{number}.db", log)
            for at in range(0, len(batches), TURN):
                unsealed += _write(plain, batches[at : at + TURN])
                sealed += _write(whole, batches[at : at + TURN])
            verified += _verify(whole, log)
            for database in (plain, whole):
                database.engine.dispose()
    total = ROUNDS * EVENTS
    rate, limit = total / sealed, total / unsealed
    return Table(
        title="Audit log",
        rows=(
            Row(
                what=f"Sealed events, {BATCH} a commit",
                measured=rate,
                unit="events/s",
                limit=limit,
                limit_is="the same rows, unsealed",
                goal=f"at least {GOAL:.0%} of unsealed",
                met=rate >= GOAL * limit,
            ),
            Row(what="Verify the whole log", measured=total / verified, unit="events/s"),
        ),
        notes=(
            "Sealed: leaf hashes, tiles, the head and a signed checkpoint in the same commit as the rows.",
            "Both write the leaf's canonical bytes; unsealed leaves out the tree.",
        ),
    )


def _database(path: Path, writer: AuditWriter) -> Database:
    engine = connect(f"sqlite:///{path}")
    migrate.upgrade(engine)
    return Database(engine, writer)


def _write(database: Database, batches: Sequence[Sequence[Event]]) -> float:
    """Seconds that it takes, a commit a batch."""
    started = time.perf_counter()
    for batch in batches:
        with database.write() as tx:
            for one in batch:
                tx.append(one)
    return time.perf_counter() - started


def _verify(database: Database, log: SqlAuditLog) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    with AuditReader(database.engine, log).snapshot() as snapshot:
        found = verify_snapshot(snapshot, SIGNER.verifier)
    took = time.perf_counter() - started
    assert found.ok
    assert found.size == EVENTS
    return took
