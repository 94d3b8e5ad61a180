"""What is out of the ordinary, in words, worked out from figures alone; no page, no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.shell import words
from governance.review.workload import Load
from governance.systems.health import Backlog, Detector, Worker
from governance.systems.posture import SILENT, Trend, absent, fails

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
    findings: int = 0,
    policies: Sequence[tuple[str, str]] = (),
) -> list[Deviation]:
    """All that keeps us from saying "under control" without more, the gravest first. `policies` are titles of those in
    force that need attention, with what it is."""
    found: list[Deviation] = []
    if findings:
        found.append(
            Deviation(
                what=f"{words.count(findings, 'finding')} about the audit log {'waits' if findings == 1 else 'wait'}.",
                detail="A verification failed. Secure the database and the copies kept elsewhere, then answer for it.",
                note="Evidence",
                page="audit",
                link="Open the audit trail",
                alarm=True,
            )
        )
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
