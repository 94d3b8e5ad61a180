"""Users' reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.calls import CallKind
from governance.domain.privacy import Gone
from governance.domain.reports import ReportState
from governance.domain.review import CaseKind, CaseState
from governance.domain.times import micros, moment, moment_or_none
from governance.services.review.ports import ReportRecord
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.review.cases import system_id


class SqlReports:
    """Implements `services.review.ports.Reports`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def new_id(self) -> int:
        return self._tx.take()

    def by_digest(self, digest: bytes) -> ReportRecord | None:
        row = self._connection.execute(_select().where(t.report.c.digest == digest)).first()
        return _record(row) if row else None

    def by_reference(self, reference: str) -> ReportRecord | None:
        row = self._connection.execute(_select().where(t.report.c.reference == reference)).first()
        return _record(row) if row else None

    def of_case(self, case_id: int) -> Sequence[ReportRecord]:
        wanted = _select().where(t.report.c.case_id == case_id).order_by(t.report.c.received_at, t.report.c.id)
        return [_record(row) for row in self._connection.execute(wanted)]

    def answer_in(self, trace_id: str, system: str) -> int | None:
        call = t.call.c
        wanted = sa.select(call.id).where(call.trace_id == bytes.fromhex(trace_id))
        if system:
            wanted = wanted.join(t.system, t.system.c.id == call.system_id).where(t.system.c.name == system)
        answers_first = sa.case((call.kind == CallKind.LLM, 0), else_=1)
        wanted = wanted.order_by(answers_first, call.started_at.desc(), call.id.desc()).limit(1)
        return self._connection.execute(wanted).scalar()

    def call(self, call_id: int) -> tuple[str, str] | None:
        row = self._connection.execute(
            sa.select(t.system.c.name, t.call.c.trace_id)
            .join(t.system, t.system.c.id == t.call.c.system_id)
            .where(t.call.c.id == call_id)
        ).first()
        return (row.name, bytes(row.trace_id).hex()) if row else None

    def case_of_trace(self, trace_id: str, system: str) -> int | None:
        report = t.report.c
        wanted = (
            sa.select(t.case.c.id)
            .join(t.report, report.case_id == t.case.c.id)
            .join(t.system, t.system.c.id == t.case.c.system_id)
            .where(
                report.trace_id == bytes.fromhex(trace_id),
                t.system.c.name == system,
                t.case.c.kind == CaseKind.REPORT,
                t.case.c.state != CaseState.DECIDED,
            )
            .order_by(t.case.c.id)
            .limit(1)
        )
        return self._connection.execute(wanted).scalar()

    def add(
        self,
        *,
        report_id: int,
        reference: str,
        receipt_hash: bytes,
        digest: bytes,
        system: str,
        trace_id: str,
        call_id: int | None,
        case_id: int,
        wrapped_key: bytes,
        body: bytes,
        state: ReportState,
        at: datetime,
    ) -> bool:
        added = self._connection.execute(
            bulk.insert_unless_there(self._connection, t.report)
            .values(
                id=report_id,
                reference=reference,
                receipt_hash=receipt_hash,
                digest=digest,
                system_id=system_id(self._tx, system, at),
                trace_id=bytes.fromhex(trace_id),
                call_id=call_id,
                case_id=case_id,
                wrapped_key=wrapped_key,
                body=body,
                state=state,
                received_at=micros(at),
            )
            .returning(t.report.c.id)
        ).scalar()
        return added is not None

    def set_state(self, case_id: int, state: ReportState) -> None:
        self._connection.execute(t.report.update().where(t.report.c.case_id == case_id).values(state=state))

    def attach_call(self, case_id: int, call_id: int) -> None:
        system = sa.select(t.call.c.system_id).where(t.call.c.id == call_id).scalar_subquery()
        self._connection.execute(
            t.report.update()
            .where(t.report.c.case_id == case_id, t.report.c.call_id.is_(None))
            .values(call_id=call_id, system_id=system)
        )

    def recent(self, systems: frozenset[str] | None, *, before: datetime | None, limit: int) -> Sequence[ReportRecord]:
        wanted = _select()
        if systems is not None:
            wanted = wanted.where(t.system.c.name.in_(sorted(systems)))
        if before is not None:
            wanted = wanted.where(t.report.c.received_at < micros(before))
        wanted = wanted.order_by(t.report.c.received_at.desc(), t.report.c.id.desc()).limit(limit)
        return [_record(row) for row in self._connection.execute(wanted)]


def _select() -> sa.Select[Any]:
    report = t.report.c
    return (
        sa.select(
            t.report,
            t.system.c.name.label("system"),
            t.case.c.closed_at.label("decided_at"),
            t.erasure.c.id.label("erasure"),
            t.erasure.c.erased_at,
            t.erasure.c.settled_at,
            t.erasure.c.requested_name,
            t.erasure.c.settled_name,
            t.erasure.c.reason.label("erasure_reason"),
        )
        .select_from(t.report)
        .join(t.system, t.system.c.id == report.system_id)
        .outerjoin(t.case, t.case.c.id == report.case_id)
        .outerjoin(t.erased, sa.and_(t.erased.c.kind == "report", t.erased.c.number == report.id))
        .outerjoin(t.erasure, t.erasure.c.id == t.erased.c.erasure_id)
    )


def _record(row: sa.Row[Any]) -> ReportRecord:
    return ReportRecord(
        id=row.id,
        reference=row.reference,
        receipt_hash=bytes(row.receipt_hash),
        system=row.system,
        trace_id=bytes(row.trace_id).hex() if row.trace_id is not None else "",
        call_id=row.call_id,
        case_id=row.case_id,
        state=ReportState(row.state),
        decided_at=moment_or_none(row.decided_at),
        wrapped_key=bytes(row.wrapped_key) if row.wrapped_key is not None else None,
        body=bytes(row.body) if row.body is not None else None,
        received_at=moment(row.received_at),
        gone=None
        if row.erasure is None
        else Gone(
            erasure=row.erasure,
            at=moment(row.erased_at or row.settled_at),
            by=row.requested_name,
            approved_by=row.settled_name,
            reason=row.erasure_reason,
        ),
    )
