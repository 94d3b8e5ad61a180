"""The audit log as it is read: pages of events, and snapshots from which it is proven, verified and exported."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.audit import merkle
from governance.audit.proof import Proof
from governance.audit.tiles import Edge, TileReader
from governance.domain.events import EventKind
from governance.domain.people import Systems
from governance.domain.times import micros, moment, moment_or_none
from governance.errors import NotFound, Tampered
from governance.privacy.keys import KeyRing
from governance.services.evidence.ports import LeafFilter, StoredEvent, StoredHead
from governance.services.evidence.read import AuditLog, EventFilter, EventRow, LogStatus, Revealer, SystemNames
from governance.store.base import bulk, keys
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.scope import within
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.evidence import health
from governance.store.evidence.audit_log import SqlAuditLog, seal_lag
from governance.store.evidence.state import SqlStateTables

_PAGE = 5_000

# Word for word the condition of the partial indexes, or SQLite does not use them.
_ACTS = sa.text("kind NOT IN ('call.recorded', 'decision.made')")
_READING = (EventKind.ACCESS_OPENED.value, EventKind.ACCESS_SEARCHED.value, EventKind.AUDIT_READ.value)


def events(
    connection: sa.Connection,
    chosen: EventFilter,
    systems: SystemNames = None,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[EventRow]:
    """A page of events of `systems` and of those that belong to none, the newest first; `before` is the last `id` of
    the page before."""
    e = t.audit_event.c
    statement = sa.select(t.audit_event).order_by(e.id.desc()).limit(limit)
    statement = statement.where(e.kind.in_(chosen.kinds) if chosen.kinds else sa.and_(_ACTS, e.kind.not_in(_READING)))
    if chosen.kinds and not {"call.recorded", "decision.made"} & set(chosen.kinds):
        statement = statement.where(_ACTS)
    if chosen.actor:
        statement = statement.where(e.actor == chosen.actor)
    if chosen.subject:
        statement = statement.where(e.subject == chosen.subject)
    if chosen.since is not None:
        statement = statement.where(e.at >= micros(chosen.since))
    if chosen.until is not None:
        statement = statement.where(e.at < micros(chosen.until))
    if systems is not None:
        statement = statement.where(_within(systems))
    if before is not None:
        statement = statement.where(e.id < before)
    return [_row(row) for row in connection.execute(statement)]


def _within(systems: SystemNames) -> sa.ColumnElement[bool]:
    """The condition that an event belongs to one of `systems`, or to none at all."""
    return sa.true() if systems is None else t.audit_event.c.system.in_((*sorted(systems), ""))


def event(connection: sa.Connection, seq: int) -> EventRow:
    """The event at a place of the log. Raises `NotFound`."""
    row = connection.execute(sa.select(t.audit_event).where(t.audit_event.c.seq == seq)).first()
    if row is None:
        raise NotFound(f"There is no event {seq} in the log.")
    return _row(row)


def _row(row: Any) -> EventRow:
    try:
        data = json.loads(bytes(row.leaf))["data"]
    except (ValueError, KeyError, TypeError):
        # Somebody changed the stored bytes. The page still opens; verification says where.
        data = {}
    return EventRow(
        id=row.id,
        seq=row.seq,
        at=moment(row.at),
        kind=row.kind,
        actor=row.actor,
        subject=row.subject,
        system=row.system,
        data=data,
        leaf=bytes(row.leaf),
    )


class StoredTiles(TileReader):
    """Nodes of the stored tree."""

    def __init__(self, connection: sa.Connection, edge: Edge) -> None:
        super().__init__(edge)
        self._connection = connection

    def load(self, level: int, number: int) -> bytes:
        found = self._connection.execute(
            sa.select(t.audit_tile.c.hashes).where(t.audit_tile.c.level == level, t.audit_tile.c.number == number)
        ).scalar()
        if found is None:
            raise Tampered(f"Tile {level}/{number} of the log is missing.")
        return bytes(found)


class AuditSnapshot:
    """The log at one moment. Implements `ports.AuditSnapshot`; `connection` is in a transaction that sees no change."""

    def __init__(self, connection: sa.Connection, key_ring: Callable[[], KeyRing] | None = None) -> None:
        self._connection = connection
        self.tables = SqlStateTables(connection, key_ring)
        self._head = head(connection)
        self._tiles: StoredTiles | None = None

    @property
    def head(self) -> StoredHead | None:
        return self._head

    @property
    def unsealed(self) -> int:
        # SQLite keeps any type in any column: a place that is no integer is none.
        none = "seq IS NULL" if self.seals_behind else "typeof(seq) <> 'integer'"
        return int(self._connection.exec_driver_sql(f"SELECT count(*) FROM audit_event WHERE {none}").scalar_one())  # noqa: S608

    @property
    def seals_behind(self) -> bool:
        return self._connection.dialect.name == "postgresql"

    def beyond(self, size: int) -> int:
        e = t.audit_event.c
        return int(self._connection.execute(sa.select(sa.func.count()).where(e.seq >= size)).scalar_one())

    def count(self, size: int) -> int:
        e = t.audit_event.c
        counted = sa.select(sa.func.count()).select_from(t.audit_event).where(e.seq >= 0, e.seq < size)
        return int(self._connection.execute(self._integers(counted, e.seq)).scalar_one())

    def events(self) -> Iterator[StoredEvent]:
        e = t.audit_event.c
        statement = sa.select(e.seq, e.at, e.kind, e.actor, e.subject, e.system, e.leaf).order_by(e.seq).limit(_PAGE)
        statement = self._integers(statement, e.seq)
        # From -1: a place below 0 is a finding of the verifier, too.
        after = -(2**62)
        while True:
            rows = self._connection.execute(statement.where(e.seq > after)).all()
            for row in rows:
                yield StoredEvent(*row)
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq

    def pending(self) -> Iterator[bytes]:
        e = t.audit_event.c
        wanted = sa.select(e.xid, e.id, e.leaf).where(e.seq.is_(None)).order_by(e.xid, e.id).limit(_PAGE)
        after: tuple[int, int] | None = None
        while True:
            page = wanted if after is None else wanted.where(sa.tuple_(e.xid, e.id) > after)
            rows = self._connection.execute(page).all()
            yield from (row.leaf for row in rows)
            if len(rows) < _PAGE:
                return
            after = (rows[-1].xid, rows[-1].id)

    def tile(self, level: int, number: int) -> bytes | None:
        found = self._connection.execute(
            sa.select(t.audit_tile.c.hashes).where(t.audit_tile.c.level == level, t.audit_tile.c.number == number)
        ).scalar()
        return None if found is None else bytes(found)

    def _integers(self, statement: sa.Select[Any], column: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Only rows where a column of integers holds one."""
        return statement if self.seals_behind else statement.where(sa.func.typeof(column) == "integer")

    def tiles(self) -> int:
        return int(self._connection.execute(sa.select(sa.func.count()).select_from(t.audit_tile)).scalar_one())

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        c = t.audit_checkpoint.c
        after = -(2**62)
        while True:
            statement = sa.select(c.size, c.note).where(c.size > after).order_by(c.size).limit(_PAGE)
            rows = self._connection.execute(self._integers(statement, c.size)).all()
            yield from ((row.size, _text(row.note)) for row in rows)
            if len(rows) < _PAGE:
                break
            after = rows[-1].size
        if not self.seals_behind:
            others = sa.select(c.note).where(sa.func.typeof(c.size) != "integer")
            yield from ((-1, _text(note)) for note in self._connection.execute(others).scalars())

    def streams(self) -> dict[str, tuple[int, int]]:
        rows = self._connection.exec_driver_sql('SELECT system, "next", "before" FROM audit_stream').all()
        return {row[0]: (row[1], row[2]) for row in rows}

    def _chosen(self, chosen: LeafFilter, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        e = t.audit_event.c
        size = 0 if self._head is None else self._head.size
        end = size if chosen.end is None else min(size, chosen.end)
        statement = sa.select(*columns).where(e.seq >= chosen.first, e.seq < end)
        if chosen.since is not None:
            statement = statement.where(e.at >= micros(chosen.since))
        if chosen.until is not None:
            statement = statement.where(e.at < micros(chosen.until))
        if chosen.system:
            statement = statement.where(e.system == chosen.system)
        if chosen.kinds:
            statement = statement.where(e.kind.in_(chosen.kinds))
            if not {"call.recorded", "decision.made"} & set(chosen.kinds):
                statement = statement.where(_ACTS)
        return statement

    def select(self, chosen: LeafFilter, *, newest_first: bool = False) -> Iterator[tuple[int, bytes]]:
        e = t.audit_event.c
        statement = self._chosen(chosen, e.seq, e.leaf).limit(_PAGE)
        statement = statement.order_by(e.seq.desc() if newest_first else e.seq)
        narrower = statement
        while True:
            rows = self._connection.execute(narrower).all()
            yield from ((row.seq, row.leaf) for row in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1].seq
            narrower = statement.where(e.seq < last if newest_first else e.seq > last)

    def ends(self, chosen: LeafFilter) -> tuple[int, int] | None:
        e = t.audit_event.c
        first, last = self._connection.execute(self._chosen(chosen, sa.func.min(e.seq), sa.func.max(e.seq))).one()
        return None if first is None else (first, last)

    def node(self, level: int, index: int) -> bytes:
        return self._reader.node(level, index)

    def about(self, subjects: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        size = 0 if self._head is None else self._head.size
        statement = "SELECT seq, leaf FROM audit_event WHERE seq < {} AND subject IN {in}"
        for seq, leaf in bulk.select_in(self._connection, statement, subjects, size):
            yield seq, t.as_bytes(leaf)

    @property
    def _reader(self) -> StoredTiles:
        if self._tiles is None:
            if self._head is None:
                raise NotFound("The audit log is empty.")
            self._tiles = StoredTiles(self._connection, Edge.from_bytes(self._head.size, self._head.edge))
        return self._tiles

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(seq, size, self._reader.node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, self._reader.node)


class AuditReader:
    """Opens snapshots of the log. Implements `ports.AuditReader`."""

    def __init__(self, engine: sa.Engine, log: SqlAuditLog, key_ring: Callable[[], KeyRing] | None = None) -> None:
        """`key_ring` is asked for when texts of calls are to be compared with the log; without it they are not."""
        self._engine = engine
        self._log = log
        self._key_ring = key_ring
        self.signer = log.signer

    def settle(self) -> None:
        self._log.settle(self._engine)

    @contextmanager
    def snapshot(self) -> Iterator[AuditSnapshot]:
        with snapshot_of(self._engine, self._key_ring) as found:
            yield found


@contextmanager
def snapshot_of(engine: sa.Engine, key_ring: Callable[[], KeyRing] | None = None) -> Iterator[AuditSnapshot]:
    """The log of a database at one moment; `key_ring` opens what it commits to, where the keys are at hand."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield AuditSnapshot(connection, key_ring)
        finally:
            connection.rollback()


def head(connection: sa.Connection) -> StoredHead | None:
    """The log's size, edge and latest signed checkpoint; None for an empty log."""
    row = connection.execute(sa.select(t.audit_head).where(t.audit_head.c.id == 1)).first()
    if row is None:
        return None
    size, at, latest, late = (one if isinstance(one, int) else -1 for one in (row.size, row.at, row.latest, row.late))
    return StoredHead(size, row.edge, _text(row.checkpoint), at, latest, late)


def proof(connection: sa.Connection, seq: int) -> Proof:
    """The proof that event `seq` is in the log of the latest checkpoint. Raises `NotFound`."""
    stored = head(connection)
    if stored is None or not 0 <= seq < stored.size:
        raise NotFound(f"There is no event {seq} in the log.")
    tiles = StoredTiles(connection, Edge.from_bytes(stored.size, stored.edge))
    return Proof(seq, merkle.inclusion_proof(seq, stored.size, tiles.node), stored.checkpoint)


def reveal_reasons(connection: sa.Connection, reveals: Collection[int], systems: Systems = None) -> dict[int, str]:
    """Why original text was revealed, by the reveal's id: free text, kept beside the log."""
    r = t.reveal.c
    wanted = sa.select(r.id, r.reason).where(r.id.in_(reveals))
    if systems is not None:
        wanted = wanted.join(t.call, t.call.c.id == r.call_id).where(within(t.call.c.system_id, systems))
    return {row.id: row.reason for row in connection.execute(wanted)}


def case_titles(connection: sa.Connection, numbers: Collection[int], systems: Systems = None) -> dict[int, str]:
    """What cases are about, by number: for sentences that name them."""
    c = t.case.c
    rows = connection.execute(sa.select(c.id, c.title).where(c.id.in_(numbers), within(c.system_id, systems)))
    return {row.id: row.title for row in rows}


class AuditQueries:
    """Implements `services.evidence.read.AuditQueries`: each method is one short read."""

    def __init__(self, database: Database[UnitOfWork]) -> None:
        self._database = database

    def events(self, chosen: EventFilter, systems: SystemNames, *, before: int | None, limit: int) -> list[EventRow]:
        with self._database.read() as connection:
            return events(connection, chosen, systems, before=before, limit=limit)

    def began(self) -> datetime | None:
        with self._database.read() as connection:
            at = connection.execute(sa.select(t.audit_event.c.at).where(t.audit_event.c.seq == 0)).scalar()
        return moment_or_none(at)

    def proof(self, seq: int, systems: SystemNames) -> Proof | None:
        with self._database.read() as connection:
            e = t.audit_event.c
            if connection.execute(sa.select(e.id).where(e.seq == seq, _within(systems))).first() is None:
                return None
            return proof(connection, seq)

    def log(self, reveals_since: datetime, systems: Systems) -> AuditLog:
        with self._database.read() as connection:
            return health.audit_log(connection, reveals_since, systems)

    def status(self, now: datetime) -> LogStatus:
        with self._database.read() as connection:
            verified = events(connection, EventFilter(kinds=(EventKind.AUDIT_VERIFIED.value,)), limit=1)
            found = head(connection)
            return LogStatus(
                head=found,
                sealed_at=None if found is None else moment(found.at),
                lag_seconds=seal_lag(connection, now),
                verified=verified[0] if verified else None,
            )

    def latest_note(self) -> str:
        with self._database.read() as connection:
            return keys.latest_note(connection) or ""

    def revealers(self, since: datetime, systems: Systems) -> list[Revealer]:
        with self._database.read() as connection:
            return health.revealers(connection, since, systems)

    def reveal_reasons(self, reveals: Collection[int], systems: Systems) -> dict[int, str]:
        if not reveals:
            return {}
        with self._database.read() as connection:
            return reveal_reasons(connection, reveals, systems)

    def case_titles(self, numbers: Collection[int], systems: Systems) -> dict[int, str]:
        if not numbers:
            return {}
        with self._database.read() as connection:
            return case_titles(connection, numbers, systems)


def _text(value: object) -> str:
    """What a column of text holds, as text, whatever SQLite was given there."""
    return value if isinstance(value, str) else t.as_bytes(value).decode("utf-8", "replace")
