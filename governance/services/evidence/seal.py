"""Seals texts that an earlier version kept in clear: the job of an upgrade, which goes on where it was."""

from __future__ import annotations

from collections.abc import Callable

from governance.domain.jobs import JobKind
from governance.services.evidence.erase import LOCK
from governance.services.jobs.ports import Transaction
from governance.services.jobs.run import Attempt
from governance.services.ports import Clock


def seal_texts(some: Callable[[], int], clock: Clock, attempt: Attempt[Transaction]) -> None:
    """`some` seals the next texts, and commits; 0 when none is left. Their bytes are cleared from the files after."""
    sealed = 0
    while done := some():
        sealed += done
    with attempt.finishing() as tx:
        if sealed:
            tx.jobs.add(JobKind.PURGE_FILES, {}, at=clock(), lock=LOCK)
