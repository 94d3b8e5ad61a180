"""Background jobs: what waits, what runs, what failed; and how long to wait before another attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from governance.domain.events import Json

PAYLOAD_BYTES = 16_384
"""Most bytes of a payload as JSON: it names things that are stored, it does not carry them."""


class JobKind(StrEnum):
    """The kinds that this version knows. A database may hold others, of a newer version."""

    VERIFY_AUDIT_LOG = "audit.verify"
    PRUNE_SESSIONS = "sessions.prune"
    PRUNE_JOBS = "jobs.prune"
    CHECK_DATABASE = "database.check"
    DELIVER_MESSAGE = "outbox.deliver"
    ERASE_CONTENT = "privacy.erase"
    PURGE_FILES = "privacy.purge"
    SEAL_TEXTS = "privacy.seal"
    APPLY_RETENTION = "privacy.retain"
    REMIND_ACCESS_REVIEW = "access.remind"
    COPY_CHECKPOINT = "checkpoint.copy"
    WATCH_COPIES = "checkpoint.watch"


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """No attempt is left: a person retries or cancels it."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """`attempts` counts those that began. `lock` "" is none. `schedule` names the schedule that added it, else "".

    `claim` counts how often it was claimed: who completes the job must be who claimed it last.
    """

    id: int
    kind: str
    payload: Mapping[str, Json]
    priority: int
    lock: str
    schedule: str
    state: JobState
    not_before: datetime
    attempts: int
    claim: int
    lease_until: datetime | None
    last_error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFigures:
    """How many jobs are in each state, and of messages to the outside: how many wait, are dead, since when the oldest
    waits. `overdue` are jobs that could have run `LATE` ago."""

    waiting: int
    running: int
    failed: int
    overdue: int
    messages_waiting: int
    messages_dead: int
    oldest_message_at: datetime | None


LATE = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """Exponential back-off with jitter: `attempts` in all, `first` after the first failure, `longest` at most."""

    attempts: int = 5
    first: timedelta = timedelta(seconds=10)
    factor: float = 4.0
    longest: timedelta = timedelta(hours=6)

    def wait(self, attempt: int, chance: float) -> timedelta:
        """How long to wait after failed attempt number `attempt` (from 1): between half of the full time and all of
        it, as `chance` (0 to 1) says, so that what failed together is not tried again together."""
        # Beyond some 60 doublings a float of seconds would overflow a timedelta; the bound is reached long before.
        full = min(self.first.total_seconds() * self.factor ** min(attempt - 1, 60), self.longest.total_seconds())
        return timedelta(seconds=full * (0.5 + 0.5 * chance))
