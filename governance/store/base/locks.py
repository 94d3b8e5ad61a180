"""PostgreSQL's advisory locks by name, so that no number means two things. SQLite has one writer and needs none."""

from __future__ import annotations

from enum import IntEnum, unique

import sqlalchemy as sa


@unique
class Lock(IntEnum):
    """Numbers never change: during an upgrade an older process must wait for a newer one."""

    MIGRATE = 7035201
    SWEEP_CALLS = 7035202
    RECORD_AGAIN = 7035203
    OPEN_CASES = 7035204
    REVIVE_JOBS = 7035205
    MOVE_ROLLOUTS = 7035206
    CHANGE_PEOPLE = 7035210
    PRIVACY = 7035220
    SEAL = 0x6175646974  # "audit"


def take(connection: sa.Connection, lock: Lock) -> None:
    """Waits for the lock, which the end of the transaction releases."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (int(lock),))


def try_take(connection: sa.Connection, lock: Lock) -> bool:
    """Takes the lock if it is free; False when another transaction holds it."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%s)", (int(lock),)).scalar())
