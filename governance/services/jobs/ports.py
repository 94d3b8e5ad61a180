"""What background jobs need of a transaction and of the outside, as Protocols."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from governance.domain.events import Json
from governance.domain.jobs import Job, JobFigures, JobState
from governance.domain.schedule import Schedule
from governance.services.ports import UnitOfWork


class Jobs(Protocol):
    """Jobs in a database; what is added here commits with what it is about."""

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
        """Adds a job that waits; returns its id. Raises `BadInput` for a payload of more than `PAYLOAD_BYTES`."""

    def get(self, job_id: int) -> Job | None: ...

    def page(self, *, state: JobState | None, kind: str, before: int | None, limit: int) -> Sequence[Job]:
        """The newest first; `kind` "" is any, `before` continues after a page's last id."""

    def open(self, *, schedule: str) -> bool:
        """Whether a job of this schedule waits or runs."""

    def due(self, kinds: Collection[str], now: datetime) -> bool:
        """Whether `claim` might find something; locks nothing."""

    def claim(
        self, kinds: Collection[str], *, now: datetime, lease: timedelta, job_id: int | None = None
    ) -> Job | None:
        """Takes the first job of `kinds` that may run now, or the one with this id, until `now + lease`; None where
        there is none, or its lock is taken."""

    def look_again(self, job_id: int, now: datetime) -> datetime | None:
        """When a job that could not be claimed may be; None where it waits no more."""

    def renew(self, job: Job, *, until: datetime) -> None:
        """Extends the lease of a claim, if it is still the last one."""

    def done(self, job: Job, *, at: datetime) -> bool:
        """Completes a claimed job; False where somebody else has claimed it since."""

    def again(self, job: Job, *, at: datetime, error: str, counted: bool = True) -> bool:
        """Has a claimed job wait for another attempt from `at` on; False where it is somebody else's now. Without
        `counted` this one was no attempt. An empty `error` leaves the last one."""

    def failed(self, job: Job, *, at: datetime, error: str) -> bool:
        """Gives a claimed job up; False where it is somebody else's now."""

    def retry(self, job_id: int, *, at: datetime) -> bool:
        """Has a job that waits, failed or was cancelled run from `at` on, with all attempts before it."""

    def cancel(self, job_id: int, *, at: datetime) -> bool:
        """Cancels a job that waits or failed."""

    def prune(self, *, finished_before: datetime, failed_before: datetime, limit: int) -> int:
        """Deletes done and cancelled jobs, and failed ones, that ended before; with their messages. Returns how many
        jobs."""

    def figures(self, now: datetime) -> JobFigures: ...

    def unknown(self, kinds: Collection[str]) -> int:
        """How many jobs wait whose kind is none of these."""


class Schedules(Protocol):
    """When each recurring job is due next."""

    def due(self, now: datetime, schedules: Mapping[str, Schedule]) -> bool:
        """Whether `advance` would do anything; locks nothing."""

    def advance(self, name: str, schedule: Schedule, now: datetime) -> bool:
        """Whether a job is to be added now. However often it was due since, and however many processes ask: one says
        yes once. A schedule that is new, or whose rule was changed, is planned from now on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """`message_id` is the same at every attempt, so that the receiver can tell a message that came twice."""

    id: int
    message_id: str
    kind: str
    body: str
    created_at: datetime
    delivered_at: datetime | None


class Outbox(Protocol):
    """Messages that leave the installation."""

    def add(self, kind: str, body: str, *, message_id: str, at: datetime) -> int:
        """Adds a message and the job that delivers it; returns the message's id."""

    def get(self, message: int) -> Message | None: ...

    def delivered(self, message: int, at: datetime) -> None: ...


class NotDelivered(Exception):
    """A message did not arrive. `said` is shown to people and holds words of ours only. `final`: it never will.
    `retry_after` is what the receiver asked for."""

    def __init__(self, said: str, *, final: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(said)
        self.said = said
        self.final = final
        self.retry_after = retry_after


class Transaction(UnitOfWork, Protocol):
    """A unit of work with jobs, their schedules and the outbox."""

    @property
    def jobs(self) -> Jobs: ...

    @property
    def schedules(self) -> Schedules: ...

    @property
    def outbox(self) -> Outbox: ...


class Deliver(Protocol):
    """Sends messages to the address that the installation names."""

    def __call__(self, message: Message, *, now: datetime) -> None:
        """Returns once the receiver has taken it. Raises `NotDelivered`."""
