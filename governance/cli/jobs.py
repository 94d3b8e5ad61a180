"""`governance jobs`: background jobs, what failed, and what to do about it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governance.bootstrap import running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, plain, table
from governance.domain.jobs import Job, JobState
from governance.errors import BadInput
from governance.services.jobs.manage import KNOWN

app = typer.Typer(help="List, retry and cancel background jobs.", no_args_is_help=True, rich_markup_mode=None)
_Number = Annotated[int, typer.Argument(help="The job's number from the list.", metavar="ID", min=0, max=2**53)]


@app.command("list")
def list_jobs(
    state: Annotated[str, typer.Option(help=f"Only this state: {', '.join(JobState)}.")] = "",
    kind: Annotated[str, typer.Option(help="Only this kind, for example outbox.deliver.")] = "",
    before: Annotated[int | None, typer.Option(help="Only jobs with a smaller number.", min=0, max=2**53)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List jobs, the newest first. Messages that could not be sent are failed jobs of the kind outbox.deliver."""
    if state and state not in set(JobState):
        raise BadInput(f"There is no state {state!r}.", advice=f"States are {', '.join(JobState)}.")
    service = running().background
    found = service.list(acting(), state=JobState(state) if state else None, kind=kind, before=before, limit=limit)
    if kind and not found and kind not in KNOWN:
        raise BadInput(f"There is no kind {kind!r}, and no job of it.", advice=f"Kinds are {', '.join(sorted(KNOWN))}.")

    def human() -> None:
        columns = ("Job", "Kind", "State", "Not before", "Attempts", "Last error")
        rows = [(one.id, one.kind, _state(one), one.not_before, one.attempts, one.last_error or None) for one in found]
        table(columns, rows, empty="No job.")

    emit([document(one) for one in found], human, as_json=as_json)


@app.command()
def retry(job: _Number, as_json: JsonFlag = False) -> None:
    """Have a job that waits, failed or was cancelled run again now, with all its attempts."""
    running().background.retry(acting(), job)
    emit({"id": job, "state": JobState.WAITING}, lambda: typer.echo(f"Job {job} runs again."), as_json=as_json)


@app.command()
def cancel(job: _Number, as_json: JsonFlag = False) -> None:
    """Cancel a job that waits or failed."""
    running().background.cancel(acting(), job)
    emit({"id": job, "state": JobState.CANCELLED}, lambda: typer.echo(f"Job {job} is cancelled."), as_json=as_json)


def _state(job: Job) -> str:
    return f"{job.state}, for a newer version" if job.kind not in KNOWN else str(job.state)


def document(job: Job) -> dict[str, Any]:
    """A job as `--json` prints it. `known` is False where no code of this version can run it."""
    return {
        "id": job.id,
        "kind": plain(job.kind),
        "known": job.kind in KNOWN,
        "payload": dict(job.payload),
        "state": job.state,
        "schedule": job.schedule,
        "priority": job.priority,
        "not_before": job.not_before,
        "attempts": job.attempts,
        "last_error": plain(job.last_error),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
