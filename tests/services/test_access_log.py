"""Who opens and searches what is recorded: once a reader, object and hour, without words, and never lost at an end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Any

import pytest

from governance.domain.people import Actor, ActorKind, Role, Scope, operator
from governance.errors import Overloaded
from governance.privacy.keys import KeyRing
from governance.services.access_log import AccessLog
from governance.services.calls.read import CallFilter, ReadCalls
from governance.services.evidence.read import EventFilter, ReadAudit
from governance.services.review.read import CaseFilter, ReadCases
from governance.services.visible import Visible
from governance.store.calls.documents import AttributeReader
from governance.store.calls.queries import CallQueries
from governance.store.calls.redacted import RedactedTexts
from governance.store.evidence.queries import AuditQueries
from governance.store.review.queries import CaseQueries
from governance.store.systems.queries import SystemQueries
from tests.review.conftest import House

READING = ("access.opened", "access.searched", "audit.read")


class Reading:
    """The reading services over one access log."""

    def __init__(self, house: House) -> None:
        self.log = AccessLog(house.database, house.clock)
        self.log.close()  # nothing is written by itself
        visible = Visible(house.authority, SystemQueries(house.database))
        attributes = AttributeReader(KeyRing(b"\x05" * 32), str.strip)
        self.calls = ReadCalls(
            visible,
            CallQueries(house.database, lambda: RedactedTexts(KeyRing(b"\x05" * 32)), lambda: attributes),
            self.log,
        )
        self.cases = ReadCases(visible, CaseQueries(house.database), house.clock, lambda: (), self.log)
        self.audit = ReadAudit(visible, AuditQueries(house.database), house.clock, self.log)


def said(house: House) -> list[tuple[str, str, str, str, Any]]:
    return [
        (leaf["kind"], leaf["actor"], leaf["subject"], leaf["system"], leaf["data"].get("by"))
        for leaf in house.events(*READING)
    ]


def test_what_people_and_keys_open_and_search_is_recorded_once_an_hour(house: House) -> None:
    call, read = house.call(), Reading(house)
    case = house.case(call_id=call)
    reviewer = house.person(Role.REVIEWER)
    key = Actor(kind=ActorKind.KEY, id=7, name="key", scopes=(Scope.READ,), system="support-bot")
    secret = "the customer's words"
    for _ in range(3):
        assert read.calls.find(reviewer, call) is not None
        assert read.calls.document(key, call)
        assert read.cases.view(reviewer, case) is not None
        read.calls.page(reviewer, CallFilter(words=secret, systems=("support-bot",)))
        read.cases.page(reviewer, CaseFilter(words=secret))
        assert read.calls.find(reviewer, call + 10**6) is None
    read.log.flush()
    assert said(house) == [
        ("access.opened", reviewer.reference, f"call:{call}", "support-bot", None),
        ("access.opened", "key:7", f"call:{call}", "support-bot", None),
        ("access.opened", reviewer.reference, f"case:{case}", "support-bot", None),
        ("access.searched", reviewer.reference, "calls", "support-bot", ["systems", "words"]),
        ("access.searched", reviewer.reference, "cases", "", ["words"]),
    ]
    assert secret not in str(house.events())
    house.clock.forward(hours=1)
    assert read.calls.find(reviewer, call) is not None
    read.log.flush()
    assert len(said(house)) == 6


def test_who_reads_the_trail_is_in_it_but_not_among_what_people_did(house: House) -> None:
    auditor, read = house.person(Role.AUDITOR), Reading(house)
    read.audit.events(auditor, EventFilter(actor="person:1"))
    read.log.flush()
    assert said(house) == [("audit.read", auditor.reference, "log", "", ["actor"])]
    assert not {row.kind for row in read.audit.events(auditor, EventFilter())} & set(READING)
    (row,) = read.audit.events(auditor, EventFilter(kinds=READING))
    assert (row.kind, row.actor) == ("audit.read", auditor.reference)


def test_a_command_is_recorded_at_once_with_its_account(house: House) -> None:
    call, read = house.call(), Reading(house)
    read.calls.find(operator("dana"), call)
    read.calls.find(operator("root"), call)
    assert [leaf["data"]["operator"] for leaf in house.events("access.opened")] == ["dana", "root"]


def test_what_waits_is_written_within_its_time_and_at_the_end(house: House) -> None:
    by_itself, at_the_end = AccessLog(house.database, house.clock, seconds=0.01), AccessLog(house.database, house.clock)
    reader = house.person(Role.REVIEWER)
    by_itself.opened(reader, "call:1", "bot")
    for _ in range(1000):
        if said(house):
            break
        time.sleep(0.01)
    at_the_end.opened(reader, "call:2", "bot")
    at_the_end.close()
    assert [subject for _, _, subject, _, _ in said(house)] == ["call:1", "call:2"]


def test_what_cannot_be_recorded_is_not_read_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog(house.database, house.clock, most=3)
    log.close()
    reader = house.person(Role.REVIEWER)

    @contextmanager
    def full(*_: object, **__: object) -> Any:
        raise Overloaded("The disk is full.")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(house.database, "write", full)
        for number in range(3):
            log.opened(reader, f"call:{number}", "bot")
            log.flush()
        with pytest.raises(Overloaded):
            log.opened(reader, "call:3", "bot")
        log.opened(reader, "call:2", "bot")  # is to be recorded already
    house.clock.forward(minutes=1)
    log.flush()
    assert {leaf["data"]["read_at"] for leaf in house.events("access.opened")} == {"2026-11-23T09:40:00+00:00"}
    log.opened(reader, "call:3", "bot")
    log.flush()
    assert [subject for _, _, subject, _, _ in said(house)] == [f"call:{number}" for number in range(4)]


def test_threads_that_open_the_same_at_once_are_one_event(house: House) -> None:
    log = AccessLog(house.database, house.clock)
    log.close()
    reader, ready = house.person(Role.REVIEWER), threading.Barrier(8)

    def opens() -> None:
        ready.wait()
        for number in range(20):
            log.opened(reader, f"call:{number}", "bot")
            log.flush()

    threads = [threading.Thread(target=opens) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(subject for _, _, subject, _, _ in said(house)) == sorted(f"call:{number}" for number in range(20))
