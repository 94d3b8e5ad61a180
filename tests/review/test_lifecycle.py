"""Whatever people do in whatever order, a case obeys its rules: a model beside the service on a real SQLite."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from governance.access.permissions import CedarPermissions
from governance.audit.note import Signer
from governance.domain.decisions import Severity
from governance.domain.people import Actor, Role
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.errors import Conflict, Refused
from governance.store.base import tables as t
from governance.store.base.database import connect
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database
from tests.conftest import Clock
from tests.review.conftest import LEASE, build

WHO = st.sampled_from(["ann", "bob", "sue", "sid"])
SENIORS = {"sue", "sid"}


class Reviewing(RuleBasedStateMachine):
    """Two reviewers and two seniors at one case. The model is the plain words of docs/review.md."""

    template: Path
    signer: Signer
    permissions: CedarPermissions

    @initialize(severity=st.sampled_from([Severity.LOW, Severity.CRITICAL]))
    def open_a_case(self, severity: Severity) -> None:
        self.folder = tempfile.mkdtemp()
        path = shutil.copy(self.template, f"{self.folder}/g.db")
        self.clock = Clock()
        self.engine = connect(f"sqlite:///{path}")
        database = Database(self.engine, SqlAuditLog(self.signer, self.clock))
        self.house = build(database, self.clock, self.permissions)
        self.people: dict[str, Actor] = {
            name: self.house.person(Role.SENIOR_REVIEWER if name in SENIORS else Role.REVIEWER)
            for name in ("ann", "bob", "sue", "sid")
        }
        self.case = self.house.case(severity)
        self.critical = severity is Severity.CRITICAL
        self.state = "open"
        self.holder = ""
        self.until: datetime | None = None
        self.tokens: dict[str, str] = {}
        self.current = ""
        self.escalated_by = ""
        self.given_by = ""
        self.verdicts = 0

    # What the model expects

    def free(self) -> bool:
        held = self.state == "claimed" and self.until is not None and self.clock.now < self.until
        return self.state in ("open", "escalated") or (self.state == "claimed" and not held)

    def holds(self, who: str) -> bool:
        return (
            self.state == "claimed"
            and not self.free()
            and self.holder == who
            and self.tokens.get(who, "") == self.current
        )

    def settle(self, state: str) -> None:
        self.state, self.holder, self.until, self.current = state, "", None, ""

    def rights(self, who: str) -> bool:
        return not self.escalated_by or (who in SENIORS and who != self.escalated_by)

    def expect(self, works: bool, act: Any) -> Any:
        """Runs `act`; it must work exactly when the model says so, and else be refused."""
        if works:
            return act()
        with pytest.raises((Conflict, Refused)):
            act()
        return None

    # What people do

    @rule(who=WHO)
    def claim(self, who: str) -> None:
        own = self.state == "claimed" and self.holder == who
        claim = self.expect(
            self.rights(who) and (self.free() or own), lambda: self.house.review.claim(self.people[who], self.case)
        )
        if claim is not None:
            self.state, self.holder, self.until = "claimed", who, self.clock.now + LEASE
            self.tokens[who] = self.current = claim.lease_token

    @rule(minutes=st.sampled_from([1, 19, 20, 21]))
    def time_goes_by(self, minutes: int) -> None:
        self.clock.forward(minutes=minutes)

    @rule(who=WHO)
    def renew(self, who: str) -> None:
        works = self.rights(who) and self.holds(who)
        token = self.tokens.get(who, "none")
        if self.expect(works, lambda: self.house.review.renew(self.people[who], self.case, token)):
            self.until = self.clock.now + LEASE

    @rule(who=WHO)
    def release(self, who: str) -> None:
        works = self.rights(who) and self.holds(who)
        token = self.tokens.get(who, "none")
        self.expect(works, lambda: self.house.review.release(self.people[who], self.case, token))
        if works:
            self.settle("escalated" if self.escalated_by else "open")

    @rule(who=WHO)
    def escalate(self, who: str) -> None:
        works = self.rights(who) and self.holds(who) and not self.escalated_by
        token = self.tokens.get(who, "none")
        self.expect(works, lambda: self.house.review.escalate(self.people[who], self.case, token, "Look"))
        if works:
            self.escalated_by = who
            self.settle("escalated")

    @rule(who=WHO, outcome=st.sampled_from(VerdictOutcome))
    def decide(self, who: str, outcome: VerdictOutcome) -> None:
        works = self.rights(who) and self.holds(who)
        token = self.tokens.get(who, "none")
        violation = outcome is VerdictOutcome.VIOLATION
        reason = ReasonCode.ATTACK if violation else ReasonCode.QUOTED
        self.expect(
            works,
            lambda: self.house.review.decide(self.people[who], self.case, token, outcome=outcome, reason=reason),
        )
        if works:
            self.given_by = who
            self.verdicts += 1
            self.settle("approval" if self.critical and violation else "decided")

    @rule(who=WHO)
    def approve(self, who: str) -> None:
        works = self.state == "approval" and who in SENIORS and who != self.given_by
        self.expect(works, lambda: self.house.review.approve(self.people[who], self.case))
        if works:
            self.settle("decided")

    @rule(who=WHO)
    def send_back(self, who: str) -> None:
        works = self.state == "approval" and who in SENIORS and who != self.given_by
        self.expect(works, lambda: self.house.review.return_verdict(self.people[who], self.case, "Again"))
        if works:
            self.given_by = ""
            self.settle("escalated" if self.escalated_by else "open")

    @invariant()
    def the_record_says_what_the_model_says(self) -> None:
        row = self.house.row(self.case)
        assert row.state == self.state
        assert row.claimed_by == (self.people[self.holder].id if self.holder else None)
        assert bool(row.escalated) == bool(self.escalated_by)
        assert (row.closed_at is not None) == (self.state == "decided")
        assert self.house.count(t.verdict) == self.verdicts
        standing = self.house.count(t.verdict, t.verdict.c.returned_at.is_(None))
        assert standing == (1 if self.state in ("approval", "decided") else 0)

    @invariant()
    def what_waits_is_what_can_be_claimed(self) -> None:
        for who, actor in self.people.items():
            own = self.state == "claimed" and self.holder == who
            assert (self.house.review.next_case(actor) is not None) == (self.rights(who) and (self.free() or own))

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            shutil.rmtree(self.folder)


def test_a_case_obeys_its_rules(sqlite_template: Path, signer: Signer, permissions: CedarPermissions) -> None:
    Reviewing.template, Reviewing.signer, Reviewing.permissions = sqlite_template, signer, permissions
    run_state_machine_as_test(
        Reviewing,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
