"""Records as evidence packages carry them: what was recorded, decided and judged, redacted. `ports.EvidenceRecords`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from governance.domain.decisions import Severity
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.calls.documents import AttributeReader, decision_document, read_calls, rfc3339
from governance.store.calls.redacted import RedactedTexts


class Records:
    """Reads over a connection of its own for each chunk; `attributes` opens and redacts calls' attributes."""

    def __init__(self, engine: sa.Engine, texts: RedactedTexts, attributes: AttributeReader | None = None) -> None:
        self._engine = engine
        self._texts = texts
        self._attributes = attributes

    def calls(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return read_calls(connection, ids, texts=self._texts, attributes=self._attributes)

    def decisions(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        rows = self._select(
            "SELECT d.*, p.digest FROM decision d JOIN policy_set p ON p.id = d.policy_set_id WHERE d.id IN {in}", ids
        )
        return [decision_document(row, row.digest) for row in rows]

    def cases(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        rows = self._select(
            'SELECT c.*, s.name AS system FROM "case" c JOIN system s ON s.id = c.system_id WHERE c.id IN {in}', ids
        )
        return [
            {
                "id": str(row.id),
                "kind": row.kind,
                "state": row.state,
                "queue": row.queue,
                "severity": _severity(row.severity),
                "title": row.title,
                "system": row.system,
                "call_id": _text(row.call_id),
                "decision_id": _text(row.decision_id),
                "policy": row.policy,
                "opened_at": rfc3339(row.opened_at),
                "due_at": rfc3339(row.due_at),
                "closed_at": rfc3339(row.closed_at),
            }
            for row in rows
        ]

    def verdicts(self, cases: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                "id": str(row.id),
                "case_id": str(row.case_id),
                "outcome": row.outcome,
                "reason": row.reason,
                "note": row.note,
                "given_by": f"person:{row.given_by}",
                "given_at": rfc3339(row.given_at),
                "approved_by": None if row.approved_by is None else f"person:{row.approved_by}",
                "approved_at": rfc3339(row.approved_at),
                "returned_by": None if row.returned_by is None else f"person:{row.returned_by}",
                "returned_at": rfc3339(row.returned_at),
            }
            for row in self._select("SELECT * FROM verdict WHERE case_id IN {in} ORDER BY id", cases)
        ]

    def reports(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        rows = self._select(
            "SELECT r.*, s.name AS system FROM report r JOIN system s ON s.id = r.system_id WHERE r.id IN {in}", ids
        )
        return [
            {
                "id": str(row.id),
                "reference": row.reference,
                "system": row.system,
                "trace_id": None if row.trace_id is None else bytes(row.trace_id).hex(),
                "call_id": _text(row.call_id),
                "case_id": _text(row.case_id),
                "received_at": rfc3339(row.received_at),
            }
            for row in rows
        ]

    def systems(self) -> list[str]:
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(t.system.c.name)).scalars())

    def policies(self) -> list[str]:
        with self._engine.connect() as connection:
            sets = connection.execute(sa.select(t.policy_set.c.policies)).scalars()
            return sorted({str(one["id"]) for text in sets for one in json.loads(text)["policies"]})

    def has_case(self, number: int, system: str) -> bool:
        wanted = sa.select(t.case.c.id).join(t.system, t.system.c.id == t.case.c.system_id).where(t.case.c.id == number)
        with self._engine.connect() as connection:
            return connection.execute(wanted.where(t.system.c.name == system) if system else wanted).first() is not None

    def names(self, references: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for kind, statement in (
            ("person", "SELECT id, name FROM principal WHERE id IN {in}"),
            ("key", "SELECT id, prefix AS name FROM api_key WHERE id IN {in}"),
        ):
            ids = [int(one.partition(":")[2]) for one in references if one.startswith(f"{kind}:")]
            found |= {f"{kind}:{row.id}": row.name for row in self._select(statement, ids)}
        return found

    def _select(self, statement: str, ids: Sequence[int]) -> list[Any]:
        with self._engine.connect() as connection:
            return bulk.select_in(connection, statement, ids)


def _severity(rank: int) -> str:
    return list(Severity)[rank - 1].value if rank else ""


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
