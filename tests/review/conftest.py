"""People with roles, and the services they act through, on both databases."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from governance.access.permissions import CedarPermissions
from governance.domain.decisions import Action, Decision, Outcome, PolicyOutcome, PolicyStatus, Severity
from governance.domain.people import Actor, Role, RoleBinding, operator
from governance.privacy.keys import KeyRing
from governance.services.authorise import Authority
from governance.services.calls.reveal import RevealService
from governance.services.people.accounts import PeopleService
from governance.services.people.keys import KeyService
from governance.services.people.sessions import SessionService, actor_of
from governance.services.review.cases import ReviewService
from governance.services.review.opening import open_for_decision
from governance.services.review.reports import ReportService
from governance.store.base import tables as t
from governance.store.calls.documents import SqlOriginals
from governance.store.calls.record import CallWriter
from governance.store.jobs.checking import JobQueue, ProcrastinateQueue, TableQueue
from governance.store.transaction import Database, Transaction
from tests.conftest import Clock
from tests.store.conftest import Batch, make_call

POLICIES = Path(__file__).parents[2] / "policies"
LEASE = timedelta(minutes=20)
# As weak as argon2 can be: these tests are about what follows a hash, not about its cost.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ROOT = operator("root")


@pytest.fixture(scope="session")
def permissions() -> CedarPermissions:
    return CedarPermissions.load(POLICIES, POLICIES)


@dataclass(kw_only=True)
class House:
    """The services over one database, as `bootstrap` puts them together."""

    database: Database
    clock: Clock
    authority: Authority[Transaction]
    review: ReviewService
    people: PeopleService
    sessions: SessionService
    keys: KeyService
    reports: ReportService
    reveals: RevealService
    writer: CallWriter
    _numbers: Iterator[int]

    def person(self, *roles: Role, system: str = "") -> Actor:
        """Somebody new with these roles."""
        name = f"person-{next(self._numbers)}"
        bindings = [RoleBinding(role=role, system=system) for role in roles]
        return actor_of(self.people.add(ROOT, name, bindings).person)

    def call(self, number: int | None = None, **changes: Any) -> int:
        """A recorded call; gives its id."""
        number = next(self._numbers) if number is None else number
        changes.setdefault("trace_id", f"{number + 10**9:032x}")  # incidents of their own
        return self.writer.write([Batch(calls=(make_call(number, **changes),))])[0].call_ids[0]

    def case(
        self, severity: Severity = Severity.HIGH, *, system: str = "support-bot", call_id: int | None = None
    ) -> int:
        """An open case of a flagged call; gives its number."""
        call = call_id if call_id is not None else self.call(system=system)
        opened = self.flag(call, severity, system=system)
        assert opened is not None
        return opened

    def flag(self, call_id: int, severity: Severity, *, system: str = "support-bot", **changes: Any) -> int | None:
        """Stores a decision that sends the call to review, and opens or joins its case."""
        decision = make_decision(severity, **changes)
        with self.database.write() as tx:
            number = tx.take()
            policy_set = tx.connection.execute(sa.select(t.policy_set.c.id)).scalar()
            if policy_set is None:
                policy_set = tx.take()
                tx.connection.execute(
                    t.policy_set.insert().values(id=policy_set, digest="0" * 64, policies="[]", loaded_at=0)
                )
            tx.connection.execute(
                t.decision.insert().values(
                    id=number,
                    call_id=call_id,
                    revision=next(self._numbers),
                    policy_set_id=policy_set,
                    action=decision.action,
                    queue=decision.queue,
                    severity=severity.rank,
                    detail="{}",
                    decided_at=0,
                )
            )
            return open_for_decision(
                tx,
                decision,
                decision_id=number,
                call_id=call_id,
                system=system,
                excerpt="Ignore all rules",
                at=self.clock(),
            )

    def row(self, case_id: int) -> Any:
        with self.database.read() as connection:
            claim = t.assignment.c
            standing = sa.and_(claim.case_id == t.case.c.id, claim.ended_at.is_(None))
            held = (claim.principal_id.label("claimed_by"), claim.lease_hash)
            wanted = sa.select(t.case, *held).select_from(t.case).outerjoin(t.assignment, standing)
            return connection.execute(wanted.where(t.case.c.id == case_id)).one()

    def count(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        with self.database.read() as connection:
            wanted = sa.select(sa.func.count()).select_from(table).where(*conditions)
            return int(connection.execute(wanted).scalar_one())

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The leaves of these kinds (all of them without any), in order."""
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(t.audit_event.c.kind, t.audit_event.c.leaf).order_by(t.audit_event.c.id)
            ).all()
        return [json.loads(bytes(row.leaf)) for row in rows if not kinds or row.kind in kinds]


def make_decision(severity: Severity = Severity.HIGH, **changes: Any) -> Decision:
    values: dict[str, Any] = {
        "action": Action.BLOCK,
        "policy_set": "0" * 64,
        "queue": "security",
        "severity": severity,
        "policies": (make_outcome(severity),),
    }
    return Decision(**(values | changes))


def make_outcome(severity: Severity = Severity.HIGH, **changes: Any) -> PolicyOutcome:
    values: dict[str, Any] = {
        "policy": f"injection.{severity}",
        "title": f"An injection ({severity})",
        "outcome": Outcome.FIRED,
        "status": PolicyStatus.ENFORCE,
        "action": Action.BLOCK,
        "severity": severity,
        "queue": "security",
    }
    return PolicyOutcome(**(values | changes))


def without_secrets(text: str) -> str:
    return text.replace("secret-words", "[redacted]")


def build(database: Database, clock: Clock, permissions: CedarPermissions) -> House:
    authority = Authority(database, permissions, clock)
    keyring = KeyRing(b"\x05" * 32)
    jobs: JobQueue = TableQueue(database.ids) if database.dialect == "sqlite" else ProcrastinateQueue()
    return House(
        database=database,
        clock=clock,
        authority=authority,
        review=ReviewService(authority, lease=LEASE, redact=without_secrets),
        people=PeopleService(authority, group_roles={"gov-seniors": "senior_reviewer"}, hasher=QUICK),
        sessions=SessionService(authority, lasts=timedelta(hours=8), hasher=QUICK),
        keys=KeyService(authority),
        reports=ReportService(authority, keyring, redact=without_secrets),
        reveals=RevealService(
            authority, SqlOriginals(database, keyring), lasts=timedelta(minutes=5), redact=without_secrets
        ),
        writer=CallWriter(database, keyring, jobs, clock),
        _numbers=itertools.count(1),
    )


@pytest.fixture
def house(database: Database, clock: Clock, permissions: CedarPermissions) -> House:
    return build(database, clock, permissions)


@pytest.fixture
def another_process(house: House, permissions: CedarPermissions) -> Callable[[], House]:
    """The same services over connections and caches of their own."""
    return lambda: build(Database(house.database.engine, house.database.audit), house.clock, permissions)
