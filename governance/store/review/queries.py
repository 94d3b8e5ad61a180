"""Cases as the queue and the case page show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from governance.domain.people import Systems
from governance.domain.review import CaseKind, CaseState
from governance.domain.times import micros, moment, moment_or_none
from governance.privacy.keys import KeyRing
from governance.review.workload import Load
from governance.services.review.read import (
    After,
    CaseFilter,
    CaseRow,
    CaseView,
    DayOfWork,
    FurtherCall,
    Note,
    Similar,
    VerdictRow,
)
from governance.store.base import sealed
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.scope import within
from governance.store.base.unit_of_work import UnitOfWork

OPEN = sa.text("\"case\".state <> 'decided'")


_STANDING = (
    sa.select(t.verdict.c.given_by)
    .where(t.verdict.c.case_id == t.case.c.id, t.verdict.c.returned_at.is_(None))
    .scalar_subquery()
)


_CLAIM = sa.and_(t.assignment.c.case_id == t.case.c.id, t.assignment.c.ended_at.is_(None))

_SELECT = (
    sa.select(
        t.case,
        t.system.c.name.label("system_name"),
        _STANDING.label("verdict_by"),
        t.assignment.c.principal_id.label("claimed_by"),
        t.assignment.c.lease_until,
        t.conversation.c.wrapped_key,
    )
    .select_from(t.case)
    .join(t.system, t.system.c.id == t.case.c.system_id)
    .outerjoin(t.call, t.call.c.id == t.case.c.call_id)
    .outerjoin(t.conversation, t.conversation.c.id == t.call.c.conversation_id)
    .outerjoin(t.assignment, _CLAIM)
)


def _state(at: datetime | None) -> sa.ColumnElement[str]:
    """The state at a moment: after its lease a claimed case is open again, or escalated (review/lifecycle.py)."""
    c = t.case.c
    if at is None:
        return c.state
    over = sa.and_(c.state == CaseState.CLAIMED.value, t.assignment.c.lease_until <= micros(at))
    return sa.case((sa.and_(over, c.escalated), CaseState.ESCALATED.value), (over, CaseState.OPEN.value), else_=c.state)


def _row(row: Any, at: datetime | None, keyring: KeyRing | None) -> CaseRow:
    lapses = row.lease_until
    over = at is not None and row.state == CaseState.CLAIMED and lapses is not None and lapses <= micros(at)
    state = CaseState(row.state)
    if over:
        state = CaseState.ESCALATED if row.escalated else CaseState.OPEN
    return CaseRow(
        id=row.id,
        kind=CaseKind(row.kind),
        state=state,
        queue=row.queue,
        severity=row.severity,
        title=row.title,
        excerpt=sealed.excerpt(keyring, row),
        system=row.system_name,
        system_id=row.system_id,
        call_id=row.call_id,
        decision_id=row.decision_id,
        policy=row.policy,
        reports=row.reports,
        opened_at=moment(row.opened_at),
        due_at=moment(row.due_at),
        held_by=None if over else row.claimed_by,
        lease_until=None if over else moment_or_none(row.lease_until),
        escalated=row.escalated,
        escalated_by=row.escalated_by,
        closed_at=moment_or_none(row.closed_at),
        verdict_by=row.verdict_by,
    )


def page(
    connection: sa.Connection,
    want: CaseFilter,
    systems: Systems = None,
    *,
    at: datetime | None = None,
    after: After | None = None,
    limit: int = 100,
    keyring: KeyRing | None = None,
) -> tuple[list[CaseRow], After | None]:
    """Open cases of `systems` by severity, deadline and number, and where the next page begins (None at the end). `at`:
    a claim that ran out before then is none. Without a key ring excerpts are left out."""
    c = t.case.c
    conditions: list[Any] = [OPEN, within(c.system_id, systems)]
    if want.held_by is not None:
        conditions += [_state(at) == CaseState.CLAIMED.value, t.assignment.c.principal_id == want.held_by]
    if want.since is not None:
        conditions.append(c.opened_at >= micros(want.since))
    if want.until is not None:
        conditions.append(c.opened_at < micros(want.until))
    if want.overdue_at is not None:
        conditions.append(c.due_at < micros(want.overdue_at))
    if want.queues:
        conditions.append(c.queue.in_(want.queues))
    if want.reported:
        conditions.append(c.reports > 0)
    if want.state:
        conditions.append(_state(at) == want.state)
    if want.severities:
        conditions.append(c.severity.in_(want.severities))
    word = want.words.strip().lower()
    if word.removeprefix("case ").strip().isdecimal() and len(word) < 20:
        conditions.append(c.id == int(word.removeprefix("case ")))
    elif word:
        conditions.append(sa.func.lower(c.title).contains(word, autoescape=True))
    if after is not None:
        severity, due, number = after
        conditions.append(
            sa.or_(
                c.severity < severity,
                sa.and_(c.severity == severity, c.due_at > due),
                sa.and_(c.severity == severity, c.due_at == due, c.id > number),
            )
        )
    rows = connection.execute(
        _SELECT.where(*conditions).order_by(c.severity.desc(), c.due_at, c.id).limit(limit + 1)
    ).all()
    more = len(rows) > limit
    rows = rows[:limit]
    last = (rows[-1].severity, rows[-1].due_at, rows[-1].id) if more else None
    return [_row(row, at, keyring) for row in rows], last


def open_queues(connection: sa.Connection, systems: Systems = None) -> frozenset[str]:
    """The queues in which a case of `systems` is open."""
    wanted = sa.select(t.case.c.queue).where(OPEN, within(t.case.c.system_id, systems)).distinct()
    return frozenset(connection.execute(wanted).scalars())


def find(
    connection: sa.Connection,
    number: int,
    systems: Systems = None,
    *,
    at: datetime | None = None,
    keyring: KeyRing | None = None,
) -> CaseRow | None:
    """One case, or None when there is none or it belongs to a system that the actor may not see. `at` and
    `keyring` as in `page`."""
    row = connection.execute(_SELECT.where(t.case.c.id == number, within(t.case.c.system_id, systems))).first()
    return None if row is None else _row(row, at, keyring)


def load(connection: sa.Connection, systems: Systems, now: datetime, end_of_day: datetime) -> list[Load]:
    """All open cases, counted: every figure about them comes from this one query, so that figures agree."""
    c = t.case.c
    when = sa.case((c.due_at < micros(now), "overdue"), (c.due_at < micros(end_of_day), "today"), else_="later").label(
        "when"
    )
    alike = (
        sa.select(
            c.severity,
            c.queue,
            _state(now).label("state"),
            c.kind,
            sa.case((t.assignment.c.lease_until > micros(now), t.assignment.c.principal_id)).label("claimed_by"),
            _STANDING.label("verdict_by"),
            c.escalated,
            (c.reports > 0).label("reported"),
            c.system_id,
            when,
        )
        .select_from(t.case)
        .outerjoin(t.assignment, _CLAIM)
        .where(OPEN, within(c.system_id, systems))
        .subquery()
    )
    rows = connection.execute(
        sa.select(alike, t.system.c.name.label("system"), sa.func.count().label("cases"))
        .join(t.system, t.system.c.id == alike.c.system_id)
        .group_by(*alike.c, t.system.c.name)
    )
    return [
        Load(
            severity=row.severity,
            queue=row.queue,
            state=CaseState(row.state),
            kind=CaseKind(row.kind),
            held_by=row.claimed_by,
            verdict_by=row.verdict_by,
            escalated=bool(row.escalated),
            reported=bool(row.reported),
            system=row.system,
            when=row.when,
            cases=row.cases,
        )
        for row in rows
    ]


def verdicts(connection: sa.Connection, number: int) -> list[VerdictRow]:
    """All verdicts on a case, the standing one first."""
    v = t.verdict.c
    rows = connection.execute(
        sa.select(t.verdict).where(v.case_id == number).order_by(v.returned_at.isnot(None), v.given_at.desc())
    )
    return [
        VerdictRow(
            outcome=row.outcome,
            reason=row.reason,
            note=row.note,
            by=row.given_by,
            at=moment(row.given_at),
            seconds=row.seconds,
            approved_by=row.approved_by,
            approved_at=moment_or_none(row.approved_at),
            returned_by=row.returned_by,
            returned_at=moment_or_none(row.returned_at),
        )
        for row in rows
    ]


def similar(
    connection: sa.Connection, case: CaseRow, systems: Systems, most: int = 5, *, keyring: KeyRing | None = None
) -> list[Similar]:
    """Other cases of the same policy and system, those with a verdict first, the newest first."""
    if not case.policy:
        return []
    c, v = t.case.c, t.verdict.c
    rows = connection.execute(
        sa.select(
            c.id, c.state, c.opened_at, c.excerpt, c.excerpt_sealed, v.outcome, v.reason, t.conversation.c.wrapped_key
        )
        .select_from(t.case)
        .outerjoin(t.call, t.call.c.id == c.call_id)
        .outerjoin(t.conversation, t.conversation.c.id == t.call.c.conversation_id)
        .outerjoin(t.verdict, sa.and_(v.case_id == c.id, v.returned_at.is_(None)))
        .where(c.policy == case.policy, c.system_id == case.system_id, c.id != case.id, within(c.system_id, systems))
        .order_by(v.outcome.is_(None), c.id.desc())
        .limit(most)
    )
    return [
        Similar(
            id=row.id,
            state=CaseState(row.state),
            outcome=row.outcome or "",
            reason=row.reason or "",
            opened_at=moment(row.opened_at),
            excerpt=sealed.excerpt(keyring, row),
        )
        for row in rows
    ]


def work(connection: sa.Connection, principal: int, since: datetime) -> DayOfWork:
    """A reviewer's work since `since`."""
    v, c, n = t.verdict.c, t.case.c, t.case_note.c
    given = connection.execute(
        sa.select(v.case_id, v.seconds).where(v.given_by == principal, v.given_at >= micros(since)).order_by(v.seconds)
    ).all()
    a = t.assignment.c
    held = sa.select(a.case_id).where(a.ended_at.is_(None), a.principal_id == principal)
    # Only an escalated case has such a note, and only an open one can have been handed on today and not be decided.
    handed_on = (
        sa.select(n.case_id)
        .join(t.case, c.id == n.case_id)
        .where(OPEN, n.written_by == principal, n.written_at >= micros(since))
    )
    read = {row.case_id for row in given} | set(connection.execute(held.union(handed_on)).scalars())
    policies = connection.execute(sa.select(c.policy, sa.func.count()).where(c.id.in_(read)).group_by(c.policy))
    median = given[len(given) // 2].seconds if given else 0
    return DayOfWork(decided=len(given), median_seconds=int(median), policies={row[0]: int(row[1]) for row in policies})


def right_when_flagged(connection: sa.Connection, policy: str, systems: Systems) -> Mapping[str, int]:
    """How many standing verdicts on a policy's cases there are of each outcome."""
    v = t.verdict.c
    rows = connection.execute(
        sa.select(v.outcome, sa.func.count())
        .join(t.case, t.case.c.id == v.case_id)
        .where(t.case.c.policy == policy, within(t.case.c.system_id, systems), v.returned_at.is_(None))
        .group_by(v.outcome)
    )
    return {row[0]: row[1] for row in rows}


def notes(connection: sa.Connection, number: int) -> list[Note]:
    """What was written when a case was escalated or returned, the first one first."""
    n = t.case_note.c
    rows = connection.execute(sa.select(t.case_note).where(n.case_id == number).order_by(n.id))
    return [Note(kind=row.kind, note=row.note, by=row.written_by, at=moment(row.written_at)) for row in rows]


def further_calls(
    connection: sa.Connection, number: int, systems: Systems, most: int = 100
) -> tuple[list[FurtherCall], bool]:
    """The calls that joined a case, in the order in which they were recorded, at most `most`; and whether there are
    more."""
    j, c = t.case_call.c, t.call.c
    rows = connection.execute(
        sa.select(c.id, c.name, c.started_at)
        .join(t.case_call, j.call_id == c.id)
        .where(j.case_id == number, within(c.system_id, systems))
        .order_by(j.call_id)
        .limit(most + 1)
    ).all()
    found = [FurtherCall(id=row.id, step=row.name, started_at=moment(row.started_at)) for row in rows[:most]]
    return found, len(rows) > most


class CaseQueries:
    """Implements `services.review.read.CaseQueries`: each method is one short read."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing | None = None) -> None:
        self._database = database
        self._keyring = keyring

    def page(
        self, want: CaseFilter, systems: Systems, *, at: datetime, after: After | None, limit: int
    ) -> tuple[list[CaseRow], After | None]:
        with self._database.read() as connection:
            return page(connection, want, systems, at=at, after=after, limit=limit, keyring=self._keyring)

    def row(self, number: int, systems: Systems, *, at: datetime) -> CaseRow | None:
        with self._database.read() as connection:
            return find(connection, number, systems, at=at, keyring=self._keyring)

    def view(self, number: int, systems: Systems, *, at: datetime) -> CaseView | None:
        with self._database.read() as connection:
            row = find(connection, number, systems, at=at, keyring=self._keyring)
            if row is None:
                return None
            return CaseView(row=row, verdicts=verdicts(connection, number), notes=notes(connection, number))

    def loads(self, systems: Systems, now: datetime, end_of_day: datetime) -> list[Load]:
        with self._database.read() as connection:
            return load(connection, systems, now, end_of_day)

    def open_queues(self, systems: Systems) -> frozenset[str]:
        with self._database.read() as connection:
            return open_queues(connection, systems)

    def similar(self, case: CaseRow, systems: Systems, *, most: int) -> list[Similar]:
        with self._database.read() as connection:
            return similar(connection, case, systems, most, keyring=self._keyring)

    def right_when_flagged(self, policy: str, systems: Systems) -> Mapping[str, int]:
        with self._database.read() as connection:
            return right_when_flagged(connection, policy, systems)

    def further_calls(self, number: int, systems: Systems, *, most: int) -> tuple[list[FurtherCall], bool]:
        with self._database.read() as connection:
            return further_calls(connection, number, systems, most)

    def work(self, principal: int, since: datetime) -> DayOfWork:
        with self._database.read() as connection:
            return work(connection, principal, since)
