"""What tells whether the secret keys at hand are those that this database was written with."""

from __future__ import annotations

import sqlalchemy as sa

from governance.store.base import tables as t


def any_wrapped(connection: sa.Connection) -> bytes | None:
    """Some content key as it is stored, wrapped by the key-encryption key; None where nothing was stored yet."""
    for table in (t.conversation, t.report):
        column = table.c.wrapped_key
        found = connection.execute(
            sa.select(column).where(column.isnot(None)).order_by(table.c.id.desc()).limit(1)
        ).scalar()
        if found is not None:
            return bytes(found)
    return None


def latest_note(connection: sa.Connection) -> str | None:
    """The audit log's latest signed checkpoint; None for an empty log."""
    return connection.execute(sa.select(t.audit_head.c.checkpoint).where(t.audit_head.c.size > 0)).scalar()


def log_size(connection: sa.Connection) -> int:
    """How many events are sealed."""
    return connection.execute(sa.select(t.audit_head.c.size)).scalar() or 0
