"""What is held about an end user, with its original content: for the person themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from governance.errors import Tampered
from governance.privacy.keys import KeyRing
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls import erased
from governance.store.calls.documents import decision_document, rfc3339
from governance.store.calls.opening import CallOpener

AT_ONCE = 100


class SqlSubjects:
    """Implements `services.evidence.subject.Subjects`."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring

    def systems(self, subject: str) -> frozenset[str]:
        c, s = t.call.c, t.system.c
        with self._database.read() as connection:
            wanted = sa.select(s.name).join(t.call, c.system_id == s.id).where(c.user_id == subject).distinct()
            return frozenset(connection.execute(wanted).scalars())

    def calls(self, subject: str, system: str) -> Iterator[dict[str, Any]]:
        """In the order of their numbers, a few in memory at a time."""
        after = 0
        while True:
            c = t.call.c
            wanted = sa.select(c.id).where(c.user_id == subject, c.id > after).order_by(c.id).limit(AT_ONCE)
            if system:
                wanted = wanted.join(t.system, t.system.c.id == c.system_id).where(t.system.c.name == system)
            with self._database.read() as connection:
                ids = connection.execute(wanted).scalars().all()
                found = self._documents(connection, list(ids)) if ids else []
            if not found:
                return
            yield from found
            after = ids[-1]

    def _documents(self, connection: sa.Connection, ids: list[int]) -> list[dict[str, Any]]:
        decisions: dict[int, list[dict[str, Any]]] = {}
        for row in bulk.select_in(
            connection,
            "SELECT d.*, p.digest FROM decision d JOIN policy_set p ON p.id = d.policy_set_id WHERE d.shadow = 0 "
            "AND d.call_id IN {in} ORDER BY d.id",
            ids,
        ):
            one = decision_document(row, row.digest)
            kept = ("id", "action", "queue", "severity", "policies", "explanation", "decided_at")
            decisions.setdefault(row.call_id, []).append({name: one[name] for name in kept})
        reports: dict[int, list[dict[str, Any]]] = {}
        for row in bulk.select_in(connection, "SELECT * FROM report WHERE call_id IN {in} ORDER BY id", ids):
            reports.setdefault(row.call_id, []).append(self._report(row))
        gone = erased.gone(connection, "call", ids)
        return [
            {
                "id": str(one.id),
                "system": one.system,
                "erased": gone[one.id].words if one.id in gone else None,
                "unreadable": one.unreadable or None,
                "content": None if one.call is None else _content(one.call),
                "decisions": decisions.get(one.id, []),
                "reports": reports.get(one.id, []),
            }
            for one in sorted(CallOpener(self._keyring).open(connection, ids), key=lambda loaded: loaded.id)
        ]

    def _report(self, row: Any) -> dict[str, Any]:
        words: dict[str, Any] = {}
        if row.body is not None and row.wrapped_key is not None:
            try:
                key = self._keyring.unwrap(bytes(row.wrapped_key))
                words = json.loads(key.open(bytes(row.body), b"report:%d" % row.id))
            except Tampered as error:
                words = {"unreadable": error.message}
        return {"reference": row.reference, "received_at": rfc3339(row.received_at), **words}


def _content(call: Any) -> dict[str, Any]:
    return {
        "trace_id": call.trace_id,
        "session_id": call.session_id,
        "user": {"id": call.user.id, "role": call.user.role},
        "started_at": call.started_at.isoformat().replace("+00:00", "Z"),
        "model": call.model,
        "input": [{"role": one.role, "text": one.text} for one in call.input],
        "output": [{"role": one.role, "text": one.text} for one in call.output],
        "documents": [{"id": one.id, "text": one.text} for one in call.documents],
        "tool_calls": [{"name": one.name, "arguments": one.arguments, "result": one.result} for one in call.tool_calls],
        "error": call.error,
        "attributes": dict(call.attributes),
    }
