"""Long work that a page asks for: in a thread of its own, watched and stopped from any page, shared by all who look.

What it came to is kept in this process for an hour, or until it is started anew. What has to outlast the process is
stored by the service that does the work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
import structlog

from app.shell import session, words
from governance.errors import GovernanceError

_LOG = structlog.get_logger("governance.console")
PROCESSES = 2
KEPT = 3600.0
"""Seconds for which ended work is kept."""
MOST_KEPT = 100

Job = Callable[[Callable[[int, int], None]], Any]
"""Does the work, and says how many of how many are done. What that raises ends it."""


class Cancelled(Exception):
    """Somebody stopped it: nothing is kept."""


@dataclass(kw_only=True)
class Work:
    """One job. Written by its thread, read by any session; `result` is there once it has `ended` without `trouble`."""

    done: int = 0
    of: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    ended_at: float = 0.0
    trouble: str = ""
    result: Any = None

    def heard(self, done: int, of: int) -> None:
        if self.stop.is_set():
            raise Cancelled
        self.done, self.of = done, of

    def run(self, job: Job) -> None:
        """Runs to its end; what is refused or breaks is kept as a sentence."""
        try:
            self.result = job(self.heard)
        except Cancelled:
            self.trouble = "It was stopped; nothing was kept."
        except GovernanceError as error:
            self.trouble = f"{error.message} {error.advice}".strip()
        except Exception as error:
            _LOG.exception("work for a page failed", error=type(error).__name__)
            self.trouble = "It could not be finished; nothing was changed. Try again, or run governance doctor."
        finally:
            self.ended_at = time.monotonic()
            self.ended.set()


class Works:
    """What this process works at for its pages, and what that came to: one work a key, however many look at it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], Work] = {}

    def of(self, *key: str) -> Work | None:
        """The work under this key; None where there is none, or its time is over."""
        found = self._known.get(key)
        return None if found is None or _over(found) else found

    def start(self, job: Job, *key: str) -> Work:
        """Starts a job, or gives the one that is under way under this key."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and not known.ended.is_set():
                return known
            kept = [(name, one) for name, one in self._known.items() if name != key and not _over(one)]
            busy = [one for one in kept if not one[1].ended.is_set()]
            ended = sorted((one for one in kept if one[1].ended.is_set()), key=lambda one: one[1].ended_at)
            made = Work()
            self._known = dict([*ended[-MOST_KEPT:], *busy, (key, made)])
        threading.Thread(target=made.run, args=(job,), name=key[0], daemon=True).start()
        return made


def _over(work: Work) -> bool:
    return work.ended.is_set() and time.monotonic() - work.ended_at > KEPT


@st.cache_resource(show_spinner=False, max_entries=4)
def _works(source: str) -> Works:
    return Works()


def works() -> Works:
    """Those over this process's database."""
    return _works(session.source())


@st.fragment(run_every=1.0)
def watch(work: Work, key: str, *, why_not: str) -> None:
    """How far it is, and a button to stop it (`why_not` says why this person may not); draws the page when it ends."""
    if work.ended.is_set():
        st.rerun()
    done, of = work.done, work.of
    st.progress(min(1.0, done / of) if of else 0.0, f"{done:,} of {words.count(of, 'call')}" if of else "Beginning")
    st.caption("You may leave this page; it goes on, and its result is kept.")
    if st.button(
        "Stop",
        icon=":material/stop_circle:",
        key=f"{key}-stop",
        disabled=bool(why_not) or work.stop.is_set(),
        help=why_not or None,
    ):
        work.stop.set()


def trouble(work: Work | None) -> None:
    """Why it did not finish, if it did not."""
    if work is not None and work.trouble:
        st.markdown(":orange[:material/info:] **It did not finish**")
        st.text(work.trouble)
