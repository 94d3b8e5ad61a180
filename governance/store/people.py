"""People with their roles, their sessions, and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.people import ApiKey, Person, Role, RoleBinding, Scope
from governance.services.ports import Account
from governance.store import bulk
from governance.store import tables as t
from governance.store.times import micros, moment, moment_or_none
from governance.store.unit_of_work import UnitOfWork


class SqlPeople:
    """Implements `services.ports.People`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def account(self, issuer: str, subject: str) -> Account | None:
        return self._account(t.principal.c.issuer == issuer, t.principal.c.subject == subject)

    def get(self, principal_id: int) -> Account | None:
        return self._account(t.principal.c.id == principal_id)

    def list(self) -> Sequence[Person]:
        rows = self._connection.execute(_with_bindings().order_by(t.principal.c.name, t.principal.c.id)).all()
        return [_person(group) for group in _grouped(rows)]

    def count(self) -> int:
        return self._connection.execute(sa.select(sa.func.count()).select_from(t.principal)).scalar_one()

    def add(
        self, *, issuer: str, subject: str, name: str, email: str, password_hash: str, must_change: bool, at: datetime
    ) -> int | None:
        statement = (
            bulk.insert_unless_there(self._connection, t.principal)
            .values(
                issuer=issuer,
                subject=subject,
                name=name,
                email=email,
                password_hash=password_hash,
                must_change_password=must_change,
                failed_sign_ins=0,
                locked_until=0,
                created_at=micros(at),
            )
            .returning(t.principal.c.id)
        )
        added: int | None = self._connection.execute(statement).scalar()
        return added

    def rename(self, principal_id: int, *, name: str, email: str) -> None:
        self._update(principal_id, name=name, email=email)

    def set_password(self, principal_id: int, password_hash: str, *, must_change: bool) -> None:
        self._update(
            principal_id,
            password_hash=password_hash,
            must_change_password=must_change,
            failed_sign_ins=0,
            locked_until=0,
        )

    def rehash(self, principal_id: int, old: str, new: str) -> None:
        self._connection.execute(
            t.principal.update()
            .where(t.principal.c.id == principal_id, t.principal.c.password_hash == old)
            .values(password_hash=new)
        )

    def disable(self, principal_id: int, at: datetime) -> bool:
        disabled = self._connection.execute(
            t.principal.update()
            .where(t.principal.c.id == principal_id, t.principal.c.disabled_at.is_(None))
            .values(disabled_at=micros(at))
        )
        return disabled.rowcount == 1

    def bindings(self, principal_id: int, source: str) -> tuple[RoleBinding, ...]:
        binding = t.role_binding.c
        rows = self._connection.execute(
            sa.select(binding.role, binding.system)
            .where(binding.principal_id == principal_id, binding.source == source)
            .order_by(binding.role, binding.system)
        )
        return tuple(RoleBinding(role=Role(row.role), system=row.system) for row in rows)

    def bind(self, principal_id: int, bindings: Sequence[RoleBinding], *, source: str) -> None:
        binding = t.role_binding.c
        self._connection.execute(
            t.role_binding.delete().where(binding.principal_id == principal_id, binding.source == source)
        )
        for each in bindings:
            values = {
                "id": self._tx.take(),
                "principal_id": principal_id,
                "role": each.role,
                "system": each.system,
                "source": source,
            }
            # Two sign-ins of one person at once give the same bindings.
            self._connection.execute(bulk.insert_unless_there(self._connection, t.role_binding).values(values))

    def failed(self, principal_id: int, *, limit: int, lock_until: datetime) -> bool:
        principal = t.principal.c
        full = principal.failed_sign_ins + 1 >= limit
        row = self._connection.execute(
            t.principal.update()
            .where(principal.id == principal_id)
            .values(
                failed_sign_ins=sa.case((full, 0), else_=principal.failed_sign_ins + 1),
                locked_until=sa.case((full, micros(lock_until)), else_=principal.locked_until),
            )
            .returning(principal.failed_sign_ins)
        ).first()
        return row is not None and row.failed_sign_ins == 0

    def succeeded(self, principal_id: int) -> None:
        self._update(principal_id, failed_sign_ins=0, locked_until=0)

    def _update(self, principal_id: int, **values: Any) -> None:
        self._connection.execute(t.principal.update().where(t.principal.c.id == principal_id).values(values))

    def _account(self, *conditions: sa.ColumnElement[bool]) -> Account | None:
        rows = self._connection.execute(_with_bindings().where(*conditions)).all()
        if not rows:
            return None
        return Account(
            person=_person(rows), password_hash=rows[0].password_hash, locked_until=moment(rows[0].locked_until)
        )


class SqlSessions:
    """Implements `services.ports.Sessions`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def open(self, token_hash: bytes, principal_id: int, *, at: datetime, until: datetime) -> None:
        self._connection.execute(
            t.session.insert().values(
                id=self._tx.take(),
                token_hash=token_hash,
                principal_id=principal_id,
                created_at=micros(at),
                expires_at=micros(until),
            )
        )

    def find(self, token_hash: bytes, now: datetime) -> Person | None:
        session = t.session.c
        rows = self._connection.execute(
            _with_bindings()
            .join(t.session, session.principal_id == t.principal.c.id)
            .where(
                session.token_hash == token_hash,
                session.expires_at > micros(now),
                session.revoked_at.is_(None),
                t.principal.c.disabled_at.is_(None),
            )
        ).all()
        return _person(rows) if rows else None

    def close(self, token_hash: bytes, at: datetime) -> int | None:
        session = t.session.c
        return self._connection.execute(
            t.session.update()
            .where(session.token_hash == token_hash, session.revoked_at.is_(None))
            .values(revoked_at=micros(at))
            .returning(session.principal_id)
        ).scalar()

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


class SqlKeys:
    """Implements `services.ports.Keys`."""

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


def _with_bindings() -> sa.Select[Any]:
    """A row for each role binding; one with NULLs for a person without any."""
    binding = t.role_binding.c
    return sa.select(t.principal, binding.role.label("role"), binding.system.label("role_system")).outerjoin(
        t.role_binding, binding.principal_id == t.principal.c.id
    )


def _grouped(rows: Sequence[sa.Row[Any]]) -> Sequence[Sequence[sa.Row[Any]]]:
    groups: dict[int, list[sa.Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.id, []).append(row)
    return list(groups.values())


def _person(rows: Sequence[sa.Row[Any]]) -> Person:
    first = rows[0]
    # A role may be held both by a binding made here and by a group: it counts once.
    held = sorted({(row.role, row.role_system) for row in rows if row.role is not None})
    return Person(
        id=first.id,
        issuer=first.issuer,
        subject=first.subject,
        name=first.name,
        email=first.email,
        bindings=tuple(RoleBinding(role=Role(role), system=system) for role, system in held),
        created_at=moment(first.created_at),
        disabled_at=moment_or_none(first.disabled_at),
        must_change_password=bool(first.must_change_password),
    )


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
