"""Writes the audit log: events become leaves, leaves become tiles, and a signed checkpoint states size and root.

On SQLite, where one transaction writes at a time, events are sealed in the transaction that appends them. On
PostgreSQL many write at once: events go in without a place, and `PostgresSealer` gives places to those whose
transactions are all over. There the order of ids or of numbers says nothing: a lower one may commit later, and a
reader that had passed it would skip it for ever. `xid < pg_snapshot_xmin(...)` cannot. With its place a leaf gets its
number within its stream, which completes its bytes: so those who write wait for nobody's number.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.audit.leaf import leaf_bytes, numbered, unnumbered_bytes
from governance.audit.merkle import leaf_hashes
from governance.audit.note import Checkpoint, Signer
from governance.audit.streams import Streams
from governance.audit.tiles import Edge, Tile
from governance.domain.events import Event, EventKind
from governance.domain.people import SERVICE
from governance.domain.times import micros
from governance.store.base import bulk, locks
from governance.store.base import tables as t

Clock = Callable[[], datetime]

# At most one checkpoint a second is kept for ever; the latest is always in audit_head.
CHECKPOINT_EVERY = 1_000_000

SEAL_AT_ONCE = 20_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """The log as of a head: its checkpoint, its edge, its streams, and when a checkpoint was last kept for ever (None
    while none was). Replaced as a whole, never changed."""

    note: str
    edge: Edge
    streams: Streams
    kept: int | None


class _Tree:
    """The tree's growth within a transaction that nobody else shares: reads the head, and writes what comes of it."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._known: _Known | None = None

    def forget(self) -> None:
        self._known = None

    def known(self, connection: sa.Connection) -> _Known:
        """The stored log. Another process may have written since: the copy here counts only if its signed checkpoint
        is the stored one."""
        if self._known is not None:
            stored = connection.exec_driver_sql("SELECT checkpoint FROM audit_head WHERE id = 1").scalar()
            if stored == self._known.note:
                return self._known
        head = connection.exec_driver_sql(
            "SELECT size, edge, checkpoint, latest, late FROM audit_head WHERE id = 1"
        ).first()
        if head is None:
            return _Known("", Edge(), Streams(), None)
        rows = connection.exec_driver_sql('SELECT system, "next", "before" FROM audit_stream').all()
        streams = Streams(
            next={row[0]: row[1] for row in rows}, latest=head[3], late=head[4], before={row[0]: row[2] for row in rows}
        )
        kept = connection.exec_driver_sql("SELECT at FROM audit_checkpoint ORDER BY size DESC LIMIT 1").scalar()
        return _Known(head[2], Edge.from_bytes(head[0], bytes(head[1])), streams, kept)

    def grow(
        self, connection: sa.Connection, known: _Known, hashes: Sequence[bytes], streams: Streams, at: int
    ) -> None:
        """Writes tiles, streams, head and checkpoint for leaves that follow `known`, given by their hashes; `at` in
        microseconds."""
        before = known.edge
        after, tiles = before.append(hashes)
        note = self._signer.sign(Checkpoint(self._signer.name, after.size, after.root()).text)
        bulk.insert(connection, t.audit_tile, [_tile_row(tile) for tile in tiles])
        mark = bulk.mark(connection)
        grown = [
            (system, number, streams.before.get(system, 0))
            for system, number in streams.next.items()
            if known.streams.next.get(system) != number
        ]
        connection.exec_driver_sql(
            f'INSERT INTO audit_stream (system, "next", "before") VALUES ({mark}, {mark}, {mark}) '  # noqa: S608
            'ON CONFLICT (system) DO UPDATE SET "next" = excluded."next"',
            grown,
        )
        head = (after.size, after.to_bytes(), note, at, streams.latest, streams.late)
        if before.size:
            connection.exec_driver_sql(
                f"UPDATE audit_head SET size = {mark}, edge = {mark}, checkpoint = {mark}, at = {mark}, "  # noqa: S608
                f"latest = {mark}, late = {mark} WHERE id = 1",
                head,
            )
        else:
            bulk.insert(connection, t.audit_head, [(1, *head)])
        kept = known.kept
        if kept is None or abs(at - kept) >= CHECKPOINT_EVERY:
            bulk.insert(connection, t.audit_checkpoint, [(after.size, note, at)])
            kept = at
        self._known = _Known(note, after, streams, kept)


