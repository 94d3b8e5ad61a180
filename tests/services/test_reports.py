"""Users' reports: accepted once, kept sealed, reviewed as cases, answered by receipt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from governance.domain.calls import CallKind
from governance.domain.people import Actor, ActorKind, Role, Scope
from governance.domain.reports import ReportState
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.errors import BadInput, NotFound, Refused
from governance.services.review.reports import NewReport, ReportReceipt
from governance.store.base import tables as t
from tests.review.conftest import House


def key(system: str = "", *scopes: Scope) -> Actor:
    return Actor(kind=ActorKind.KEY, id=3, name="key", scopes=scopes or (Scope.REPORT,), system=system)


def test_a_report_opens_a_case_and_its_verdict_answers_the_reporter(house: House) -> None:
    call, reviewer = house.call(), house.person(Role.REVIEWER)
    receipt = house.reports.submit(key(), NewReport(call_id=call, why="The price is wrong", acted_upon=True))
    assert house.reports.status(receipt.reference, receipt.receipt).state is ReportState.RECEIVED
    claim = house.review.claim_next(reviewer)
    assert claim is not None
    assert (claim.case.call_id, claim.case.queue, claim.case.severity, claim.case.reports) == (
        call,
        "quality",
        "high",
        1,
    )
    assert house.reports.status(receipt.reference, receipt.receipt).state is ReportState.IN_REVIEW
    house.review.decide(
        reviewer,
        claim.case.id,
        claim.lease_token,
        outcome=VerdictOutcome.VIOLATION,
        reason=ReasonCode.WRONG_ANSWER,
    )
    status = house.reports.status(receipt.reference, receipt.receipt)
    assert (status.state, status.decided_at) == (ReportState.CONFIRMED, house.clock.now)


def test_the_same_report_again_is_the_same_report(house: House) -> None:
    report = NewReport(call_id=house.call(), why="Wrong")
    first = house.reports.submit(key(), report)
    assert house.reports.submit(key(), report) == first
    assert house.reports.submit(key(), NewReport(call_id=report.call_id, why=" Wrong ")) == first
    assert house.count(t.report) == len(house.events("report.received")) == 1


def test_resends_at_once_are_one_report(house: House, another_process: Callable[[], House]) -> None:
    report, receipts = NewReport(call_id=house.call(), why="Wrong"), []
    barrier = threading.Barrier(4)

    def send(other: House) -> None:
        barrier.wait()
        receipts.append(other.reports.submit(key(), report))

    threads = [threading.Thread(target=send, args=(another_process(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 4
    assert len({(receipt.reference, receipt.receipt) for receipt in receipts}) == 1
    with house.database.read() as connection:
        assert connection.execute(t.case.select()).one().reports == 1


def test_others_reports_of_one_answer_join_its_case(house: House) -> None:
    call = house.call()
    house.reports.submit(key(), NewReport(call_id=call, why="Wrong"))
    house.reports.submit(key(), NewReport(call_id=call, why="Also wrong", acted_upon=True))
    with house.database.read() as connection:
        case = connection.execute(t.case.select()).one()
    assert (case.reports, case.severity) == (2, 3)
    assert len(house.events("case.opened")) == 1


def test_what_a_user_wrote_is_sealed_and_read_redacted_by_who_may(house: House) -> None:
    call = house.call()
    house.reports.submit(
        key(), NewReport(call_id=call, why="It told secret-words", claim="42", contact="mara@example.org")
    )
    with house.database.read() as connection:
        stored = str(connection.execute(t.report.select()).one())
    for words in ("secret-words", "mara@example.org"):
        assert words not in stored
        assert words not in str(house.events())
    case = 1
    (report,) = house.reports.of_case(house.person(Role.AUDITOR), case)
    assert (report.why, report.claim, report.call_id) == ("It told [redacted]", "42", call)
    assert list(house.reports.recent(house.person(Role.REVIEWER))) == [report]
    assert list(house.reports.recent(house.person(Role.REVIEWER, system="hr-bot"))) == []
    for nobody in (house.person(Role.ADMIN), house.person(Role.REVIEWER, system="hr-bot")):
        with pytest.raises(Refused):
            house.reports.of_case(nobody, case)


def test_a_report_that_comes_before_its_call_finds_it_later(house: House) -> None:
    trace = f"{99:032x}"
    receipt = house.reports.submit(key(), NewReport(trace_id=trace, why="Wrong"))
    house.reports.submit(key(), NewReport(trace_id=trace.upper(), why="Wrong, I say"))
    with house.database.read() as connection:
        assert connection.execute(t.case.select()).one().reports == 2
    call = house.call(5, trace_id=trace)
    claim = house.review.claim_next(house.person(Role.REVIEWER))
    # The system of an unknown trace is unknown, and a key bound to none looks in all of them.
    assert claim is not None
    assert (claim.case.call_id, claim.case.system) == (call, "support-bot")
    assert house.reports.status(receipt.reference, receipt.receipt).state is ReportState.IN_REVIEW


def test_a_trace_is_about_its_last_answer(house: House) -> None:
    trace = f"{98:032x}"
    house.call(1, trace_id=trace)
    answer = house.call(2, trace_id=trace)
    house.call(3, trace_id=trace, kind=CallKind.TOOL)
    house.reports.submit(key(), NewReport(trace_id=trace, why="Wrong"))
    with house.database.read() as connection:
        assert connection.execute(t.case.select()).one().call_id == answer


def test_a_key_of_one_system_finds_no_other_systems_calls(house: House) -> None:
    call = house.call(system="hr-bot")
    with pytest.raises(NotFound):
        house.reports.submit(key("support-bot"), NewReport(call_id=call, why="Wrong"))
    with pytest.raises(Refused, match="no scope report"):
        house.reports.submit(key("", Scope.INGEST), NewReport(call_id=call, why="Wrong"))


def test_a_reference_opens_only_with_its_receipt(house: House) -> None:
    one = house.reports.submit(key(), NewReport(call_id=house.call(), why="Wrong"))
    two = house.reports.submit(key(), NewReport(call_id=house.call(), why="Wrong"))
    said = set()
    for reference, receipt in ((one.reference, two.receipt), ("R-NOBOD-YHERE", one.receipt), (one.reference, "")):
        with pytest.raises(NotFound) as refused:
            house.reports.status(reference, receipt)
        said.add(str(refused.value))
    assert len(said) == 1
    assert isinstance(one, ReportReceipt)


@pytest.mark.parametrize(
    "wrong",
    [
        {"why": ""},
        {"why": "x", "trace_id": "1" * 32},
        {"why": "x", "call_id": None},
        {"why": "x", "call_id": None, "trace_id": "zz"},
        {"why": "x", "call_id": None, "trace_id": "0" * 32},
        {"why": "x", "call_id": -1},
        {"why": "x" * 10_001},
        {"why": "x", "contact": "x" * 301},
    ],
)
def test_a_report_that_is_wrong_is_refused_whole(house: House, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        house.reports.submit(key(), NewReport(**({"call_id": 1} | wrong)))
    assert house.count(t.report) == house.count(t.case) == 0
