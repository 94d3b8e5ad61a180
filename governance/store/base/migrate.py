"""Brings a database to the schema that this code speaks (Alembic), and refuses one that is newer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import governance
from governance.errors import Misconfigured
from governance.store.base import locks
from governance.store.base.database import begin


def migrations_folder() -> Path:
    """Inside the installed package, or beside it in a checkout."""
    package = Path(governance.__file__).parent
    packaged = package / "_migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    return config


def head() -> str:
    """The revision that this code speaks."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found, "migrations are part of the installation"
    return found


def current(connection: sa.Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: sa.Engine, revision: str = "head") -> bool:
    """Migrates to `head()`; True if anything was done. Two processes at once: the second waits and finds it done.

    Raises `Misconfigured` when the database was made by a newer version.
    """
    with engine.connect() as connection, _without_foreign_keys(connection):
        begin(connection)
        locks.take(connection, locks.Lock.MIGRATE)
        refuse_newer(connection)
        if current(connection) == head():
            connection.rollback()
            return False
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _check_foreign_keys(connection)
        connection.commit()
    return True


@contextmanager
def _without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """SQLite changes most of a table by making it anew (https://sqlite.org/lang_altertable.html#otheralter): while the
    old one is dropped, rows that refer to it must be left alone. The setting holds only outside a transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _check_foreign_keys(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise Misconfigured(
            f"The database was not migrated: a row of {broken[0]} refers to a row of {broken[2]} that is not there.",
            advice="Nothing was changed. Run: governance db check.",
        )


def check(engine: sa.Engine) -> None:
    """Raises `Misconfigured` unless the database is exactly at `head()`."""
    with engine.connect() as connection:
        refuse_newer(connection)
        found = current(connection)
    if found != head():
        raise Misconfigured(
            "The database is older than this version of the product." if found else "The database is empty.",
            advice="Run: governance db upgrade.",
        )


def refuse_newer(connection: sa.Connection) -> None:
    found = current(connection)
    if found is None:
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found not in known:
        raise Misconfigured(
            "The database was made by a newer version of the product; nothing was changed.",
            advice="Install that version, or restore a backup made with this one.",
        )
