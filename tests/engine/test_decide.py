from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.calls import Call, CallKind, EndUser, Release
from governance.domain.content import PartKind, parts_of
from governance.domain.decisions import Action, Decision, Outcome, PolicyStatus, Severity
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.decide import ERROR_QUEUE, DecisionEngine
from governance.policy.policy import Policy, PolicySet
from tests.policy.samples import call, finding, policy

BROKEN = DetectorFailure(detector="patterns", reason="TimeoutError: took too long")


def decide(
    policies: Sequence[Policy],
    findings: Sequence[Finding] = (),
    failures: Sequence[DetectorFailure] = (),
    about: Call | None = None,
) -> Decision:
    about = about or call()
    return DecisionEngine(PolicySet(policies), clock=lambda: datetime(2026, 11, 23, tzinfo=UTC)).decide(
        about, tuple(parts_of(about)), findings, failures
    )


def test_a_policy_that_fires_names_what_made_it_fire() -> None:
    decision = decide([policy()], [finding(score=0.2, rule="weak"), finding()])
    (outcome,) = decision.policies
    assert (decision.action, decision.queue, decision.severity) == (Action.BLOCK, "security", Severity.MEDIUM)
    assert outcome.outcome is Outcome.FIRED
    assert outcome.findings == (1,)
    assert outcome.explanation == "Found override"
    assert outcome.values["params.min_score"] == "0.5"
    assert decision.policy_set == PolicySet([policy()]).digest


def test_quiet_is_an_allow_without_policies() -> None:
    decision = decide([policy()])
    assert not decision.flagged
    assert decision.policies == ()


def test_several_findings_that_only_together_fire_are_all_named() -> None:
    together = policy(when="findings.filter(f, f.score > 0.5).size() >= 2")
    assert decide([together], [finding(), finding(rule="other")]).policies[0].findings == (0, 1)
    assert decide([together], [finding()]).policies == ()


def test_findings_of_other_parts_packs_and_detectors_do_not_count() -> None:
    narrow = policy(applies_to={"parts": ["document"]})
    assert decide([narrow], [finding()]).policies == ()
    assert decide([narrow], [finding(part=PartKind.DOCUMENT)]).policies
    assert decide([policy()], [finding(pack="pii")]).policies == ()
    assert decide([policy()], [finding(detector="structure")]).policies == ()
    assert decide([policy(detectors={"phrases": {"use": "patterns"}})], [finding(pack="pii")]).policies


def test_a_policy_knows_its_detectors_by_the_names_it_gave_them() -> None:
    named = policy(
        detectors={
            "one": {"use": "patterns", "packs": ["injection"]},
            "two": {"use": "patterns", "packs": ["jailbreak"]},
        },
        when='findings.exists(f, f.detector == "two")',
    )
    assert decide([named], [finding()]).policies == ()
    assert decide([named], [finding(pack="jailbreak")]).policies


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"systems": ["support-*"]}, True),
        ({"systems": ["hr-*", "other"]}, False),
        ({"roles": ["customer"]}, True),
        ({"roles": ["staff"]}, False),
        ({"kinds": ["llm"]}, True),
        ({"kinds": ["tool"]}, False),
        ({"releases": ["r1"]}, True),
        ({"releases": ["r2"]}, False),
    ],
)
def test_a_policy_is_about_the_calls_that_it_says(scope: dict[str, Any], covered: bool) -> None:
    about = call(kind=CallKind.LLM, release=Release(name="r1"))
    assert bool(decide([policy(applies_to=scope)], [finding()], about=about).policies) is covered


def test_a_detector_that_did_not_run_sends_the_call_to_a_person() -> None:
    decision = decide([policy()], failures=[BROKEN])
    (outcome,) = decision.policies
    assert decision.flagged
    assert (decision.action, decision.queue, outcome.outcome) == (Action.ALLOW, "security", Outcome.ERROR)
    assert "patterns" in outcome.explanation


def test_a_failure_of_a_detector_that_a_policy_does_not_use_is_none_of_its_business() -> None:
    other = policy(detectors={}, when='call.system == "other"')
    assert decide([other], failures=[BROKEN]).policies == ()


def test_on_error_may_be_an_action_and_always_asks_for_review() -> None:
    strict = policy(on_error="block", then={"action": "redact", "explain": "x"})
    decision = decide([strict], failures=[BROKEN])
    assert (decision.action, decision.queue) == (Action.BLOCK, ERROR_QUEUE)
    # What it saw of other detectors cannot make it milder than its own on_error.
    assert decide([strict], [finding()], [BROKEN]).action is Action.BLOCK


def test_a_condition_that_fails_is_an_error_not_an_allow() -> None:
    broken = policy(when='call.tools[0] == "x"', detectors={})
    decision = decide([broken])
    assert decision.policies[0].outcome is Outcome.ERROR
    assert decision.queue == "security"


