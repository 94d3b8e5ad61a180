"""Live figures of policies: how often each spoke, and whether people agreed.

They come from figures that are kept with each decision, by day, and from closed cases: no page looks through decisions.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from governance.domain.people import Systems
from governance.domain.review import CaseState
from governance.domain.times import micros, moment
from governance.privacy.keys import KeyRing
from governance.services.policies.read import Decided, Judged, Opened, PolicyFigures, Spoke
from governance.store.base import sealed
from governance.store.base import tables as t
from governance.store.base.database import Database
from governance.store.base.scope import within
from governance.store.base.unit_of_work import UnitOfWork

_END = 2**31 - 1
"""A day after all."""


def _begin(day: int) -> datetime:
    return datetime.fromtimestamp(day * 86_400, UTC)


def spoke(connection: sa.Connection, systems: Systems, since: int, until: int = _END) -> list[Spoke]:
    """What each policy did from day `since` to before `until`, by policy and day; a day on which it was silent has no
    entry."""
    f = t.daily_policy_figure.c
    sums = [
        sa.func.sum(column).label(column.name)
        for column in (f.fired, f.errors, f.excepted, f.shadow_fired, f.shadow_errors)
    ]
    rows = connection.execute(
        sa.select(f.policy, f.day, *sums, sa.func.max(f.last_at).label("last_at"))
        .where(f.day >= since, f.day < until, within(f.system_id, systems))
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


def decided(
    connection: sa.Connection, systems: Systems, since: int, until: int = _END, *, policy_set: int | None = None
) -> list[Decided]:
    """Decided calls from day `since` to before `until`, by system; of one policy set with `policy_set`."""
    f = t.daily_set_figure.c
    sums = [sa.func.sum(column).label(column.name) for column in (f.calls, f.flagged, f.shadow_calls, f.shadow_flagged)]
    wanted = (
        sa.select(t.system.c.name.label("system"), *sums)
        .join(t.system, t.system.c.id == f.system_id)
        .where(f.day >= since, f.day < until, within(f.system_id, systems))
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


def judged(
    connection: sa.Connection, systems: Systems, since: datetime, until: datetime | None = None
) -> dict[str, Judged]:
    """Verdicts on cases that were closed from then to before `until`, by policy. A case belongs to the policy that gave
    its title."""
    c, v = t.case.c, t.verdict.c
    violation = sa.case((v.outcome == "violation", 1), else_=0)
    period = [c.closed_at >= micros(since), *([] if until is None else [c.closed_at < micros(until)])]
    rows = connection.execute(
        sa.select(
            c.policy,
            sa.func.sum(violation).label("violations"),
            sa.func.count().label("cases"),
            sa.func.sum(v.seconds).label("seconds"),
        )
        .join(t.verdict, sa.and_(v.case_id == c.id, v.returned_at.is_(None)))
        .where(*period, c.state == CaseState.DECIDED, c.policy != "", within(c.system_id, systems))
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


def waiting(connection: sa.Connection, systems: Systems) -> dict[str, int]:
    """Cases that are open now, by the policy that gave their title."""
    c = t.case.c
    rows = connection.execute(
        sa.select(c.policy, sa.func.count().label("cases"))
        .where(c.state != CaseState.DECIDED.value, c.policy != "", within(c.system_id, systems))
        .group_by(c.policy)
    )
    return {row.policy: int(row.cases) for row in rows}


def latest_cases(
    connection: sa.Connection, policy: str, systems: Systems, most: int = 6, *, keyring: KeyRing | None = None
) -> list[Opened]:
    """The latest cases of a policy in `systems`. Each system's come from their index; at most 100 systems are asked,
    the first by name."""
    c, v = t.case.c, t.verdict.c
    places = connection.execute(
        sa.select(t.system.c.id).where(within(t.system.c.id, systems)).order_by(t.system.c.name).limit(100)
    ).scalars()
    each = [
        sa.select(
            sa.select(c.id)
            .where(c.policy == policy, c.system_id == system)
            .order_by(c.id.desc())
            .limit(most)
            .subquery()
            .c.id
        )
        for system in places
    ]
    if not each:
        return []
    newest = sa.union_all(*each).subquery()
    rows = connection.execute(
        sa.select(
            c.id,
            c.state,
            c.opened_at,
            c.excerpt,
            c.excerpt_sealed,
            t.conversation.c.wrapped_key,
            v.outcome,
            t.system.c.name.label("system"),
        )
        .select_from(t.case)
        .join(newest, newest.c.id == c.id)
        .join(t.system, t.system.c.id == c.system_id)
        .outerjoin(t.verdict, sa.and_(v.case_id == c.id, v.returned_at.is_(None)))
        .outerjoin(t.call, t.call.c.id == c.call_id)
        .outerjoin(t.conversation, t.conversation.c.id == t.call.c.conversation_id)
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
            excerpt=sealed.excerpt(keyring, row),
        )
        for row in rows
    ]


class PolicyQueries:
    """Implements `services.policies.read.PolicyQueries`: each method is one short read."""

    def __init__(self, database: Database[UnitOfWork], keyring: KeyRing | None = None) -> None:
        self._database = database
        self._keyring = keyring

    def figures(self, systems: Systems, since: int, *, until: int | None = None) -> PolicyFigures:
        end = _END if until is None else until
        with self._database.read() as connection:
            return PolicyFigures(
                spoke=spoke(connection, systems, since, end),
                decided=decided(connection, systems, since, end),
                judged=judged(connection, systems, _begin(since), None if until is None else _begin(until)),
            )

    def waiting(self, systems: Systems) -> dict[str, int]:
        with self._database.read() as connection:
            return waiting(connection, systems)

    def decided(self, systems: Systems, since: int, *, policy_set: int) -> list[Decided]:
        with self._database.read() as connection:
            return decided(connection, systems, since, policy_set=policy_set)

    def latest_cases(self, policy: str, systems: Systems, *, most: int) -> list[Opened]:
        with self._database.read() as connection:
            return latest_cases(connection, policy, systems, most, keyring=self._keyring)
