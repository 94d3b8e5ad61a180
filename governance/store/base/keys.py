"""What tells whether the secret keys at hand are those that this database was written with."""

from __future__ import annotations

import sqlalchemy as sa

from governance.store.base import tables as t

ROTATING = "rotating"
"""The purpose of a secret under the old key-encryption key, there while a rotation is not done: who starts without that
key is refused."""


def some_wrapped(connection: sa.Connection) -> list[bytes]:
    """The first and the last content keys as they are stored, wrapped by the key-encryption key, and the mark of a
    rotation; none where nothing was stored yet."""
    found: list[bytes] = []
    for table in (t.conversation, t.report):
        column, number = table.c.wrapped_key, table.c.id
        for order in (number, number.desc()):
            wrapped = connection.execute(sa.select(column).where(column.isnot(None)).order_by(order).limit(1)).scalar()
            found += [] if wrapped is None else [bytes(wrapped)]
    mark = stored_secret(connection, ROTATING)
    return found + ([] if mark is None else [mark])


def stored_secret(connection: sa.Connection, purpose: str) -> bytes | None:
    """A secret that outlives the key-encryption key, wrapped; None before the first rotation."""
    s = t.installation_secret.c
    found = connection.execute(sa.select(s.wrapped_key).where(s.purpose == purpose)).scalar()
    return None if found is None else bytes(found)


def latest_note(connection: sa.Connection) -> str | None:
    """The audit log's latest signed checkpoint; None for an empty log."""
    return connection.execute(sa.select(t.audit_head.c.checkpoint).where(t.audit_head.c.size > 0)).scalar()


def log_size(connection: sa.Connection) -> int:
    """How many events are sealed."""
    return connection.execute(sa.select(t.audit_head.c.size)).scalar() or 0
