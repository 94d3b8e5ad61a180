"""Refused keys: one event a key and minute, with how many there were; none is lost, and the memory is bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.people import Actor, ActorKind, Permission, Role, Scope
from governance.errors import Overloaded, Refused, Unauthenticated
from governance.services import refusals
from governance.services.refusals import Reason, Refusals, network_of
from tests.conftest import Clock
from tests.review.conftest import ROOT, House


def refused(house: House) -> list[dict[str, Any]]:
    return house.events("action.refused")


def attempt(house: House, secret: str, address: str = "203.0.113.9") -> None:
    with pytest.raises(Unauthenticated):
        house.keys.authenticate(f"Bearer {secret}", address=address)


def without_scope(house: House, actor: Actor, scope: Scope = Scope.READ) -> None:
    with pytest.raises(Refused):
        house.authority.require_scope(actor, scope)


def test_a_flood_of_one_key_is_one_event_a_minute_with_its_count(house: House) -> None:
    actor = house.keys.authenticate(f"Bearer {house.keys.create(ROOT, [Scope.INGEST]).secret}")
    for _ in range(100):
        without_scope(house, actor)
    assert [one["data"]["count"] for one in refused(house)] == [1]
    house.clock.forward(seconds=59)
    without_scope(house, actor, Scope.CHECK)
    assert len(refused(house)) == 1
    house.clock.forward(seconds=1)
    without_scope(house, actor)
    one, more = refused(house)
    assert one["actor"] == more["actor"] == actor.reference
    assert more["data"] == {"wanted": "check, read", "count": 101, "reasons": {"scope": 101}}
    house.clock.forward(minutes=5)
    house.authority.refusals.flush()
    assert len(refused(house)) == 2  # nothing waits
    without_scope(house, actor)
    assert [one["data"]["count"] for one in refused(house)] == [1, 101, 1]


def test_what_waits_is_written_when_its_minute_is_over_and_at_the_end(house: House) -> None:
    first, second = (
        house.keys.authenticate(f"Bearer {house.keys.create(ROOT, [Scope.INGEST]).secret}") for _ in range(2)
    )
    for actor in (first, first, first, second, second):
        without_scope(house, actor)
    house.authority.refusals.flush()
    assert len(refused(house)) == 2  # their minute is not over
    house.clock.forward(minutes=1)
    house.authority.refusals.flush()
    counts = {(one["actor"], one["data"]["count"]) for one in refused(house)}
    assert counts == {(first.reference, 1), (first.reference, 2), (second.reference, 1)}
    without_scope(house, first)
    house.authority.refusals.close()
    assert sum(one["data"]["count"] for one in refused(house)) == 6


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("gov_abcdefghij_" + "x" * 43, "unknown"),
        ("gov__", "unknown"),
        ("sk-other-product", "malformed"),
        ("gov_x", "malformed"),
        ("gov_é_x", "malformed"),
        ("x" * 500, "malformed"),
    ],
)
def test_keys_that_nobody_knows_share_one_entry_without_an_address(house: House, secret: str, reason: str) -> None:
    for number in range(50):
        attempt(house, secret, address=f"203.0.{number}.7")
    house.clock.forward(minutes=1)
    attempt(house, secret)
    first, second = refused(house)
    assert (first["data"]["count"], second["data"]["count"]) == (1, 50)
    assert first["actor"] == "service:0"
    assert second["data"]["reasons"] == {reason: 50}
    assert "203.0" not in str(refused(house))
    assert secret not in str(refused(house))


def test_a_guess_at_a_key_says_nothing_about_that_key(house: House) -> None:
    new = house.keys.create(ROOT, [Scope.INGEST])
    attempt(house, new.secret[:-1] + "!")
    house.keys.revoke(ROOT, new.key.id)
    attempt(house, new.secret[:-1] + "!")
    house.authority.refusals.close()
    assert {one["actor"] for one in refused(house)} == {"service:0"}
    assert f"key:{new.key.id}" not in str(refused(house))


def test_revoked_and_expired_keys_are_named(house: House) -> None:
    revoked = house.keys.create(ROOT, [Scope.INGEST], system="bot")
    expired = house.keys.create(ROOT, [Scope.INGEST], expires_in=timedelta(hours=1))
    house.keys.revoke(ROOT, revoked.key.id)
    house.clock.forward(hours=2)
    attempt(house, revoked.secret)
    attempt(house, expired.secret)
    found = {one["actor"]: one for one in refused(house)}
    assert found[f"key:{revoked.key.id}"]["data"]["reasons"] == {"revoked": 1}
    assert found[f"key:{revoked.key.id}"]["system"] == "bot"
    assert found[f"key:{expired.key.id}"]["data"]["reasons"] == {"expired": 1}


def test_a_request_without_a_key_is_counted_only(house: House) -> None:
    for header in (None, "", "Basic abc", "Bearer", "Bearer  "):
        with pytest.raises(Unauthenticated):
            house.keys.authenticate(header)
    house.authority.refusals.close()
    assert refused(house) == []
    assert house.authority.refusals.counts[Reason.MISSING] == 5


def test_a_person_is_recorded_each_time(house: House) -> None:
    reviewer = house.person(Role.REVIEWER)
    for _ in range(3):
        with pytest.raises(Refused):
            house.authority.require(reviewer, Permission.MANAGE_ACCESS)
    assert len(refused(house)) == 3
    assert "count" not in refused(house)[0]["data"]


def test_refusals_of_many_threads_are_all_counted(house: House) -> None:
    actor = house.keys.authenticate(f"Bearer {house.keys.create(ROOT, [Scope.INGEST]).secret}")

    def flood() -> None:
        for _ in range(20):
            without_scope(house, actor)

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.authority.refusals.close()
    assert sum(one["data"]["count"] for one in refused(house)) == 160
    assert len(refused(house)) == 2


# Without a database


class Written:
    """Takes events, unless it is broken."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.broken = False
        self.opened = 0

    @contextmanager
    def write(self) -> Any:
        self.opened += 1
        if self.broken:
            raise Overloaded("The database is locked.")
        batch: list[Any] = []
        yield type("Tx", (), {"append": staticmethod(batch.append)})
        self.events += batch


