"""The engine on PostgreSQL: its pool, and what of its errors passes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExceptionContext

from governance.errors import Overloaded
from governance.store.base.dialects.pool import Pool, full, locked, unavailable

# SQLSTATE classes and codes for what passes: connection exceptions, insufficient resources, operator intervention
# (a server that stops or starts); a primary that has just become a standby.
_PASSING = ("08", "53", "57P", "25006")
_FULL = "53100"
_LOCKED = "55P03"  # lock_timeout


def connect(url: sa.URL) -> sa.Engine:
    """An engine; its errors that pass by themselves become `Overloaded`."""
    engine = sa.create_engine(
        url,
        poolclass=Pool,
        pool_size=10,
        max_overflow=20,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5} | dict(url.query),
    )

    @sa.event.listens_for(engine, "handle_error")
    def _say(context: ExceptionContext) -> Overloaded | None:
        # A failed ping must stay the driver's error: it only tells the pool to connect anew.
        if context.is_pre_ping or context.sqlalchemy_exception is None:
            return None
        state = getattr(context.original_exception, "sqlstate", None) or ""
        if state == _FULL:
            return full()
        if state == _LOCKED:
            return locked()
        unconnected = context.connection is None and not state
        return unavailable() if context.is_disconnect or unconnected or state.startswith(_PASSING) else None

    return engine
