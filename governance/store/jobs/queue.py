"""Jobs of every kind but checking: rows of `job` on both databases; on PostgreSQL Procrastinate wakes workers for them.

A claim is a lease with a number. Whoever changes a claimed job shows the number, so a process that slept through its
lease changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from governance.domain.events import Json
from governance.domain.jobs import LATE, PAYLOAD_BYTES, Job, JobFigures, JobState
from governance.domain.times import micros, moment, moment_or_none
from governance.errors import BadInput
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.jobs.defer import defer

_ERROR_LENGTH = 300


class SqlJobs:
    """Implements `services.jobs.ports.Jobs`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._connection = tx.connection

    def add(
        self,
        kind: str,
        payload: Mapping[str, Json],
        *,
        at: datetime,
        not_before: datetime | None = None,
        priority: int = 0,
        lock: str = "",
        schedule: str = "",
    ) -> int:
        text = json.dumps(payload, separators=(",", ":"), sort_keys=True)
        if len(text) > PAYLOAD_BYTES:
            raise BadInput(
                f"A job's payload has {len(text):,} bytes; at most {PAYLOAD_BYTES:,} are kept.",
                advice="Store the data, and name it in the payload.",
            )
        due = micros(not_before or at)
        number: int = self._connection.execute(
            t.job.insert()
            .values(
                kind=kind,
                payload=text,
                priority=priority,
                lock=lock,
                schedule=schedule,
                state=JobState.WAITING.value,
                not_before=due,
                attempts=0,
                claim=0,
                lease_until=0,
                last_error="",
                created_at=micros(at),
            )
            .returning(t.job.c.id)
        ).scalar_one()
        self._wake(number, kind, priority, due)
        return number

    def get(self, job_id: int) -> Job | None:
        row = self._connection.execute(sa.select(t.job).where(t.job.c.id == job_id)).first()
        return None if row is None else _job(row)

    def page(self, *, state: JobState | None, kind: str, before: int | None, limit: int) -> Sequence[Job]:
        j = t.job.c
        wanted = sa.select(t.job).order_by(j.id.desc()).limit(limit)
        if state is not None:
            wanted = wanted.where(j.state == state.value)
        if kind:
            wanted = wanted.where(j.kind == kind)
        if before is not None:
            wanted = wanted.where(j.id < before)
        return [_job(row) for row in self._connection.execute(wanted)]

    def open(self, *, schedule: str) -> bool:
        j = t.job.c
        found = sa.select(j.id).where(_OPEN, j.schedule == schedule).limit(1)
        return self._connection.execute(found).first() is not None

    def due(self, kinds: Collection[str], now: datetime) -> bool:
        return self._connection.execute(_next(kinds, micros(now))).first() is not None

    def claim(
        self, kinds: Collection[str], *, now: datetime, lease: timedelta, job_id: int | None = None
    ) -> Job | None:
        j = t.job.c
        at = micros(now)
        candidate = _next(kinds, at)
        if job_id is not None:
            candidate = candidate.where(j.id == job_id)
        taking = (
            t.job.update()
            .where(_may_run(at))
            .values(
                state=JobState.RUNNING.value,
                attempts=j.attempts + 1,
                claim=j.claim + 1,
                lease_until=micros(now + lease),
                started_at=at,
            )
            .returning(t.job)
        )
        if self._connection.dialect.name == "sqlite":
            row = self._connection.execute(taking.where(j.id == candidate.scalar_subquery())).first()
            return None if row is None else _job(row)
        found = self._connection.execute(candidate.with_for_update(skip_locked=True, of=t.job)).scalar()
        if found is None:
            return None
        try:
            with self._connection.begin_nested():
                row = self._connection.execute(taking.where(j.id == found)).first()
        except IntegrityError:  # another process has just begun a job of the same lock
            return None
        return None if row is None else _job(row)

    def look_again(self, job_id: int, now: datetime) -> datetime | None:
        j = t.job.c
        row = self._connection.execute(sa.select(j.not_before, j.lease_until).where(j.id == job_id, _OPEN)).first()
        # While its lock is taken nothing says when that ends: a second is soon enough.
        return None if row is None else max(moment(max(row)), now + timedelta(seconds=1))

    def renew(self, job: Job, *, until: datetime) -> None:
        self._connection.execute(_claimed(job).values(lease_until=micros(until)))

    def done(self, job: Job, *, at: datetime) -> bool:
        values = {"state": JobState.DONE.value, "finished_at": micros(at), "lease_until": 0, "last_error": ""}
        return self._connection.execute(_claimed(job).values(values)).rowcount == 1

    def again(self, job: Job, *, at: datetime, error: str, counted: bool = True) -> bool:
        values: dict[str, Any] = {"state": JobState.WAITING.value, "not_before": micros(at), "lease_until": 0}
        if error:
            values["last_error"] = error[:_ERROR_LENGTH]
        if not counted:
            values["attempts"] = t.job.c.attempts - 1
        if self._connection.execute(_claimed(job).values(values)).rowcount != 1:
            return False
        self._wake(job.id, job.kind, job.priority, micros(at))
        return True

    def failed(self, job: Job, *, at: datetime, error: str) -> bool:
        values = {
            "state": JobState.FAILED.value,
            "finished_at": micros(at),
            "lease_until": 0,
            "last_error": error[:_ERROR_LENGTH],
        }
        return self._connection.execute(_claimed(job).values(values)).rowcount == 1

    def retry(self, job_id: int, *, at: datetime) -> bool:
        j = t.job.c
        states = [state.value for state in (JobState.WAITING, JobState.FAILED, JobState.CANCELLED)]
        row = self._connection.execute(
            t.job.update()
            .where(j.id == job_id, j.state.in_(states))
            .values(state=JobState.WAITING.value, not_before=micros(at), attempts=0, finished_at=None)
            .returning(j.kind, j.priority)
        ).first()
        if row is None:
            return False
        self._wake(job_id, row.kind, row.priority, micros(at))
        return True

    def cancel(self, job_id: int, *, at: datetime) -> bool:
        j = t.job.c
        states = [JobState.WAITING.value, JobState.FAILED.value]
        changed = self._connection.execute(
            t.job.update()
            .where(j.id == job_id, j.state.in_(states))
            .values(state=JobState.CANCELLED.value, finished_at=micros(at))
        )
        return changed.rowcount == 1

    def prune(self, *, finished_before: datetime, failed_before: datetime, limit: int) -> int:
        j = t.job.c
        over = sa.or_(
            j.state.in_([JobState.DONE.value, JobState.CANCELLED.value]) & (j.finished_at < micros(finished_before)),
            (j.state == JobState.FAILED.value) & (j.finished_at < micros(failed_before)),
        )
        old = self._connection.execute(sa.select(j.id).where(over).order_by(j.id).limit(limit)).scalars().all()
        if old:
            messages = t.outbox_message
            self._connection.execute(messages.delete().where(messages.c.job_id.in_(old)))
            self._connection.execute(t.job.delete().where(j.id.in_(old)))
        return len(old)

    def figures(self, now: datetime) -> JobFigures:
        j, m = t.job.c, t.outbox_message.c
        living = j.state.in_([JobState.WAITING.value, JobState.RUNNING.value, JobState.FAILED.value])
        states = self._connection.execute(sa.select(j.state, sa.func.count()).where(living).group_by(j.state))
        jobs = {row[0]: row[1] for row in states}
        late = micros(now - LATE)
        overdue = self._connection.execute(
            sa.select(sa.func.count()).where(j.state == JobState.WAITING.value, j.not_before < late)
        ).scalar_one()
        undelivered = self._connection.execute(
            sa.select(j.state, sa.func.count(), sa.func.min(m.created_at))
            .select_from(t.outbox_message.join(t.job, m.job_id == j.id))
            .where(m.delivered_at.is_(None), living)
            .group_by(j.state)
        )
        messages = {row[0]: (row[1], row[2]) for row in undelivered}
        dead, _ = messages.pop(JobState.FAILED.value, (0, 0))
        return JobFigures(
            waiting=jobs.get(JobState.WAITING.value, 0),
            running=jobs.get(JobState.RUNNING.value, 0),
            failed=jobs.get(JobState.FAILED.value, 0),
            overdue=overdue,
            messages_waiting=sum(count for count, _ in messages.values()),
            messages_dead=dead,
            oldest_message_at=moment_or_none(min((oldest for _, oldest in messages.values()), default=None)),
        )

    def unknown(self, kinds: Collection[str]) -> int:
        j = t.job.c
        wanted = sa.select(sa.func.count()).where(_OPEN, j.kind.not_in(sorted(kinds)))
        return int(self._connection.execute(wanted).scalar_one())

    def _wake(self, number: int, kind: str, priority: int, not_before: int) -> None:
        if self._connection.dialect.name == "postgresql":
            defer(self._connection, number, kind=kind, priority=priority, not_before=not_before)


