"""Waits for a detector no longer than its deadline, whatever it does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

STUCK_MOST = 4
"""Threads that may hang in one detector; beyond, it is not asked until one of them has come back."""


class _Box(Generic[Answer]):
    """The outcome of a thread."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: Exception | None = None


class Deadline:
    """Runs work of one detector in threads of their own. A thread cannot be ended from outside: one that does not come
    back is left behind, and counted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._stuck = 0

    def run(self, work: Callable[[], Answer]) -> Answer:
        """Gives what `work` gives, or raises what it raises.

        Raises `TimeoutError` when it takes longer, or when too many earlier runs still hang.
        """
        if self._stuck >= STUCK_MOST:
            raise TimeoutError("still busy with earlier texts")
        box: _Box[Answer] = _Box()

        def body() -> None:
            try:
                box.answer = work()
            except Exception as error:
                box.error = error
            with self._lock:
                late = box.done.is_set()
                box.done.set()
                if late:
                    self._stuck -= 1

        thread = threading.Thread(target=body, name="detector", daemon=True)
        thread.start()
        if not box.done.wait(self.seconds):
            with self._lock:
                if not box.done.is_set():
                    box.done.set()  # tells the thread that nobody waits any more
                    self._stuck += 1
                    raise TimeoutError(f"took over {self.seconds:g} s")
        if box.error is not None:
            raise box.error
        return box.answer  # type: ignore[return-value]
