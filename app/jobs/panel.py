"""Background jobs on Admin: what waits, what runs, what failed and why, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import streamlit as st

from app.components import ui
from app.shell import session, words
from governance.domain.jobs import Job, JobFigures, JobKind, JobState
from governance.services.jobs.manage import KNOWN

SHOWN = 25

_TITLE = {
    JobKind.VERIFY_AUDIT_LOG: "Verify the audit log",
    JobKind.CHECK_DATABASE: "Look for damage in the database",
    JobKind.PRUNE_SESSIONS: "Delete sessions that ended",
    JobKind.PRUNE_JOBS: "Delete old jobs",
    JobKind.DELIVER_MESSAGE: "Send a message",
    JobKind.ERASE_CONTENT: "Erase content",
    JobKind.PURGE_FILES: "Rewrite the database's files",
    JobKind.SEAL_TEXTS: "Seal texts of an earlier version",
    JobKind.APPLY_RETENTION: "Apply the retention rules",
    JobKind.COPY_CHECKPOINT: "Copy the log's checkpoint elsewhere",
    JobKind.WATCH_COPIES: "Look how old the copies of checkpoints are",
    JobKind.REMIND_ACCESS_REVIEW: "Ask for the monthly access review",
}


def title(kind: str) -> str:
    """What a kind of job does, in words; a kind of a newer version by its name."""
    return _TITLE[JobKind(kind)] if kind in KNOWN else words.name(kind)


def summary(figures: JobFigures) -> str:
    """'3 waiting, 1 running' for the panel's corner."""
    return f"{figures.waiting} waiting" + (f", {figures.running} running" if figures.running else "")


def draw(now: datetime) -> None:
    """The panels, for who manages the installation."""
    service = session.application().background
    figures = service.figures()
    failed = service.list(session.actor(), state=JobState.FAILED, limit=SHOWN)
    running = service.list(session.actor(), state=JobState.RUNNING, limit=SHOWN)
    waiting = service.list(session.actor(), state=JobState.WAITING, limit=SHOWN)
    with ui.panel("Failed jobs", f"{figures.failed}" if figures.failed else "none"):
        if figures.messages_dead:
            st.markdown(
                f":red-badge[:material/error: {words.count(figures.messages_dead, 'message')} could not be sent]",
                width="content",
            )
        for job in failed:
            _line(job, now, f"gave up {words.ago(session.local(job.finished_at or job.created_at), now)}")
        if not failed:
            st.caption("A job that fails is tried again by itself; when no attempt is left, it appears here.")
        elif figures.failed > len(failed):
            st.caption(f"The latest {len(failed)} of {figures.failed}. All: governance jobs list --state failed.")
    with ui.panel("Waiting and running", summary(figures)):
        for job in running:
            _line(job, now, f"running for {words.span((now - session.local(job.started_at or now)).total_seconds())}")
        for job in waiting:
            _line(job, now, _when(job, now))
        if not running and not waiting:
            st.caption("Nothing waits. Recurring jobs add themselves when they are due.")
        elif figures.waiting > len(waiting):
            st.caption(f"The latest {len(waiting)} of {figures.waiting}. All: governance jobs list --state waiting.")


def _when(job: Job, now: datetime) -> str:
    if job.kind not in KNOWN:
        return "waits for a newer version that knows it"
    at = session.local(job.not_before)
    if at <= now:
        return "runs next"
    return f"tried again {words.due(at, now)}" if job.last_error else f"runs {words.due(at, now)}"


def _line(job: Job, now: datetime, state: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(gap="xxsmall", width="stretch"):
            st.markdown(f"**{title(job.kind)}** :gray[Job {job.id}]", width="content")
            tried = f" · {words.count(job.attempts, 'attempt')}" if job.attempts else ""
            st.caption(f"{state}{tried}", width="content")
            if job.last_error:
                st.text(job.last_error)
        with st.container(horizontal=True, width="content"):
            _buttons(job)


def _buttons(job: Job) -> None:
    service = session.application().background
    running = job.state is JobState.RUNNING
    why_not = "It is running; wait until it has ended" if running else ""
    unknown = "" if job.kind in KNOWN else "This version does not know this kind of job"
    _button(
        "Retry" if job.state is JobState.FAILED else "Run now",
        ":material/replay:",
        f"retry-job-{job.id}",
        why_not or unknown,
        lambda: service.retry(session.begin(), job.id),
        f"Job {job.id} runs again.",
    )
    _button(
        "Cancel",
        ":material/cancel:",
        f"cancel-job-{job.id}",
        why_not,
        lambda: service.cancel(session.begin(), job.id),
        f"Job {job.id} is cancelled.",
    )


def _button(label: str, icon: str, key: str, why_not: str, act: Callable[[], None], said: str) -> None:
    # A callback: it also runs where the job has moved on meanwhile, so that the page says so.
    help_, disabled = why_not or None, bool(why_not)
    st.button(label, icon=icon, type="tertiary", key=key, disabled=disabled, help=help_, on_click=_do, args=(act, said))


def _do(act: Callable[[], None], said: str) -> None:
    def done() -> bool:
        act()
        return True

    if session.attempt(done):
        session.tell(said)
