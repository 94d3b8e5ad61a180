"""What people decided on the cases in which a policy fired."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from governance.domain.decisions import Outcome
from governance.domain.review import CaseKind, VerdictOutcome
from governance.services.policies.suggest import CaseOfPolicy
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls.decisions import SqlDecisions

_CASES_AT_ONCE = 500


def _naming(policy: str, after: int, before: int) -> sa.Select[Any]:
    """(case_id, decision's id and detail, outcome of the standing verdict) of flagged cases with numbers from `after`,
    without it, up to `before`: decisions that name the policy, of each case its own before those of further calls."""
    c, d, k, v, further = t.case.c, t.decision.c, t.call.c, t.verdict.c, t.case_call.c
    flagged = sa.and_(c.kind == CaseKind.FLAGGED.value, c.id > after, c.id <= before)
    own = sa.select(c.id.label("case_id"), c.decision_id, sa.literal(0).label("place")).where(flagged)
    added = (
        sa.select(c.id, d.id, sa.literal(1))
        .join(t.case_call, further.case_id == c.id)
        .join(t.call, k.id == further.call_id)
        .join(t.decision, sa.and_(d.call_id == k.id, d.revision == k.revision, d.shadow == 0))
        .where(flagged)
    )
    shown = sa.union_all(own, added).subquery()
    return (
        sa.select(shown.c.case_id, d.id, d.detail, v.outcome)
        .join(t.decision, d.id == shown.c.decision_id)
        .outerjoin(t.verdict, sa.and_(v.case_id == shown.c.case_id, v.returned_at.is_(None)))
        .where(d.detail.contains(f'"{policy}"', autoescape=True))
        .order_by(shown.c.case_id.desc(), shown.c.place, d.id)
    )


def _fired(policy: str, detail: str) -> bool:
    said = json.loads(detail)["policies"]
    return any(one["policy"] == policy and one["outcome"] == Outcome.FIRED.value for one in said)


class SqlVerdicts:
    """Implements `services.policies.suggest.Verdicts`."""

    def __init__(
        self, database: Database[UnitOfWork], decisions: SqlDecisions, read_call: Callable[[int], Mapping[str, Any]]
    ) -> None:
        """`read_call` gives the call object, redacted."""
        self._database = database
        self._decisions = decisions
        self._read_call = read_call

    def of_policy(self, policy: str, *, limit: int) -> Sequence[CaseOfPolicy]:
        """The latest cases in which the policy fired, the newest first, with the standing verdict of each; of each the
        case's own decision, or else the first of a further call of the incident in which it did."""
        found: list[CaseOfPolicy] = []
        with self._database.read() as connection:
            before = connection.execute(sa.select(sa.func.max(t.case.c.id))).scalar() or 0
            while before > 0 and len(found) < limit:
                after = before - _CASES_AT_ONCE
                found += self._cases(connection, policy, after, before)
                before = after
        return found[:limit]

    def _cases(self, connection: sa.Connection, policy: str, after: int, before: int) -> list[CaseOfPolicy]:
        chosen: dict[int, Any] = {}
        for row in connection.execute(_naming(policy, after, before)):
            if row.case_id not in chosen and _fired(policy, row.detail):
                chosen[row.case_id] = row
        decided = {
            one.decision_id: one for one in self._decisions.read(connection, [row.id for row in chosen.values()])
        }
        return [
            CaseOfPolicy(
                case=number,
                decided=decided[row.id],
                upheld=None if row.outcome is None else row.outcome == VerdictOutcome.VIOLATION.value,
            )
            for number, row in chosen.items()
            if row.id in decided and decided[row.id].call is not None
        ]

    def redacted(self, call_id: int) -> Mapping[str, Any]:
        return self._read_call(call_id)
