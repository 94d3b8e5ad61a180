"""Erasure: what is erased is gone from tables and files, stays gone, and everything else goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.people import Role, operator
from governance.domain.privacy import Erasable, ErasureState, Holdable
from governance.errors import BadInput, Conflict, NotFound, Refused
from governance.services.calls.check import CheckService
from governance.services.calls.read import CallFilter
from governance.services.evidence.erase import CALLS_AN_EVENT
from governance.store.base import tables as t
from governance.store.calls.record import CallWriter
from governance.store.evidence import scrub
from tests.privacy.house import CONTENT, NAMES, NOTES, House, a_call
from tests.store.conftest import Batch

ALL = (*CONTENT, *NAMES, *NOTES)


def with_notes(house: House) -> int:
    """A flagged call with a reveal, a verdict with a note and a report, all with words of their own."""
    checked = house.application.inline.check(a_call())
    senior = house.person("Sen", Role.SENIOR_REVIEWER)
    assert checked.case_id is not None
    house.application.reveal.reveal(senior, NOTES[1], call_id=checked.call_id)
    with house.application.database.write() as tx:
        tx.cases.note(checked.case_id, "escalated", NOTES[0], by=senior.id, at=house.application.clock())
    house.report(checked.call_id, f"The answer said {CONTENT[1]}.")
    return checked.call_id


def events(house: House, kind: str) -> list[dict[str, Any]]:
    house.application.audit_log.settle()
    with house.application.database.read() as connection:
        rows = connection.execute(sa.select(t.audit_event.c.leaf).where(t.audit_event.c.kind == kind)).scalars()
        return [json.loads(bytes(leaf)) for leaf in rows]


def test_nothing_of_an_erased_conversation_is_left(house: House) -> None:
    call = with_notes(house)
    other = house.application.inline.check(a_call(9, user="somebody", session="another")).call_id
    kept = house.application.read_call(other)
    assert house.left(*NOTES) == set(NOTES)
    before = wrong(house)
    done = house.erase(Erasable.CONVERSATION, house.conversation_of(call))
    assert (done.state, done.calls, done.reports) == (ErasureState.DONE, 1, 1)
    assert (done.purged_at is not None) == (house.application.database.dialect == "sqlite")
    assert house.left(*NOTES, NAMES[0], NAMES[1]) == set()
    assert house.application.read_call(other) == kept

    document = house.application.read_call(call)
    words = "Erased on 2026-11-23 at the request of Ada, approved by Ben. Reason: They asked for it."
    assert document["input"][0]["text"] == document["output"][0]["text"] == words
    assert document["erased"]["erasure"] == done.id
    assert document["findings"], "that rules hit stays: what they hit does not"
    found = house.application.read_calls.page(operator("tests"), CallFilter(words=CONTENT[0])).rows
    assert [row.id for row in found] == [other]
    with pytest.raises(NotFound, match="erased"):
        house.application.reveal.reveal(house.person("Rev", Role.SENIOR_REVIEWER), "again", call_id=call)
    (event,) = events(house, "content.erased")
    assert event["data"] == {
        "what": "conversation",
        "erasure": done.id,
        "reason": "requested",
        "requested_by": done.requested_by,
        "approved_by": done.settled_by,
        "conversation": house.conversation_of(call),
        "calls": [call],
        "reports": event["data"]["reports"],
        "cases": event["data"]["cases"],
        "rows": event["data"]["rows"],
    }
    # The tests' own rows, which no event states, are found before and after; nothing of the erasure is.
    assert {one for one in wrong(house) if not one.startswith(("Principal", "Role"))} <= before


def wrong(house: House) -> set[str]:
    return {place for check in house.application.verify.verify(operator("tests")).checks for place in check.places}


def test_not_a_byte_of_it_is_in_the_file_or_the_write_ahead_log(sqlite_house: House) -> None:
    """Rows that moved between pages leave copies in unused space: many calls, so that pages split."""
    house = sqlite_house
    for number in range(10, 50):
        house.application.inline.check(a_call(number, session=f"session-{number % 5}", user=f"user-{number % 5}"))
    call = with_notes(house)
    with house.application.database.read() as connection:
        wrapped = connection.execute(
            sa.select(t.conversation.c.wrapped_key).where(t.conversation.c.id == house.conversation_of(call))
        ).scalar_one()
        bodies = connection.execute(sa.select(t.message.c.body).where(t.message.c.call_id == call)).scalars().all()
    needles = [bytes(wrapped), *map(bytes, bodies)]

    def there() -> int:
        files = [file.read_bytes() for file in house.folder.glob("governance.db*")]
        return sum(needle in text for needle in needles for text in files)

    assert there() >= len(needles)
    house.erase(Erasable.SUBJECT, NAMES[0])
    assert there() == 0
    assert house.left(NAMES[0], NAMES[1], *NOTES) == set()
    assert house.left("user-3") == {"user-3"}


def test_a_subject_goes_everywhere_but_in_the_tombstone(house: House) -> None:
    mine = [house.application.inline.check(a_call(n, session=f"s{n}")).call_id for n in (1, 2, 3)]
    theirs = house.application.inline.check(a_call(4, user="u-other", session="s-other")).call_id
    done = house.erase(Erasable.SUBJECT, NAMES[0])
    assert (done.conversations, done.calls) == (3, 3)
    assert NAMES[0] not in done.target
    assert house.left(NAMES[0], "s1", "s2") - {"s1", "s2"} == set()
    with house.application.database.read() as connection:
        rows = connection.execute(sa.select(t.call.c.id, t.call.c.user_id, t.call.c.session_id)).all()
    assert {row.id: (row.user_id, row.session_id) for row in rows} == {
        **dict.fromkeys(mine, ("", "")),
        theirs: ("u-other", "s-other"),
    }
    # Asked for again, it is known by its keyed digest; what comes later is the subject's anew.
    assert house._officers is not None
    ada, _ = house._officers
    assert house.application.erase.request(ada, Erasable.SUBJECT, NAMES[0], reason="again").id == done.id
    later = house.application.inline.check(a_call(7)).call_id
    assert house.application.read_call(later)["user"]["id"] == NAMES[0]
    assert house.erase(Erasable.SUBJECT, NAMES[0]).id != done.id
    assert house.left(NAMES[0]) == set()


def test_an_erased_call_takes_its_words_out_of_the_turns_that_repeat_them(house: House) -> None:
    first = house.application.inline.check(a_call(1)).call_id
    history = [
        {"role": "user", "text": a_call(1).input[0].text},
        {"role": "user", "text": "And then something quite harmless."},
    ]
    second = house.application.inline.check(a_call(2, input=history)).call_id
    house.erase(Erasable.CALL, first)
    document = house.application.read_call(second)
    assert document["input"][0]["text"] == "This content was erased."
    assert document["input"][1]["text"] == "And then something quite harmless."
    assert document["erased"] is None
    assert house.application.read_call(first)["erased"]["reason"] == "They asked for it."
    # The application sends the whole history with the next turn: what was erased does not come back.
    third = house.application.inline.check(a_call(3, input=history)).call_id
    assert house.application.read_call(third)["input"][0]["text"] == "This content was erased."
    assert house.application.read_call(third)["input"][1]["text"] == "And then something quite harmless."


def test_a_report_is_erased_by_its_reference(house: House) -> None:
    call = house.application.inline.check(a_call()).call_id
    reference = house.report(call, "It called me gobbledygook.")
    done = house.erase(Erasable.REPORT, reference)
    assert done.reports == 1
    with house.application.database.read() as connection:
        (row,) = connection.execute(sa.select(t.report)).all()
    assert (row.body, row.wrapped_key) == (None, None)
    officer = house.person("Off", Role.COMPLIANCE_OFFICER)
    (shown,) = house.application.reports.recent(officer)
    assert shown.why.startswith("Erased on 2026-11-23")
    assert CONTENT[0] in house.application.read_call(call)["input"][0]["text"]


def test_two_persons_are_needed(house: House) -> None:
    number = house.conversation_of(house.application.inline.check(a_call()).call_id)
    service = house.application.erase
    ada = house.person("Ada", Role.COMPLIANCE_OFFICER)
    reviewer = house.person("Rev", Role.REVIEWER, Role.SENIOR_REVIEWER, Role.ADMIN)
    bound = house.person("Bound", Role.COMPLIANCE_OFFICER, system="another system")
    for nobody in (reviewer, bound):
        with pytest.raises(Refused):
            service.request(nobody, Erasable.CONVERSATION, str(number), reason="x")
    asked = service.request(ada, Erasable.CONVERSATION, str(number), reason="x")
    for nobody in (ada, reviewer, bound, operator("ada")):
        with pytest.raises(Refused):
            service.approve(nobody, asked.id)
    by_operator = service.request(operator("root"), Erasable.SUBJECT, NAMES[0], reason="x")
    with pytest.raises(Refused):
        service.approve(operator("root"), by_operator.id)
    house.work()
    assert house.left(NAMES[0]) == {NAMES[0]}
    assert service.approve(operator("another"), asked.id).state is ErasureState.APPROVED
    with pytest.raises(Conflict):
        service.approve(operator("third"), asked.id)
    assert service.reject(operator("root"), by_operator.id).state is ErasureState.REJECTED
    assert len(events(house, "action.refused")) == 2 + 4 + 1


def test_erasing_twice_gives_the_first_erasure(house: House) -> None:
    number = house.conversation_of(house.application.inline.check(a_call()).call_id)
    ada = house.person("Ada", Role.COMPLIANCE_OFFICER)
    service = house.application.erase
    asked = service.request(ada, Erasable.CONVERSATION, str(number), reason="x")
    assert service.request(ada, Erasable.CONVERSATION, str(number), reason="y") == asked
    service.approve(operator("o"), asked.id)
    house.work()
    assert service.request(ada, Erasable.CONVERSATION, str(number), reason="z").state is ErasureState.DONE
    with house.application.database.write() as tx:  # the job that was retried by hand
        tx.jobs.add("privacy.erase", {"erasure": asked.id}, at=house.application.clock())
    house.work()
    assert len(events(house, "content.erased")) == 1


@pytest.mark.parametrize("target", ["", " ", "abc", "-1", "9" * 30, "1.5", "７"])
def test_what_is_not_there_is_said(sqlite_house: House, target: str) -> None:
    ada = sqlite_house.person("Ada", Role.COMPLIANCE_OFFICER)
    for what in Erasable:
        with pytest.raises((NotFound, BadInput)):
            sqlite_house.application.erase.request(ada, what, target, reason="x")
    with pytest.raises(BadInput):
        sqlite_house.application.erase.request(ada, Erasable.CALL, "1", reason=" ")


HOLDS: dict[str, Callable[[House, int], tuple[Holdable, str]]] = {
    "conversation": lambda house, call: (Holdable.CONVERSATION, str(house.conversation_of(call))),
    "call": lambda house, call: (Holdable.CALL, str(call)),
    "subject": lambda house, call: (Holdable.SUBJECT, NAMES[0]),
    "system": lambda house, call: (Holdable.SYSTEM, "bot"),
    "case": lambda house, call: (
        Holdable.CASE,
        str(house.application.read_call(call)["case_ids"][0]),
    ),
}


@pytest.mark.parametrize("kind", HOLDS)
def test_a_legal_hold_stops_every_erasure_of_what_it_covers(house: House, kind: str) -> None:
    call = house.application.inline.check(a_call()).call_id
    house.report(call, "why")
    ada, ben = house.person("Ada", Role.COMPLIANCE_OFFICER), house.person("Ben", Role.COMPLIANCE_OFFICER)
    service, holds = house.application.erase, house.application.hold
    before = service.request(ada, Erasable.CALL, str(call), reason="asked before the hold")
    what, target = HOLDS[kind](house, call)
    held = holds.place(ada, what, target, reason="Case 7 O 12/26")
    with pytest.raises(Conflict, match="Legal hold"):
        service.approve(ben, before.id)
    for one, number in (
        (Erasable.CONVERSATION, str(house.conversation_of(call))),
        (Erasable.SUBJECT, NAMES[0]),
        (Erasable.REPORT, "R"),
    ):
        if one is Erasable.REPORT:
            with house.application.database.read() as connection:
                number = str(connection.execute(sa.select(t.report.c.id)).scalar_one())
        with pytest.raises(Conflict, match="Legal hold"):
            service.request(ada, one, number, reason="x")
    holds.release(ben, held.id)
    with pytest.raises(Conflict):
        holds.release(ben, held.id)
    service.approve(ben, before.id)
    house.work()
    assert house.application.read_call(call)["erased"] is not None
    assert [leaf["data"] for leaf in events(house, "hold.placed")] == [
        leaf["data"] for leaf in events(house, "hold.released")
    ]
    assert NAMES[0] not in json.dumps(events(house, "hold.placed"))


def test_a_hold_that_comes_after_the_approval_stops_the_job_and_its_release_lets_it_go_on(house: House) -> None:
    calls = [house.application.inline.check(a_call(n, session=f"s{n}")).call_id for n in (1, 2)]
    ada, ben = house.person("Ada", Role.COMPLIANCE_OFFICER), house.person("Ben", Role.COMPLIANCE_OFFICER)
    service = house.application.erase
    asked = service.request(ada, Erasable.SUBJECT, NAMES[0], reason="x")
    service.approve(ben, asked.id)
    held = house.application.hold.place(ada, Holdable.CALL, str(calls[1]), reason="y")
    house.work()
    with house.application.database.look() as tx:
        found = tx.erasures.get(asked.id)
        assert found is not None
        assert found.state is ErasureState.APPROVED
        (job,) = tx.jobs.page(state=None, kind="privacy.erase", before=None, limit=5)
    assert "Legal hold" in job.last_error
    assert house.application.read_call(calls[1])["erased"] is None
    house.application.hold.release(ben, held.id)
    house.work()
    assert all(house.application.read_call(call)["erased"] for call in calls)


def test_an_erasure_that_breaks_off_in_the_middle_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 46):
        house.application.recorder.record(Batch(calls=(a_call(number, session=f"s{number}"),)))
    asked = house.application.erase.request(operator("a"), Erasable.SUBJECT, NAMES[0], reason="x")
    house.application.erase.approve(operator("b"), asked.id)
    honest, done = scrub.conversation, [0]

    def breaks(*arguments: Any, **more: Any) -> Any:
        done[0] += 1
        if done[0] == 30:
            raise OSError("the process is gone")
        return honest(*arguments, **more)

    monkeypatch.setattr(scrub, "conversation", breaks)
    house.work()
    named = sum(len(leaf["data"]["calls"]) for leaf in events(house, "content.erased"))
    assert named == 20, "what was committed is in the log, what was not is neither"
    assert house.left(NAMES[0]) == {NAMES[0]}
    house.application.clock.forward(hours=1)  # type: ignore[attr-defined]
    house.work()
    found = next(one for one in house.application.erase.list(operator("a")) if one.id == asked.id)
    assert (found.state, found.conversations, found.calls) == (ErasureState.DONE, 45, 45)
    calls = [call for leaf in events(house, "content.erased") for call in leaf["data"]["calls"]]
    assert len(calls) == len(set(calls)) == 45
    assert house.left(NAMES[0]) == set()


def test_a_long_conversation_is_named_in_several_events(house: House) -> None:
    many = CALLS_AN_EVENT + 3
    calls = [a_call(n, input=[], documents=[], tool_calls=[], output=[]) for n in range(1, many + 1)]
    ids = house.application.recorder.record(Batch(calls=tuple(calls))).call_ids
    house.erase(Erasable.CONVERSATION, house.conversation_of(ids[0]))
    named = [leaf["data"]["calls"] for leaf in events(house, "content.erased")]
    assert sorted(map(len, named)) == [3, CALLS_AN_EVENT]
    assert sorted(call for calls_ in named for call in calls_) == sorted(ids)


def test_a_writer_that_remembers_the_key_makes_a_new_conversation(house: House) -> None:
    application = house.application
    writer = CallWriter(application.database, application.key_ring, application.jobs, application.clock)
    first = writer.write([Batch(calls=(a_call(1),))])[0].call_ids[0]
    house.erase(Erasable.CONVERSATION, house.conversation_of(first))
    again = writer.write([Batch(calls=(a_call(1), a_call(2)))])[0]
    assert (again.new, again.repeated) == (1, 1), "what was erased does not come back"
    (second,) = again.call_ids
    assert house.conversation_of(second) != house.conversation_of(first)
    shown = application.inline.check(a_call(3, input=[{"role": "user", "text": "hello again"}]))
    assert application.read_call(shown.call_id)["input"][0]["text"] == "hello again"


def test_what_was_being_checked_while_it_was_erased_leaves_nothing(house: House) -> None:
    application = house.application
    (call,) = application.recorder.record(Batch(calls=(a_call(),))).call_ids
    store = application.new_check_store()
    deciding = application.in_force.current().deciding()
    loaded = store.load([call], deciding)
    assert loaded[0].call is not None

    class Late:
        """Loads what it had loaded before the erasure."""

        def load(self, *_: Any, **__: Any) -> Any:
            return loaded

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    house.erase(Erasable.CONVERSATION, house.conversation_of(call))
    CheckService(Late(), lambda: deciding, application.redactor.redact, application.redact_text).run([call])
    assert house.left(*CONTENT) == set()
    with application.database.read() as connection:
        assert not any(connection.execute(sa.select(t.examination.c.sealed)).scalars())
        assert connection.execute(sa.text("SELECT count(*) FROM search_text")).scalar() == 0
