"""Whether the database itself is whole: what SQLite says of its own pages and of references."""

from __future__ import annotations

import sqlalchemy as sa

from governance.errors import Misconfigured

_MOST = 20


def damage(connection: sa.Connection) -> list[str]:
    """What is wrong, at most twenty sentences. On PostgreSQL: what its page checksums found, and the indexes by amcheck
    where that extension is installed and this account may use it."""
    if connection.dialect.name != "sqlite":
        return _postgresql(connection)
    try:
        found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST})")]
        if found != ["ok"]:
            return found[:_MOST]
        return [
            f"A row of {row[0]} refers to a row of {row[2]} that is not there."
            for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST)
        ]
    except Misconfigured as error:  # so damaged that it cannot be looked through
        return [error.message]


_INDEXES = """
SELECT c.oid::regclass::text FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.amname = 'btree' AND n.nspname = current_schema() AND i.indisready AND i.indisvalid
"""


def _postgresql(connection: sa.Connection) -> list[str]:
    failures = connection.exec_driver_sql(
        "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"
    ).scalar()
    problems = [f"PostgreSQL counted {failures} pages with a wrong checksum."] if failures else []
    if not connection.exec_driver_sql("SELECT to_regprocedure('bt_index_check(regclass)')").scalar():
        return problems
    for (index,) in connection.exec_driver_sql(_INDEXES).all():
        with connection.begin_nested() as look:
            try:
                connection.exec_driver_sql("SELECT bt_index_check(%s::regclass)", (index,))
            except sa.exc.DBAPIError as error:
                look.rollback()
                state = getattr(error.orig, "sqlstate", "")
                if state == "42501":  # this account may not
                    return problems
                problems.append(str(error.orig).splitlines()[0])
    return problems[:_MOST]