def _tile_row(tile: Tile) -> tuple[int, int, bytes]:
    return tile.level, tile.number, tile.hashes


def _event_row(number: int, place: int, event: Event, at: int, leaf: bytes) -> tuple[Any, ...]:
    """A row of `audit_event` that has its place; `at` is the event's time in microseconds."""
    return number, place, at, event.kind.value, event.actor, event.subject, event.system, leaf, None


def _upgraded(known: _Known, clock: Clock) -> list[Event]:
    """The event that states what an older log had when its streams began, where it is still to come: the first leaf
    with a number. Nothing in a log that had streams from its beginning."""
    before = sum(known.streams.before.values())
    if not before or known.edge.size != before:
        return []
    return [
        Event(
            kind=EventKind.LOG_UPGRADED,
            at=clock(),
            actor=SERVICE.reference,
            subject="log",
            data=known.streams.statement(),
        )
    ]


class SqlAuditLog:
    """The writer of one process; thread-safe. Implements `database.AuditWriter`."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self.signer = signer
        self.clock = clock
        self._tree = _Tree(signer)

    def write(self, connection: sa.Connection, events: Sequence[Event]) -> None:
        """Writes the events within the caller's transaction; on SQLite they are sealed by it.

        Raises `BadInput` for an event that cannot be a leaf (see `leaf.leaf_bytes`).
        """
        if not events:
            return
        if connection.dialect.name == "postgresql":
            _append(connection, events, [unnumbered_bytes(event) for event in events])
            return
        known = self._tree.known(connection)
        events = [*_upgraded(known, self.clock), *events]
        streams = known.streams.copy()
        moments = [micros(event.at) for event in events]
        leaves = [leaf_bytes(event, *streams.take(event.system, at)) for event, at in zip(events, moments, strict=True)]
        hashes = leaf_hashes(leaves)  # while the processor has the leaves at hand
        # One writer at a time: the leaf's place is known, and is its id as well (from 1), which keeps the table in
        # the order in which it is written.
        rows = [
            _event_row(place + 1, place, event, at, leaf)
            for place, (event, at, leaf) in enumerate(zip(events, moments, leaves, strict=True), known.edge.size)
        ]
        bulk.insert(connection, t.audit_event, rows)
        self._tree.grow(connection, known, hashes, streams, micros(self.clock()))

    def discard(self) -> None:
        """Forgets the edge that a rollback undid."""
        self._tree.forget()

    def settle(self, engine: sa.Engine) -> None:
        """Seals what is committed and unsealed (PostgreSQL; nothing to do on SQLite), whoever runs the sealer."""
        if engine.dialect.name == "postgresql":
            PostgresSealer(engine, self.signer, self.clock).seal()


def _append(connection: sa.Connection, events: Sequence[Event], leaves: Sequence[bytes]) -> None:
    columns: tuple[list[Any], ...] = (
        [micros(event.at) for event in events],
        [event.kind.value for event in events],
        [event.actor for event in events],
        [event.subject for event in events],
        [event.system for event in events],
        list(leaves),
    )
    connection.exec_driver_sql(
        "INSERT INTO audit_event (id, seq, at, kind, actor, subject, system, leaf, xid) "
        "SELECT nextval('audit_event_id'), NULL, u.at, u.kind, u.actor, u.subject, u.system, u.leaf, "
        "pg_current_xact_id()::text::bigint "
        "FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[]) "
        "AS u(at, kind, actor, subject, system, leaf)",
        columns,
    )


# An event that can be seen and has a number which this server has not given yet came with a dump of another server,
# whose transactions are all over.
_SEALABLE = """
SELECT id, leaf, system, at FROM (
  (SELECT id, leaf, system, at, xid FROM audit_event
   WHERE seq IS NULL AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
   ORDER BY xid, id LIMIT %s)
  UNION ALL
  (SELECT id, leaf, system, at, xid FROM audit_event
   WHERE seq IS NULL AND xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
   ORDER BY xid, id LIMIT %s)
) AS settled ORDER BY xid, id LIMIT %s
"""


class PostgresSealer:
    """Seals committed events every `interval` seconds in a thread of its own; of several, one at a time works."""

    def __init__(self, engine: sa.Engine, signer: Signer, clock: Clock, *, interval: float = 0.05) -> None:
        self._engine = engine
        self._clock = clock
        self._interval = interval
        self._tree = _Tree(signer)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def seal(self) -> int:
        """Seals all that can be sealed now; gives the number of events. Waits for another sealer at work."""
        total = 0
        while True:
            count = self._seal_some(wait=True)
            total += count
            if count < SEAL_AT_ONCE:
                return total

    def start(self) -> None:
        """Starts the thread; does nothing on SQLite."""
        if self._engine.dialect.name != "postgresql" or self._thread is not None:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="audit-sealer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the work it is at."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        pause = self._interval
        while not self._stop.wait(pause):
            try:
                full = self._seal_some(wait=False) == SEAL_AT_ONCE
                pause = 0 if full else self._interval
            except Exception:
                # The database may be away for a while: what is unsealed stays so, is seen in /readyz, and is sealed
                # when it is back.
                _log.exception("Audit events could not be sealed; trying again.")
                pause = min(5.0, max(pause, self._interval) * 2)

    def _seal_some(self, *, wait: bool) -> int:
        with self._engine.connect() as connection:
            if wait:
                locks.take(connection, locks.Lock.SEAL)
            elif not locks.try_take(connection, locks.Lock.SEAL):
                return 0
            try:
                rows = connection.exec_driver_sql(_SEALABLE, (SEAL_AT_ONCE,) * 3).all()
                if rows:
                    self._place(connection, rows)
                connection.commit()
            except BaseException:
                self._tree.forget()
                raise
        return len(rows)

    def _place(self, connection: sa.Connection, rows: Sequence[Any]) -> None:
        """Gives rows of `_SEALABLE` their places and numbers, and with them the last bytes of their leaves."""
        known = self._tree.known(connection)
        streams = known.streams.copy()
        leaves = []
        for event in _upgraded(known, self._clock):
            at = micros(event.at)
            leaf = leaf_bytes(event, *streams.take(event.system, at))
            number = connection.exec_driver_sql("SELECT nextval('audit_event_id')").scalar_one()
            bulk.insert(connection, t.audit_event, [_event_row(number, known.edge.size, event, at, leaf)])
            leaves.append(leaf)
        first = known.edge.size + len(leaves)
        sealed = [numbered(bytes(row[1]), *streams.take(row[2], row[3])) for row in rows]
        connection.exec_driver_sql(
            "UPDATE audit_event AS e SET seq = u.seq, leaf = u.leaf "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS u(id, seq, leaf) WHERE e.id = u.id",
            ([row[0] for row in rows], list(range(first, first + len(rows))), sealed),
        )
        self._tree.grow(connection, known, leaf_hashes([*leaves, *sealed]), streams, micros(self._clock()))


def seal_lag(connection: sa.Connection, now: datetime) -> float:
    """Seconds since the oldest event that is committed and not sealed; 0.0 when there is none, as always on SQLite."""
    oldest = connection.exec_driver_sql("SELECT min(at) FROM audit_event WHERE seq IS NULL").scalar()
    return 0.0 if oldest is None else max(0.0, (micros(now) - oldest) / 1_000_000)
