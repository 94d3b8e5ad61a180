"""How long a thread may wait for the database: `with at_most(3): ...`. Whoever sets nothing waits up to 30 seconds.

A request must be answered while its sender still listens; work in the background can wait for others to finish.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import sqlalchemy as sa

LONGEST_SECONDS = 30.0
SENDER_SECONDS = 3.0
"""How long a request waits for a database that others hold: its answer must come within 5 seconds."""
_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """All waits inside end `seconds` from now, or sooner where an outer block says so."""
    end, outer = time.monotonic() + seconds, _until.get()
    token = _until.set(end if outer is None else min(end, outer))
    try:
        yield
    finally:
        _until.reset(token)


def limit(connection: sa.Connection) -> None:
    """Bounds the waits of a transaction that has just begun. SQLite's are bounded when a connection is taken."""
    if connection.dialect.name == "postgresql" and _until.get() is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(left() * 1_000)}")


def left() -> float:
    """Seconds that may still be waited, rounded up to a tenth, at least one tenth."""
    until = _until.get()
    if until is None:
        return LONGEST_SECONDS
    return max(1, round((until - time.monotonic()) * 10 + 0.4)) / 10
