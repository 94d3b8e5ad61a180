"""Search by words: keyed tokens in FTS5 on SQLite, in a tsvector on PostgreSQL. Words only, newest first.

The index holds no readable word (`privacy.search_words`). What is erased is taken out by its number alone, so that
nothing has to be known of the text any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from governance.privacy.search_words import SearchWords
from governance.store.base import bulk


def add(connection: sa.Connection, words: SearchWords, rows: Sequence[tuple[int, str]]) -> None:
    """Makes redacted texts findable: (message id, text). The text of a message that is there is replaced."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        found = [(number, " ".join(words.of(text))) for number, text in rows]
        connection.exec_driver_sql("INSERT OR REPLACE INTO search_text (rowid, words) VALUES (?, ?)", found)
    else:
        connection.exec_driver_sql(
            "INSERT INTO search_text (message_id, words) VALUES (%s, array_to_tsvector(%s::text[])) "
            "ON CONFLICT (message_id) DO UPDATE SET words = excluded.words",
            [(number, words.of(text)) for number, text in rows],
        )


def remove(connection: sa.Connection, message_ids: Sequence[int]) -> None:
    """Makes messages findable no more."""
    column = "rowid" if connection.dialect.name == "sqlite" else "message_id"
    sign = bulk.mark(connection)
    for some in bulk.chunks(message_ids):
        marks = ", ".join([sign] * len(some))
        connection.exec_driver_sql(f"DELETE FROM search_text WHERE {column} IN ({marks})", tuple(some))  # noqa: S608


def find(
    connection: sa.Connection, words: SearchWords, query: str, *, before: int | None = None, limit: int = 50
) -> list[int]:
    """Ids of messages whose redacted text holds all words of `query` (the first 20), newest first.

    `before` is the last page's last id.

    The query is words, nothing more: operators of the database's own search language have no effect.
    """
    tokens = words.of(query)[:20]
    if not tokens:
        return []
    bound = before if before is not None else 2**62
    if connection.dialect.name == "sqlite":
        match = " AND ".join(f'"{token}"' for token in tokens)
        statement = "SELECT rowid FROM search_text WHERE search_text MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?"
    else:
        match = " & ".join(f"'{token}'" for token in tokens)
        statement = (
            "SELECT message_id FROM search_text WHERE words @@ %s::tsquery AND message_id < %s "
            "ORDER BY message_id DESC LIMIT %s"
        )
    rows = connection.exec_driver_sql(statement, (match, bound, limit))
    return [int(row[0]) for row in rows]
