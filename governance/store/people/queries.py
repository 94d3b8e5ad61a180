"""People, their roles, and API keys: what Admin lists, and names for references."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from governance.domain.people import Role
from governance.domain.times import moment, moment_or_none
from governance.services.people.read import BindingRow, KeyRow, PersonRow
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork


def names(connection: sa.Connection, ids: Iterable[int] | None = None) -> dict[int, str]:
    """Principals' names, of `ids` or of all."""
    p = t.principal.c
    statement = sa.select(p.id, p.name)
    if ids is not None:
        statement = statement.where(p.id.in_(set(ids)))
    return {row.id: row.name for row in connection.execute(statement)}


def people(connection: sa.Connection) -> list[PersonRow]:
    """Everybody, those who may still sign in first, then by name."""
    bindings: dict[int, list[BindingRow]] = {}
    b = t.role_binding.c
    for row in connection.execute(sa.select(t.role_binding).order_by(b.role, b.system)):
        bindings.setdefault(row.principal_id, []).append(
            BindingRow(role=Role(row.role), system=row.system, from_claim=row.source == "claim")
        )
    s = t.session.c
    seen = sa.select(s.principal_id, sa.func.max(s.created_at).label("at")).group_by(s.principal_id).subquery()
    p = t.principal.c
    rows = connection.execute(
        sa.select(t.principal, seen.c.at.label("seen"))
        .outerjoin(seen, seen.c.principal_id == p.id)
        .order_by(p.disabled_at.isnot(None), sa.func.lower(p.name), p.id)
    )
    return [
        PersonRow(
            id=row.id,
            local=row.issuer == "local",
            account=row.subject,
            name=row.name,
            email=row.email,
            bindings=tuple(bindings.get(row.id, ())),
            disabled_at=moment_or_none(row.disabled_at),
            must_change_password=row.must_change_password,
            last_seen_at=moment_or_none(row.seen),
            created_at=moment(row.created_at),
        )
        for row in rows
    ]


def keys(connection: sa.Connection) -> list[KeyRow]:
    """All API keys, those that still open something first, the newest first."""
    k = t.api_key.c
    rows = connection.execute(sa.select(t.api_key).order_by(k.revoked_at.isnot(None), k.id.desc()))
    return [
        KeyRow(
            id=row.id,
            prefix=row.prefix,
            scopes=tuple(word for word in row.scopes.replace(",", " ").split() if word),
            system=row.system,
            created_by=row.created_by,
            created_at=moment(row.created_at),
            expires_at=moment_or_none(row.expires_at),
            revoked_at=moment_or_none(row.revoked_at),
            last_used_at=moment_or_none(row.last_used_at),
        )
        for row in rows
    ]


class PeopleQueries:
    """Implements `services.people.read.PeopleQueries`: each method is one short read."""

    def __init__(self, database: Database[UnitOfWork]) -> None:
        self._database = database

    def names(self, ids: Collection[int] | None) -> dict[int, str]:
        with self._database.read() as connection:
            return names(connection, ids)

    def people(self) -> list[PersonRow]:
        with self._database.read() as connection:
            return people(connection)

    def keys(self) -> list[KeyRow]:
        with self._database.read() as connection:
            return keys(connection)
