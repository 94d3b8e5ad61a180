"""From a decision to a case draft, and the words of reasons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.decisions import Action, Outcome, PolicyStatus, Severity
from governance.domain.review import CaseKind, ReasonCode, VerdictOutcome
from governance.review import reasons
from governance.review.routing import draft_for_decision, draft_for_report, one_line
from tests.review.conftest import make_decision, make_outcome

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "span"),
    [
        (Severity.CRITICAL, timedelta(hours=4)),
        (Severity.HIGH, timedelta(hours=24)),
        (Severity.MEDIUM, timedelta(days=3)),
        (Severity.LOW, timedelta(days=7)),
    ],
)
def test_the_deadline_follows_the_severity(severity: Severity, span: timedelta) -> None:
    draft = draft_for_decision(make_decision(severity), "")
    assert draft is not None
    assert draft.due(NOON) == NOON + span


def test_the_severest_policy_that_asked_for_review_gives_the_title() -> None:
    outcomes = (
        make_outcome(Severity.LOW, title="Low", policy="low"),
        make_outcome(Severity.HIGH, title="High", policy="high"),
        make_outcome(Severity.CRITICAL, title="Shadow", status=PolicyStatus.SHADOW),
        make_outcome(Severity.CRITICAL, title="Excepted", outcome=Outcome.EXCEPTED),
        make_outcome(Severity.CRITICAL, title="Only blocks", queue=""),
        make_outcome(Severity.HIGH, title="Milder", policy="milder", action=Action.ALLOW),
    )
    draft = draft_for_decision(make_decision(policies=outcomes), "")
    assert draft is not None
    assert (draft.title, draft.policy, draft.queue) == ("High", "high", "security")


def test_without_a_policy_the_explanation_is_the_title() -> None:
    draft = draft_for_decision(
        replace(make_decision(policies=(), explanation="It could not be checked."), severity=None), ""
    )
    assert draft is not None
    assert (draft.title, draft.severity) == ("It could not be checked.", Severity.MEDIUM)


@pytest.mark.parametrize(("acted_upon", "severity"), [(True, "high"), (False, "medium"), (None, "medium")])
def test_a_report_is_urgent_when_somebody_acted_on_it(acted_upon: bool | None, severity: str) -> None:
    draft = draft_for_report(acted_upon)
    assert (draft.kind, draft.queue, draft.severity) == (CaseKind.REPORT, "quality", severity)


@given(st.text(max_size=80), st.integers(2, 40))
def test_one_line_is_one_short_printable_line(text: str, length: int) -> None:
    line = one_line(text, length)
    assert len(line) <= length
    assert line.splitlines() in ([], [line])
    assert "\x00" not in line
    line.encode("utf-8")


def test_one_line_says_that_it_was_cut() -> None:
    assert one_line("a  b\n\u202ec\x00d", 10) == "a b cd"
    assert one_line("abcdef", 4) == "abc…"


@pytest.mark.parametrize("kind", CaseKind)
def test_every_reason_has_a_sentence_and_fits_somewhere(kind: CaseKind) -> None:
    assert set(reasons.SENTENCES) == set(ReasonCode)
    every = {reason for k in CaseKind for outcome in VerdictOutcome for reason in reasons.fitting(k, outcome)}
    assert every == set(ReasonCode)
    confirming = set(reasons.fitting(kind, VerdictOutcome.VIOLATION)) - {ReasonCode.OTHER}
    assert not confirming & set(reasons.fitting(kind, VerdictOutcome.FALSE_ALARM))