def test_a_condition_that_takes_too_long_is_an_error() -> None:
    numbers = "[" + ",".join(map(str, range(200))) + "]"
    slow = policy(when=f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, a + b + c >= 0)))", detectors={}, params={})
    assert decide([slow]).policies[0].outcome is Outcome.ERROR


def test_one_failing_condition_does_not_hide_the_others() -> None:
    decision = decide([policy(id="a.broken", when='call.tools[0] == "x"'), policy(id="b.fires", when="true")])
    assert {(one.policy, one.outcome) for one in decision.policies} == {
        ("a.broken", Outcome.ERROR),
        ("b.fires", Outcome.FIRED),
    }


def test_drafts_and_retired_policies_are_not_asked() -> None:
    for status in ("draft", "retired"):
        assert decide([policy(status=status, when="true")]).policies == ()


def test_the_queue_is_that_of_the_most_severe_policy_that_asks_for_one() -> None:
    decision = decide(
        [
            policy(id="a.low", severity="low", then={"action": "block", "queue": "quality", "explain": "low"}),
            policy(id="b.high", severity="high", then={"action": "allow", "queue": "security", "explain": "high"}),
            policy(id="c.critical", severity="critical", then={"action": "redact", "explain": "critical"}),
        ],
        [finding()],
    )
    assert (decision.action, decision.queue, decision.severity) == (Action.BLOCK, "security", Severity.CRITICAL)


EXCEPTION = {"when": 'call.user.role == "customer"', "approved_by": "risk", "reason": "pilot"}


def test_an_exception_keeps_a_policy_from_acting_and_is_recorded() -> None:
    decision = decide([policy(exceptions=[{**EXCEPTION, "expires": "2026-11-23"}])], [finding()])
    assert not decision.flagged
    (outcome,) = decision.policies
    assert (outcome.outcome, outcome.action, outcome.queue) == (Outcome.EXCEPTED, Action.ALLOW, "")
    assert outcome.values["exception.approved_by"] == "risk"


def test_an_expired_or_failing_exception_does_not_count() -> None:
    assert decide([policy(exceptions=[{**EXCEPTION, "expires": "2026-11-22"}])], [finding()]).action is Action.BLOCK
    failing = {**EXCEPTION, "when": 'call.tools[0] == "x"', "expires": "2027-01-01"}
    assert decide([policy(exceptions=[failing])], [finding()]).action is Action.BLOCK


def test_user_ids_are_not_among_the_recorded_values() -> None:
    decision = decide([policy(when='call.user.id == "u1" && call.user.role == "customer"')])
    assert decision.policies[0].values == {"call.user.role": "customer"}


def test_hostile_names_cannot_break_conditions() -> None:
    about = call(system="\ud800\x00" * 3000, user=EndUser(id="\udfff", role="r\x00le"), model="\ud83d")
    assert decide([policy(when='call.system != "" && call.model != "" && call.user.role != ""')], about=about).policies


# Properties

STATUSES = ["shadow", "enforce"]
CONDITIONS = [
    "findings.exists(f, f.score >= params.min_score)",
    'findings.exists(f, f.category == "pii") && call.user.role == "customer"',
    "findings.size() == 0",
    'call.tools[0] == "x"',
    'call.system.startsWith("support") && params.min_score > 0.3',
    'findings.all(f, f.part == "input")',
    "false",
    'findings.exists(f, f.data["absent"] == "x")',
]


@st.composite
def policies(draw: st.DrawFn) -> list[Policy]:
    count = draw(st.integers(1, 6))
    return [
        policy(
            id=f"p.n{number}",
            status=draw(st.sampled_from(STATUSES)),
            severity=draw(st.sampled_from([one.value for one in Severity])),
            when=draw(st.sampled_from(CONDITIONS)),
            params={"min_score": draw(st.sampled_from([0.2, 0.5, 0.9]))},
            detectors=draw(
                st.sampled_from(
                    [
                        {},
                        {"a": {"use": "patterns"}},
                        {"a": {"use": "patterns", "packs": ["pii"]}, "b": {"use": "other"}},
                    ]
                )
            ),
            applies_to=draw(st.sampled_from([{}, {"parts": ["input"]}, {"systems": ["support-*"]}, {"roles": ["x"]}])),
            then={
                "action": draw(st.sampled_from([one.value for one in Action])),
                "queue": draw(st.sampled_from(["", "security", "quality"])),
                "explain": "{finding.rule}",
            },
            on_error=draw(st.sampled_from(["review", "redact", "block"])),
        )
        for number in range(count)
    ]


