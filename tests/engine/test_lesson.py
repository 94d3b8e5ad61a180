"""What verdicts teach: each change that is offered stops false alarms and keeps every violation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.calls import Document, EndUser
from governance.domain.content import PartKind, parts_of
from governance.domain.decisions import Outcome
from governance.domain.findings import Finding
from governance.engine.decide import DecisionEngine
from governance.engine.lesson import Judged, Lesson, lessons
from governance.policy.policy import Exemption, Policy, PolicySet
from tests.policy.samples import call, finding, policy


def judged(case: int, upheld: bool, *findings: Finding, **about: Any) -> Judged:
    one = call(**about)
    return Judged(case=case, call=one, parts=tuple(parts_of(one)), findings=findings, upheld=upheld)


def changed(one: Policy, lesson: Lesson) -> Policy:
    """The policy with the change made, as an engineer would."""
    if lesson.param:
        return one.model_copy(update={"params": {**one.params, lesson.param: lesson.to}})
    exemption = Exemption(when=lesson.exception, expires=date(2027, 1, 1), approved_by="risk", reason="verdicts")
    return one.model_copy(update={"exceptions": [exemption]})


def fires(one: Policy, about: Judged) -> bool:
    engine = DecisionEngine(PolicySet([one]), clock=lambda: datetime(2026, 11, 25, tzinfo=UTC))
    decision = engine.decide(about.call, about.parts, about.findings, about.failures)
    return any(outcome.outcome is Outcome.FIRED for outcome in decision.policies)


def test_a_threshold_between_the_two_is_found() -> None:
    (lesson, *_) = lessons(
        policy(),
        [
            judged(1, False, finding(score=0.6)),
            judged(2, False, finding(score=0.7)),
            judged(3, True, finding(score=0.95)),
        ],
    )
    assert (lesson.param, lesson.value, lesson.to) == ("min_score", 0.5, 0.71)
    assert (lesson.stops, lesson.left, lesson.keeps) == ((1, 2), (), 1)


def test_where_no_threshold_separates_an_exception_does() -> None:
    (lesson,) = lessons(
        policy(),
        [
            judged(1, False, finding(rule="quoted"), system="training"),
            judged(2, False, finding(rule="quoted"), system="training"),
            judged(3, True, finding(rule="quoted"), system="support"),
            judged(4, True, finding(rule="override"), system="training"),
        ],
    )
    assert lesson.exception == 'call.system == "training" && findings.all(f, f.rule in ["quoted"])'
    assert (lesson.stops, lesson.keeps) == ((1, 2), 2)


def test_further_terms_narrow_an_exception_until_every_violation_fires() -> None:
    (lesson,) = lessons(
        policy(),
        [
            judged(1, False, finding(), user=EndUser(id="a", role="trainer")),
            judged(2, True, finding(), user=EndUser(id="b", role="customer")),
        ],
    )
    assert lesson.exception.endswith('call.user.role in ["trainer"]')
    assert '"a"' not in lesson.exception


def test_documents_are_told_apart_by_their_ids() -> None:
    hit = finding(part=PartKind.DOCUMENT)
    found = lessons(
        policy(),
        [
            judged(1, False, hit, documents=(Document(id="handbook", text="x"),)),
            judged(2, True, hit, documents=(Document(id="mail", text="x"),)),
        ],
    )
    assert [lesson.exception.rsplit(" && ", 1)[-1] for lesson in found] == [
        'findings.all(f, f.document in ["handbook"])'
    ]


def test_nothing_is_offered_where_nothing_separates_them() -> None:
    same = finding()
    assert lessons(policy(), [judged(1, False, same), judged(2, True, same)]) == ()
    assert lessons(policy(), [judged(1, True, same)]) == ()
    assert lessons(policy(), [judged(1, False, finding(score=0.1))]) == (), "the policy does not fire on it any more"


scores = st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0])
one_judged = st.builds(
    lambda case, upheld, score, rule, system, role: judged(
        case, upheld, finding(score=score, rule=rule), system=system, user=EndUser(id="u", role=role)
    ),
    st.integers(1, 10_000),
    st.booleans(),
    scores,
    st.sampled_from(["a", 'b" || true || "', "c\n"]),
    st.sampled_from(["s", "t"]),
    st.sampled_from(["x", "y", ""]),
)


@given(st.lists(one_judged, max_size=8, unique_by=lambda one: one.case))
def test_every_change_keeps_what_people_upheld_and_stops_what_it_says(some: list[Judged]) -> None:
    for lesson in lessons(policy(), some):
        better = changed(policy(), lesson)
        assert lesson.stops
        for one in some:
            if one.upheld:
                assert fires(better, one)
            else:
                assert fires(better, one) is (one.case not in lesson.stops)
        assert set(lesson.stops) | set(lesson.left) == {one.case for one in some if not one.upheld}
        assert replace(lesson) == lesson
