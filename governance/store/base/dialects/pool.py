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


def unavailable() -> Overloaded:
    """What a client is told while the database is away or busy: it may send again, what is known changes nothing."""
    return Overloaded("The database does not answer.", advice="Try again in a moment.", retry_after=5)
