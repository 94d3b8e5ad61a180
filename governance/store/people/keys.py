"""API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.people import ApiKey, Scope
from governance.domain.times import micros, moment, moment_or_none
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlKeys:
    """Implements `services.people.ports.Keys`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def add(
        self,
        *,
        prefix: str,
        secret_hash: bytes,
        scopes: Sequence[Scope],
        system: str,
        created_by: str,
        at: datetime,
        expires_at: datetime | None,
    ) -> int:
        added: int = self._connection.execute(
            t.api_key.insert()
            .values(
                prefix=prefix,
                secret_hash=secret_hash,
                scopes=",".join(scopes),
                system=system,
                created_by=created_by,
                created_at=micros(at),
                expires_at=None if expires_at is None else micros(expires_at),
            )
            .returning(t.api_key.c.id)
        ).scalar_one()
        return added

    def find(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        row = self._connection.execute(sa.select(t.api_key).where(t.api_key.c.prefix == prefix)).first()
        return (_key(row), bytes(row.secret_hash)) if row else None

    def get(self, key_id: int) -> ApiKey | None:
        row = self._connection.execute(sa.select(t.api_key).where(t.api_key.c.id == key_id)).first()
        return _key(row) if row else None

    def list(self) -> Sequence[ApiKey]:
        return [_key(row) for row in self._connection.execute(sa.select(t.api_key).order_by(t.api_key.c.id))]

    def revoke(self, key_id: int, at: datetime) -> bool:
        revoked = self._connection.execute(
            t.api_key.update()
            .where(t.api_key.c.id == key_id, t.api_key.c.revoked_at.is_(None))
            .values(revoked_at=micros(at))
        )
        return revoked.rowcount == 1

    def used(self, key_id: int, at: datetime) -> None:
        self._connection.execute(t.api_key.update().where(t.api_key.c.id == key_id).values(last_used_at=micros(at)))


def _key(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        prefix=row.prefix,
        scopes=tuple(Scope(scope) for scope in row.scopes.split(",")),
        system=row.system,
        created_by=row.created_by,
        created_at=moment(row.created_at),
        expires_at=moment_or_none(row.expires_at),
        revoked_at=moment_or_none(row.revoked_at),
        last_used_at=moment_or_none(row.last_used_at),
    )
