"""Stored decisions with all that they were made of: what a replay needs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from governance.domain.times import moment
from governance.policy.policy import PolicySet
from governance.privacy.keys import KeyRing
from governance.services.calls.explain import Decided
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import facts
from governance.store.calls.opening import CallOpener

_DECISION = sa.select(t.decision, t.policy_set.c.digest).join(t.policy_set)


class SqlDecisions:
    """Implements `services.calls.explain.Decisions`."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing) -> None:
        self._database = database
        self._opener = CallOpener(keyring)

    def load(self, decision_id: int) -> Decided | None:
        """The decision, or None where there is none."""
        with self._database.read() as connection:
            found = self.read(connection, [decision_id])
        return found[0] if found else None

    def read(self, connection: sa.Connection, decision_ids: Sequence[int]) -> list[Decided]:
        """Those of these decisions whose calls are still here, in no order."""
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
