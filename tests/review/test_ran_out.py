"""A claim that ran out is none: not in a list, not in a count, not in a document, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.domain.people import Role
from governance.domain.review import CaseState
from governance.services.review.documents import case_document, case_with_verdicts
from governance.services.review.read import CaseFilter
from governance.store.review import queries
from tests.review.conftest import LEASE, House


def listed(house: House, **want: Any) -> list[int]:
    with house.database.read() as connection:
        rows, _ = queries.page(connection, CaseFilter(**want), at=house.clock.now)
    return [row.id for row in rows]


def counted(house: House) -> dict[tuple[str, int | None], int]:
    now = house.clock.now
    found: dict[tuple[str, int | None], int] = {}
    with house.database.read() as connection:
        for load in queries.load(connection, None, now, now + timedelta(hours=1)):
            found[load.state, load.held_by] = found.get((load.state, load.held_by), 0) + load.cases
    return found


@pytest.mark.parametrize("escalated", [False, True])
def test_what_was_claimed_is_free_again_after_its_lease(house: House, escalated: bool) -> None:
    senior = house.person(Role.SENIOR_REVIEWER)
    mine, free = house.case(), house.case()
    if escalated:
        reviewer = house.person(Role.REVIEWER)
        token = house.review.claim(reviewer, mine).lease_token
        house.review.escalate(reviewer, mine, token, note="Please look.")
    house.review.claim(senior, mine)
    state = "escalated" if escalated else "open"

    house.clock.forward(seconds=LEASE.total_seconds() - 1)
    assert listed(house, held_by=senior.id) == [mine]
    assert listed(house, state="claimed") == [mine]
    assert counted(house) == {("claimed", senior.id): 1, ("open", None): 1}

    house.clock.forward(seconds=1)  # to the very end of the lease: from here anybody may claim it
    assert listed(house, held_by=senior.id) == []
    assert listed(house, state="claimed") == []
    assert mine in listed(house, state=state)
    assert sorted(listed(house)) == sorted([mine, free])
    expected: dict[tuple[str, int | None], int] = {("open", None): 1}
    expected[state, None] = expected.get((state, None), 0) + 1
    assert counted(house) == expected
    with house.database.read() as connection:
        rows, _ = queries.page(connection, CaseFilter(state=state), at=house.clock.now)
        assert {case_document(row)["state"] for row in rows} == {state}
    view = queries.CaseQueries(house.database).view(mine, None, at=house.clock.now)
    assert view is not None
    document = case_with_verdicts(view)
    assert (document["state"], document["claimed_by"]) == (state, None)
    assert house.review.claim(senior, mine).case.state is CaseState.CLAIMED


def test_cases_are_listed_by_when_they_were_opened(house: House) -> None:
    first = house.case()
    house.clock.forward(minutes=10)
    since = house.clock.now
    second = house.case()
    assert listed(house, since=since) == [second]
    assert listed(house, until=since) == [first]
    assert listed(house, since=since, until=since + timedelta(microseconds=1)) == [second]


def test_queues_with_an_open_case_are_known(house: House) -> None:
    house.case()
    with house.database.read() as connection:
        assert queries.open_queues(connection) == {"security"}
