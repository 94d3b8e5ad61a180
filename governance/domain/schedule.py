"""When recurring jobs are due: every hour, or daily at a time in a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Schedule(Protocol):
    def after(self, moment: datetime) -> datetime:
        """The first due time strictly after `moment`, in UTC."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """At `minute` of every hour, UTC."""

    minute: int = 0

    def after(self, moment: datetime) -> datetime:
        moment = moment.astimezone(UTC)
        due = moment.replace(minute=self.minute, second=0, microsecond=0)
        return due if due > moment else due + timedelta(hours=1)

    def __str__(self) -> str:
        return f"hourly at :{self.minute:02}"


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day at `at`, as clocks in `zone` show it.

    Where clocks go forward over `at`, it is due as long after midnight as on other days; where they show it twice, the
    first time counts (PEP 495, fold=0).
    """

    at: time
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        local = moment.astimezone(self.zone).date()
        # A date line may be crossed in one night (Samoa left out 2011-12-30): neighbours can be the same moment.
        days = (local + timedelta(days=offset) for offset in (-1, 0, 1, 2, 3))
        due = (datetime.combine(day, self.at, tzinfo=self.zone).astimezone(UTC) for day in days)
        return min(one for one in due if one > moment)

    def __str__(self) -> str:
        return f"daily at {self.at:%H:%M} {self.zone.key}"


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name such as "Europe/Berlin". Raises `ValueError` that names what is no zone."""
    try:
        return ZoneInfo(name)
    # KeyError: not found. OSError: a folder ("Europe") or too long a name. ValueError: "../", NUL, an empty name.
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name[:60]!r} is no time zone; use an IANA name such as Europe/Berlin") from None
