"""Seals redacted texts that an earlier version kept in clear, and makes them findable again, some at a time."""

from __future__ import annotations

import sqlalchemy as sa

from governance.privacy.keys import KeyRing
from governance.store.base import sealed
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import search
from governance.store.calls.redacted import RedactedTexts

AT_ONCE = 500


class Sealing:
    """Each call of `some` commits by itself: a process that is killed leaves texts sealed or as they were."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing, texts: RedactedTexts) -> None:
        self._database = database
        self._keyring = keyring
        self._texts = texts

    def some(self) -> int:
        """Seals the next texts and excerpts that lie in clear; returns how many, 0 when none is left."""
        with self._database.read() as connection:  # looking costs nobody the write lock
            if not _clear_texts(connection, 1) and not _clear_excerpts(connection, 1):
                return 0
        with self._database.write() as transaction:
            connection = transaction.connection
            return self._seal_texts(connection) + self._seal_excerpts(connection)

    def _seal_texts(self, connection: sa.Connection) -> int:
        rows = _clear_texts(connection, AT_ONCE)
        e = t.examination.c
        for row in rows:
            kept = None
            if row.wrapped_key is not None:
                key = self._keyring.unwrap(bytes(row.wrapped_key))
                kept = sealed.seal(key, row.redacted, sealed.examination_of(row.subject_id, row.detector_set))
            connection.execute(
                t.examination.update()
                .where(e.subject_id == row.subject_id, e.detector_set == row.detector_set)
                .values(sealed=kept, redacted=None)
            )
        messages = [row.subject_id for row in rows if row.message_id is not None]
        search.add(connection, self._texts.words, list(self._texts.texts(connection, messages).items()))
        return len(rows)

    def _seal_excerpts(self, connection: sa.Connection) -> int:
        rows = _clear_excerpts(connection, AT_ONCE)
        for row in rows:
            kept = None
            if row.wrapped_key is not None:
                kept = sealed.seal(self._keyring.unwrap(bytes(row.wrapped_key)), row.excerpt, sealed.excerpt_of(row.id))
            values = {"excerpt_sealed": kept, "excerpt": ""}
            connection.execute(t.case.update().where(t.case.c.id == row.id).values(values))
        return len(rows)


def _clear_texts(connection: sa.Connection, limit: int) -> list[sa.Row[tuple[object, ...]]]:
    e, m, c, v = t.examination.c, t.message.c, t.call.c, t.conversation.c
    wanted = (
        sa.select(e.subject_id, e.detector_set, e.redacted, m.id.label("message_id"), v.wrapped_key)
        .select_from(t.examination)
        .outerjoin(t.message, m.id == e.subject_id)
        .outerjoin(t.call, c.id == e.subject_id)
        .outerjoin(t.conversation, v.id == sa.func.coalesce(m.conversation_id, c.conversation_id))
        .where(e.redacted.isnot(None))
        .limit(limit)
    )
    return list(connection.execute(wanted))


def _clear_excerpts(connection: sa.Connection, limit: int) -> list[sa.Row[tuple[object, ...]]]:
    """Of cases about a call: a case without one has no key that would go with it."""
    c, v = t.case.c, t.conversation.c
    wanted = (
        sa.select(c.id, c.excerpt, v.wrapped_key)
        .select_from(t.case)
        .join(t.call, t.call.c.id == c.call_id)
        .join(t.conversation, v.id == t.call.c.conversation_id)
        .where(c.excerpt != "")
        .limit(limit)
    )
    return list(connection.execute(wanted))
