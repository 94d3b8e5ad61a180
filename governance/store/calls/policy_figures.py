"""Daily figures of policy sets and of policies, kept in the transaction that decides: no page looks through decisions.

A call that is decided again (more content came) is counted as it was decided last: what it added before is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from governance.domain.decisions import Outcome, PolicyStatus
from governance.store.base import tables as t
from governance.store.calls.figures import DAY

_SET_COUNTS = ("calls", "flagged", "shadow_calls", "shadow_flagged")
_POLICY_COUNTS = ("fired", "errors", "excepted", "shadow_fired", "shadow_errors")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What one decision adds to its day, or with `sign` -1 takes back. `policies` are (policy, outcome, status), as the
    decision's documents have them; `started_at` is the call's, in microseconds since 1970."""

    system_id: int
    started_at: int
    policy_set_id: int
    shadow: bool
    flagged: bool
    policies: Iterable[tuple[str, str, str]] = ()
    sign: int = 1


def add(connection: sa.Connection, decisions: Iterable[Said]) -> None:
    """One statement a table for all decisions, in key order so that two writers cannot deadlock."""
    sets: dict[tuple[int, int, int], list[int]] = {}
    policies: dict[tuple[int, int, str, int], list[int]] = {}
    latest: dict[tuple[int, int, str, int], int] = {}
    for one in decisions:
        day, sign = one.started_at // DAY, one.sign
        total = sets.setdefault((one.system_id, day, one.policy_set_id), [0] * len(_SET_COUNTS))
        first = 2 if one.shadow else 0
        total[first] += sign
        total[first + 1] += sign * one.flagged
        for policy, outcome, status in one.policies:
            key = (one.system_id, day, policy, one.policy_set_id)
            counts = policies.setdefault(key, [0] * len(_POLICY_COUNTS))
            column = _column(outcome, beside=one.shadow or status == PolicyStatus.SHADOW)
            if column is not None:
                counts[column] += sign
            if sign > 0:
                latest[key] = max(latest.get(key, 0), one.started_at)
    _upsert(
        connection,
        t.daily_set_figure,
        _SET_COUNTS,
        [
            {"system_id": system, "day": day, "policy_set_id": policy_set, **dict(zip(_SET_COUNTS, total, strict=True))}
            for (system, day, policy_set), total in sorted(sets.items())
            if any(total)
        ],
    )
    _upsert(
        connection,
        t.daily_policy_figure,
        _POLICY_COUNTS,
        [
            {
                "system_id": key[0],
                "day": key[1],
                "policy": key[2],
                "policy_set_id": key[3],
                **dict(zip(_POLICY_COUNTS, counts, strict=True)),
                "last_at": latest.get(key, 0),
            }
            for key, counts in sorted(policies.items())
            if any(counts) or key in latest
        ],
    )


def _column(outcome: str, *, beside: bool) -> int | None:
    if outcome == Outcome.FIRED:
        return 3 if beside else 0
    if outcome == Outcome.ERROR:
        return 4 if beside else 1
    return None if beside else 2


def _upsert(connection: sa.Connection, table: sa.Table, counts: tuple[str, ...], rows: list[Mapping[str, Any]]) -> None:
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    statement = insert(table)
    changes: dict[str, Any] = {name: table.c[name] + statement.excluded[name] for name in counts}
    if "last_at" in table.c:
        later = statement.excluded.last_at > table.c.last_at
        changes["last_at"] = sa.case((later, statement.excluded.last_at), else_=table.c.last_at)
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changes), list(rows)
    )
