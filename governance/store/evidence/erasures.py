"""Erasures, legal holds and retention rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.events import Json
from governance.domain.privacy import (
    Erasable,
    Erasure,
    ErasureCode,
    ErasureState,
    Holdable,
    LegalHold,
    RetentionClass,
    RetentionRule,
)
from governance.domain.times import micros, moment, moment_or_none
from governance.services.evidence.privacy_ports import Scrubbed
from governance.store.base import bulk, locks
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.evidence import scrub

_OPEN = (ErasureState.REQUESTED.value, ErasureState.APPROVED.value)


class SqlErasures:
    """Implements `services.evidence.privacy_ports.Erasures`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def take_turns(self) -> None:
        locks.take(self._connection, locks.Lock.PRIVACY)

    def add(
        self,
        *,
        what: Erasable,
        target: str,
        system: str,
        code: ErasureCode,
        reason: str,
        by: str,
        by_name: str,
        at: datetime,
        approved: bool = False,
    ) -> int:
        number: int = self._connection.execute(
            t.erasure.insert()
            .values(
                what=what,
                target=target,
                system=system,
                code=code,
                reason=reason,
                state=ErasureState.APPROVED if approved else ErasureState.REQUESTED,
                requested_by=by,
                requested_name=by_name,
                requested_at=micros(at),
                settled_by=by if approved else "",
                settled_name=by_name if approved else "",
                settled_at=micros(at) if approved else None,
                conversations=0,
                calls=0,
                reports=0,
            )
            .returning(t.erasure.c.id)
        ).scalar_one()
        return number

    def get(self, number: int) -> Erasure | None:
        row = self._connection.execute(sa.select(t.erasure).where(t.erasure.c.id == number)).first()
        return _erasure(row) if row else None

    def latest(self, *, limit: int, before: int | None) -> Sequence[Erasure]:
        wanted = sa.select(t.erasure).order_by(t.erasure.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(t.erasure.c.id < before)
        return [_erasure(row) for row in self._connection.execute(wanted)]

    def approved(self) -> Sequence[Erasure]:
        wanted = sa.select(t.erasure).where(t.erasure.c.state == ErasureState.APPROVED).order_by(t.erasure.c.id)
        return [_erasure(row) for row in self._connection.execute(wanted)]

    def open_for(self, what: Erasable, target: str, system: str) -> Erasure | None:
        e = t.erasure.c
        row = self._connection.execute(
            sa.select(t.erasure).where(e.what == what, e.target == target, e.system == system, e.state.in_(_OPEN))
        ).first()
        return _erasure(row) if row else None

    def erased_under(self, what: Erasable, target: str) -> Erasure | None:
        e, x = t.erasure.c, t.erased.c
        wanted = sa.select(t.erasure).where(e.code == ErasureCode.REQUESTED, e.erased_at.isnot(None))
        if what is Erasable.SUBJECT:
            wanted = wanted.where(e.what == what, e.target == target).order_by(e.id.desc()).limit(1)
        else:
            wanted = wanted.join(t.erased, x.erasure_id == e.id).where(x.kind == what, x.number == int(target))
        row = self._connection.execute(wanted).first()
        return _erasure(row) if row else None

    def settle(self, number: int, *, approved: bool, by: str, by_name: str, at: datetime) -> None:
        self._connection.execute(
            t.erasure.update()
            .where(t.erasure.c.id == number)
            .values(
                state=ErasureState.APPROVED if approved else ErasureState.REJECTED,
                settled_by=by,
                settled_name=by_name,
                settled_at=micros(at),
            )
        )

    def systems_of(self, what: Erasable, target: str, system: str) -> frozenset[str]:
        c, s = t.call.c, t.system.c
        if what is Erasable.SUBJECT:
            wanted = sa.select(s.name).join(t.call, c.system_id == s.id).where(c.user_id == target).distinct()
            if system:
                wanted = wanted.where(s.name == system)
        else:
            table = {Erasable.CONVERSATION: t.conversation, Erasable.CALL: t.call, Erasable.REPORT: t.report}[what]
            wanted = sa.select(s.name).join(table, table.c.system_id == s.id).where(table.c.id == int(target))
        return frozenset(self._connection.execute(wanted).scalars())

    def report_number(self, named: str) -> int | None:
        r = t.report.c
        wanted = sa.select(r.id).where(r.reference == named[:20])
        if named.isascii() and named.isdecimal() and len(named) <= 15:
            wanted = sa.select(r.id).where(r.id == int(named))
        return self._connection.execute(wanted).scalar()

    def conversations_of(self, subject: str, system: str, *, limit: int) -> Sequence[int]:
        c = t.call.c
        wanted = sa.select(c.conversation_id).where(c.user_id == subject).distinct().limit(limit)
        if system:
            wanted = wanted.join(t.system, t.system.c.id == c.system_id).where(t.system.c.name == system)
        return self._connection.execute(wanted).scalars().all()

    def covering(
        self, *, conversation: int | None = None, call: int | None = None, report: int | None = None
    ) -> Sequence[LegalHold]:
        holds = self._standing()
        if not holds:
            return []
        covered: set[tuple[str, str]] = set()
        if report is not None:
            covered.add((Holdable.REPORT.value, str(report)))
            row = self._connection.execute(
                sa.select(t.report.c.call_id, t.report.c.case_id, t.system.c.name)
                .join(t.system, t.system.c.id == t.report.c.system_id)
                .where(t.report.c.id == report)
            ).first()
            if row is not None:
                covered |= {(Holdable.SYSTEM.value, row.name), (Holdable.CASE.value, str(row.case_id))}
                call = row.call_id
        if call is not None:
            covered |= self._of_calls(t.call.c.id == call)
        if conversation is not None:
            covered.add((Holdable.CONVERSATION.value, str(conversation)))
            covered |= self._of_calls(t.call.c.conversation_id == conversation)
        return [hold for hold in holds if (hold.what.value, hold.target) in covered]

    def covering_subject(self, subject: str, system: str) -> Sequence[LegalHold]:
        holds = self._standing()
        if not holds:
            return []
        own = [hold for hold in holds if hold.what is Holdable.SUBJECT and hold.target == subject]
        numbers = self.conversations_of(subject, system, limit=10_000)
        return own or next((found for one in numbers if (found := self.covering(conversation=one))), [])

    def _standing(self) -> list[LegalHold]:
        wanted = sa.select(t.legal_hold).where(t.legal_hold.c.released_at.is_(None)).order_by(t.legal_hold.c.id)
        return [_hold(row) for row in self._connection.execute(wanted)]

    def _of_calls(self, where: sa.ColumnElement[bool]) -> set[tuple[str, str]]:
        """All that a hold may name of some calls."""
        c = t.call.c
        rows = self._connection.execute(
            sa.select(c.id, c.user_id, c.conversation_id, t.system.c.name)
            .join(t.system, t.system.c.id == c.system_id)
            .where(where)
        ).all()
        calls = [row.id for row in rows]
        found: set[tuple[str, str]] = set()
        for row in rows:
            found |= {
                (Holdable.CALL.value, str(row.id)),
                (Holdable.CONVERSATION.value, str(row.conversation_id)),
                (Holdable.SYSTEM.value, row.name),
            }
            if row.user_id:
                found.add((Holdable.SUBJECT.value, row.user_id))
        select = bulk.select_in
        for statement in (
            'SELECT id FROM "case" WHERE call_id IN {in}',
            "SELECT case_id FROM case_call WHERE call_id IN {in}",
        ):
            found |= {(Holdable.CASE.value, str(row[0])) for row in select(self._connection, statement, calls)}
        reports = select(self._connection, "SELECT id FROM report WHERE call_id IN {in}", calls)
        return found | {(Holdable.REPORT.value, str(row[0])) for row in reports}

    def conversation(self, number: int, erasure: int, *, everything: bool) -> Scrubbed:
        system, calls = scrub.conversation(self._connection, number, everything=everything)
        reports = self._reports(calls) if everything else ()
        self._mark(erasure, conversation=number, calls=calls, reports=reports)
        return Scrubbed(
            system=system, conversation=number, calls=calls, reports=reports, cases=self._cases(calls, reports)
        )

    def call(self, number: int, erasure: int) -> Scrubbed:
        system, sharing = scrub.call(self._connection, number)
        reports = self._reports([number])
        self._mark(erasure, calls=[number], reports=reports)
        cases = self._cases((number,), reports)
        return Scrubbed(system=system, calls=(number, *sharing), reports=reports, cases=cases)

    def report(self, number: int, erasure: int) -> Scrubbed:
        system = scrub.report(self._connection, number)
        self._mark(erasure, reports=[number])
        return Scrubbed(system=system, reports=(number,), cases=self._cases((), (number,)))

    def rows(self, calls: Sequence[int], cases: Sequence[int], reports: Sequence[int]) -> dict[str, Json]:
        def of(table: sa.Table, column: str, numbers: Sequence[int]) -> list[int]:
            found: list[int] = []
            for some in bulk.chunks(numbers):
                found += self._connection.execute(sa.select(table.c.id).where(table.c[column].in_(some))).scalars()
            return found

        return self._tx.rows(
            case=cases,
            verdict=of(t.verdict, "case_id", cases),
            case_note=of(t.case_note, "case_id", cases),
            reveal=of(t.reveal, "call_id", calls),
            report=reports,
            call_conflict=of(t.call_conflict, "call_id", calls),
        )

    def _cases(self, calls: Sequence[int], reports: Sequence[int]) -> tuple[int, ...]:
        """The cases about these calls and of these reports."""
        select = bulk.select_in
        of_calls = select(self._connection, 'SELECT id FROM "case" WHERE call_id IN {in}', calls)
        of_reports = select(
            self._connection, "SELECT case_id FROM report WHERE case_id IS NOT NULL AND id IN {in}", reports
        )
        return tuple(sorted({row[0] for row in (*of_calls, *of_reports)}))

    def _reports(self, calls: Sequence[int]) -> tuple[int, ...]:
        found = scrub.reports_about(self._connection, calls)
        for number in found:
            scrub.report(self._connection, number)
        return tuple(found)

    def _mark(
        self, erasure: int, *, conversation: int | None = None, calls: Sequence[int] = (), reports: Sequence[int] = ()
    ) -> None:
        """Keeps under which erasure what went, and has all that remember keys forget them."""
        gone = [(Erasable.CALL.value, number) for number in calls]
        gone += [(Erasable.REPORT.value, number) for number in reports]
        if conversation is not None:
            gone.append((Erasable.CONVERSATION.value, conversation))
        x = t.erased.c
        for kind, number in gone:
            self._connection.execute(t.erased.delete().where(x.kind == kind, x.number == number))
        bulk.insert(self._connection, t.erased, [(kind, number, erasure) for kind, number in gone])
        mark = t.erasure_mark
        self._connection.execute(mark.update().values(erasures=mark.c.erasures + 1))

    def erased(self, number: int, *, target: str, at: datetime) -> None:
        self._connection.execute(
            t.erasure.update()
            .where(t.erasure.c.id == number)
            .values(target=target, erased_at=micros(at), state=ErasureState.DONE)
        )

    def counted(self, number: int, *, conversations: int, calls: int, reports: int) -> None:
        e = t.erasure.c
        self._connection.execute(
            t.erasure.update()
            .where(e.id == number)
            .values(conversations=e.conversations + conversations, calls=e.calls + calls, reports=e.reports + reports)
        )

    def purged(self, at: datetime) -> None:
        e = t.erasure.c
        self._connection.execute(
            t.erasure.update().where(e.erased_at.isnot(None), e.purged_at.is_(None)).values(purged_at=micros(at))
        )

    def unpurged(self) -> int:
        e = t.erasure.c
        wanted = sa.select(sa.func.count()).select_from(t.erasure)
        return int(self._connection.execute(wanted.where(e.erased_at.isnot(None), e.purged_at.is_(None))).scalar_one())

    def expired_conversations(
        self, system: str, others: Sequence[str], before: datetime, *, everything: bool, limit: int
    ) -> Sequence[int]:
        c, v, s = t.call.c, t.conversation.c, t.system.c
        last = sa.select(sa.func.max(c.started_at)).where(c.conversation_id == v.id).scalar_subquery()
        wanted = (
            sa.select(v.id)
            .join(t.system, s.id == v.system_id)
            .where(v.created_at < micros(before), last < micros(before))
            .order_by(v.created_at, v.id)
            .limit(limit)
        )
        wanted = wanted.where(s.name == system) if system else wanted.where(s.name.not_in(list(others)))
        wanted = wanted.where(v.key.not_like("erased:%") if everything else v.wrapped_key.isnot(None))
        return self._connection.execute(wanted).scalars().all()

    def expired_reports(self, system: str, others: Sequence[str], before: datetime, *, limit: int) -> Sequence[int]:
        r, s = t.report.c, t.system.c
        wanted = (
            sa.select(r.id)
            .join(t.system, s.id == r.system_id)
            .where(r.received_at < micros(before), r.body.isnot(None))
            .order_by(r.received_at, r.id)
            .limit(limit)
        )
        wanted = wanted.where(s.name == system) if system else wanted.where(s.name.not_in(list(others)))
        return self._connection.execute(wanted).scalars().all()


class SqlHolds:
    """Implements `services.evidence.privacy_ports.Holds`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def place(self, *, what: Holdable, target: str, reason: str, by: str, by_name: str, at: datetime) -> int:
        number: int = self._connection.execute(
            t.legal_hold.insert()
            .values(
                what=what,
                target=target,
                reason=reason,
                placed_by=by,
                placed_name=by_name,
                placed_at=micros(at),
                released_by="",
                released_name="",
            )
            .returning(t.legal_hold.c.id)
        ).scalar_one()
        return number

    def get(self, number: int) -> LegalHold | None:
        row = self._connection.execute(sa.select(t.legal_hold).where(t.legal_hold.c.id == number)).first()
        return _hold(row) if row else None

    def latest(self, *, limit: int, before: int | None, standing: bool) -> Sequence[LegalHold]:
        wanted = sa.select(t.legal_hold).order_by(t.legal_hold.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(t.legal_hold.c.id < before)
        if standing:
            wanted = wanted.where(t.legal_hold.c.released_at.is_(None))
        return [_hold(row) for row in self._connection.execute(wanted)]

    def release(self, number: int, *, by: str, by_name: str, at: datetime) -> bool:
        h = t.legal_hold.c
        done = self._connection.execute(
            t.legal_hold.update()
            .where(h.id == number, h.released_at.is_(None))
            .values(released_by=by, released_name=by_name, released_at=micros(at))
        )
        return done.rowcount == 1

    def exists(self, what: Holdable, target: str) -> bool:
        if what is Holdable.SUBJECT:  # nothing need have come yet
            return True
        if what is Holdable.SYSTEM:
            wanted = sa.select(t.system.c.id).where(t.system.c.name == target)
        else:
            tables = {
                Holdable.CONVERSATION: t.conversation,
                Holdable.CALL: t.call,
                Holdable.REPORT: t.report,
                Holdable.CASE: t.case,
            }
            wanted = sa.select(tables[what].c.id).where(tables[what].c.id == int(target))
        return self._connection.execute(wanted).first() is not None


class SqlRetention:
    """Implements `services.evidence.privacy_ports.Retention`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def rules(self) -> Sequence[RetentionRule]:
        r = t.retention_rule.c
        rows = self._connection.execute(sa.select(t.retention_rule).order_by(r.system, r.subject))
        return [
            RetentionRule(
                system=row.system,
                subject=RetentionClass(row.subject),
                days=row.days,
                changed_by=row.changed_by,
                changed_name=row.changed_name,
                changed_at=moment(row.changed_at),
            )
            for row in rows
        ]

    def set(self, rule: RetentionRule) -> None:
        self.remove(rule.system, rule.subject)
        self._connection.execute(
            t.retention_rule.insert().values(
                system=rule.system,
                subject=rule.subject,
                days=rule.days,
                changed_by=rule.changed_by,
                changed_name=rule.changed_name,
                changed_at=micros(rule.changed_at),
            )
        )

    def remove(self, system: str, subject: RetentionClass) -> bool:
        r = t.retention_rule.c
        done = self._connection.execute(t.retention_rule.delete().where(r.system == system, r.subject == subject))
        return done.rowcount == 1


def _erasure(row: sa.Row[Any]) -> Erasure:
    return Erasure(
        id=row.id,
        what=Erasable(row.what),
        target=row.target,
        system=row.system,
        code=ErasureCode(row.code),
        reason=row.reason,
        state=ErasureState(row.state),
        requested_by=row.requested_by,
        requested_name=row.requested_name,
        requested_at=moment(row.requested_at),
        settled_by=row.settled_by,
        settled_name=row.settled_name,
        settled_at=moment_or_none(row.settled_at),
        erased_at=moment_or_none(row.erased_at),
        purged_at=moment_or_none(row.purged_at),
        conversations=row.conversations,
        calls=row.calls,
        reports=row.reports,
    )


def _hold(row: sa.Row[Any]) -> LegalHold:
    return LegalHold(
        id=row.id,
        what=Holdable(row.what),
        target=row.target,
        reason=row.reason,
        placed_by=row.placed_by,
        placed_name=row.placed_name,
        placed_at=moment(row.placed_at),
        released_by=row.released_by,
        released_name=row.released_name,
        released_at=moment_or_none(row.released_at),
    )
