"""The figures behind Overview and Queue: read together, kept for a short while, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import streamlit as st

from app.overview import deviations
from app.policies import live as policy_figures
from app.shell import session, words
from governance.domain.people import Actor, Permission, Systems
from governance.domain.policies import UNDER_WAY, Rollout, RolloutState
from governance.domain.review import CaseState
from governance.review.workload import Load
from governance.services.calls.read import Checking
from governance.services.evidence.read import AuditLog
from governance.services.policies.rollout import owns
from governance.services.review.read import DayOfWork
from governance.systems import posture
from governance.systems.days import Day
from governance.systems.health import Backlog, Detector, Worker

SECONDS = 15
_BEFORE = 90


@dataclass(frozen=True, kw_only=True)
class Overview:
    loads: Sequence[Load]
    days: Sequence[Day]
    trends: Sequence[posture.Trend]
    detectors: Sequence[Detector]
    workers: Sequence[Worker]
    backlog: Backlog
    audit: AuditLog
    today: int
    deviations: Sequence[deviations.Deviation]
    changes: Sequence[Rollout]


def start_of_day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def end_of_day(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=64)
def _loads(source: str, scope: Systems, until: datetime, _who: Actor) -> list[Load]:
    return session.application().read_cases.loads(_who, until)


def loads(now: datetime) -> list[Load]:
    """All open cases that the person may see, counted; at most `SECONDS` old."""
    if not session.may(Permission.READ_CASES):
        return []
    until = end_of_day(now).astimezone(UTC)
    return _loads(session.source(), session.scope(Permission.READ_CASES), until, session.actor())


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=64)
def _days(source: str, scope: Systems, today: int, _who: Actor) -> tuple[list[Day], list[posture.Trend]]:
    days = session.application().read_systems.days(_who, today - _BEFORE)
    return days, posture.trends(days, today)


def days(today: int) -> tuple[list[Day], list[posture.Trend]]:
    """The days of the systems that the person may see, and their trends; at most `SECONDS` old."""
    return _days(session.source(), session.scope(Permission.READ_CALLS), today, session.actor())


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=4)
def _changes(source: str) -> list[Rollout]:
    return [one for one in session.application().rollout.history(limit=30) if one.state in UNDER_WAY]


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=64)
def _health(source: str, scope: Systems, _who: Actor) -> tuple[Checking, AuditLog]:
    now = session.application().clock()
    since = now - timedelta(days=7)
    return session.application().read_calls.checking(_who, now), session.application().read_audit.log(_who, since)


def overview(now: datetime) -> Overview:
    """All that Overview shows."""
    settings = session.application().settings
    today = int(now.timestamp() // 86400)
    counted = loads(now)
    known, trends = days(today)
    scope = session.scope(Permission.READ_AUDIT, Permission.READ_CALLS)
    checking, state = _health(session.source(), scope, session.actor())
    return Overview(
        loads=counted,
        days=known,
        trends=trends,
        detectors=checking.detectors,
        workers=checking.workers,
        backlog=checking.backlog,
        audit=state,
        today=today,
        changes=_changes(session.source()),
        deviations=deviations.deviations(
            policies=[(policy.title, said) for policy, said in policy_figures.needing(now)],
            loads=counted,
            trends=trends,
            detectors=checking.detectors,
            workers=checking.workers,
            backlog=checking.backlog,
            late_seconds=(settings.check_lag_warning, settings.check_lag_failure),
            verified_at=state.verified_at,
            verified=state.verified,
            unsealed=state.unsealed,
            findings=state.findings,
            now=now,
        ),
    )


def needs(state: Overview, who: Actor, may: Callable[..., bool], now: datetime) -> list[deviations.Deviation]:
    """What this person should see to: alarms, then their own work, then what else is out of the ordinary."""
    found: list[deviations.Deviation] = []
    mine = sum(load.cases for load in state.loads if load.state is CaseState.CLAIMED and load.held_by == who.id)
    if mine:
        found.append(
            deviations.Deviation(
                what=f"You hold {words.count(mine, 'case')}.",
                detail="A claim ends by itself when its time is up.",
                note="Your work",
                page="queue",
                query=(("view", "Mine"),),
                link="Go on",
            )
        )
    if may(Permission.APPROVE_VERDICT):
        waiting = sum(
            load.cases for load in state.loads if load.state is CaseState.APPROVAL and load.verdict_by != who.id
        )
        if waiting:
            found.append(
                deviations.Deviation(
                    what=f"{words.count(waiting, 'severe verdict waits', 'severe verdicts wait')} for a second person.",
                    detail="Others decided; you may approve or return.",
                    note="Second approval",
                    page="queue",
                    query=(("view", "Second approval"),),
                    link="Approve or return",
                )
            )
    for change in state.changes:
        own = owns(who, change)
        if change.state is RolloutState.PROPOSED and not own and may(Permission.APPROVE_POLICY, own_work=False):
            author = words.name(change.steps[0].by_name, 60) if change.steps else "Somebody"
            found.append(
                _change(
                    change, "waits for approval", f"{author} proposed it; you may approve or return it.", "Look at it"
                )
            )
        if change.state is RolloutState.APPROVED and may(Permission.PROPOSE_POLICY):
            found.append(_change(change, "is approved", "Try it in shadow, or put it into force.", "Go on"))
    if may(Permission.DECIDE_ESCALATION):
        escalated = sum(load.cases for load in state.loads if load.state is CaseState.ESCALATED)
        if escalated:
            found.append(
                deviations.Deviation(
                    what=f"{words.count(escalated, 'case was', 'cases were')} escalated.",
                    detail="Only a senior may decide.",
                    note="Escalated",
                    page="queue",
                    query=(("view", "Escalated"),),
                    link="Decide",
                )
            )
    if may(Permission.CLAIM_CASE):
        free = [load for load in state.loads if load.state is CaseState.OPEN]
        cases_free, critical = sum(load.cases for load in free), sum(load.cases for load in free if load.severity == 4)
        if cases_free:
            found.append(
                deviations.Deviation(
                    what=f"{words.count(cases_free, 'case waits', 'cases wait')} for a reviewer.",
                    detail=f"{critical} of them critical." if critical else "None of them critical.",
                    note="Queue",
                    page="queue",
                    link="Open the queue",
                )
            )
    alarms = [one for one in state.deviations if one.alarm]
    return [*alarms, *found, *(one for one in state.deviations if not one.alarm)]


def hard_to_read(done: DayOfWork) -> int:
    """How many cases of a reviewer's day held text that may hurt to read."""
    return sum(number for policy, number in done.policies.items() if harmful(policy))


def harmful(policy: str) -> bool:
    """Whether a policy is about words that may hurt to read: what it flags stays folded until asked for."""
    return any(word in words.HARMFUL for word in policy.replace("-", ".").replace("_", ".").split("."))


def _change(change: Rollout, how: str, detail: str, link: str) -> deviations.Deviation:
    return deviations.Deviation(
        what=f"Policy set {change.id} {how}.",
        detail=detail,
        note="Policies",
        page="change",
        query=(("id", str(change.id)),),
        link=link,
    )


@dataclass(frozen=True, kw_only=True)
class Week:
    calls: int
    flagged: int


def week(now: datetime) -> Week:
    """Calls and flagged calls of the last seven days, the same figures as on Overview."""
    today = int(now.timestamp() // 86400)
    known, _trends = days(today)
    recent = [day for day in known if day.day > today - 7]
    return Week(calls=sum(day.calls for day in recent), flagged=sum(day.flagged for day in recent))
