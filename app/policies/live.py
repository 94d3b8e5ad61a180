"""Live figures of policies, and which of them need somebody."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import streamlit as st

from app.policies.sets import in_force
from app.shell import session, words
from governance.domain.decisions import PolicyStatus
from governance.domain.people import Actor, Permission, Systems
from governance.policy.policy import Policy
from governance.policy.problems import Problem
from governance.services.policies.read import Judged, Spoke
from governance.services.policies.share import LEAST_VERDICTS, percent

DAYS = 30
"""Figures are those of so many days, up to today."""


SHOWN = 14
"""Days of the bars in the list."""


ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class Live:
    """A policy's figures of `DAYS` days. `flagged` also counts what it did in shadow; `days` are the last `SHOWN`;
    `calls` are those of the systems it is about."""

    calls: int = 0
    flagged: int = 0
    week: int = 0
    before: int = 0
    errors: int = 0
    excepted: int = 0
    last_at: datetime | None = None
    days: tuple[int, ...] = (0,) * SHOWN
    right: int = 0
    cases: int = 0
    seconds: int = 0

    @property
    def rate(self) -> float:
        return self.flagged / self.calls if self.calls else 0.0

    @property
    def hours_a_week(self) -> float:
        return self.seconds / 3600 / (DAYS / 7)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """`calls` were decided in `DAYS` days, by system."""

    by_policy: Mapping[str, Sequence[Spoke]]
    judged: Mapping[str, Judged]
    calls: Mapping[str, int]
    shadowed: Mapping[str, int]
    today: int

    def of(self, policy: Policy) -> Live:
        """The figures of one policy."""
        spoke = self.by_policy.get(policy.id, ())
        judged = self.judged.get(policy.id)
        flagged = {one.day: one.fired + one.shadow_fired for one in spoke}
        covered = [system for system in self.calls if _covers(policy, system)]
        return Live(
            calls=sum(self.calls[system] for system in covered),
            flagged=sum(flagged.values()),
            week=sum(number for day, number in flagged.items() if day > self.today - 7),
            before=sum(number for day, number in flagged.items() if self.today - 28 < day <= self.today - 7),
            errors=sum(one.errors + one.shadow_errors for one in spoke),
            excepted=sum(one.excepted for one in spoke),
            last_at=max((one.last_at for one in spoke), default=None),
            days=tuple(flagged.get(day, 0) for day in range(self.today - SHOWN + 1, self.today + 1)),
            right=judged.violations if judged else 0,
            cases=judged.cases if judged else 0,
            seconds=judged.seconds if judged else 0,
        )


def _covers(policy: Policy, system: str) -> bool:
    return any(pattern == "*" or fnmatchcase(system, pattern) for pattern in policy.applies_to.systems)


@st.cache_data(ttl=15, show_spinner=False, max_entries=64)
def _figures(source: str, scope: Systems, today: int, _who: Actor) -> Figures:
    found = session.application().read_policies.figures(_who, today - DAYS + 1)
    by_policy: dict[str, list[Spoke]] = {}
    for one in found.spoke:
        by_policy.setdefault(one.policy, []).append(one)
    return Figures(
        by_policy=by_policy,
        judged=found.judged,
        calls={one.system: one.calls for one in found.decided},
        shadowed={one.system: one.shadow_calls for one in found.decided},
        today=today,
    )


def figures() -> Figures:
    """All policies' figures, at most 15 seconds old; of the systems that the person may see."""
    today = int(session.application().clock().timestamp() // 86_400)
    return _figures(session.source(), session.scope(Permission.READ_CASES), today, session.actor())


def attention(
    policy: Policy,
    live: Live,
    *,
    wrong: Sequence[Problem] = (),
    failed: int = 0,
    absent: Sequence[str] = (),
    changed: str = "",
    today: datetime,
) -> tuple[str, bool]:
    """What is to be seen to about a policy, in a few words ("" for nothing), and whether it is out of the ordinary."""
    if wrong:
        return f"{words.count(len(wrong), 'mistake')} in the file", True
    if failed:
        return f"{words.count(failed, 'test')} {'fails' if failed == 1 else 'fail'}", True
    if absent and policy.status in (PolicyStatus.ENFORCE, PolicyStatus.SHADOW):
        return "Detector unavailable", True
    if live.errors and live.errors / max(1, live.calls) > 0.001:
        return "Could not judge", True
    budget = policy.budget
    if live.flagged and live.rate > budget.max_alert_rate:
        return f"Above agreed {percent(budget.max_alert_rate)}", True
    if live.cases >= LEAST_VERDICTS and live.right / live.cases < budget.min_precision:
        return f"Below agreed {budget.min_precision:.0%}", True
    if live.week >= 10 and live.before and live.week > 2 * live.before / 3:
        return "Twice the usual", True
    ends = [exception.expires for exception in policy.exceptions]
    if ends and min(ends) < today.date():
        return "Exception ended", True
    if ends and min(ends) <= (today + ENDS_SOON).date():
        return (
            f"Exception ends {words.day(datetime.combine(min(ends), datetime.min.time(), today.tzinfo), today)}",
            True,
        )
    return changed, False


def needing(now: datetime) -> list[tuple[Policy, str]]:
    """The policies in force that are out of the ordinary by their figures or exceptions, with what it is."""
    standing = in_force()
    if standing is None or not session.may(Permission.READ_CASES):
        return []
    live = figures()
    found = [(policy, attention(policy, live.of(policy), today=now)) for policy in standing[1].policies]
    return [(policy, said) for policy, (said, odd) in found if odd]


def hours(value: float) -> str:
    """'4.0', or '< 0.1'."""
    return f"{value:.1f}" if value >= 0.1 else "< 0.1"


def unavailable(policy: Policy, absent: Collection[str]) -> list[str]:
    """The detectors that a policy reads and that are among those that do not work here, by name."""
    return sorted({detect.use for detect in policy.detectors.values()} & set(absent))