def key(number: int) -> Actor:
    return Actor(kind=ActorKind.KEY, id=number, name="k")


def test_what_cannot_be_written_is_kept_and_is_no_trouble_of_the_caller(clock: Clock) -> None:
    written = Written()
    noted = Refusals(written, clock)  # type: ignore[arg-type]
    written.broken = True
    for _ in range(50):
        noted.key(key(1), Reason.SCOPE, wanted="read", system="bot")
    assert written.opened == 1  # a broken database is not asked for each of them
    clock.forward(minutes=1)
    noted.key(key(1), Reason.SCOPE, wanted="check")
    assert written.opened == 2
    written.broken = False
    clock.forward(minutes=1)
    noted.flush()
    (event,) = written.events
    assert event.data == {"wanted": "check, read", "count": 51, "reasons": {"scope": 51}}
    assert event.system == "bot"
    noted.close()
    assert len(written.events) == 1


def test_the_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_KEPT", 10)
    noted = Refusals(Written(), clock)  # type: ignore[arg-type]
    for number in range(100):
        noted.key(key(number), Reason.REVOKED)
        clock.forward(seconds=30)
    assert len(noted._pending) <= 11
    for number in range(10_000):
        noted.unknown(Reason.UNKNOWN, f"2001:db8:{number:x}::1")
    assert len(noted._pending["service:0"].networks) <= refusals._NETWORKS + 1
    noted.close()


@pytest.mark.parametrize("forward", [True, False])
def test_the_clock_may_be_set(clock: Clock, forward: bool) -> None:
    written = Written()
    noted = Refusals(written, clock)  # type: ignore[arg-type]
    noted.key(key(1), Reason.SCOPE)
    clock.now += timedelta(days=400 if forward else -400)
    noted.key(key(1), Reason.SCOPE)
    assert len(written.events) == 2
    noted.close()


def test_the_timer_writes_what_waits(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Callable[[], None]] = []

    class Timer:
        daemon = False

        def __init__(self, seconds: float, run: Callable[[], None]) -> None:
            assert seconds == 60
            started.append(run)

        def start(self) -> None:
            assert self.daemon

        def cancel(self) -> None: ...

    monkeypatch.setattr(threading, "Timer", Timer)
    written = Written()
    noted = Refusals(written, clock)  # type: ignore[arg-type]
    noted.key(key(1), Reason.SCOPE)
    assert started == []  # nothing waits
    noted.key(key(1), Reason.SCOPE)
    noted.key(key(1), Reason.SCOPE)
    assert len(started) == 1
    started.pop()()  # too early: once more
    assert len(started) == 1
    clock.forward(minutes=1)
    started.pop()()
    assert [event.data["count"] for event in written.events] == [1, 2]
    assert started == []


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 90)), max_size=60))
def test_no_refusal_is_lost_and_no_key_has_two_events_a_minute(steps: list[tuple[int, int]]) -> None:
    clock, written = Clock(), Written()
    noted = Refusals(written, clock)  # type: ignore[arg-type]
    for number, seconds in steps:
        noted.key(key(number), Reason.SCOPE)
        clock.forward(seconds=seconds)
    before = list(written.events)
    noted.close()
    assert sum(event.data["count"] for event in written.events) == len(steps)
    for number in range(1, 4):
        times = [event.at for event in before if event.actor == f"key:{number}"]
        assert all(later - earlier >= refusals.INTERVAL for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2::5", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("testclient", ""),
    ],
)
def test_only_the_network_of_an_address_is_kept(address: str, network: str) -> None:
    assert network_of(address) == network
