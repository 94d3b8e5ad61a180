"""Stored decisions with all that they were made of: what a replay needs, and what verdicts are about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from governance.domain.decisions import Outcome
from governance.domain.review import CaseKind, VerdictOutcome
from governance.policy.policy import PolicySet
from governance.privacy.keys import KeyRing
from governance.services.explain import Decided
from governance.services.suggest import CaseOfPolicy
from governance.store import facts
from governance.store import tables as t
from governance.store.checks import CallOpener
from governance.store.database import Database
from governance.store.times import moment

_DECISION = sa.select(t.decision, t.policy_set.c.digest).join(t.policy_set)
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


class SqlDecisions:
    """Implements `services.explain.Decisions` and `services.suggest.Verdicts`."""

    def __init__(self, database: Database, keyring: KeyRing, read_call: Callable[[int], Mapping[str, Any]]) -> None:
        """`read_call` gives the call object, redacted."""
        self._database = database
        self._opener = CallOpener(keyring)
        self._read_call = read_call

    def load(self, decision_id: int) -> Decided | None:
        """The decision, or None where there is none."""
        with self._database.read() as connection:
            found = self._load(connection, [decision_id])
        return found[0] if found else None

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
        decided = {one.decision_id: one for one in self._load(connection, [row.id for row in chosen.values()])}
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

    def _load(self, connection: sa.Connection, decision_ids: Sequence[int]) -> list[Decided]:
        rows = connection.execute(_DECISION.where(t.decision.c.id.in_(decision_ids))).all()
        calls = {one.id: one for one in self._opener.open(connection, [row.call_id for row in rows if row.call_id])}
        s = t.policy_set.c
        sets = {
            row.id: PolicySet.from_document(json.loads(row.policies))
            for row in connection.execute(
                sa.select(s.id, s.policies).where(s.id.in_({row.policy_set_id for row in rows}))
            )
        }
        found = []
        for row in rows:
            loaded = calls.get(row.call_id)
            if loaded is None:
                continue
            decision, findings, failures = facts.decode_decision(row, row.digest)
            found.append(
                Decided(
                    decision_id=row.id,
                    call_id=row.call_id,
                    system=loaded.system,
                    decision=decision,
                    findings=findings,
                    failures=failures,
                    policy_set=sets[row.policy_set_id],
                    at=moment(row.decided_at),
                    call=loaded.call,
                    parts=loaded.parts,
                    changed=loaded.revision != row.revision,
                    unreadable=loaded.unreadable,
                )
            )
        return found
