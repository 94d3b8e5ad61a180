"""Deletes jobs that ended long ago."""

from __future__ import annotations

from datetime import timedelta

from governance.services.jobs.ports import Transaction
from governance.services.jobs.run import Attempt
from governance.services.ports import Clock

KEEP_DONE = timedelta(days=7)
KEEP_FAILED = timedelta(days=90)
AT_ONCE = 5_000


def prune_jobs(clock: Clock, attempt: Attempt[Transaction]) -> None:
    """At most `AT_ONCE` jobs an attempt, the oldest first; what is left is deleted the next time."""
    now = clock()
    with attempt.finishing() as tx:
        tx.jobs.prune(finished_before=now - KEEP_DONE, failed_before=now - KEEP_FAILED, limit=AT_ONCE)
