"""Sessions of people who signed in."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from governance.domain.people import Person
from governance.domain.times import micros
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.people.accounts import person_of, with_bindings


class SqlSessions:
    """Implements `services.people.ports.Sessions`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def open(
        self, token_hash: bytes, principal_id: int, *, at: datetime, until: datetime, browser_hash: bytes | None
    ) -> int:
        number = self._tx.take()
        self._connection.execute(
            t.session.insert().values(
                id=number,
                token_hash=token_hash,
                principal_id=principal_id,
                created_at=micros(at),
                expires_at=micros(until),
                browser_hash=browser_hash,
            )
        )
        return number

    def find(self, token_hash: bytes, now: datetime) -> Person | None:
        session = t.session.c
        rows = self._connection.execute(
            with_bindings()
            .join(t.session, session.principal_id == t.principal.c.id)
            .where(
                session.token_hash == token_hash,
                session.expires_at > micros(now),
                session.revoked_at.is_(None),
                t.principal.c.disabled_at.is_(None),
            )
        ).all()
        return person_of(rows) if rows else None

    def close(self, token_hash: bytes, at: datetime) -> int | None:
        session = t.session.c
        row = self._connection.execute(
            t.session.update()
            .where(session.token_hash == token_hash, session.revoked_at.is_(None))
            .values(revoked_at=micros(at))
            .returning(session.principal_id, session.browser_hash)
        ).first()
        if row is None:
            return None
        if row.browser_hash is not None:
            self._connection.execute(
                t.session.update()
                .where(
                    session.principal_id == row.principal_id,
                    session.browser_hash == row.browser_hash,
                    session.revoked_at.is_(None),
                )
                .values(revoked_at=micros(at))
            )
        number: int = row.principal_id
        return number

    def close_all(self, principal_id: int, at: datetime) -> int:
        session = t.session.c
        closed = self._connection.execute(
            t.session.update()
            .where(
                session.principal_id == principal_id,
                session.revoked_at.is_(None),
                session.expires_at > micros(at),
            )
            .values(revoked_at=micros(at))
        )
        return closed.rowcount

    def close_every(self, at: datetime) -> int:
        session = t.session.c
        closed = self._connection.execute(
            t.session.update()
            .where(session.revoked_at.is_(None), session.expires_at > micros(at))
            .values(revoked_at=micros(at))
        )
        return closed.rowcount

    def prune(self, *, ended_before: datetime) -> int:
        session, newer = t.session.c, t.session.alias("newer")
        at = micros(ended_before)
        # The latest stays: it says when somebody signed in last.
        later = sa.select(newer.c.id).where(newer.c.principal_id == session.principal_id, newer.c.id > session.id)
        deleted = self._connection.execute(
            t.session.delete().where(sa.or_(session.expires_at < at, session.revoked_at < at), later.exists())
        )
        return deleted.rowcount
