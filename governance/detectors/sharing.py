"""Shares what is costly to start, by what it was made of: several policy sets of a process use one, until the last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What ends when nobody uses it."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)
K = TypeVar("K", bound=Hashable)


class Shared(Generic[K, T]):
    """Values by key, each with how many use it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[K, tuple[T, int]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def acquire(self, key: K, make: Callable[[], T]) -> T:
        """The value of that key, made if nobody uses it yet. Give it back with `release`."""
        with self._lock:
            known = self._values.get(key)
            value, users = (make(), 0) if known is None else known
            self._values[key] = (value, users + 1)
        return value

    def release(self, key: K) -> None:
        """Closes the value once nobody uses it."""
        with self._lock:
            value, users = self._values[key]
            if users > 1:
                self._values[key] = (value, users - 1)
                return
            del self._values[key]
        value.close()
