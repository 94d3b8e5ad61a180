"""Cases, their verdicts and the notes between people (writes and single reads; pages read through `queries`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.decisions import Severity
from governance.domain.review import Case, CaseKind, CaseState, ReasonCode, Verdict, VerdictOutcome
from governance.domain.times import micros, moment, moment_or_none
from governance.review.lifecycle import CaseRecord, CaseStanding, ended
from governance.review.routing import CaseDraft
from governance.store.base import bulk, locks
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork

_SEVERITIES = {severity.rank: severity for severity in Severity}
_FREE = (CaseState.OPEN, CaseState.ESCALATED)


def system_id(tx: UnitOfWork, name: str, at: datetime) -> int:
    """The id of a system, which is made when nobody has named it before."""
    wanted = sa.select(t.system.c.id).where(t.system.c.name == name)
    found = tx.connection.execute(wanted).scalar()
    if found is None:
        values = {"id": tx.take(), "name": name, "first_seen_at": micros(at)}
        tx.connection.execute(bulk.insert_unless_there(tx.connection, t.system).values(values))
        found = tx.connection.execute(wanted).scalar_one()
    return int(found)


class SqlCases:
    """Implements `services.review.ports.Cases`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def find(self, case_id: int) -> CaseRecord | None:
        row = self._connection.execute(_select().where(t.case.c.id == case_id)).first()
        return _record(row) if row else None

    def move(self, was: CaseRecord, becomes: CaseStanding, *, at: datetime) -> bool:
        case = t.case.c
        changed = self._connection.execute(
            t.case.update()
            .where(case.id == was.case.id, case.version == was.version)
            .values(
                state=becomes.state,
                escalated=becomes.escalated,
                escalated_by=becomes.escalated_by,
                closed_at=micros(at) if becomes.state is CaseState.DECIDED else None,
                version=case.version + 1,
            )
        )
        if changed.rowcount != 1:
            return False
        # The case's row is ours until the commit, so nobody else changes its claim.
        self._assign(was, becomes, at)
        return True

    def _assign(self, was: CaseRecord, becomes: CaseStanding, at: datetime) -> None:
        table, a = t.assignment, t.assignment.c
        standing = sa.and_(a.case_id == was.case.id, a.ended_at.is_(None))
        end = ended(was.standing, becomes)
        if end is not None:
            self._connection.execute(table.update().where(standing).values(ended_at=micros(at), end=end))
        if becomes.claimed_by is None:
            return
        assert becomes.claimed_at is not None
        assert becomes.lease is not None
        assert becomes.lease_until is not None
        lease = {"lease_hash": becomes.lease, "lease_until": micros(becomes.lease_until)}
        if was.standing.claimed_by is not None and end is None:
            self._connection.execute(table.update().where(standing).values(lease))
            return
        self._connection.execute(
            table.insert().values(
                id=self._tx.take(),
                case_id=was.case.id,
                principal_id=becomes.claimed_by,
                claimed_at=micros(becomes.claimed_at),
                ended_at=None,
                end="",
                **lease,
            )
        )

    def waiting(
        self,
        actor_id: int,
        now: datetime,
        *,
        ordinary: frozenset[str] | None,
        escalated: frozenset[str] | None,
        queue: str = "",
        passed: Collection[int] = (),
        limit: int = 50,
    ) -> Sequence[CaseRecord]:
        case = t.case.c
        claim = t.assignment.c
        held = sa.and_(case.state == CaseState.CLAIMED, claim.lease_until > micros(now))
        mine = sa.and_(held, claim.principal_id == actor_id)
        over = sa.and_(case.state == CaseState.CLAIMED, claim.lease_until <= micros(now))
        theirs = sa.or_(
            sa.and_(case.escalated.is_(False), _within(ordinary)),
            sa.and_(case.escalated.is_(True), case.escalated_by.is_distinct_from(actor_id), _within(escalated)),
        )
        wanted = _select().where(case.state != CaseState.DECIDED, sa.or_(case.state.in_(_FREE), mine, over), theirs)
        if queue:
            wanted = wanted.where(case.queue == queue)
        if passed:
            wanted = wanted.where(case.id.not_in(passed))
        first = sa.case((mine, 0), else_=1)
        wanted = wanted.order_by(first, case.severity.desc(), case.due_at, case.reports.desc(), case.id).limit(limit)
        return [_record(row) for row in self._connection.execute(wanted)]

    def open_for(self, call_id: int, kind: CaseKind) -> CaseRecord | None:
        case = t.case.c
        wanted = _select().where(case.call_id == call_id, case.kind == kind, case.state != CaseState.DECIDED)
        row = self._connection.execute(wanted).first()
        return _record(row) if row else None

    def take_turns(self) -> None:
        locks.take(self._connection, locks.Lock.OPEN_CASES)

    def same_incident(self, policy: str, call_id: int, evidence: int | None, *, in_session: bool = False) -> int | None:
        case, call, mine = t.case, t.call, t.call.alias()
        flagged = sa.and_(case.c.kind == CaseKind.FLAGGED, case.c.policy == policy)
        if evidence is not None:
            shown = sa.select(case.c.id).where(flagged, case.c.evidence == evidence).order_by(case.c.id.desc())
            found: int | None = self._connection.execute(shown.limit(1)).scalar()
            if found is not None:
                return found
        in_trace = (
            sa.select(case.c.id)
            .join(call, call.c.id == case.c.call_id)
            .join(
                mine,
                sa.or_(mine.c.trace_id == call.c.trace_id, mine.c.conversation_id == call.c.conversation_id)
                if in_session
                else mine.c.trace_id == call.c.trace_id,
            )
            # A trace may run through several systems: a case is seen, and decided, by the people of one.
            .where(mine.c.id == call_id, mine.c.system_id == case.c.system_id)
            .where(flagged, case.c.state != CaseState.DECIDED)
            .order_by(case.c.id)
        )
        standing: int | None = self._connection.execute(in_trace.limit(1)).scalar()
        return standing

    def add_call(self, case_id: int, call_id: int) -> bool:
        added = self._connection.execute(
            bulk.insert_unless_there(self._connection, t.case_call)
            .values(call_id=call_id, case_id=case_id)
            .returning(t.case_call.c.call_id)
        )
        return added.first() is not None

    def of_decision(self, decision_id: int, call_id: int) -> int | None:
        case = t.case.c
        return self._connection.execute(
            sa.select(case.id)
            .where(case.call_id == call_id, case.decision_id == decision_id)
            .order_by(case.id)
            .limit(1)
        ).scalar()

    def open(
        self,
        draft: CaseDraft,
        *,
        system: str,
        call_id: int | None,
        decision_id: int | None,
        reports: int,
        at: datetime,
        evidence: int | None = None,
    ) -> int | None:
        statement = (
            bulk.insert_unless_there(self._connection, t.case)
            .values(
                kind=draft.kind,
                state=CaseState.OPEN,
                queue=draft.queue,
                severity=draft.severity.rank,
                title=draft.title,
                excerpt=draft.excerpt,
                system_id=system_id(self._tx, system, at),
                call_id=call_id,
                decision_id=decision_id,
                policy=draft.policy,
                evidence=evidence,
                reports=reports,
                opened_at=micros(at),
                due_at=micros(draft.due(at)),
                escalated=False,
            )
            .returning(t.case.c.id)
        )
        opened: int | None = self._connection.execute(statement).scalar()
        return opened

    def join(self, case_id: int, draft: CaseDraft, *, due_at: datetime, decision_id: int | None) -> bool:
        case = t.case.c
        values: dict[str, Any] = {
            "queue": draft.queue,
            "severity": draft.severity.rank,
            "title": draft.title,
            "policy": draft.policy,
            "due_at": micros(due_at),
        }
        if decision_id is not None:
            values |= {"decision_id": decision_id, "excerpt": draft.excerpt}
        worse = case.severity < draft.severity.rank
        # The row is written either way: that waits for a verdict under way, and then finds the case decided.
        joined = self._connection.execute(
            t.case.update()
            .where(case.id == case_id, case.state != CaseState.DECIDED)
            .values(
                {name: sa.case((worse, value), else_=case[name]) for name, value in values.items()}
                | {"version": case.version + sa.case((worse, 1), else_=0)}
            )
        )
        return joined.rowcount == 1

    def count_report(self, case_id: int) -> bool:
        case = t.case.c
        counted = self._connection.execute(
            t.case.update()
            .where(case.id == case_id, case.state != CaseState.DECIDED)
            .values(reports=case.reports + 1, version=case.version + 1)
        )
        return counted.rowcount == 1

    def attach_call(self, case_id: int, call_id: int) -> bool:
        case = t.case.c
        other = t.case.alias()
        system = sa.select(t.call.c.system_id).where(t.call.c.id == call_id).scalar_subquery()
        taken = sa.exists().where(
            other.c.call_id == call_id, other.c.kind == CaseKind.REPORT, other.c.state != CaseState.DECIDED
        )
        attached = self._connection.execute(
            t.case.update()
            .where(case.id == case_id, case.call_id.is_(None), ~taken)
            .values(call_id=call_id, system_id=system, version=case.version + 1)
        )
        return attached.rowcount == 1

    def verdict(self, case_id: int) -> Verdict | None:
        verdict = t.verdict.c
        row = self._connection.execute(
            sa.select(t.verdict).where(verdict.case_id == case_id, verdict.returned_at.is_(None))
        ).first()
        if row is None:
            return None
        return Verdict(
            case_id=row.case_id,
            outcome=VerdictOutcome(row.outcome),
            reason=ReasonCode(row.reason),
            note=row.note,
            by=row.given_by,
            at=moment(row.given_at),
            approved_by=row.approved_by,
        )

    def give(self, verdict: Verdict, *, seconds: int) -> int:
        number = self._tx.take()
        self._connection.execute(
            t.verdict.insert().values(
                id=number,
                case_id=verdict.case_id,
                outcome=verdict.outcome,
                reason=verdict.reason,
                note=verdict.note,
                given_by=verdict.by,
                given_at=micros(verdict.at),
                seconds=seconds,
            )
        )
        return number

    def approve(self, case_id: int, *, by: int, at: datetime) -> int:
        return self._settle(case_id, {"approved_by": by, "approved_at": micros(at)})

    def send_back(self, case_id: int, *, by: int, at: datetime) -> int:
        return self._settle(case_id, {"returned_by": by, "returned_at": micros(at)})

    def note(self, case_id: int, kind: str, note: str, *, by: int, at: datetime) -> int:
        number = self._tx.take()
        self._connection.execute(
            t.case_note.insert().values(
                id=number, case_id=case_id, kind=kind, note=note, written_by=by, written_at=micros(at)
            )
        )
        return number

    def claims(self, case_id: int) -> Sequence[int]:
        a = t.assignment.c
        return self._connection.execute(sa.select(a.id).where(a.case_id == case_id).order_by(a.id)).scalars().all()

    def _settle(self, case_id: int, values: dict[str, Any]) -> int:
        verdict = t.verdict.c
        settled = self._connection.execute(
            t.verdict.update()
            .where(
                verdict.case_id == case_id,
                verdict.returned_at.is_(None),
                verdict.approved_at.is_(None),
            )
            .values(values)
            .returning(verdict.id)
        )
        return int(settled.scalar_one())  # a case in approval has exactly one standing verdict


