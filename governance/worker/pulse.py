"""A worker's signs of life, beside its work: the heartbeat with its detectors' figures, and the sweep for lost work."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from governance.detectors.runner import UNAVAILABLE, Runner
from governance.domain.times import micros
from governance.store.jobs.heartbeat import DetectorCount, Heartbeat

log = structlog.get_logger("governance.worker")

BEAT_SECONDS = 5.0
SWEEP_SECONDS = 60.0


def process_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class HealthCounter:
    """What the detectors in force did since it was last asked."""

    def __init__(self, runner: Callable[[], Runner]) -> None:
        self._current = runner
        self._runner: Runner | None = None
        self._told: dict[str, tuple[int, int]] = {}

    def take(self) -> dict[str, DetectorCount]:
        counts = {}
        runner = self._current()
        if runner is not self._runner:  # another policy set has come into force
            self._runner, self._told = runner, {}
        conditions = runner.conditions
        for name, health in runner.health.items():
            condition = conditions.get(name)
            failing = condition is not None and condition.state == "failed"
            answered, failed = self._told.get(name, (0, 0))
            self._told[name] = (health.examined - health.failed, health.failed)
            failure = f"{UNAVAILABLE}{condition.detail}" if failing and condition else health.last_failure
            counts[name] = DetectorCount(
                version=runner.versions.get(name, ""),
                answered=health.examined - health.failed - answered,
                failed=health.failed - failed,
                last_failure=failure,
                absent=failure.startswith(UNAVAILABLE),
            )
        return counts


class Pulse:
    """A thread of its own, so that a long check does not look like a dead worker."""

    def __init__(
        self,
        heartbeat: Heartbeat,
        health: HealthCounter,
        sweep: Callable[[], int],
        renew: Callable[[], None],
        clock: Callable[[], datetime],
        policy_set: Callable[[], str],
    ) -> None:
        """`policy_set` gives the digest of the set that decides here; `renew` holds on to the work under way."""
        self._policy_set = policy_set
        self._heartbeat = heartbeat
        self._health = health
        self._sweep = sweep
        self._renew = renew
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and takes the heartbeat's row away."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self.beat()
            self._heartbeat.end()
        except Exception:
            log.exception("the last heartbeat could not be written")

    def beat(self) -> None:
        self._heartbeat.beat(micros(self._clock()), self._health.take(), policy_set=self._policy_set())

    def _run(self) -> None:
        swept = 0.0
        while True:
            try:
                self._renew()
                self.beat()
                if not swept or time.monotonic() - swept > SWEEP_SECONDS:
                    found = self._sweep()
                    swept = time.monotonic()
                    if found:
                        log.info("queued work that nothing would have begun", items=found)
            except Exception:
                log.exception("no heartbeat could be written; it is tried again")
            if self._stop.wait(BEAT_SECONDS):
                return
