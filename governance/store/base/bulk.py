"""Writing many rows fast: tuples straight through the driver, in the order of a table's columns.

Here, and in `search`, `audit_log` and `jobs`, is all that SQLite and PostgreSQL need said differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

# SQLite takes at most 32,766 parameters a statement; PostgreSQL 65,535.
CHUNK = 5_000
# Rows a statement; one of many costs SQLite less than many of one.
ROWS = 100


@lru_cache(maxsize=64)
def _insert(table: sa.Table, mark: str, ignore: bool, count: int = 1) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    row = f"({', '.join([mark] * len(table.columns))})"
    statement = f'INSERT INTO "{table.name}" ({columns}) VALUES {", ".join([row] * count)}'  # noqa: S608 - our own names
    return statement + (" ON CONFLICT DO NOTHING" if ignore else "")


def mark(connection: sa.Connection) -> str:
    """The driver's parameter mark."""
    return "?" if connection.dialect.name == "sqlite" else "%s"


def insert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]], *, ignore: bool = False
) -> None:
    """Inserts rows of all the table's columns; `ignore` leaves rows that are there already as they are."""
    sign = mark(connection)
    rest = rows
    if sign == "?":
        # SQLite's driver takes and leaves the interpreter's lock for each execution, whatever else waits for it.
        whole = len(rows) - len(rows) % ROWS
        for some in chunks(rows[:whole], ROWS):
            values = tuple(chain.from_iterable(some))
            connection.exec_driver_sql(_insert(table, sign, ignore, ROWS), values)
        rest = rows[whole:]
    if rest:
        connection.exec_driver_sql(_insert(table, sign, ignore), list(rest))


def insert_unless_there(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that leaves rows that are there already as they are (ON CONFLICT DO NOTHING)."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def chunks(items: Sequence[Any], size: int = CHUNK) -> Iterable[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def select_in(connection: sa.Connection, statement: str, values: Sequence[Any], *fixed: Any) -> list[Any]:
    """Runs `statement` with its `{in}` filled by a list, and `{}` by the parameter mark, in chunks; gives all rows.

    `fixed` are the parameters that stand before the list.
    """
    sign = mark(connection)
    found: list[Any] = []
    for chunk in chunks(values):
        marks = ", ".join([sign] * len(chunk))
        sql = statement.replace("{in}", f"({marks})").replace("{}", sign)
        found.extend(connection.exec_driver_sql(sql, (*fixed, *chunk)).all())
    return found


def select_pairs(connection: sa.Connection, statement: str, pairs: Sequence[tuple[Any, Any]]) -> list[Any]:
    """As `select_in` for pairs: `{wanted}` in `FROM {wanted} t ON t.x = wanted.a AND t.y = wanted.b` joins them.

    A row value `IN` a list would make SQLite walk through the whole table; the pairs must drive the join.
    """
    sign = mark(connection)
    one = f"({sign}, {sign})"
    sql = statement.replace("{wanted}", "wanted CROSS JOIN" if connection.dialect.name == "sqlite" else "wanted JOIN")
    found: list[Any] = []
    for chunk in chunks(pairs):
        values = ", ".join([one] * len(chunk))
        parameters = tuple(value for pair in chunk for value in pair)
        found.extend(connection.exec_driver_sql(f"WITH wanted(a, b) AS (VALUES {values}) {sql}", parameters).all())
    return found
