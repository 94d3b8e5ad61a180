"""Whether the database itself is whole: what SQLite says of its own pages and of references."""

from __future__ import annotations

import sqlalchemy as sa

_MOST = 20


def damage(connection: sa.Connection) -> list[str]:
    """What is wrong, at most twenty sentences; nothing to say on PostgreSQL, which checks its pages when it reads."""
    if connection.dialect.name != "sqlite":
        return []
    found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST})")]
    problems = [] if found == ["ok"] else found
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST):
        problems.append(f"A row of {row[0]} refers to a row of {row[2]} that is not there.")
    return problems[:_MOST]
