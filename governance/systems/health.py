"""What detectors and checking processes say of themselves."""

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
