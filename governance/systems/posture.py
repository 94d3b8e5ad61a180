"""Is what the systems do out of the ordinary? Control charts of flag rates, and the health of detectors; pure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from governance.systems.days import Day
from governance.systems.health import Detector

# A worker writes its heartbeat every few seconds; after this long it is taken for dead.
SILENT = timedelta(seconds=60)
# A detector that fails more often than this needs somebody to look.
FAILING = 0.001
# How seldom an ordinary day lies above its usual range: once in 740, as with three standard deviations.
_SELDOM = 0.00135
# Fewer flagged calls than these in a day are no trend, whatever their share.
_LEAST = 3


@dataclass(frozen=True, kw_only=True)
class Point:
    """One day of a trend: `rate` is the share of its calls that were flagged, `low` to `high` the usual share of a day
    with so many calls (None while too few days are known), `odd` whether the day lies above it."""

    day: int
    calls: int
    flagged: int
    rate: float
    low: float | None = None
    high: float | None = None
    odd: bool = False


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A system's share of flagged calls on the days shown, each with its own usual range."""

    system: str
    days: tuple[Point, ...]

    @property
    def known(self) -> bool:
        """Whether enough days are known to say what is usual."""
        return any(point.high is not None for point in self.days)

    @property
    def unusual(self) -> bool:
        """Whether the latest day shown is above its usual range."""
        return bool(self.days) and self.days[-1].odd


def answered(detector: Detector) -> float:
    """The share of texts that the detector answered."""
    asked = detector.answered + detector.failed
    return detector.answered / asked if asked else 1.0


def absent(detector: Detector) -> bool:
    """Whether policies ask for a detector that is not there: not installed, not running, not reachable."""
    return detector.absent_since is not None


def fails(detector: Detector) -> bool:
    return absent(detector) or 1 - answered(detector) > FAILING


def trends(days: Sequence[Day], today: int, shown: int = 28) -> list[Trend]:
    """One trend a system, over the last `shown` days, judged against all days given that lie before the last two.

    Each day is judged by its own number of calls, as in a p' chart (Laney 2002): one flagged call of three is a third
    of that day and still ordinary. The usual share is that of all days together, without those that lie outside; the
    range is widened where days differ more than chance explains.
    """
    systems: dict[str, list[Day]] = {}
    for day in sorted(days, key=lambda one: one.day):
        if day.calls > 0:
            systems.setdefault(day.system, []).append(day)
    found = []
    for system, known in systems.items():
        before = [day for day in known if day.day < today - 1]
        recent = [day for day in known if day.day > today - shown]
        judge = _judge(before) if len(before) >= 7 else None
        found.append(Trend(system=system, days=tuple(_point(day, judge) for day in recent)))
    return found


def _judge(before: Sequence[Day]) -> tuple[float, float]:
    """The usual share of a system, and by how much its days vary more than chance explains (1 or more)."""
    first = _spread(before)
    return _spread([day for day in before if not _point(day, first).odd] or before)


def _spread(days: Sequence[Day]) -> tuple[float, float]:
    usual = _share(days)
    scores = [(day.flagged / day.calls - usual) / math.sqrt(usual * (1 - usual) / day.calls) for day in days]
    steps = [abs(after - score) for score, after in itertools.pairwise(scores)]
    # 0.954 is the median step between two standard normal values: the median is not moved by the odd day.
    return usual, max(1.0, statistics.median(steps) / 0.954) if steps else 1.0


def _share(days: Sequence[Day]) -> float:
    """The share of flagged calls of all days together; never 0 or 1, as no number of days proves that."""
    return (sum(day.flagged for day in days) + 0.5) / (sum(day.calls for day in days) + 1)


def _point(day: Day, judge: tuple[float, float] | None) -> Point:
    rate = day.flagged / day.calls
    if judge is None:
        return Point(day=day.day, calls=day.calls, flagged=day.flagged, rate=rate)
    usual, wider = judge
    low = max(0.0, usual - 3 * wider * math.sqrt(usual * (1 - usual) / day.calls))
    high = min(1.0, usual + wider * (_most(day.calls, usual) / day.calls - usual))
    odd = rate > high and day.flagged >= _LEAST
    return Point(day=day.day, calls=day.calls, flagged=day.flagged, rate=rate, low=low, high=high, odd=odd)


def _most(calls: int, share: float) -> float:
    """How many of `calls` are flagged at most on an ordinary day: the binomial distribution's upper limit, by the
    normal one where calls are many."""
    variance = calls * share * (1 - share)
    if variance > 100:
        return calls * share + 3 * math.sqrt(variance)
    exactly = math.exp(calls * math.log1p(-share))
    beyond = 1 - exactly
    for number in range(calls):
        if beyond <= _SELDOM:
            return number
        exactly *= (calls - number) / (number + 1) * share / (1 - share)
        beyond -= exactly
    return calls