FINDINGS = st.lists(
    st.builds(
        finding,
        detector=st.sampled_from(["patterns", "other"]),
        pack=st.sampled_from(["pii", "injection"]),
        category=st.sampled_from(["pii", "injection"]),
        score=st.sampled_from([0.1, 0.5, 1.0]),
        part=st.sampled_from([PartKind.INPUT, PartKind.DOCUMENT, None]),
    ),
    max_size=4,
)
FAILURES = st.lists(st.sampled_from([BROKEN, DetectorFailure(detector="other", reason="gone")]), max_size=1)


@settings(max_examples=60)
@given(policies(), FINDINGS, FAILURES, st.randoms(use_true_random=False))
def test_a_decision_does_not_depend_on_the_order_of_the_policies(
    some: list[Policy], findings: list[Finding], failures: list[DetectorFailure], chance: random.Random
) -> None:
    shuffled = some[:]
    chance.shuffle(shuffled)
    assert decide(some, findings, failures) == decide(shuffled, findings, failures)


@settings(max_examples=60)
@given(policies(), FINDINGS, FAILURES)
def test_the_strictest_enforced_action_wins(
    some: list[Policy], findings: list[Finding], failures: list[DetectorFailure]
) -> None:
    decision = decide(some, findings, failures)
    acting = [one for one in decision.policies if one.status is PolicyStatus.ENFORCE]
    assert decision.action.rank == max((one.action.rank for one in acting), default=0)
    assert bool(decision.queue) == any(one.queue for one in acting)


@settings(max_examples=60)
@given(policies(), FINDINGS, FAILURES)
def test_adding_a_shadow_policy_changes_nothing_that_acts(
    some: list[Policy], findings: list[Finding], failures: list[DetectorFailure]
) -> None:
    before = decide(some, findings, failures)
    after = decide(
        [*some, policy(id="z.shadow", status="shadow", severity="critical", when="true")], findings, failures
    )
    assert (before.action, before.queue, before.severity, before.explanation) == (
        after.action,
        after.queue,
        after.severity,
        after.explanation,
    )


@settings(max_examples=60)
@given(policies(), FINDINGS, FAILURES)
def test_all_policies_together_say_what_each_says_alone(
    some: list[Policy], findings: list[Finding], failures: list[DetectorFailure]
) -> None:
    """The fast path (one expression for all) and the reading of findings once are exact."""
    together = {one.policy: one for one in decide(some, findings, failures).policies}
    for one in some:
        alone = _slowly(one, findings, failures)
        assert (together.get(one.id) is not None) == alone, one.when


def _slowly(one: Policy, findings: list[Finding], failures: list[DetectorFailure]) -> bool:
    """Whether the policy has anything to say, asked without any short cut."""
    about = call()
    engine = DecisionEngine(PolicySet([one]))
    (ready,) = engine._ready
    if not one.applies_to.covers(about):
        return False
    if any(failure.detector in ready.detectors for failure in failures):
        return True
    read = [
        engine._language.finding(found, alias=alias, name="")
        for found in findings
        for alias, detect in one.detectors.items()
        if detect.states(found) and (found.part is None or not ready.parts or found.part in ready.parts)
    ]
    try:
        return ready.condition.holds(engine._language.call(about), read)
    except Exception:
        return True


@settings(max_examples=40)
@given(policies(), FINDINGS)
def test_a_failed_detector_never_gives_a_plain_allow(some: list[Policy], findings: list[Finding]) -> None:
    reading = [
        one
        for one in some
        if one.status is PolicyStatus.ENFORCE
        and one.applies_to.covers(call())
        and any(detect.use == "patterns" for detect in one.detectors.values())
    ]
    decision = decide(some, findings, [BROKEN])
    said = {one.policy for one in decision.policies}
    assert said >= {one.id for one in reading}
    silent = [one for one in decision.policies if one.outcome is Outcome.ERROR and not one.queue]
    assert not silent


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("RateLimitError: card 4111 1111 1111 1111 was refused", "RateLimitError"),
        ("429 for jane@example.org", "429"),
        ("jane.doe@example.org is not known", "error"),
        ("4111-1111-1111-1111 was refused", "error"),
        ("219-09-9999", "error"),
        ("AKIA3QXW7LRDZ5MJ2KVB is revoked", "error"),
        ("", ""),
    ],
)
def test_of_an_error_only_its_sort_is_said(error: str, said: str) -> None:
    """Explanations and values are stored and shown in clear; an error's words may quote the prompt."""
    told = policy(
        when='findings.size() > 0 && call.error != "x"', then={"action": "allow", "explain": "Failed ({call.error})"}
    )
    (outcome,) = decide([told], [finding()], about=call(error=error)).policies
    assert (outcome.explanation, outcome.values["call.error"]) == (f"Failed ({said})", said)
