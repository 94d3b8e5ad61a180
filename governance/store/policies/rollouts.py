"""Policy sets as stored, and their way into force."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from governance.domain.policies import Rollout, RolloutOrigin, RolloutState, RolloutStep, StandingSet, StandingSets
from governance.domain.times import micros, moment
from governance.errors import Tampered
from governance.store.base import bulk, locks
from governance.store.base import tables as t
from governance.store.base.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from governance.policy.policy import PolicySet

_STANDING = (
    "SELECT r.state, r.id, r.policy_set_id, p.digest FROM policy_rollout r "
    "JOIN policy_set p ON p.id = r.policy_set_id WHERE r.state IN ('shadow', 'enforce')"
)


def standing(connection: sa.Connection) -> StandingSets:
    """Which sets decide now: two rows at most, by their index. Asked before each batch of calls."""
    found = {
        state: StandingSet(rollout=number, policy_set_id=policy_set, digest=digest)
        for state, number, policy_set, digest in connection.exec_driver_sql(_STANDING)
    }
    return StandingSets(enforce=found.get("enforce"), shadow=found.get("shadow"))


def stored_set(connection: sa.Connection, policy_set_id: int) -> PolicySet:
    """The set as it was stored, to be shown. Raises `ValueError` (pydantic's) where this version cannot read it any
    more."""
    from governance.policy.policy import PolicySet  # with the detectors, which who only records does not need

    return PolicySet.from_document(json.loads(_text(connection, policy_set_id)[1]))


def genuine_set(connection: sa.Connection, policy_set_id: int) -> PolicySet:
    """The set as it was stored, to decide by. Raises `Tampered` where what is stored does not give its digest."""
    from governance.policy.policy import PolicySet

    return PolicySet.from_document(_genuine(connection, policy_set_id))


def _genuine(connection: sa.Connection, policy_set_id: int) -> dict[str, Any]:
    from governance.policy.policy import stored_digest

    digest, text = _text(connection, policy_set_id)
    if stored_digest(text) != digest:
        raise Tampered(
            f"The policy set {digest[:12]} was changed in the database: its policies do not give its digest.",
            advice="Restore a backup; to see what else was changed: governance audit verify.",
        )
    document: dict[str, Any] = json.loads(text)
    return document


def digest_in_force(connection: sa.Connection) -> str:
    """The digest of the set in force; "" before the first start."""
    found = standing(connection).enforce
    return "" if found is None else found.digest


def access_in_force(connection: sa.Connection) -> tuple[str, Mapping[str, str]]:
    """The digest and the access files of the set in force. Raises `Tampered` where it was changed in the database."""
    found = standing(connection).enforce
    if found is None:
        return "", {}
    return found.digest, _genuine(connection, found.policy_set_id).get("access", {})


def altered_sets(connection: sa.Connection) -> list[str]:
    """Digests of the sets that decide now and were changed in the database."""
    from governance.policy.policy import stored_digest

    rows = connection.exec_driver_sql(
        "SELECT p.digest, p.policies FROM policy_rollout r JOIN policy_set p ON p.id = r.policy_set_id "
        "WHERE r.state IN ('shadow', 'enforce') ORDER BY r.state"
    )
    return [digest for digest, text in rows if stored_digest(text) != digest]


def _text(connection: sa.Connection, policy_set_id: int) -> tuple[str, str]:
    c = t.policy_set.c
    row = connection.execute(sa.select(c.digest, c.policies).where(c.id == policy_set_id)).one()
    return row.digest, row.policies


class SqlRollouts:
    """Implements `services.policies.ports.Rollouts`."""

    def __init__(self, tx: UnitOfWork) -> None:
        self._tx = tx
        self._connection = tx.connection

    def standing(self) -> StandingSets:
        return standing(self._connection)

    def policy_set(self, policy_set_id: int) -> PolicySet:
        return stored_set(self._connection, policy_set_id)

    def genuine(self, policy_set_id: int) -> PolicySet:
        return genuine_set(self._connection, policy_set_id)

    def altered(self) -> Sequence[str]:
        return altered_sets(self._connection)

    def known(self, digest: str) -> Sequence[tuple[int, str]]:
        found = self._connection.execute(
            sa.select(t.policy_set.c.id, t.policy_set.c.digest)
            .where(t.policy_set.c.digest.startswith(digest, autoescape=True))
            .order_by(t.policy_set.c.id.desc())
            .limit(2)
        )
        return [(row.id, row.digest) for row in found]

    def keep(self, policy_set: PolicySet, at: datetime) -> tuple[int, bool]:
        wanted = sa.select(t.policy_set.c.id).where(t.policy_set.c.digest == policy_set.digest)
        found = self._connection.execute(wanted).scalar()
        if found is not None:
            return int(found), False
        document = policy_set.document()
        number = self._tx.take()
        made = self._connection.execute(
            bulk.insert_unless_there(self._connection, t.policy_set).values(
                id=number,
                digest=policy_set.digest,
                policies=json.dumps(document, separators=(",", ":")),
                loaded_at=micros(at),
            )
        )
        if made.rowcount:
            return number, True
        return int(self._connection.execute(wanted).scalar_one()), False

    def add(
        self,
        *,
        policy_set_id: int,
        against_id: int | None,
        origin: RolloutOrigin,
        state: RolloutState,
        by: str,
        by_name: str,
        at: datetime,
        note: str,
        gate: Mapping[str, Any],
    ) -> int | None:
        made = self._connection.execute(
            bulk.insert_unless_there(self._connection, t.policy_rollout)
            .values(
                policy_set_id=policy_set_id,
                against_id=against_id,
                origin=origin.value,
                state=state.value,
                proposed_by=by,
                proposed_at=micros(at),
                gate=json.dumps(gate, separators=(",", ":")),
            )
            .returning(t.policy_rollout.c.id)
        ).scalar()
        if made is None:
            return None
        self._step(int(made), state, by=by, by_name=by_name, at=at, note=note)
        return int(made)

    def move(
        self,
        rollout_id: int,
        was: RolloutState,
        becomes: RolloutState,
        *,
        by: str,
        by_name: str,
        at: datetime,
        note: str = "",
    ) -> bool:
        changed = self._connection.execute(
            t.policy_rollout.update()
            .where(t.policy_rollout.c.id == rollout_id, t.policy_rollout.c.state == was.value)
            .values(state=becomes.value)
        )
        if changed.rowcount != 1:
            return False
        self._step(rollout_id, becomes, by=by, by_name=by_name, at=at, note=note)
        return True

    def _step(self, rollout_id: int, state: RolloutState, *, by: str, by_name: str, at: datetime, note: str) -> None:
        self._connection.execute(
            t.policy_rollout_step.insert().values(
                id=self._tx.take(),
                rollout_id=rollout_id,
                state=state.value,
                by=by,
                by_name=by_name[:200],
                at=micros(at),
                note=note,
            )
        )

    def take_turns(self) -> None:
        locks.take(self._connection, locks.Lock.MOVE_ROLLOUTS)

    def steps(self, rollout_id: int) -> Sequence[int]:
        step = t.policy_rollout_step.c
        wanted = sa.select(step.id).where(step.rollout_id == rollout_id).order_by(step.at, step.id)
        return self._connection.execute(wanted).scalars().all()

    def get(self, rollout_id: int) -> Rollout | None:
        found = self._rollouts(sa.select(t.policy_rollout.c.id).where(t.policy_rollout.c.id == rollout_id))
        return found[0] if found else None

    def latest(self, *, limit: int, before: int | None = None) -> Sequence[Rollout]:
        wanted = sa.select(t.policy_rollout.c.id).order_by(t.policy_rollout.c.id.desc()).limit(limit)
        return self._rollouts(wanted if before is None else wanted.where(t.policy_rollout.c.id < before))

    def enforced_before(self, *, policy_set_id: int | None = None) -> Rollout | None:
        step, rollout = t.policy_rollout_step.c, t.policy_rollout.c
        wanted = (
            sa.select(step.rollout_id)
            .join(t.policy_rollout, rollout.id == step.rollout_id)
            .where(step.state == RolloutState.ENFORCE.value, rollout.state == RolloutState.RETIRED.value)
            .order_by(step.at.desc(), step.id.desc())
            .limit(1)
        )
        if policy_set_id is not None:
            wanted = wanted.where(rollout.policy_set_id == policy_set_id)
        else:
            current = sa.select(rollout.policy_set_id).where(rollout.state == RolloutState.ENFORCE.value)
            wanted = wanted.where(rollout.policy_set_id.not_in(current.scalar_subquery()))
        found = self._connection.execute(wanted).scalar()
        return None if found is None else self.get(int(found))

    def with_digest(self, digest: str) -> Sequence[Rollout]:
        return self._rollouts(
            sa.select(t.policy_rollout.c.id)
            .join(t.policy_set, t.policy_set.c.id == t.policy_rollout.c.policy_set_id)
            .where(t.policy_set.c.digest == digest)
        )

    def _rollouts(self, ids: sa.Select[Any]) -> list[Rollout]:
        numbers = list(self._connection.execute(ids).scalars())
        if not numbers:
            return []
        rollout, own, other = t.policy_rollout, t.policy_set.alias(), t.policy_set.alias()
        rows = self._connection.execute(
            sa.select(rollout, own.c.digest, other.c.digest.label("against"))
            .join(own, own.c.id == rollout.c.policy_set_id)
            .outerjoin(other, other.c.id == rollout.c.against_id)
            .where(rollout.c.id.in_(numbers))
            .order_by(rollout.c.id.desc())
        ).all()
        steps: dict[int, list[RolloutStep]] = {}
        for row in self._connection.execute(
            sa.select(t.policy_rollout_step)
            .where(t.policy_rollout_step.c.rollout_id.in_(numbers))
            .order_by(t.policy_rollout_step.c.at, t.policy_rollout_step.c.id)
        ):
            steps.setdefault(row.rollout_id, []).append(
                RolloutStep(
                    state=RolloutState(row.state), by=row.by, by_name=row.by_name, at=moment(row.at), note=row.note
                )
            )
        return [
            Rollout(
                id=row.id,
                state=RolloutState(row.state),
                origin=RolloutOrigin(row.origin),
                policy_set_id=row.policy_set_id,
                digest=row.digest,
                against=row.against or "",
                proposed_by=row.proposed_by,
                proposed_at=moment(row.proposed_at),
                gate=json.loads(row.gate),
                steps=tuple(steps.get(row.id, ())),
            )
            for row in rows
        ]
