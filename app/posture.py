"""Are we in control? What is out of the ordinary, worked out from figures alone; no page, no database."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import words
from governance.store.queries.cases import Load
from governance.store.queries.health import Backlog, Detector, Worker
from governance.store.queries.systems import Day

# A worker writes its heartbeat every few seconds; after this long it is taken for dead.
SILENT = timedelta(seconds=60)
# A detector that fails more often than this needs somebody to look.
FAILING = 0.001
VERIFY_WITHIN = timedelta(days=7)
# How seldom an ordinary day lies above its usual range: once in 740, as with three standard deviations.
_SELDOM = 0.00135
# Fewer flagged calls than these in a day are no trend, whatever their share.
_LEAST = 3


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Something out of the ordinary. `page`, `query` say where to look; `alarm` when control itself is in doubt."""

    what: str
    detail: str
    note: str
    page: str
    query: tuple[tuple[str, str], ...] = ()
    link: str
    alarm: bool = False


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


def deviations(
    *,
    loads: Sequence[Load],
    trends: Sequence[Trend],
    detectors: Sequence[Detector],
    workers: Sequence[Worker],
    backlog: Backlog,
    late_seconds: tuple[int, int],
    verified_at: datetime | None,
    verified: bool | None,
    unsealed: int,
    now: datetime,
    policies: Sequence[tuple[str, str]] = (),
) -> list[Deviation]:
    """All that keeps us from saying "under control" without more, the gravest first. `policies` are titles of those in
    force that need attention, with what it is."""
    found: list[Deviation] = []
    if verified is False:
        found.append(
            Deviation(
                what="The audit log does not verify.",
                detail="Entries were altered, removed or added. Secure the database and the copies kept elsewhere.",
                note="Evidence",
                page="audit",
                link="Open the audit trail",
                alarm=True,
            )
        )
    alive = any(now - worker.seen_at < SILENT for worker in workers)
    waiting, (warning, failure) = backlog.waiting, late_seconds
    if waiting and not alive:
        found.append(
            Deviation(
                what="Checking has stopped.",
                detail=f"{words.count(waiting, 'call waits', 'calls wait')}; nothing is lost, nothing passes unseen.",
                note="No checking process answers",
                page="admin",
                link="See the processes",
                alarm=True,
            )
        )
    if waiting and alive and backlog.oldest_seconds >= warning:
        found.append(
            Deviation(
                what=f"Checking is {words.span(int(backlog.oldest_seconds))} behind.",
                detail=f"{words.count(waiting, 'call waits', 'calls wait')}; nothing is lost, nothing passes unseen.",
                note=f"{backlog.rate:,.0f} calls a second are checked",
                page="admin",
                link="See the processes",
                alarm=backlog.oldest_seconds >= failure,
            )
        )
    late = [load for load in loads if load.when == "overdue"]
    if late:
        cases, critical = sum(load.cases for load in late), sum(load.cases for load in late if load.severity == 4)
        found.append(
            Deviation(
                what=f"{words.count(cases, 'case is', 'cases are')} past the deadline.",
                detail=f"{critical} of them critical." if critical else "None of them critical.",
                note="Review",
                page="queue",
                query=(("view", "Overdue"),),
                link="Open them",
            )
        )
    for trend in trends:
        if trend.unusual:
            latest = trend.days[-1]
            found.append(
                Deviation(
                    what=f"{words.name(trend.system)} is flagged more often than usual.",
                    detail=f"{latest.flagged:,} of {words.count(latest.calls, 'call')} on the latest day "
                    f"({latest.rate:.1%}), usual {latest.low:.1%} to {latest.high:.1%}.",
                    note="Share of calls flagged",
                    page="calls",
                    query=(("only", "Flagged"), ("system", trend.system)),
                    link="See these calls",
                )
            )
    for detector in detectors:
        if absent(detector):
            found.append(
                Deviation(
                    what=f"The detector for {words.within(words.detector(detector.name))} does not work here.",
                    detail="Its policies do what they say for that case; nothing passes unchecked.",
                    note=f"Since {words.moment((detector.absent_since or detector.since).astimezone(now.tzinfo), now)}",
                    page="policies",
                    query=(("show", "Needs attention"),),
                    link="See its policies",
                )
            )
        elif fails(detector):
            found.append(
                Deviation(
                    what=f"The detector for {words.within(words.detector(detector.name))} fails.",
                    detail=f"{words.count(detector.failed, 'text')} went to review instead; none passed unchecked.",
                    note=f"Since {words.day(detector.since.astimezone(now.tzinfo), now)}",
                    page="admin",
                    link="See detectors",
                )
            )
    if policies:
        title, said = policies[0]
        found.append(
            Deviation(
                what=f"{words.name(title, 70)}: {said[:1].lower()}{said[1:]}."
                if len(policies) == 1
                else f"{words.count(len(policies), 'policy needs', 'policies need')} attention.",
                detail="Its figures or an exception are out of the ordinary."
                if len(policies) == 1
                else f"The first: {words.name(title, 70)} ({said[:1].lower()}{said[1:]}).",
                note="Policies",
                page="policies",
                query=(("show", "Needs attention"),),
                link="See them" if len(policies) > 1 else "See it",
            )
        )
    if verified_at is None or now - verified_at > VERIFY_WITHIN:
        found.append(
            Deviation(
                what="The audit log waits to be verified.",
                detail="It was never verified."
                if verified_at is None
                else f"The last time was {words.ago(verified_at, now)}.",
                note="At least every 7 days",
                page="audit",
                link="Verify now",
            )
        )
    if unsealed > 1000:
        found.append(
            Deviation(
                what="Sealing of the audit log lags.",
                detail=f"{words.count(unsealed, 'entry waits', 'entries wait')} for a signature.",
                note="Evidence",
                page="audit",
                link="Open the audit trail",
            )
        )
    return found


def title(found: Sequence[Deviation]) -> str:
    """The answer to "are we in control?"."""
    alarms = [one for one in found if one.alarm]
    if alarms:
        return alarms[0].what.rstrip(".")
    if not found:
        return "Under control"
    return f"Under control, with {words.count(len(found), 'exception')}"
