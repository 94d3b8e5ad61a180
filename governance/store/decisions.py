"""Stored decisions with all that they were made of: what a replay needs, and what verdicts are about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

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
        """The latest cases that the policy opened, the newest first, with the standing verdict of each."""
        c, v = t.case.c, t.verdict.c
        statement = (
            sa.select(c.id, c.decision_id, v.outcome)
            .outerjoin(t.verdict, (v.case_id == c.id) & v.returned_at.is_(None))
            .where(c.policy == policy, c.kind == CaseKind.FLAGGED.value, c.decision_id.is_not(None))
            .order_by(c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
            decided = {one.decision_id: one for one in self._load(connection, [row.decision_id for row in rows])}
        return [
            CaseOfPolicy(
                case=row.id,
                decided=decided[row.decision_id],
                upheld=None if row.outcome is None else row.outcome == VerdictOutcome.VIOLATION.value,
            )
            for row in rows
            if row.decision_id in decided and decided[row.decision_id].call is not None
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
