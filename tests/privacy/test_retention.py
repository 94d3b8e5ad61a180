"""Retention rules: floors, systems of their own, holds, and the job that applies them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from governance.domain.jobs import JobKind
from governance.domain.people import Role, operator
from governance.domain.privacy import Holdable, RetentionClass
from governance.errors import BadInput, NotFound, Refused
from governance.store.base import tables as t
from tests.privacy.house import CONTENT, NAMES, House, a_call
from tests.privacy.test_erasure import events

ME = operator("tests")


def age(house: House, call: int, days: int) -> None:
    with house.application.database.write() as tx:
        micros = days * 86_400_000_000
        now = int(house.application.clock().timestamp() * 1_000_000)
        c = t.call.c
        conversation = tx.connection.execute(sa.select(c.conversation_id).where(c.id == call)).scalar_one()
        tx.connection.execute(t.call.update().where(c.id == call).values(started_at=now - micros))
        tx.connection.execute(
            t.conversation.update().where(t.conversation.c.id == conversation).values(created_at=now - micros)
        )
        tx.connection.execute(t.report.update().where(t.report.c.call_id == call).values(received_at=now - micros))


def run_daily(house: House) -> None:
    with house.application.database.write() as tx:
        tx.jobs.add(JobKind.APPLY_RETENTION, {}, at=house.application.clock())
    house.work()


def test_content_goes_first_and_names_after_half_a_year(house: House) -> None:
    call = house.application.inline.check(a_call()).call_id
    young = house.application.inline.check(a_call(2, session="young", user="young")).call_id
    house.report(call, f"It said {CONTENT[1]}")
    age(house, call, 40)
    rules = house.application.retention
    rules.set(ME, RetentionClass.CONTENT, 30)
    rules.set(ME, RetentionClass.LOGS, 184)
    run_daily(house)
    document = house.application.read_call(call)
    assert "as the rule about content says" in document["output"][0]["text"]
    assert document["user"]["id"] == NAMES[0]
    assert document["decisions"][0]["explanation"]
    assert CONTENT[0] in house.application.read_call(young)["input"][0]["text"]
    age(house, call, 200)
    run_daily(house)
    assert house.left(NAMES[0], NAMES[1]) == set()
    assert house.application.read_call(call)["user"]["id"] == ""
    reasons = [leaf["data"] for leaf in events(house, "content.erased")]
    assert [(one["reason"], one["calls"]) for one in reasons] == [("retention", [call]), ("retention", [call])]
    assert rules.run(ME).conversations == 0, "what is gone is not erased again"


def test_a_system_with_a_rule_of_its_own_is_left_out_of_the_general_one(house: House) -> None:
    mine = house.application.inline.check(a_call(1, session="a")).call_id
    theirs = house.application.inline.check(a_call(2, session="b", system="other")).call_id
    for call in (mine, theirs):
        age(house, call, 50)
    house.application.retention.set(ME, RetentionClass.CONTENT, 30)
    house.application.retention.set(ME, RetentionClass.CONTENT, 90, system="other")
    assert house.application.retention.run(ME).conversations == 1
    assert house.application.read_call(mine)["erased"] is not None
    assert house.application.read_call(theirs)["erased"] is None


def test_holds_keep_what_a_rule_would_erase(house: House) -> None:
    calls = [house.application.inline.check(a_call(n, session=f"s{n}")).call_id for n in (1, 2, 3)]
    references = [house.report(call, f"why {call}") for call in calls]
    for call in calls:
        age(house, call, 50)
    held = house.application.hold.place(ME, Holdable.CALL, str(calls[1]), reason="x")
    house.application.retention.set(ME, RetentionClass.CONTENT, 30)
    house.application.retention.set(ME, RetentionClass.REPORTS, 30)
    done = house.application.retention.run(ME)
    assert (done.conversations, done.reports, done.held) == (2, 2, 2)
    assert [house.application.read_call(call)["erased"] is None for call in calls] == [False, True, False]
    house.application.hold.release(ME, held.id)
    done = house.application.retention.run(ME)
    assert (done.conversations, done.reports, done.held) == (1, 1, 0)
    assert len(references) == 3


@pytest.mark.parametrize(
    ("subject", "days"),
    [(RetentionClass.LOGS, 183), (RetentionClass.CONTENT, 0), (RetentionClass.REPORTS, -1), ("logs", 36_501)],
)
def test_floors_are_kept(sqlite_house: House, subject: str, days: int) -> None:
    with pytest.raises(BadInput):
        sqlite_house.application.retention.set(ME, RetentionClass(subject), days)


def test_rules_are_changed_by_who_may_and_each_change_is_an_event(house: House) -> None:
    rules = house.application.retention
    officer = house.person("Ada", Role.COMPLIANCE_OFFICER)
    for nobody in (house.person("Rev", Role.REVIEWER), house.person("Adm", Role.ADMIN)):
        with pytest.raises(Refused):
            rules.set(nobody, RetentionClass.CONTENT, 30)
        with pytest.raises(Refused):
            rules.run(nobody)
    rules.set(officer, RetentionClass.CONTENT, 30)
    rules.set(officer, RetentionClass.CONTENT, 60)
    rules.remove(officer, RetentionClass.CONTENT)
    with pytest.raises(NotFound):
        rules.remove(officer, RetentionClass.CONTENT)
    changes = [(leaf["data"]["before"], leaf["data"]["days"]) for leaf in events(house, "retention.changed")]
    assert changes == [(None, 30), (30, 60), (60, None)]
    assert rules.rules(officer) == []
