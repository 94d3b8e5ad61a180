"""How soon a process that ended is started again."""

from __future__ import annotations

import threading

import pytest

from governance.cli.supervise import _PAUSES, Workers
from governance.processes.restart import Pauses, keep


@pytest.mark.parametrize(("steady", "expected"), [(-1.0, [0.5, 0.5, 0.5, 0.5]), (60.0, [0.5, 1, 2, 5])])
def test_one_that_ran_well_comes_back_at_once_and_one_that_cannot_start_ever_later(
    steady: float, expected: list[float]
) -> None:
    stopping = threading.Event()
    told: list[tuple[str, float]] = []

    def ended(reason: str, pause: float) -> None:
        told.append((reason, pause))
        if len(told) == len(expected):
            stopping.set()

    # Scaled down, so that nothing here waits.
    pauses = Pauses(seconds=[pause / 1000 for pause in _PAUSES], steady=steady)
    keep(lambda: "ended (signal 9)", stopping, pauses, ended)
    assert told == [("ended (signal 9)", pause / 1000) for pause in expected]


def test_the_longest_pause_is_the_last_and_success_forgets_the_failures() -> None:
    pauses = Pauses(seconds=(1, 2))
    assert [pauses.after(0) for _ in range(4)] == [1, 2, 2, 2]
    pauses.forget()
    assert pauses.after(0) == 1


def test_a_worker_that_cannot_be_started_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert Workers(0)._run_once() == "could not be started (No such file or directory)"
