"""Stored decisions, with all that they were made of: what a replay needs."""

from __future__ import annotations

import json

import sqlalchemy as sa

from governance.policy.policy import PolicySet
from governance.privacy.keys import KeyRing
from governance.services.explain import Decided
from governance.store import facts
from governance.store import tables as t
from governance.store.checks import CallOpener
from governance.store.database import Database
from governance.store.times import moment


class SqlDecisions:
    """Implements `services.explain.Decisions`."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring

    def load(self, decision_id: int) -> Decided | None:
        """The decision, or None where there is none."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(t.decision, t.policy_set.c.digest, t.policy_set.c.policies)
                .join(t.policy_set)
                .where(t.decision.c.id == decision_id)
            ).first()
            if row is None or row.call_id is None:
                return None
            (loaded,) = CallOpener(self._keyring).open(connection, [row.call_id])
        decision, findings, failures = facts.decode_decision(row, row.digest)
        return Decided(
            decision_id=decision_id,
            call_id=row.call_id,
            system=loaded.system,
            decision=decision,
            findings=findings,
            failures=failures,
            policy_set=PolicySet.from_document(json.loads(row.policies)),
            at=moment(row.decided_at),
            call=loaded.call,
            parts=loaded.parts,
            changed=loaded.revision != row.revision,
            unreadable=loaded.unreadable,
        )
