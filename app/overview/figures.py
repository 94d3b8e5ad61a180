"""The figures behind Overview and Queue: read together, kept for a short while, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import streamlit as st

from app.overview import deviations
from app.policies import live as policy_figures
from app.shell import session, words
from governance.domain.people import Actor, Permission
from governance.domain.policies import UNDER_WAY, Rollout, RolloutState
from governance.domain.review import CaseState
from governance.review.workload import Load
from governance.services.policies.rollout import owns
from governance.store.base.scope import Systems
from governance.store.calls import health
from governance.store.evidence import health as log_health
from governance.store.review import queries as cases
from governance.store.systems import queries as systems
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
    audit: log_health.AuditLog
    today: int
    deviations: Sequence[deviations.Deviation]
    changes: Sequence[Rollout]


def start_of_day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def end_of_day(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=64)
def _loads(source: str, visible: Systems, until: datetime) -> list[Load]:
    return session.read(cases.load, visible, session.application().clock(), until)


def loads(visible: Systems, now: datetime) -> list[Load]:
    """All open cases that the person may see, counted; at most `SECONDS` old."""
    return _loads(session.source(), visible, end_of_day(now).astimezone(UTC))


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=64)
def _days(source: str, visible: Systems, today: int) -> tuple[list[Day], list[posture.Trend]]:
    days = session.read(systems.days, visible, today - _BEFORE)
    return days, posture.trends(days, today)


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=4)
def _changes(source: str) -> list[Rollout]:
    return [one for one in session.application().rollout.history(limit=30) if one.state in UNDER_WAY]


@st.cache_data(ttl=SECONDS, show_spinner=False, max_entries=4)
def _health(source: str) -> tuple[list[Detector], list[Worker], Backlog, log_health.AuditLog]:
    since = session.application().clock() - timedelta(days=7)
    with session.application().database.read() as connection:
        return (
            health.detectors(connection),
            health.workers(connection),
            health.backlog(connection, session.application().clock()),
            log_health.audit_log(connection, since),
        )


def overview(visible: Systems, now: datetime) -> Overview:
    """All that Overview shows."""
    settings = session.application().settings
    today = int(now.timestamp() // 86400)
    counted = loads(visible, now)
    days, trends = _days(session.source(), visible, today)
    detectors, workers, backlog, state = _health(session.source())
    return Overview(
        loads=counted,
        days=days,
        trends=trends,
        detectors=detectors,
        workers=workers,
        backlog=backlog,
        audit=state,
        today=today,
        changes=_changes(session.source()),
        deviations=deviations.deviations(
            policies=[(policy.title, said) for policy, said in policy_figures.needing(visible, now)],
            loads=counted,
            trends=trends,
            detectors=detectors,
            workers=workers,
            backlog=backlog,
            late_seconds=(settings.check_lag_warning, settings.check_lag_failure),
            verified_at=state.verified_at,
            verified=state.verified,
            unsealed=state.unsealed,
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


def hard_to_read(done: cases.DayOfWork) -> int:
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


def week(visible: Systems, now: datetime) -> Week:
    """Calls and flagged calls of the last seven days, the same figures as on Overview."""
    today = int(now.timestamp() // 86400)
    days, _trends = _days(session.source(), visible, today)
    recent = [day for day in days if day.day > today - 7]
    return Week(calls=sum(day.calls for day in recent), flagged=sum(day.flagged for day in recent))
