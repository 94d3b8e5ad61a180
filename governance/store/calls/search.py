"""Full text search over redacted text: FTS5 on SQLite, a tsvector on PostgreSQL. Words only, newest first."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlalchemy as sa

_WORD = re.compile(r"\w+")

_LONGEST = 100_000


def add(connection: sa.Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Makes redacted texts findable: (message id, text). A message already there stays as it is."""
    if not rows:
        return
    cut = [(number, text[:_LONGEST]) for number, text in rows]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("INSERT INTO search_text (rowid, words) VALUES (?, ?)", cut)
    else:
        connection.exec_driver_sql(
            "INSERT INTO search_text (message_id, words) VALUES (%s, to_tsvector('simple', %s)) ON CONFLICT DO NOTHING",
            cut,
        )


def find(connection: sa.Connection, query: str, *, before: int | None = None, limit: int = 50) -> list[int]:
    """Ids of messages whose redacted text holds all words of `query`, newest first.

    `before` is the last page's last id.

    The query is words, nothing more: operators of the database's own search language have no effect.
    """
    words = _WORD.findall(query)[:20]
    if not words:
        return []
    bound = before if before is not None else 2**62
    if connection.dialect.name == "sqlite":
        match = " AND ".join(f'"{word}"' for word in words)
        statement = "SELECT rowid FROM search_text WHERE search_text MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?"
        rows = connection.exec_driver_sql(statement, (match, bound, limit))
    else:
        statement = (
            "SELECT message_id FROM search_text WHERE words @@ plainto_tsquery('simple', %s) AND message_id < %s "
            "ORDER BY message_id DESC LIMIT %s"
        )
        rows = connection.exec_driver_sql(statement, (" ".join(words), bound, limit))
    return [int(row[0]) for row in rows]