def _select() -> sa.Select[Any]:
    case = t.case.c
    return (
        sa.select(
            t.case,
            t.system.c.name.label("system"),
            t.verdict.c.given_by,
            t.assignment.c.principal_id.label("claimed_by"),
            t.assignment.c.claimed_at,
            t.assignment.c.lease_hash,
            t.assignment.c.lease_until,
        )
        .select_from(t.case)
        .join(t.system, t.system.c.id == case.system_id)
        .outerjoin(t.assignment, sa.and_(t.assignment.c.case_id == case.id, t.assignment.c.ended_at.is_(None)))
        .outerjoin(t.verdict, sa.and_(t.verdict.c.case_id == case.id, t.verdict.c.returned_at.is_(None)))
    )


def _within(systems: frozenset[str] | None) -> sa.ColumnElement[bool]:
    if systems is None:
        return sa.true()
    return t.system.c.name.in_(sorted(systems)) if systems else sa.false()


def _record(row: sa.Row[Any]) -> CaseRecord:
    state, severity = CaseState(row.state), _SEVERITIES[row.severity]
    lease_until = moment_or_none(row.lease_until)
    return CaseRecord(
        case=Case(
            id=row.id,
            kind=CaseKind(row.kind),
            state=state,
            queue=row.queue,
            severity=severity,
            title=row.title,
            system=row.system,
            call_id=row.call_id,
            decision_id=row.decision_id,
            reports=row.reports,
            opened_at=moment(row.opened_at),
            due_at=moment(row.due_at),
            claimed_by=row.claimed_by,
            lease_until=lease_until,
            closed_at=moment_or_none(row.closed_at),
            excerpt=row.excerpt,
        ),
        standing=CaseStanding(
            state=state,
            severity=severity,
            claimed_by=row.claimed_by,
            claimed_at=moment_or_none(row.claimed_at),
            lease=bytes(row.lease_hash) if row.lease_hash is not None else None,
            lease_until=lease_until,
            escalated=bool(row.escalated),
            escalated_by=row.escalated_by,
            given_by=row.given_by,
        ),
        version=row.version,
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)
