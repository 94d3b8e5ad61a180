"""Looks at background jobs, retries them and cancels them."""

from __future__ import annotations

from collections.abc import Sequence

from governance.domain.events import EventKind
from governance.domain.jobs import Job, JobFigures, JobKind, JobState
from governance.domain.people import Actor, Permission
from governance.errors import Conflict, NotFound
from governance.services.authorise import Authority
from governance.services.jobs.ports import Transaction

KNOWN = frozenset(JobKind)


class JobService:
    """For who manages the installation. Retrying and cancelling are audit events."""

    def __init__(self, authority: Authority[Transaction]) -> None:
        self._authority = authority

    def list(
        self, actor: Actor, *, state: JobState | None = None, kind: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[Job]:
        """The newest first. Raises `Refused`."""
        self._authority.require(actor, Permission.MANAGE_ACCESS)
        with self._authority.database.look() as tx:
            return tx.jobs.page(state=state, kind=kind, before=before, limit=limit)

    def retry(self, actor: Actor, job_id: int) -> None:
        """Has a job run again now, with all its attempts. Raises `Refused`, `NotFound`, and `Conflict` for a job that
        runs or is done."""
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.MANAGE_ACCESS, subject=f"job:{job_id}")
            if not tx.jobs.retry(job_id, at=self._authority.clock()):
                _refuse(tx.jobs.get(job_id), job_id, "retried")
            tx.append(self._authority.event(EventKind.JOB_RETRIED, actor, f"job:{job_id}"))

    def cancel(self, actor: Actor, job_id: int) -> None:
        """Takes a job that waits or failed off the list. Raises `Refused`, `NotFound`, and `Conflict` for a job that
        runs or is done."""
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.MANAGE_ACCESS, subject=f"job:{job_id}")
            if not tx.jobs.cancel(job_id, at=self._authority.clock()):
                _refuse(tx.jobs.get(job_id), job_id, "cancelled")
            tx.append(self._authority.event(EventKind.JOB_CANCELLED, actor, f"job:{job_id}"))

    def figures(self) -> JobFigures:
        """Counts, for monitoring: no content, hence no permission."""
        with self._authority.database.look() as tx:
            return tx.jobs.figures(self._authority.clock())

    def unknown(self) -> int:
        """How many jobs wait for a newer version: no code here knows their kind."""
        with self._authority.database.look() as tx:
            return tx.jobs.unknown(KNOWN)


def _refuse(job: Job | None, job_id: int, verb: str) -> None:
    if job is None:
        raise NotFound(f"There is no job {job_id}.", advice="See: governance jobs list.")
    if job.state is JobState.RUNNING:
        raise Conflict(f"Job {job_id} is running and cannot be {verb} now.", advice="Try again when it has ended.")
    raise Conflict(f"Job {job_id} is {job.state} and cannot be {verb}.")
