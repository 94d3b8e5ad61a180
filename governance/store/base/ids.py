"""Ids for all tables from one sequence, taken in blocks (hi/lo), so that rows can be built outside a transaction.

A process that dies loses the rest of its block: gaps mean nothing. Ids stay below 2**53, safe in JSON.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from governance.errors import Overloaded
from governance.store.base import patience
from governance.store.base import tables as t

BLOCK = 20_000
SPARE = 200


class IdAllocator:
    """Thread-safe. `take(n)` gives the first of n consecutive ids, unique over all processes on the database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # Two locks: a thread that reserves waits for the database, and must not keep `take_within` of the very
        # transaction that holds the database from the ids that are in hand.
        self._refill = threading.Lock()
        self._lock = threading.Lock()
        self._next = 0
        self._end = 0

    def take(self, count: int = 1) -> int:
        while (first := self._from_hand(count)) is None:
            self._fill(count)
        return first

    def prepare(self) -> None:
        """Sees to it that some ids are in hand: to be called before a write transaction begins."""
        if self._end - self._next < SPARE:
            self._fill(SPARE)

    def take_within(self, connection: sa.Connection, count: int = 1) -> int:
        """As `take`, inside a write transaction. Where none are in hand it asks through that transaction, because
        another connection would wait for it; what it gets is then used by that transaction only."""
        first = self._from_hand(count)
        return first if first is not None else int(connection.execute(_bump(count)).scalar_one()) - count

    def _from_hand(self, count: int) -> int | None:
        with self._lock:
            if self._next + count > self._end:
                return None
            first = self._next
            self._next += count
            return first

    def _fill(self, count: int) -> None:
        if not self._refill.acquire(timeout=patience.left()):
            raise Overloaded("The database is locked by another process.", advice="Try again.", retry_after=2)
        try:
            if self._next + count <= self._end:
                return
            size = max(BLOCK, count)
            with self._engine.begin() as connection:
                patience.limit(connection)
                first = int(connection.execute(_bump(size)).scalar_one()) - size
            with self._lock:
                self._next, self._end = first, first + size
        finally:
            self._refill.release()


def _bump(size: int) -> ReturningUpdate[int]:
    return (
        t.id_block.update()
        .where(t.id_block.c.name == "all")
        .values(next=t.id_block.c.next + size)
        .returning(t.id_block.c.next)
    )
