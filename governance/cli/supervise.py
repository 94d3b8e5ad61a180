"""Checking processes that belong to a server: started again when they die, ended with it, whatever ends it.

Each child reads a pipe from us. It closes when we are gone, also by kill -9, and the child then ends by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import structlog

_LOG = structlog.get_logger("governance.serve")
_STOP_SECONDS = 15
_PAUSES = (0.5, 1, 2, 5, 15, 30)
_STEADY_SECONDS = 60


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
        """Closes the pipes and waits: each process finishes the batch it is at."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_STOP_SECONDS + 5)

    def _keep(self, number: int) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - started > _STEADY_SECONDS else failures + 1
            pause = _PAUSES[min(failures, len(_PAUSES)) - 1]
            _LOG.error("worker.ended", worker=number, code=code, again_in_seconds=pause)
            self._stopping.wait(pause)

    def _run_once(self) -> int:
        """Runs one process to its end; gives its exit code."""
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "governance", "worker", "--parent", "0"],
                stdin=reading,
                env=self._environment,
            )
        finally:
            os.close(reading)
        try:
            while process.poll() is None and not self._stopping.wait(0.2):
                pass
        finally:
            os.close(writing)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
