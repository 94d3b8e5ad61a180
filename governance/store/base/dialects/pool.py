"""Connections of one process, and the words for a database that does not answer."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import TimeoutError as PoolTimeout

from governance.errors import Overloaded


class Pool(sa.pool.QueuePool):
    """A pool whose wait for a free connection ends in words of ours."""

    def connect(self) -> sa.PoolProxiedConnection:
        """Raises `Overloaded` when no connection is free in time."""
        try:
            return super().connect()
        except PoolTimeout:
            raise Overloaded(
                "All connections to the database are in use.", advice="Try again.", retry_after=2
            ) from None


def locked() -> Overloaded:
    """What a client is told where another process holds the database for longer than the client may wait."""
    return Overloaded("The database is locked by another process.", advice="Try again in a moment.", retry_after=2)


def full() -> Overloaded:
    """What a client is told while nothing can be written. Senders stay away for longer: people must make room."""
    return Overloaded("The disk is full.", advice="Make room where the database lies.", retry_after=30)


def unavailable() -> Overloaded:
    """What a client is told while the database is away or busy: it may send again, what is known changes nothing."""
    return Overloaded("The database does not answer.", advice="Try again in a moment.", retry_after=5)
