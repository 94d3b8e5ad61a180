"""A decision replays exactly, and says what its conditions came to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings

from governance.domain.calls import Call
from governance.domain.content import parts_of
from governance.domain.decisions import Action, Decision
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.decide import DecisionEngine
from governance.engine.explanation import Explanation, explain
from governance.policy.policy import Policy, PolicySet
from tests.engine.test_decide import FAILURES, FINDINGS
from tests.engine.test_decide import policies as policies_of
from tests.policy.samples import call, finding, policy

AT = datetime(2026, 11, 23, tzinfo=UTC)


def explained(
    some: list[Policy],
    findings: list[Finding],
    *,
    about: Call | None = None,
    failures: tuple[DetectorFailure, ...] = (),
    **changed: Any,
) -> Explanation:
    """What was decided (with `changed` put over it, as if the record said so), explained."""
    about = about or call()
    parts = tuple(parts_of(about))
    policy_set = PolicySet(some)
    decided = DecisionEngine(policy_set, clock=lambda: AT).decide(about, parts, findings, failures)
    return explain(policy_set, about, parts, findings, failures, decided=replace(decided, **changed), at=AT)


def test_a_decision_says_what_its_condition_came_to_and_what_would_turn_it() -> None:
    when = 'findings.exists(f, f.score >= params.min_score) && call.user.role != "red-team"'
    (one,) = explained([policy(when=when)], [finding(score=0.9)]).policies
    assert one.condition == when
    assert one.outcome is not None
    came_to = {part.text: (seen.true, seen.false, seen.failed) for part, seen in one.parts}
    assert came_to[when] == (True, False, False)
    assert came_to["f.score >= params.min_score"] == (True, False, False)
    assert came_to['call.user.role != "red-team"'] == (True, False, False)
    assert [(flip.name, flip.to, flip.holds) for flip in one.flips] == [("min_score", 0.91, False)]


def test_a_policy_that_read_findings_and_said_nothing_says_what_it_would_have_taken() -> None:
    (one,) = explained([policy()], [finding(score=0.4)]).policies
    assert one.outcome is None
    assert [(flip.to, flip.holds) for flip in one.flips] == [(0.4, True)]
    assert not explained([policy()], []).policies


def test_a_record_that_says_otherwise_is_named() -> None:
    told = explained([policy()], [finding()], action=Action.ALLOW, policies=())
    assert told.differs == ("action", "policies.test.policy")
    assert told.decision.action is Action.BLOCK


def test_exceptions_are_those_of_the_day_on_which_it_was_decided() -> None:
    exempt = policy(
        exceptions=[{"when": "true", "expires": "2026-11-23", "approved_by": "risk", "reason": "pilot"}],
    )
    told = explained([exempt], [finding()])
    assert not told.differs
    assert not told.decision.flagged


@settings(max_examples=60)
@given(policies_of(), FINDINGS, FAILURES)
def test_every_decision_replays(
    policies: list[Policy], findings: list[Finding], failures: list[DetectorFailure]
) -> None:
    told = explained(policies, findings, failures=tuple(failures))
    assert told.differs == ()
    assert isinstance(told.decision, Decision)
    for one in told.policies:
        whole = one.parts[0][1]
        assert whole.true + whole.false + whole.failed == 1
