"""Whether calls are recorded now: what became of the last ones, and without any, of a write of our own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from governance.errors import GovernanceError
from governance.intake import Intake, Outcome

FRESH_SECONDS = 3.0


class Recording:
    """Thread-safe. A write of our own is tried at most every `FRESH_SECONDS`, however many ask."""

    def __init__(self, intake: Callable[[], Intake], try_write: Callable[[], None]) -> None:
        self._intake = intake
        self._try_write = try_write
        self._lock = threading.Lock()
        self._tried: Outcome | None = None

    def trouble(self) -> str:
        """Why calls are not recorded now, "" where they are."""
        if not self._intake().up:
            return "The recording process is not there."
        real = self._intake().latest
        # A failure is believed for as long as senders were asked to stay away: a small write may find room where a
        # call found none.
        if real is not None and time.monotonic() - real.at < max(FRESH_SECONDS, real.holds):
            return real.trouble
        with self._lock:
            if self._tried is None or time.monotonic() - self._tried.at >= FRESH_SECONDS:
                self._tried = self._try()
            return self._tried.trouble

    def _try(self) -> Outcome:
        try:
            self._try_write()
        except GovernanceError as error:
            return Outcome(at=time.monotonic(), trouble=error.message)
        except Exception as error:
            return Outcome(at=time.monotonic(), trouble=f"The database takes no write ({type(error).__name__}).")
        return Outcome(at=time.monotonic())
