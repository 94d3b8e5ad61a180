"""Promise 2: whoever acts at once, a case has one holder and one verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from governance.domain.decisions import Severity
from governance.domain.people import Role
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.errors import Conflict
from governance.services.review.cases import Claim
from governance.store.base import tables as t
from tests.review.conftest import House

RACERS = 6


def race(*acts: Callable[[], object]) -> list[object]:
    """Runs all at once; gives each one's result or its `Conflict`. Any other error is raised."""
    start = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(index: int, act: Callable[[], object]) -> None:
        start.wait()
        try:
            results[index] = act()
        except BaseException as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index, act)) for index, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Conflict):
            raise result
    return results


def test_of_many_who_claim_one_holds_the_case(house: House, another_process: Callable[[], House]) -> None:
    case = house.case()
    reviewers = [house.person(Role.REVIEWER) for _ in range(RACERS)]
    others = [another_process() for _ in reviewers]
    results = race(
        *(lambda r=r, h=another: h.review.claim(r, case) for r, another in zip(reviewers, others, strict=True))
    )
    claims = [result for result in results if isinstance(result, Claim)]
    assert len(claims) == 1
    assert house.row(case).claimed_by == claims[0].case.claimed_by
    assert len(house.events("case.claimed")) == 1


def test_two_windows_give_one_verdict(house: House, another_process: Callable[[], House]) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    token = house.review.claim(reviewer, case).lease_token
    choices = [
        (VerdictOutcome.VIOLATION, ReasonCode.ATTACK),
        (VerdictOutcome.FALSE_ALARM, ReasonCode.QUOTED),
    ] * 2
    others = [another_process() for _ in choices]
    results = race(
        *(
            lambda o=o, r=r, h=another: h.review.decide(reviewer, case, token, outcome=o, reason=r)
            for (o, r), another in zip(choices, others, strict=True)
        )
    )
    assert sum(not isinstance(result, Conflict) for result in results) == 1
    assert house.count(t.verdict) == len(house.events("verdict.given")) == 1


def test_approving_and_returning_at_once_has_one_effect(house: House, another_process: Callable[[], House]) -> None:
    case, reviewer = house.case(Severity.CRITICAL), house.person(Role.REVIEWER)
    token = house.review.claim(reviewer, case).lease_token
    house.review.decide(reviewer, case, token, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.ATTACK)
    one, two = house.person(Role.SENIOR_REVIEWER), house.person(Role.COMPLIANCE_OFFICER)
    results = race(
        lambda: house.review.approve(one, case),
        lambda: another_process().review.return_verdict(two, case, "Again"),
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert len(house.events("verdict.approved", "verdict.returned")) == 1
    with house.database.read() as connection:
        verdict = connection.execute(t.verdict.select()).one()
    assert (verdict.approved_by is None) != (verdict.returned_by is None)
    assert house.row(case).state == ("decided" if verdict.approved_by else "open")


def test_two_who_start_reviewing_get_two_cases(house: House, another_process: Callable[[], House]) -> None:
    cases = {house.case() for _ in range(4)}
    reviewers = [house.person(Role.REVIEWER) for _ in range(4)]
    others = [another_process() for _ in reviewers]
    results = race(
        *(lambda r=r, h=another: h.review.claim_next(r) for r, another in zip(reviewers, others, strict=True))
    )
    assert {result.case.id for result in results if isinstance(result, Claim)} == cases


def test_a_late_renewal_and_a_new_claim_leave_one_holder(house: House, another_process: Callable[[], House]) -> None:
    case, first, second = house.case(), house.person(Role.REVIEWER), house.person(Role.REVIEWER)
    token = house.review.claim(first, case).lease_token
    house.clock.forward(minutes=21)
    renewed, claimed = race(
        lambda: house.review.renew(first, case, token), lambda: another_process().review.claim(second, case)
    )
    assert isinstance(renewed, Conflict)
    assert isinstance(claimed, Claim)
    assert house.row(case).claimed_by == second.id


def test_two_decisions_at_once_open_one_case(house: House, another_process: Callable[[], House]) -> None:
    call = house.call()
    house.flag(house.call(), Severity.LOW)
    houses = [another_process() for _ in range(4)]
    for number, other in enumerate(houses):
        other._numbers = iter(range(1_000 * (number + 1), 1_000 * (number + 2)))
    severities = [Severity.LOW, Severity.CRITICAL, Severity.MEDIUM, Severity.HIGH]
    results = race(*(lambda h=h, s=s: h.flag(call, s) for h, s in zip(houses, severities, strict=True)))
    assert len(set(results)) == 1
    assert house.count(t.case, t.case.c.call_id == call) == 1
    assert house.row(results[0]).severity == Severity.CRITICAL.rank  # type: ignore[arg-type]


@pytest.mark.parametrize("attempt", range(5))
def test_a_case_raised_while_it_is_decided_never_skips_the_second_person(
    house: House, another_process: Callable[[], House], attempt: int
) -> None:
    call, reviewer = house.call(), house.person(Role.REVIEWER)
    case = house.flag(call, Severity.LOW)
    assert case is not None
    token = house.review.claim(reviewer, case).lease_token
    other = another_process()
    other._numbers = iter(range(9_000, 9_100))
    violation = partial(house.review.decide, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.ATTACK)
    acts = [
        lambda: violation(reviewer, case, token),
        lambda: other.flag(call, Severity.CRITICAL),
    ]
    race(*(acts if attempt % 2 else reversed(acts)))
    row = house.row(case)
    # Raised first: the verdict waits. Decided first: the critical finding has a case of its own.
    assert row.state == ("approval" if row.severity == 4 else "decided")
    assert house.count(t.case, t.case.c.call_id == call) == (1 if row.severity == 4 else 2)
