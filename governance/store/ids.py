"""Ids for all tables from one sequence, taken in blocks (hi/lo), so that rows can be built outside a transaction.

A process that dies loses the rest of its block: gaps mean nothing. Ids stay below 2**53, safe in JSON.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa

from governance.store import tables as t

BLOCK = 20_000


class IdAllocator:
    """Thread-safe. `take(n)` gives the first of n consecutive ids, unique over all processes on the database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._next = 0
        self._end = 0

    def take(self, count: int = 1) -> int:
        with self._lock:
            if self._next + count > self._end:
                size = max(BLOCK, count)
                self._next = self._reserve(size)
                self._end = self._next + size
            first = self._next
            self._next += count
            return first

    def _reserve(self, size: int) -> int:
        bump = (
            t.id_block.update()
            .where(t.id_block.c.name == "all")
            .values(next=t.id_block.c.next + size)
            .returning(t.id_block.c.next)
        )
        with self._engine.begin() as connection:
            return int(connection.execute(bump).scalar_one()) - size
