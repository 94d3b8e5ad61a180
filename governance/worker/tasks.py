"""What each kind of job does: kind → use case, and which jobs recur when.

To add one: name its kind in `domain.jobs.JobKind`, write its use case, which completes the job with
`attempt.finishing()`, and put it into `tasks` here; into `recurring` too where it has a schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import time, timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from governance.domain.events import Json
from governance.domain.jobs import Backoff, Job, JobKind
from governance.domain.schedule import Daily, Hourly
from governance.services.evidence.copies import ATTEMPTS
from governance.services.evidence.seal import seal_texts
from governance.services.jobs.check_database import check_database
from governance.services.jobs.outbox import BACKOFF
from governance.services.jobs.prune import prune_jobs
from governance.services.jobs.run import Task, Unreadable
from governance.services.jobs.timetable import Recurring

if TYPE_CHECKING:
    from governance.bootstrap import Application
    from governance.services.jobs.ports import Transaction

VERIFY_AT = time(3, 30)
CHECK_AT = time(4, 30)
RETAIN_AT = time(2, 30)
REMIND_AT = time(6, 0)


class Payload(BaseModel):
    """What a job is to do. Unknown fields are refused: a newer version may mean something by them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CopyPayload(Payload):
    """To which place the checkpoint is copied: file, http, s3, mail."""

    to: str


class MessagePayload(Payload):
    """Which message of the outbox to deliver."""

    message: int


class ErasurePayload(Payload):
    """Which erasure to carry out."""

    erasure: int


P = TypeVar("P", bound=Payload)


def reader(kind: type[P]) -> Callable[[Mapping[str, Json]], P]:
    """Reads payloads of one form; raises `Unreadable`."""

    def read(payload: Mapping[str, Json]) -> P:
        try:
            return kind.model_validate(payload)
        except ValidationError:
            raise Unreadable from None

    return read


def tasks(application: Application) -> dict[str, Task]:
    """Every kind of job that this version can run. A job is built when the first of its kind runs."""
    return {
        JobKind.VERIFY_AUDIT_LOG: Task(
            read=reader(Payload),
            run=lambda _, attempt: application.verify.verify_unattended(attempt, application.alerts),
            backoff=Backoff(attempts=3),
        ),
        JobKind.PRUNE_SESSIONS: Task(
            read=reader(Payload),
            run=lambda _, attempt: application.sessions.prune(attempt),
            backoff=Backoff(attempts=3),
        ),
        JobKind.PRUNE_JOBS: Task(
            read=reader(Payload),
            run=lambda _, attempt: prune_jobs(application.clock, attempt),
            backoff=Backoff(attempts=3),
        ),
        JobKind.CHECK_DATABASE: Task(
            read=reader(Payload),
            run=lambda _, attempt: check_database(
                lambda: application.integrity.look().problems, application.clock, attempt, application.alerts
            ),
            backoff=Backoff(attempts=3),
        ),
        JobKind.COPY_CHECKPOINT: Task(
            read=reader(CopyPayload),
            run=lambda payload, attempt: application.checkpoint_copies.copy(payload.to, attempt),
            backoff=Backoff(attempts=ATTEMPTS, longest=timedelta(minutes=10)),
        ),
        JobKind.WATCH_COPIES: Task(
            read=reader(Payload),
            run=lambda _, attempt: application.checkpoint_copies.watch(attempt),
            backoff=Backoff(attempts=3),
        ),
        JobKind.REMIND_ACCESS_REVIEW: Task(
            read=reader(Payload),
            run=lambda _, attempt: application.access_reviews.remind(attempt, application.alerts),
            backoff=Backoff(attempts=3),
        ),
        JobKind.DELIVER_MESSAGE: Task(
            read=reader(MessagePayload),
            run=lambda payload, attempt: application.deliver_messages.deliver(payload.message, attempt),
            backoff=BACKOFF,
        ),
        JobKind.ERASE_CONTENT: Task(
            read=reader(ErasurePayload),
            run=lambda payload, attempt: application.erase.run(payload.erasure, attempt),
        ),
        JobKind.PURGE_FILES: Task(
            read=reader(Payload),
            run=lambda _, attempt: application.erase.purge(attempt, any_size=True),
        ),
        JobKind.SEAL_TEXTS: Task(
            read=reader(Payload),
            run=lambda _, attempt: seal_texts(application.sealing.some, application.clock, attempt),
        ),
        JobKind.APPLY_RETENTION: Task(
            read=reader(Payload),
            run=lambda _, attempt: application.retention.run_daily(attempt),
        ),
    }


def recurring(application: Application) -> list[Recurring]:
    """What runs by itself, and when."""
    zone = application.time_zone
    kind, hourly = JobKind.COPY_CHECKPOINT, Hourly(17)
    copies = [
        Recurring(name=f"checkpoint.copy.{to}", kind=kind, schedule=hourly, payload={"to": to})
        for to in application.checkpoint_copies.places
    ]
    return [
        Recurring(name="audit.verify", kind=JobKind.VERIFY_AUDIT_LOG, schedule=Daily(VERIFY_AT, zone)),
        Recurring(name="sessions.prune", kind=JobKind.PRUNE_SESSIONS, schedule=Hourly(7)),
        Recurring(name="database.check", kind=JobKind.CHECK_DATABASE, schedule=Daily(CHECK_AT, zone)),
        Recurring(name="privacy.retain", kind=JobKind.APPLY_RETENTION, schedule=Daily(RETAIN_AT, zone)),
        Recurring(name="privacy.seal", kind=JobKind.SEAL_TEXTS, schedule=Hourly(12)),
        Recurring(name="access.remind", kind=JobKind.REMIND_ACCESS_REVIEW, schedule=Daily(REMIND_AT, zone)),
        Recurring(name="jobs.prune", kind=JobKind.PRUNE_JOBS, schedule=Hourly(37)),
        Recurring(name="checkpoint.watch", kind=JobKind.WATCH_COPIES, schedule=Hourly(47)),
        *copies,
    ]


def died(application: Application) -> Callable[[Transaction, Job, str], None]:
    """Sends an alert in the transaction that gives a job up; not about alerts that could not be sent."""

    def send(tx: Transaction, job: Job, error: str) -> None:
        if job.kind != JobKind.DELIVER_MESSAGE:
            facts: dict[str, Json] = {"job": job.id, "kind": job.kind, "attempts": job.attempts, "error": error}
            application.alerts.send(tx, "job.failed", facts, at=application.clock())

    return send
