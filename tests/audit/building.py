"""Events, and an authority that allows everything, for the tests of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain.events import Event, EventKind, Json
from governance.domain.people import Actor, Permission
from governance.services.authorise import Authority
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.evidence.queries import AuditReader
from governance.store.transaction import Database, Transaction

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def event(number: int, kind: EventKind = EventKind.CALL_RECORDED, **data: Json) -> Event:
    return Event(
        kind=kind,
        at=AT + timedelta(seconds=number),
        actor="service:0",
        subject=f"call:{number}",
        system="bot",
        data={"call": number, **data},
    )


def fill(
    database: Database, count: int, *, start: int = 0, batch: int = 100, kind: EventKind = EventKind.CALL_RECORDED
) -> None:
    """Events number `start` to `start + count`, sealed. With a kind that founds no row, the log fits the tables."""
    for first in range(start, start + count, batch):
        with database.write() as tx:
            for number in range(first, min(first + batch, start + count)):
                tx.append(event(number, kind))
    settle(database)


def settle(database: Database) -> None:
    reader(database).settle()


def reader(database: Database) -> AuditReader:
    assert isinstance(database.audit, SqlAuditLog)
    return AuditReader(database.engine, database.audit)


class Allowing:
    """Permissions that allow all, or nothing."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer

    def allowed(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool:
        return self.answer


def authority(database: Database, clock: Any, *, allowed: bool = True) -> Authority[Transaction]:
    return Authority(database, Allowing(allowed), clock)


class FakeRecords:
    """Records by kind; what a test changes here is what an export finds."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[int, dict[str, Any]]] = {
            name: {} for name in ("calls", "decisions", "cases", "reports")
        }
        self.given: list[dict[str, Any]] = []

    def calls(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return self._of("calls", ids)

    def decisions(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return self._of("decisions", ids)

    def cases(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return self._of("cases", ids)

    def reports(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return self._of("reports", ids)

    def verdicts(self, cases: Sequence[int]) -> list[dict[str, Any]]:
        return [one for one in self.given if int(one["case_id"]) in cases]

    def systems(self) -> Sequence[str]:
        return ["bot", "other"]

    def policies(self) -> Sequence[str]:
        return ["p.one", "p.silent"]

    def has_case(self, number: int, system: str) -> bool:
        return number in self.stored["cases"] and system in ("", self.stored["cases"][number]["system"])

    def names(self, references: Sequence[str]) -> dict[str, str]:
        return {"person:17": "Ada\x1b[31m"} if "person:17" in references else {}

    def _of(self, kind: str, ids: Sequence[int]) -> list[dict[str, Any]]:
        return [self.stored[kind][one] for one in ids if one in self.stored[kind]]
