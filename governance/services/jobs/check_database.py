"""Looks at the database's pages, as a job: a damaged database must not wait until somebody reads the damaged part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from governance.domain.events import Json
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.ports import Transaction
from governance.services.jobs.run import Attempt
from governance.services.ports import Clock


def check_database(
    look: Callable[[], Sequence[str]], clock: Clock, attempt: Attempt[Transaction], alerts: Alerts
) -> None:
    """`look` notes what it finds beside the database, and gives the problems; damage is an alert too."""
    problems = list(look())
    with attempt.finishing() as tx:
        if problems:
            facts: dict[str, Json] = {"problems": [*problems]}
            alerts.send(tx, "database.damaged", facts, at=clock())
