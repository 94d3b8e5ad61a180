"""Jobs to run: a task that leaves a row behind, and a runner over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.events import Json
from governance.domain.jobs import Backoff, Job, JobState
from governance.services.jobs.run import Attempt, RunJobs, Task
from governance.store.base import tables as t
from governance.store.transaction import Database
from governance.worker.tasks import Payload, reader
from tests.conftest import Clock

KIND = "test.mark"


class MarkPayload(Payload):
    name: str


def mark(database: Database) -> Callable[[MarkPayload, Attempt[Any]], None]:
    """A task whose effect is a row that is not unique by itself: done twice, there are two."""

    def run(payload: MarkPayload, attempt: Attempt[Any]) -> None:
        number = database.ids.take()
        with attempt.finishing() as tx:
            tx.connection.execute(t.system.insert().values(id=number, name=f"{payload.name}#{number}", first_seen_at=0))

    return run


def marks(database: Database) -> list[str]:
    with database.read() as connection:
        names = connection.execute(sa.select(t.system.c.name).order_by(t.system.c.id)).scalars()
        return [name.partition("#")[0] for name in names]


def add(database: Database, clock: Clock, name: str = "one", *, kind: str = KIND, **more: Any) -> int:
    payload: Mapping[str, Json] = more.pop("payload", {"name": name})
    with database.write() as tx:
        return tx.jobs.add(kind, payload, at=clock(), **more)


def read(database: Database, job_id: int) -> Job:
    with database.look() as tx:
        job = tx.jobs.get(job_id)
    assert job is not None
    return job


def state(database: Database, job_id: int) -> JobState:
    return read(database, job_id).state


@pytest.fixture
def runner(database: Database, clock: Clock) -> Callable[..., RunJobs]:
    """A process that runs jobs: by default those of `mark`."""

    def make(run: Callable[[Any, Attempt[Any]], None] | None = None, **more: Any) -> RunJobs:
        task = Task(run=run or mark(database), read=reader(MarkPayload), backoff=Backoff(attempts=3))
        return RunJobs(database, clock, {KIND: task}, chance=lambda: 1.0, **more)

    return make
