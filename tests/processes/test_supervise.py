"""How soon a checking process that died is started again."""

from __future__ import annotations

import pytest

from governance.cli import supervise
from governance.cli.supervise import Workers


@pytest.mark.parametrize(("steady", "expected"), [(-1.0, [0.5, 0.5, 0.5, 0.5]), (60.0, [0.5, 1, 2, 5])])
def test_one_that_ran_well_comes_back_at_once_and_one_that_cannot_start_ever_later(
    monkeypatch: pytest.MonkeyPatch, steady: float, expected: list[float]
) -> None:
    monkeypatch.setattr(supervise, "_STEADY_SECONDS", steady)
    workers = Workers(0)
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) == len(expected):
            workers._stopping.set()
        return True

    monkeypatch.setattr(workers, "_run_once", lambda: -9)
    monkeypatch.setattr(workers._stopping, "wait", wait)
    workers._keep(1)
    assert pauses == expected
