"""What detectors and checking processes say of themselves, and how far checking is behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    """What a detector did since `since`: texts that it `answered`, and on which it `failed`. `absent_since` is from
    when on it is not there (not installed, not running, not reachable), None while it is."""

    name: str
    version: str
    answered: int
    failed: int
    last_failure: str
    since: datetime
    updated_at: datetime
    absent_since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    name: str
    policy_set: str
    started_at: datetime
    seen_at: datetime


MOST_WAITING = 100_000
"""How far calls that wait are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """How far checking is behind. `waiting` counts calls, no further than `MOST_WAITING`; `oldest_seconds` is since
    when the oldest of them waits; `rate` is how many calls a second were checked lately."""

    waiting: int = 0
    oldest_seconds: float = 0.0
    rate: float = 0.0

    @property
    def words(self) -> str:
        """'more than 100,000 calls wait, the oldest for 12 min; 310 a second are checked'."""
        if not self.waiting:
            return "no call waits"
        if self.waiting == 1:
            count = "1 call waits"
        else:
            more = "more than " if self.waiting >= MOST_WAITING else ""
            count = f"{more}{self.waiting:,} calls wait"
        seconds = int(self.oldest_seconds)
        age = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3600} h"
        rate = f"{self.rate:,.0f}" if self.rate >= 10 or not self.rate else f"{self.rate:.1f}"
        return f"{count}, the oldest for {age}; {rate} a second are checked"
