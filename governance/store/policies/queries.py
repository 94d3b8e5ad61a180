"""Live figures of policies: how often each spoke, and whether people agreed.

They come from figures that are kept with each decision, by day, and from closed cases: no page looks through decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from governance.domain.review import CaseState
from governance.store.base import tables as t
from governance.store.base.scope import Systems, within
from governance.store.base.times import micros, moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoke:
    """How often a policy spoke on one day (in days since 1970, UTC), by number of calls. `fired` acted, `shadow_fired`
    acted on nothing; `errors` were answered by on_error; `last_at` is the start of the latest such call."""

    policy: str
    day: int
    fired: int
    errors: int
    excepted: int
    shadow_fired: int
    shadow_errors: int
    last_at: datetime


def spoke(connection: sa.Connection, systems: Systems, since: int) -> list[Spoke]:
    """What each policy did from day `since` on, by policy and day; a day on which it was silent has no entry."""
    f = t.daily_policy_figure.c
    sums = [
        sa.func.sum(column).label(column.name)
        for column in (f.fired, f.errors, f.excepted, f.shadow_fired, f.shadow_errors)
    ]
    rows = connection.execute(
        sa.select(f.policy, f.day, *sums, sa.func.max(f.last_at).label("last_at"))
        .where(f.day >= since, within(f.system_id, systems))
        .group_by(f.policy, f.day)
        .order_by(f.policy, f.day)
    )
    return [
        Spoke(
            policy=row.policy,
            day=row.day,
            fired=int(row.fired),
            errors=int(row.errors),
            excepted=int(row.excepted),
            shadow_fired=int(row.shadow_fired),
            shadow_errors=int(row.shadow_errors),
            last_at=moment(row.last_at),
        )
        for row in rows
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """How many calls of a system were decided, by the sets in force and, beside them, in shadow."""

    system: str
    calls: int
    flagged: int
    shadow_calls: int
    shadow_flagged: int


def decided(connection: sa.Connection, systems: Systems, since: int, *, policy_set: int | None = None) -> list[Decided]:
    """Decided calls from day `since` on, by system; of one policy set with `policy_set`."""
    f = t.daily_set_figure.c
    sums = [sa.func.sum(column).label(column.name) for column in (f.calls, f.flagged, f.shadow_calls, f.shadow_flagged)]
    wanted = (
        sa.select(t.system.c.name.label("system"), *sums)
        .join(t.system, t.system.c.id == f.system_id)
        .where(f.day >= since, within(f.system_id, systems))
        .group_by(t.system.c.name)
        .order_by(t.system.c.name)
    )
    if policy_set is not None:
        wanted = wanted.where(f.policy_set_id == policy_set)
    return [
        Decided(
            system=row.system,
            calls=int(row.calls),
            flagged=int(row.flagged),
            shadow_calls=int(row.shadow_calls),
            shadow_flagged=int(row.shadow_flagged),
        )
        for row in connection.execute(wanted)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What people decided on the cases that a policy opened; `seconds` is their handling time together."""

    policy: str
    violations: int
    false_alarms: int
    seconds: int

    @property
    def cases(self) -> int:
        return self.violations + self.false_alarms


def judged(connection: sa.Connection, systems: Systems, since: datetime) -> dict[str, Judged]:
    """Verdicts on cases that were closed since then, by policy. A case belongs to the policy that gave its title."""
    c, v = t.case.c, t.verdict.c
    violation = sa.case((v.outcome == "violation", 1), else_=0)
    rows = connection.execute(
        sa.select(
            c.policy,
            sa.func.sum(violation).label("violations"),
            sa.func.count().label("cases"),
            sa.func.sum(v.seconds).label("seconds"),
        )
        .join(t.verdict, sa.and_(v.case_id == c.id, v.returned_at.is_(None)))
        .where(c.closed_at >= micros(since), c.state == CaseState.DECIDED, c.policy != "", within(c.system_id, systems))
        .group_by(c.policy)
    )
    return {
        row.policy: Judged(
            policy=row.policy,
            violations=int(row.violations),
            false_alarms=int(row.cases) - int(row.violations),
            seconds=int(row.seconds),
        )
        for row in rows
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A case that a policy opened; `outcome` is "" while it is undecided."""

    id: int
    system: str
    state: CaseState
    outcome: str
    opened_at: datetime
    excerpt: str


def latest_cases(connection: sa.Connection, policy: str, systems: tuple[int, ...], most: int = 6) -> list[Opened]:
    """The latest cases of a policy in `systems`. Each system's come from their index; at most 100 systems are asked."""
    c, v = t.case.c, t.verdict.c
    each = [
        sa.select(
            sa.select(c.id)
            .where(c.policy == policy, c.system_id == system)
            .order_by(c.id.desc())
            .limit(most)
            .subquery()
            .c.id
        )
        for system in systems[:100]
    ]
    if not each:
        return []
    newest = sa.union_all(*each).subquery()
    rows = connection.execute(
        sa.select(c.id, c.state, c.opened_at, c.excerpt, v.outcome, t.system.c.name.label("system"))
        .join(newest, newest.c.id == c.id)
        .join(t.system, t.system.c.id == c.system_id)
        .outerjoin(t.verdict, sa.and_(v.case_id == c.id, v.returned_at.is_(None)))
        .order_by(c.id.desc())
        .limit(most)
    )
    return [
        Opened(
            id=row.id,
            system=row.system,
            state=CaseState(row.state),
            outcome=row.outcome or "",
            opened_at=moment(row.opened_at),
            excerpt=row.excerpt,
        )
        for row in rows
    ]
