"""Backtests that were run: whoever approves a set sees what it would do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.times import micros
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork

_MOST = 100


class SqlBacktests:
    """Implements `services.policies.ports.Backtests`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx

    def add(self, *, digest: str, against: str, by_name: str, at: datetime, result: Mapping[str, Any]) -> int:
        number = self._tx.take()
        self._tx.connection.execute(
            t.policy_backtest.insert().values(
                id=number,
                digest=digest,
                against=against,
                by_name=by_name[:200],
                at=micros(at),
                result=json.dumps(result, separators=(",", ":")),
            )
        )
        return number

    def of(self, digest: str, against: str) -> Sequence[Mapping[str, Any]]:
        c = t.policy_backtest.c
        rows = self._tx.connection.execute(
            sa.select(c.id, c.by_name, c.result)
            .where(c.digest == digest, c.against == against)
            .order_by(c.at.desc(), c.id.desc())
            .limit(_MOST)
        )
        return [{**json.loads(row.result), "id": str(row.id), "by": row.by_name} for row in rows]
