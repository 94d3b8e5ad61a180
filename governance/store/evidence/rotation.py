"""Wraps content keys anew under another key-encryption key, some at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from governance.errors import Conflict
from governance.privacy.keys import PURPOSES, KeyRing
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.keys import ROTATING
from governance.store.base.unit_of_work import UnitOfWork

AT_ONCE = 1_000
_TABLES = (t.conversation, t.report)


class Rotation:
    """Each step commits by itself; a process that is killed between leaves every key under the old or the new one."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring

    def begin(self) -> None:
        """Keeps what was derived from the old key, under the new one; from now on nobody starts without the old."""
        with self._database.write() as tx:
            rows = [(purpose.decode(), self._keyring.wrapped_secret(purpose)) for purpose in PURPOSES]
            bulk.insert(tx.connection, t.installation_secret, rows, ignore=True)
            mark = [(ROTATING, self._keyring.wrapped_by_old())]
            bulk.insert(tx.connection, t.installation_secret, mark, ignore=True)

    def total(self) -> int:
        with self._database.read() as connection:
            return sum(
                int(
                    connection.execute(
                        sa.select(sa.func.count()).select_from(table).where(table.c.wrapped_key.isnot(None))
                    ).scalar_one()
                )
                for table in _TABLES
            )

    def some(self, place: tuple[int, int]) -> tuple[tuple[int, int], int, int] | None:
        """From `place` ((0, 0) at first) the next place, how many keys were looked at, how many wrapped anew; None at
        the end."""
        number, _ = place
        if number == len(_TABLES):
            return None
        table = _TABLES[number]
        c = table.c
        with self._database.write() as tx:
            rows = _page(tx.connection, place)
            changed = 0
            for row in rows:
                anew = self._keyring.rewrap(bytes(row.wrapped_key))
                if anew is not None:
                    # What was erased since is not there to be wrapped.
                    done = tx.connection.execute(
                        table.update().where(c.id == row.id, c.wrapped_key == row.wrapped_key).values(wrapped_key=anew)
                    )
                    changed += done.rowcount
        return _after(place, rows), len(rows), changed

    def end(self) -> None:
        """Wraps the secrets anew, and says that the old key is not needed any more."""
        s = t.installation_secret.c
        with self._database.write() as tx:
            for row in tx.connection.execute(sa.select(s.purpose, s.wrapped_key).where(s.purpose != ROTATING)).all():
                anew = self._keyring.rewrap(bytes(row.wrapped_key))
                if anew is not None:
                    update = t.installation_secret.update().where(s.purpose == row.purpose)
                    tx.connection.execute(update.values(wrapped_key=anew))
            tx.connection.execute(t.installation_secret.delete().where(s.purpose == ROTATING))

    def refuse_old(self) -> None:
        """Raises `Conflict` where a key is still wrapped by the old one."""
        place = (0, 0)
        while place[0] < len(_TABLES):
            with self._database.read() as connection:
                rows = _page(connection, place)
            if any(self._keyring.rewrap(bytes(row.wrapped_key)) is not None for row in rows):
                raise Conflict(
                    "Keys are still wrapped by the old key-encryption key.",
                    advice="Restart every process, run governance keys rotate again, then finish.",
                )
            place = _after(place, rows)


def _page(connection: sa.Connection, place: tuple[int, int]) -> Sequence[Any]:
    """The next keys of a table: `place` is its number, and the last id that was seen of it."""
    c = _TABLES[place[0]].c
    wanted = sa.select(c.id, c.wrapped_key).where(c.id > place[1], c.wrapped_key.isnot(None))
    return connection.execute(wanted.order_by(c.id).limit(AT_ONCE)).all()


def _after(place: tuple[int, int], rows: Sequence[Any]) -> tuple[int, int]:
    return (place[0], rows[-1].id) if rows else (place[0] + 1, 0)
