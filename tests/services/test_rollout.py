"""A policy set's way into force: who may, in which order, one at a time, whole, and with an event for each step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.people import Actor, Role, operator
from governance.domain.policies import RolloutOrigin, RolloutState
from governance.errors import BadInput, Conflict, NotFound, Refused
from governance.policy.policy import PolicySet
from governance.services.policies.rollout import GateClosed, GateReport, RolloutService
from governance.store.base import tables as t
from tests.policy.samples import policy
from tests.review.conftest import House


def a_set(score: float, *others: str) -> PolicySet:
    return PolicySet([policy(params={"min_score": score}), *(policy(id=name) for name in others)])


class Gate:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.report = GateReport(tests=3)

    def __call__(self, candidate: PolicySet, against: PolicySet, *, by: str, progress: object) -> GateReport:
        return self.report


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def rollout(house: House, gate: Gate) -> RolloutService:
    service = RolloutService(house.authority, gate)
    service.ensure(lambda: a_set(0.5))
    return service


@pytest.fixture
def engineer(house: House) -> Actor:
    return house.person(Role.ENGINEER)


@pytest.fixture
def senior(house: House) -> Actor:
    return house.person(Role.SENIOR_REVIEWER)


def test_the_first_set_comes_into_force_by_itself_and_once(house: House, rollout: RolloutService) -> None:
    first = rollout.standing().enforce
    assert first is not None
    assert first.digest == a_set(0.5).digest
    # Later the files do not matter any more: a changed folder is not in force.
    assert rollout.ensure(lambda: a_set(0.9)).enforce == first
    (only,) = rollout.history()
    assert (only.origin, only.state) == (RolloutOrigin.FIRST, RolloutState.ENFORCE)
    (event,) = house.events("policy_set.enforced")
    assert event["data"]["first"] is True
    assert event["actor"] == "service:0"


def test_two_processes_that_start_at_once_promote_one_set(
    house: House, gate: Gate, another_process: Callable[[], House]
) -> None:
    services = [RolloutService(another_process().authority, gate) for _ in range(4)]
    barrier = threading.Barrier(4)
    found: list[str] = []

    def start(number: int) -> None:
        barrier.wait()
        standing = services[number].ensure(lambda: a_set(0.1 + number / 10)).enforce
        assert standing is not None
        found.append(standing.digest)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert house.count(t.policy_rollout) == 1


def test_the_whole_way(house: House, rollout: RolloutService, engineer: Actor, senior: Actor) -> None:
    made = rollout.propose(engineer, a_set(0.7, "test.other"), note="fewer alerts")
    assert (made.id, made.state, made.against) == (2, RolloutState.PROPOSED, a_set(0.5).digest)
    assert rollout.approve(senior, 2).state is RolloutState.APPROVED
    assert rollout.shadow(engineer, 2).state is RolloutState.SHADOW
    standing = rollout.standing()
    assert standing.enforce is not None
    assert standing.shadow is not None
    assert (standing.enforce.digest, standing.shadow.digest) == (a_set(0.5).digest, made.digest)
    done = rollout.enforce(engineer, 2)
    assert [step.state for step in done.steps] == ["proposed", "approved", "shadow", "enforce"]
    assert [step.by for step in done.steps] == [
        engineer.reference,
        senior.reference,
        engineer.reference,
        engineer.reference,
    ]
    assert rollout.get(1).state is RolloutState.RETIRED
    standing = rollout.standing()
    assert standing.shadow is None
    assert standing.enforce is not None
    assert standing.enforce.digest == made.digest
    kinds = ("policy_set.proposed", "policy_set.approved", "policy_set.shadowed", "policy_set.enforced")
    events = house.events(*kinds)[1:]
    assert [event["kind"] for event in events] == list(kinds)
    for event in events:
        assert event["data"]["digest"] == made.digest
        assert event["data"]["against"] == a_set(0.5).digest
        assert event["data"]["changes"] == [
            {"policy": "test.other", "change": "added"},
            {"policy": "test.policy", "field": "params.min_score", "was": "0.5", "now": "0.7"},
        ]
        assert "fewer alerts" not in str(event)


def test_nobody_approves_their_own(house: House, rollout: RolloutService) -> None:
    both = house.person(Role.COMPLIANCE_OFFICER)
    rollout.propose(both, a_set(0.7))
    with pytest.raises(Refused, match="own work"):
        rollout.approve(both, 2)
    (event,) = house.events("action.refused")
    assert (event["actor"], event["data"]["wanted"]) == (both.reference, "approve_policy")
    assert rollout.get(2).state is RolloutState.PROPOSED


def test_an_account_at_the_command_line_approves_only_what_another_proposed(
    house: House, rollout: RolloutService
) -> None:
    rollout.propose(operator("anna"), a_set(0.7))
    with pytest.raises(Refused, match="own work"):
        rollout.approve(operator("anna"), 2)
    assert house.events("action.refused")[0]["data"]["operator"] == "anna"
    assert rollout.approve(operator("ben"), 2).state is RolloutState.APPROVED


def test_the_same_name_in_the_console_and_at_the_command_line_is_one_person(
    house: House, rollout: RolloutService
) -> None:
    officer = house.person(Role.COMPLIANCE_OFFICER)
    rollout.propose(operator(officer.name), a_set(0.7))
    with pytest.raises(Refused, match="own work"):
        rollout.approve(officer, 2)


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.AUDITOR, Role.ADMIN, Role.SENIOR_REVIEWER])
def test_who_may_not_propose_is_refused_and_that_is_recorded(house: House, rollout: RolloutService, role: Role) -> None:
    with pytest.raises(Refused):
        rollout.propose(house.person(role), a_set(0.7))
    assert house.events("action.refused")[0]["data"]["wanted"] == "propose_policy"


def test_an_engineer_of_one_system_does_not_move_what_is_in_force_everywhere(
    house: House, rollout: RolloutService
) -> None:
    with pytest.raises(Refused):
        rollout.propose(house.person(Role.ENGINEER, system="support-bot"), a_set(0.7))


def test_failing_tests_and_broken_budgets_close_the_gate(
    rollout: RolloutService, gate: Gate, engineer: Actor, senior: Actor
) -> None:
    gate.report = GateReport(tests=3, failed=("test.policy: hit: expected block, got allow",))
    with pytest.raises(GateClosed, match="expected block"):
        rollout.propose(engineer, a_set(0.7), despite="please")
    gate.report = GateReport(tests=3, budgets=("test.policy: flags 5% of calls, at most 2%",))
    with pytest.raises(GateClosed, match="flags 5%"):
        rollout.propose(engineer, a_set(0.7))
    made = rollout.propose(engineer, a_set(0.7), despite="an attack is going on")
    assert made.gate["despite"] == "an attack is going on"
    assert made.gate["budgets"] == ["test.policy: flags 5% of calls, at most 2%"]


def test_without_a_time_in_shadow_a_reason_is_needed(
    house: House, rollout: RolloutService, engineer: Actor, senior: Actor
) -> None:
    rollout.propose(engineer, a_set(0.7))
    rollout.approve(senior, 2)
    with pytest.raises(BadInput, match="not in shadow"):
        rollout.enforce(engineer, 2)
    assert rollout.standing().enforce.rollout == 1  # type: ignore[union-attr]
    rollout.enforce(engineer, 2, note="an attack is going on")
    assert house.events("policy_set.enforced")[-1]["data"]["skipped_shadow"] is True


def test_what_was_approved_is_a_difference(rollout: RolloutService, engineer: Actor, senior: Actor) -> None:
    """Another set came into force meanwhile: to enforce this one would undo that change unseen."""
    rollout.propose(engineer, a_set(0.7))
    rollout.propose(engineer, a_set(0.6, "test.other"))
    for number in (2, 3):
        rollout.approve(senior, number)
    rollout.enforce(engineer, 2, note="now")
    for step in (rollout.shadow, rollout.enforce):
        with pytest.raises(Conflict, match="has changed since"):
            step(engineer, 3, note="and this")
    assert rollout.reject(engineer, 3).state is RolloutState.REJECTED


def test_nothing_that_differs_and_nothing_twice(rollout: RolloutService, engineer: Actor) -> None:
    with pytest.raises(Conflict, match="Nothing differs"):
        rollout.propose(engineer, a_set(0.5))
    rollout.propose(engineer, a_set(0.7))
    with pytest.raises(Conflict, match="rollout 2 already"):
        rollout.propose(engineer, a_set(0.7))
    rollout.reject(engineer, 2)
    assert rollout.propose(engineer, a_set(0.7)).id == 3


def test_a_new_set_in_shadow_takes_the_place_of_the_one_before(
    rollout: RolloutService, engineer: Actor, senior: Actor
) -> None:
    for number, score in ((2, 0.7), (3, 0.6)):
        rollout.propose(engineer, a_set(score))
        rollout.approve(senior, number)
        rollout.shadow(engineer, number)
    assert rollout.get(2).state is RolloutState.RETIRED
    assert rollout.standing().shadow.rollout == 3  # type: ignore[union-attr]
    assert rollout.retire(engineer, 3).state is RolloutState.RETIRED
    assert rollout.standing().shadow is None
    with pytest.raises(Conflict, match="in force"):
        rollout.retire(engineer, 1)


def test_rollback_restores_a_whole_earlier_set(
    house: House, rollout: RolloutService, engineer: Actor, senior: Actor
) -> None:
    for number, score in ((2, 0.7), (3, 0.6)):
        rollout.propose(engineer, a_set(score, f"test.p{number}"))
        rollout.approve(senior, number)
        rollout.enforce(engineer, number, note="now")
    with pytest.raises(BadInput, match="needs a reason"):
        rollout.rollback(engineer, reason="  ")
    back = rollout.rollback(engineer, reason="too many alerts")
    assert (back.id, back.origin, back.digest) == (4, RolloutOrigin.ROLLBACK, a_set(0.7, "test.p2").digest)
    assert rollout.in_force().digest == back.digest  # type: ignore[union-attr]
    again = rollout.rollback(engineer, reason="to the start", to="1")
    assert again.digest == a_set(0.5).digest
    last = rollout.rollback(engineer, reason="by digest", to=a_set(0.6, "test.p3").digest[:10])
    assert last.digest == a_set(0.6, "test.p3").digest
    with pytest.raises(Conflict, match="in force already"):
        rollout.rollback(engineer, reason="again", to=last.digest)
    events = house.events("policy_set.rolled_back")
    assert [event["data"]["restores"] for event in events] == [2, 1, 3]
    assert "too many" not in str(events)


def test_only_what_was_in_force_can_be_restored(rollout: RolloutService, engineer: Actor) -> None:
    with pytest.raises(NotFound):
        rollout.rollback(engineer, reason="nothing before")
    rollout.propose(engineer, a_set(0.7))
    with pytest.raises(NotFound, match="only what was in force"):
        rollout.rollback(engineer, reason="never approved", to="2")
    for wrong in ("99", "zz", "abc", "0" * 64):
        with pytest.raises((NotFound, BadInput)):
            rollout.rollback(engineer, reason="x", to=wrong)


def test_two_approvers_at_once_approve_once(
    house: House, rollout: RolloutService, gate: Gate, engineer: Actor, another_process: Callable[[], House]
) -> None:
    rollout.propose(engineer, a_set(0.7))
    people = [house.person(Role.SENIOR_REVIEWER) for _ in range(4)]
    services = [RolloutService(another_process().authority, gate) for _ in people]
    done, late = _at_once([partial(one.approve, actor, 2) for one, actor in zip(services, people, strict=True)])
    assert (done, late) == (1, 3)
    assert len(house.events("policy_set.approved")) == 1
    assert len(rollout.get(2).steps) == 2


def test_two_sets_enforced_at_once_are_one(
    house: House, rollout: RolloutService, gate: Gate, engineer: Actor, senior: Actor, another_process: Any
) -> None:
    for number, score in ((2, 0.7), (3, 0.6)):
        rollout.propose(engineer, a_set(score))
        rollout.approve(senior, number)
    services = [RolloutService(another_process().authority, gate) for _ in range(2)]
    done, late = _at_once([partial(one.enforce, engineer, n, note="now") for n, one in enumerate(services, 2)])
    assert (done, late) == (1, 1)
    with house.database.read() as connection:
        states = connection.execute(sa.select(t.policy_rollout.c.state).order_by(t.policy_rollout.c.id)).scalars().all()
    assert states[0] == "retired"
    assert sorted(states[1:]) == ["approved", "enforce"]


def _at_once(acts: list[Callable[[], object]]) -> tuple[int, int]:
    """How many succeeded and how many came too late."""
    barrier = threading.Barrier(len(acts))
    outcomes: list[bool] = []
    errors: list[Exception] = []

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            act()
            outcomes.append(True)
        except Conflict:
            outcomes.append(False)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    return outcomes.count(True), outcomes.count(False)
