"""Are we in control? What is out of the ordinary, worked out from figures alone; no page, no database."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app import words
from governance.store.queries.cases import Load
from governance.store.queries.health import Detector, Worker
from governance.store.queries.systems import Day

# A worker writes its heartbeat every few seconds; after this long it is taken for dead.
SILENT = timedelta(seconds=60)
# A detector that fails more often than this needs somebody to look.
FAILING = 0.001
VERIFY_WITHIN = timedelta(days=7)


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
class Trend:
    """A system's share of flagged calls: the days shown, and its usual range (None with too few days to tell).

    `odd` are the days above that range, `rate` and `usual` the shares of the last seven days and of those before.
    """

    system: str
    days: tuple[tuple[int, float, int], ...]
    low: float | None
    high: float | None
    usual: float | None
    odd: tuple[int, ...]

    @property
    def unusual(self) -> bool:
        """Whether the latest day shown is above the usual range."""
        return bool(self.days) and self.days[-1][0] in self.odd


def answered(detector: Detector) -> float:
    """The share of texts that the detector answered."""
    asked = detector.answered + detector.failed
    return detector.answered / asked if asked else 1.0


def fails(detector: Detector) -> bool:
    return 1 - answered(detector) > FAILING


def trends(days: Sequence[Day], today: int, shown: int = 28) -> list[Trend]:
    """One trend a system, over the last `shown` days, against all days given that lie before the last two.

    The usual range is the median day plus and minus three scaled median deviations (robust against the very days that
    it is to find), never narrower than two standard errors of a day's share: a quiet system is not called odd.
    """
    systems: dict[str, list[Day]] = {}
    for day in days:
        if day.calls > 0:
            systems.setdefault(day.system, []).append(day)
    found = []
    for system, known in systems.items():
        before = [day for day in known if day.day < today - 1]
        points = tuple((d.day, d.flagged / d.calls, d.calls) for d in known if d.day > today - shown)
        low = high = usual = None
        odd: tuple[int, ...] = ()
        if len(before) >= 7:
            rates = [day.flagged / day.calls for day in before]
            usual = statistics.median(rates)
            spread = 3 * 1.4826 * statistics.median(abs(rate - usual) for rate in rates)
            calls = statistics.median(day.calls for day in before)
            noise = 2 * (max(usual * (1 - usual), 0.25 / calls) / calls) ** 0.5
            width = max(spread, noise)
            low, high = max(0.0, usual - width), min(1.0, usual + width)
            odd = tuple(day for day, rate, n in points if rate > high and rate * n >= 3)
        found.append(Trend(system=system, days=points, low=low, high=high, usual=usual, odd=odd))
    return found


def deviations(
    *,
    loads: Sequence[Load],
    trends: Sequence[Trend],
    detectors: Sequence[Detector],
    workers: Sequence[Worker],
    waiting: int,
    verified_at: datetime | None,
    verified: bool | None,
    unsealed: int,
    now: datetime,
) -> list[Deviation]:
    """All that keeps us from saying "under control" without more, the gravest first."""
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
        if trend.unusual and trend.usual is not None:
            rate = trend.days[-1][1]
            found.append(
                Deviation(
                    what=f"{words.name(trend.system)} is flagged more often than usual.",
                    detail=f"{rate:.1%} on the latest day, usual {trend.low:.1%} to {trend.high:.1%}.",
                    note="Share of calls flagged",
                    page="calls",
                    query=(("only", "Flagged"), ("system", trend.system)),
                    link="See these calls",
                )
            )
    for detector in detectors:
        if fails(detector):
            found.append(
                Deviation(
                    what=f"The detector for {words.detector(detector.name).lower()} fails.",
                    detail=f"{words.count(detector.failed, 'text')} went to review instead; none passed unchecked.",
                    note=f"Since {words.day(detector.since, now)}",
                    page="admin",
                    link="See detectors",
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