# Written out, so that SQLite's planner sees that the partial index holds these rows.
_OPEN = sa.text("job.state IN ('waiting', 'running')")


def _may_run(now: int) -> sa.ColumnElement[bool]:
    j = t.job.c
    return sa.or_(
        (j.state == JobState.WAITING.value) & (j.not_before <= now),
        (j.state == JobState.RUNNING.value) & (j.lease_until <= now),
    )


def _next(kinds: Collection[str], now: int) -> sa.Select[tuple[int]]:
    """The id of the job to run next: of those whose lock no other job holds, the most urgent, then the oldest."""
    j, other = t.job.c, t.job.alias("other")
    taken = sa.select(other.c.id).where(
        other.c.lock == j.lock, other.c.state == JobState.RUNNING.value, other.c.id != j.id
    )
    return (
        sa.select(j.id)
        .where(_OPEN, _may_run(now), j.kind.in_(sorted(kinds)), sa.or_(j.lock == "", ~taken.exists()))
        .order_by(j.priority.desc(), j.id)
        .limit(1)
    )


def _claimed(job: Job) -> sa.Update:
    """An update of the job that counts only while this claim is its last."""
    j = t.job.c
    return t.job.update().where(j.id == job.id, j.state == JobState.RUNNING.value, j.claim == job.claim)


def _job(row: sa.Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        payload=json.loads(row.payload),
        priority=row.priority,
        lock=row.lock,
        schedule=row.schedule,
        state=JobState(row.state),
        not_before=moment(row.not_before),
        attempts=row.attempts,
        claim=row.claim,
        lease_until=moment(row.lease_until) if row.lease_until else None,
        last_error=row.last_error,
        created_at=moment(row.created_at),
        started_at=moment_or_none(row.started_at),
        finished_at=moment_or_none(row.finished_at),
    )
