"""The audit log: events sealed as they are written, beside the same rows written unsealed; verification."""

from __future__ import annotations

import io
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.table import Row, Table
from governance.audit.leaf import leaf_bytes
from governance.audit.merkle import Frontier, leaf_hash
from governance.audit.note import Signer
from governance.audit.verify import verify_package
from governance.domain.events import Event, EventKind
from governance.domain.people import SERVICE
from governance.domain.times import micros
from governance.services.authorise import Authority
from governance.services.evidence.export import EvidenceFilter, ExportEvidence
from governance.services.evidence.verify import verify_snapshot
from governance.store.base import bulk, migrate
from governance.store.base import tables as t
from governance.store.base.database import AuditWriter, connect
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.evidence.queries import AuditReader
from governance.store.transaction import Database, Transaction

EVENTS = 100_000
LARGE = 1_000_000
FEW = 10_000
LEAF_GOAL, RECORD_GOAL = 200_000, 50_000
EXPORT_SECONDS, EXPORT_MB = 10.0, 300
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
            *packages(),
        ),
        notes=(
            "Sealed: leaf hashes, tiles, the head and a signed checkpoint in the same commit as the rows.",
            "Both write the leaf's canonical bytes; unsealed leaves out the tree.",
            f"The filtered export is of the {FEW:,} events of one system among {LARGE:,}, with their records, in a "
            "process of its own; its memory is the most that was resident.",
            "Hashing is leaves and tree alone; records are verified with all checks, each beside its leaf.",
        ),
    )


class Made:
    """Records of the calls that `event` speaks of, made when they are asked for."""

    def calls(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                "id": str(number),
                "trace_id": f"{number:032x}",
                "span_id": f"{number:016x}",
                "system": "support-bot",
                "kind": "llm",
                "content_captured": True,
                "release": {"fingerprint": "0123456789abcdef"},
                "started_at": "2026-11-01T00:00:00.000000Z",
                "input": [{"role": "user", "text": "How do I close my account? " * 10}],
                "output": [{"role": "assistant", "text": "Open the settings, then choose to close it. " * 10}],
            }
            for number in ids
        ]

    def decisions(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return []

    cases = verdicts = reports = decisions

    def systems(self) -> Sequence[str]:
        return ["support-bot"]

    def policies(self) -> Sequence[str]:
        return []

    def has_case(self, number: int, system: str) -> bool:
        return False

    def names(self, references: Sequence[str]) -> dict[str, str]:
        return {}


class _Allowing:
    def allowed(self, *_: object, **__: object) -> bool:
        return True


def export_one_system(folder: str) -> tuple[float, float]:
    """Seconds and MB of the most resident memory of a filtered export; the package is left in `folder`."""
    database = _database(Path(folder) / "large.db", log := SqlAuditLog(SIGNER, lambda: datetime.now(UTC)))
    authority: Authority[Transaction] = Authority(database, _Allowing(), lambda: datetime.now(UTC))
    service = ExportEvidence(authority, AuditReader(database.engine, log), Made())
    started = time.perf_counter()
    done = service.to_file(SERVICE, EvidenceFilter(system="support-bot"), Path(folder) / "one.zip")
    took = time.perf_counter() - started
    assert done.events >= FEW
    database.engine.dispose()
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def verify_whole() -> float:
    """Records a second of a package of a whole log: a call beside each leaf."""
    with tempfile.TemporaryDirectory() as folder:
        log = SqlAuditLog(SIGNER, lambda: datetime.now(UTC))
        database = _database(Path(folder) / "whole.db", log)
        with database.write() as tx:
            for number in range(FEW):
                tx.append(event(number))
        authority: Authority[Transaction] = Authority(database, _Allowing(), lambda: datetime.now(UTC))
        out = io.BytesIO()
        ExportEvidence(authority, AuditReader(database.engine, log), Made()).to_stream(SERVICE, EvidenceFilter(), out)
        database.engine.dispose()
    started = time.perf_counter()
    found = verify_package(out, key=str(SIGNER.verifier))
    assert found.ok, found.checks
    return FEW / (time.perf_counter() - started)


def packages() -> tuple[Row, ...]:
    """A filtered export of a large log, and how fast its package and its hashes are verified."""
    with tempfile.TemporaryDirectory() as folder:
        database = _database(Path(folder) / "large.db", SqlAuditLog(SIGNER, lambda: datetime.now(UTC)))
        step = LARGE // FEW
        for at in range(0, LARGE, 5_000):
            with database.write() as tx:
                for number in range(at, at + 5_000):
                    one = event(number)
                    tx.append(one if number % step == 0 else replace(one, system="other"))
        database.engine.dispose()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            seconds, memory = process.submit(export_one_system, folder).result()
        with (Path(folder) / "one.zip").open("rb") as file:
            started = time.perf_counter()
            found = verify_package(file, key=str(SIGNER.verifier))
            verified = time.perf_counter() - started
        assert found.ok, found.checks
    leaves = [leaf_bytes(event(number), number) for number in range(20_000)]
    tree = Frontier()
    started = time.perf_counter()
    for _ in range(5):
        for leaf in leaves:
            tree.add(leaf_hash(leaf))
    hashing = 5 * len(leaves) / (time.perf_counter() - started)
    return (
        Row(
            what=f"Export {FEW:,} of {LARGE:,} events",
            measured=seconds,
            unit="s",
            goal=f"under {EXPORT_SECONDS:.0f} s",
            met=seconds < EXPORT_SECONDS,
        ),
        Row(
            what="Memory of that export",
            measured=memory,
            unit="MB",
            goal=f"under {EXPORT_MB} MB",
            met=memory < EXPORT_MB,
        ),
        Row(what="Verify that package: all checks", measured=FEW / verified, unit="records/s"),
        Row(
            what="Verify a package of the whole log: all checks",
            measured=(whole := verify_whole()),
            unit="records/s",
            goal=f"at least {RECORD_GOAL:,}",
            met=whole >= RECORD_GOAL,
        ),
        Row(
            what="Hash leaves and tree",
            measured=hashing,
            unit="leaves/s",
            goal=f"at least {LEAF_GOAL:,}",
            met=hashing >= LEAF_GOAL,
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
