"""The worker: checks recorded calls, and runs background jobs beside that.

`governance serve` starts one as a process of its own that ends with its parent; on PostgreSQL more may run elsewhere.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from governance.domain.times import micros
from governance.services.calls.check import CheckService
from governance.services.jobs.run import RunJobs
from governance.services.jobs.timetable import Timetable
from governance.store.jobs.heartbeat import Heartbeat
from governance.worker.jobs import JobWorker, heard
from governance.worker.loop import Loop
from governance.worker.procrastinate import ProcrastinateLoop
from governance.worker.pulse import HealthCounter, Pulse, process_name
from governance.worker.tasks import died, recurring, tasks

if TYPE_CHECKING:
    from governance.bootstrap import Application


def run(application: Application, *, parent: int | None = None) -> None:
    """Works until SIGTERM or SIGINT, or until the pipe `parent` (a file descriptor) closes: then its parent is gone."""
    application.prepares = True
    loop, pulse = _build(application, jobs=job_worker(application))
    stop = loop.request_stop
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    if parent is not None:
        _watch(parent, stop)
    os.nice(5)  # what comes in is recorded first; checking catches up
    gc.collect()
    gc.freeze()  # what was imported stays: the collector need not look at it again
    pulse.start()
    try:
        loop.run()
    finally:
        pulse.stop()


def run_until_idle(application: Application) -> int:
    """Checks all that waits, in this process; gives the number of jobs."""
    loop, pulse = _build(application)
    count = loop.run_until_idle()
    pulse.stop()
    return count


def job_worker(application: Application) -> JobWorker:
    """Runs the kinds of job that this version knows, and adds those that recur."""
    database, clock = application.database, application.clock
    runs = RunJobs(database, clock, tasks(application), died=died(application), heard=heard)
    return JobWorker(runs, Timetable(database, clock, recurring(application)))


def _build(application: Application, jobs: JobWorker | None = None) -> tuple[Loop | ProcrastinateLoop, Pulse]:
    checks = CheckService(
        application.new_check_store(),
        lambda: application.in_force.current().deciding(),
        application.redactor.redact,
        application.redact_text,
    )
    sets = application.in_force
    first = sets.current()
    database = application.database
    loop: Loop | ProcrastinateLoop
    if database.dialect == "postgresql":
        loop = ProcrastinateLoop(database, checks, jobs)
    else:
        loop = Loop(database, checks, application.clock, jobs)
    heartbeat = Heartbeat(
        database,
        name=process_name(),
        policy_set=first.enforce.digest,
        now=micros(application.clock()),
    )
    health = HealthCounter(lambda: sets.latest().enforce.runner)
    return loop, Pulse(
        heartbeat, health, loop.sweep, loop.renew, application.clock, lambda: sets.latest().enforce.digest
    )


def _watch(pipe: int, stop: Callable[[], None]) -> None:
    def read() -> None:
        while os.read(pipe, 1024):
            pass
        stop()

    threading.Thread(target=read, name="parent", daemon=True).start()
