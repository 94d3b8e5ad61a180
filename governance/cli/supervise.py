"""Runs checking processes that belong to a server: starts them again when they die, and ends them with it."""

from __future__ import annotations

import sys
import threading

import structlog

from governance.processes.child import Child
from governance.processes.restart import Pauses, keep

_LOG = structlog.get_logger("governance.serve")
_STOP_SECONDS = 15
_PAUSES = (0.5, 1, 2, 5, 15, 30)


class Workers:
    """`count` processes of `governance worker`, with the environment of this one."""

    def __init__(self, count: int, environment: dict[str, str] | None = None) -> None:
        self._environment = environment
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(number,), name=f"worker-{number}", daemon=True)
            for number in range(1, count + 1)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Closes what the processes read, and waits: each finishes the batch it is at."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_STOP_SECONDS + 5)

    def _keep(self, number: int) -> None:
        def ended(reason: str, pause: float) -> None:
            _LOG.error("worker.ended", worker=number, reason=reason, again_in_seconds=pause)

        keep(self._run_once, self._stopping, Pauses(seconds=_PAUSES), ended)

    def _run_once(self) -> str:
        """Runs one process to its end; says why it ended."""
        try:
            child = Child(
                [sys.executable, "-m", "governance", "worker", "--parent", "0"], environment=self._environment
            )
        except OSError as error:
            return f"could not be started ({error.strerror})"
        while child.code is None and not self._stopping.wait(0.2):
            pass
        child.end(_STOP_SECONDS)
        return child.reason()
