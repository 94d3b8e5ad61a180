"""Who may do what and who read what, as access reviews state it; and the reviews themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.times import micros, moment_or_none
from governance.services.evidence.ports import Grant, KeyGrant, ReadingCount, SignedReview
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork


class SqlAccessReviews:
    """Implements `services.evidence.ports.AccessReviews`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def grants(self) -> list[Grant]:
        b, p = t.role_binding.c, t.principal.c
        roles: dict[int, set[str]] = {}
        for row in self._connection.execute(sa.select(b.principal_id, b.role, b.system)):
            roles.setdefault(row.principal_id, set()).add(f"{row.role}@{row.system}" if row.system else row.role)
        return [
            Grant(
                person=row.id, roles=tuple(sorted(roles.get(row.id, ()))), disabled_at=moment_or_none(row.disabled_at)
            )
            for row in self._connection.execute(sa.select(p.id, p.disabled_at).order_by(p.id))
        ]

    def key_grants(self) -> list[KeyGrant]:
        return [
            KeyGrant(
                key=row.id,
                prefix=row.prefix,
                scopes=tuple(sorted(row.scopes.replace(",", " ").split())),
                system=row.system,
                expires_at=moment_or_none(row.expires_at),
                revoked_at=moment_or_none(row.revoked_at),
            )
            for row in self._connection.execute(sa.select(t.api_key).order_by(t.api_key.c.id))
        ]

    def reading(self, kinds: Sequence[str], since: datetime, until: datetime) -> list[ReadingCount]:
        e = t.audit_event.c
        rows = self._connection.execute(
            sa.select(e.actor, e.kind, e.system, sa.func.count().label("events"))
            .where(e.at >= micros(since), e.at < micros(until), e.kind.in_(kinds))
            .group_by(e.actor, e.kind, e.system)
        )
        found = [ReadingCount(reader=row.actor, kind=row.kind, system=row.system, events=row.events) for row in rows]
        return sorted(found, key=lambda one: (one.reader, one.kind, one.system))

    def began(self) -> datetime | None:
        return moment_or_none(
            self._connection.execute(sa.select(t.audit_event.c.at).order_by(t.audit_event.c.id).limit(1)).scalar()
        )

    def get(self, month: str) -> SignedReview | None:
        row = self._connection.execute(sa.select(t.access_review).where(t.access_review.c.month == month)).first()
        return None if row is None else _review(row)

    def all(self) -> list[SignedReview]:
        rows = self._connection.execute(sa.select(t.access_review).order_by(t.access_review.c.month.desc()))
        return [_review(row) for row in rows]

    def ask(self, month: str, *, at: datetime, reminded: bool) -> None:
        r = t.access_review
        self._open(month, at)
        if reminded:
            self._connection.execute(r.update().where(r.c.month == month).values(reminded_at=micros(at)))

    def sign(self, month: str, *, document: str, digest: str, by: str, note: str, at: datetime) -> bool:
        r = t.access_review
        self._open(month, at)
        changed = self._connection.execute(
            r.update()
            .where(r.c.month == month, r.c.signed_at.is_(None))
            .values(document=document, digest=digest, signed_by=by, signed_at=micros(at), note=note)
        )
        return changed.rowcount == 1

    def _open(self, month: str, at: datetime) -> None:
        insert = bulk.insert_unless_there(self._connection, t.access_review)
        self._connection.execute(insert.values(month=month, due_at=micros(at), note=""))


def _review(row: Any) -> SignedReview:
    return SignedReview(
        month=row.month,
        document=row.document,
        digest=row.digest,
        signed_at=moment_or_none(row.signed_at),
        signed_by=row.signed_by,
        note=row.note,
        reminded_at=moment_or_none(row.reminded_at),
    )
