"""Revealing: who may, for how long, and the event before the text."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from governance.domain.calls import Call
from governance.domain.people import Role, operator
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.errors import BadInput, NotFound, Refused
from governance.services.calls.reveal import RevealService
from governance.store.base import tables as t
from tests.review.conftest import House


def test_the_event_is_committed_before_anything_is_decrypted(house: House) -> None:
    seen: list[int] = []

    class Watching:
        def call(self, call_id: int) -> Call:
            seen.append(len(house.events("content.revealed")))
            raise NotFound("Erased.")

    call, senior = house.call(), house.person(Role.SENIOR_REVIEWER)
    service = RevealService(house.authority, Watching(), lasts=house.reveals._lasts, redact=str)
    with pytest.raises(NotFound, match="Erased"):
        service.reveal(senior, "fraud check", call_id=call)
    assert seen == [1]


def test_a_reviewer_reveals_the_case_they_hold_and_no_other(house: House) -> None:
    case, reviewer = house.case(), house.person(Role.REVIEWER)
    with pytest.raises(Refused):
        house.reveals.reveal(reviewer, "look", case_id=case)
    token = house.review.claim(reviewer, case).lease_token
    shown = house.reveals.reveal(reviewer, "fraud check", case_id=case)
    assert shown.call.output[0].text.startswith("Answer")
    with pytest.raises(Refused):
        house.reveals.reveal(house.person(Role.REVIEWER), "look", case_id=case)
    with pytest.raises(Refused):
        house.reveals.reveal(reviewer, "look", call_id=house.row(case).call_id)
    with pytest.raises(NotFound, match="no part of case"):
        house.reveals.reveal(reviewer, "look", case_id=case, call_id=house.call(500))
    assert len(house.events("content.revealed")) == 1
    call = house.row(case).call_id
    assert house.reveals.read(reviewer, call) is not None
    house.review.decide(reviewer, case, token, outcome=VerdictOutcome.FALSE_ALARM, reason=ReasonCode.QUOTED)
    assert house.reveals.read(reviewer, call) is None


def test_a_reveal_ends(house: House) -> None:
    call, officer = house.call(), house.person(Role.COMPLIANCE_OFFICER)
    until = house.reveals.reveal(officer, "complaint", call_id=call).until
    assert house.reveals.is_revealed(officer, call) == until
    assert house.reveals.is_revealed(house.person(Role.COMPLIANCE_OFFICER), call) is None
    house.clock.forward(minutes=5)
    assert house.reveals.is_revealed(officer, call) is None


def test_the_reason_is_kept_beside_the_log(house: House) -> None:
    call, officer = house.call(), house.person(Role.COMPLIANCE_OFFICER)
    for reason in ("", " \n\x00", "x" * 301):
        with pytest.raises(BadInput):
            house.reveals.reveal(officer, reason, call_id=call)
    house.reveals.reveal(officer, "Complaint of\nMara", call_id=call)
    (event,) = house.events("content.revealed")
    assert "Mara" not in str(event)
    with house.database.read() as connection:
        row = connection.execute(t.reveal.select()).one()
    assert (row.reason, event["data"]["reveal"], event["subject"]) == ("Complaint of Mara", row.id, f"call:{call}")


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ENGINEER, Role.ADMIN])
def test_who_may_not_reveal_is_refused_on_record(house: House, role: Role) -> None:
    with pytest.raises(Refused):
        house.reveals.reveal(house.person(role), "curious", call_id=house.call())
    assert [event["data"]["wanted"] for event in house.events("action.refused")] == ["reveal_content"]


def test_the_command_line_reveals_nothing(house: House) -> None:
    with pytest.raises(Refused, match="signed in"):
        house.reveals.reveal(operator("root"), "curious", call_id=house.call())


def test_a_reason_is_kept_without_what_must_not_be_shown(house: House) -> None:
    house.reveals.reveal(house.person(Role.SENIOR_REVIEWER), "fraud with secret-words", call_id=house.call())
    with house.database.read() as connection:
        assert connection.execute(sa.select(t.reveal.c.reason)).scalar_one() == "fraud with [redacted]"
