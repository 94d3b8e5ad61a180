"""Rewrites the database's files, so that what was deleted is left nowhere in them.

SQLite overwrites what it deletes (`secure_delete`), but when it moves rows between pages it leaves copies in their
unused space, and the write-ahead log holds earlier versions of pages. `VACUUM` writes every page anew, and a truncating
checkpoint empties the log. PostgreSQL's `VACUUM` gives the space of dead rows back; only `VACUUM FULL`, which locks the
tables, and the end of its own write-ahead log remove the last of their bytes (docs/privacy.md).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import sqlalchemy as sa

from governance.errors import Overloaded

AT_ONCE = 2**30
"""Bytes of a database file that is rewritten at once: writers wait for as long. A larger one is rewritten at night."""
_TABLES = (
    '"case", call, call_conflict, case_note, conversation, decision, erasure, examination, message, report, reveal, '
    "search_text, verdict"
)


def purge(engine: sa.Engine, *, any_size: bool = False) -> bool:
    """True when nothing deleted is left in the files; False where that is for another time (a large file without
    `any_size`), or another's to do (PostgreSQL). Raises `Overloaded` where readers or a full disk stand in the way."""
    if engine.dialect.name != "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM {_TABLES}")
        return False
    file = Path(engine.url.database or "")
    whole = any_size or file.stat().st_size <= AT_ONCE
    if whole and shutil.disk_usage(file.parent).free < 2 * file.stat().st_size:
        raise Overloaded(
            "There is no room to rewrite the database.",
            advice="What was erased cannot be read, but deleted bytes are in the file until it is rewritten.",
            retry_after=600,
        )
    with engine.connect() as connection:
        if whole:
            connection.exec_driver_sql("INSERT INTO search_text (search_text) VALUES ('optimize')")
            connection.exec_driver_sql("VACUUM")
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            raise Overloaded("Readers keep the write-ahead log open.", advice="It is tried again.", retry_after=10)
    return whole
