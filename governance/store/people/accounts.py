"""People with their accounts and roles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.people import Person, ProviderSignIn, Role, RoleBinding
from governance.domain.times import micros, moment, moment_or_none
from governance.services.people.ports import Account
from governance.store.base import bulk, locks
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlPeople:
    """Implements `services.people.ports.People`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def account(self, issuer: str, subject: str) -> Account | None:
        return self._account(t.principal.c.issuer == issuer, t.principal.c.subject == subject)

    def get(self, principal_id: int) -> Account | None:
        return self._account(t.principal.c.id == principal_id)

    def list(self) -> Sequence[Person]:
        rows = self._connection.execute(with_bindings().order_by(t.principal.c.name, t.principal.c.id)).all()
        return [person_of(group) for group in _grouped(rows)]

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

    def rehash(self, principal_id: int, old: str, new: str) -> bool:
        changed = self._connection.execute(
            t.principal.update()
            .where(t.principal.c.id == principal_id, t.principal.c.password_hash == old)
            .values(password_hash=new)
        )
        return changed.rowcount == 1

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

    def take_turns(self) -> None:
        locks.take(self._connection, locks.Lock.CHANGE_PEOPLE)

    def bind(self, principal_id: int, bindings: Sequence[RoleBinding], *, source: str) -> Sequence[int]:
        binding = t.role_binding.c
        gone = self._connection.execute(
            t.role_binding.delete()
            .where(binding.principal_id == principal_id, binding.source == source)
            .returning(binding.id)
        )
        touched = [int(number) for number in gone.scalars()]
        for each in bindings:
            touched.append(number := self._tx.take())
            values = {
                "id": number,
                "principal_id": principal_id,
                "role": each.role,
                "system": each.system,
                "source": source,
            }
            # Two sign-ins of one person at once give the same bindings.
            self._connection.execute(bulk.insert_unless_there(self._connection, t.role_binding).values(values))
        return touched

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

    def keep_sign_in(self, sign_in: ProviderSignIn, *, most: int) -> None:
        number, table = self._tx.take(), t.provider_sign_in
        self._connection.execute(
            table.insert().values(
                id=number,
                principal_id=sign_in.person_id,
                at=micros(sign_in.at),
                claim=sign_in.claim,
                shape=sign_in.shape,
                names=json.dumps(list(sign_in.names), ensure_ascii=False),
                names_count=sign_in.count,
                problem=sign_in.problem,
                roles=",".join(sign_in.roles),
                outcome=sign_in.outcome,
            )
        )
        # Ids of several processes do not follow time.
        oldest = sa.select(table.c.at).order_by(table.c.at.desc()).limit(1).offset(most - 1).scalar_subquery()
        self._connection.execute(table.delete().where(table.c.at < oldest))

    def sign_ins(self, limit: int) -> Sequence[ProviderSignIn]:
        table = t.provider_sign_in
        rows = self._connection.execute(
            sa.select(table, t.principal.c.name.label("person"))
            .join(t.principal, t.principal.c.id == table.c.principal_id)
            .order_by(table.c.at.desc(), table.c.id.desc())
            .limit(limit)
        )
        return [
            ProviderSignIn(
                at=moment(row.at),
                person_id=row.principal_id,
                person=row.person,
                claim=row.claim,
                shape=row.shape,
                names=tuple(json.loads(row.names)),
                count=row.names_count,
                problem=row.problem,
                roles=tuple(Role(role) for role in row.roles.split(",") if role),
                outcome=row.outcome,
            )
            for row in rows
        ]

    def _update(self, principal_id: int, **values: Any) -> None:
        self._connection.execute(t.principal.update().where(t.principal.c.id == principal_id).values(values))

    def _account(self, *conditions: sa.ColumnElement[bool]) -> Account | None:
        rows = self._connection.execute(with_bindings().where(*conditions)).all()
        if not rows:
            return None
        return Account(
            person=person_of(rows), password_hash=rows[0].password_hash, locked_until=moment(rows[0].locked_until)
        )


def with_bindings() -> sa.Select[Any]:
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


def person_of(rows: Sequence[sa.Row[Any]]) -> Person:
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
