"""How a process that ended is started again: at once after it ran well, else after ever longer pauses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

STEADY_SECONDS = 60.0
"""A process that ran for longer ran well: what failed before is forgotten."""


@dataclass(kw_only=True, slots=True)
class Pauses:
    """The pauses before a process is started again. Not for several threads."""

    seconds: Sequence[float]
    steady: float = STEADY_SECONDS
    _failures: int = field(default=0, init=False)

    def after(self, lasted: float) -> float:
        """Seconds to wait, for a process that lasted that many seconds."""
        self._failures = 1 if lasted > self.steady else self._failures + 1
        return self.seconds[min(self._failures, len(self.seconds)) - 1]

    def forget(self) -> None:
        """Starts over with the shortest pause."""
        self._failures = 0


def keep(
    run: Callable[[], str],
    stopping: threading.Event,
    pauses: Pauses,
    ended: Callable[[str, float], None],
) -> None:
    """Calls `run`, which runs a process to its end, again and again until `stopping` is set.

    `run` says why the process ended. `ended` is told this and how many seconds it takes until the next one starts.
    """
    while not stopping.is_set():
        began = time.monotonic()
        reason = run()
        if stopping.is_set():
            return
        pause = pauses.after(time.monotonic() - began)
        ended(reason, pause)
        stopping.wait(pause)
