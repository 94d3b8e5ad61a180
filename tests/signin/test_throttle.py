"""Who guesses is slowed down; who only shares an address or a name with them is not."""

from __future__ import annotations

import pytest

from app.door.throttle import FREE_TRIES, Backoff, Rate, Throttle, client
from governance.bootstrap import Application
from governance.domain.people import Role, RoleBinding, operator
from tests.signin.conftest import Browser, build
from tests.signin.test_local import sign_in

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(throttle: Throttle, times: int, address: str = HERE, account: str = "dana", device: str = "") -> list[int]:
    return [throttle.begin(address, account, device) for _ in range(times)]


def test_waits_grow_for_one_account_from_one_client(clock: Clock) -> None:
    throttle, waits = Throttle(now=clock), []
    assert fail(throttle, FREE_TRIES) == [0] * FREE_TRIES
    for _ in range(12):
        waits.append(throttle.begin(HERE, "dana", ""))
        clock.now += waits[-1]
        assert throttle.begin(HERE, "dana", "") == 0
    assert waits == sorted(waits)
    assert waits[0] <= 6
    assert waits[-1] in (900, 901)
    clock.now += 3_601
    assert fail(throttle, FREE_TRIES) == [0] * FREE_TRIES


def test_a_stranger_who_knows_a_name_locks_nobody_else_out(clock: Clock) -> None:
    throttle = Throttle(now=clock)
    fail(throttle, 50)
    assert throttle.begin(HERE, "dana", "") > 0
    assert throttle.begin(THERE, "dana", "") == 0
    assert throttle.begin(HERE, "dana", "danas-laptop") == 0


def test_one_client_cannot_try_many_names_but_known_browsers_at_its_address_can(clock: Clock) -> None:
    throttle = Throttle(now=clock)
    assert [throttle.begin(HERE, f"user-{number}", "") for number in range(20)] == [0] * 20
    assert throttle.begin(HERE, "one-more", "") > 0
    assert throttle.begin(HERE, "erik", "eriks-laptop") == 0
    assert throttle.begin(HERE, "", "eriks-laptop") == 0
    clock.now += 61
    assert throttle.begin(HERE, "one-more", "") == 0


def test_a_known_browser_is_no_free_ticket(clock: Clock) -> None:
    throttle = Throttle(now=clock)
    assert fail(throttle, FREE_TRIES, device="stolen") == [0] * FREE_TRIES
    assert throttle.begin(THERE, "dana", "stolen") > 0


def test_tries_side_by_side_gain_nothing(clock: Clock) -> None:
    """All begin before any has ended."""
    assert sum(wait == 0 for wait in fail(Throttle(now=clock), 100)) == FREE_TRIES


def test_success_forgets_the_failures_before_it(clock: Clock) -> None:
    throttle = Throttle(now=clock)
    for _ in range(10):
        fail(throttle, FREE_TRIES - 1)
        assert throttle.begin(HERE, "dana", "") == 0
        throttle.succeeded(HERE, "dana", "")
        clock.now += 61


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    backoff, rate = Backoff(remember=3, now=clock), Rate(remember=3, now=clock)
    for number in range(10):
        backoff.begin(str(number))
        rate.begin(str(number))
    assert len(backoff._failures) == len(rate._failures) == 3


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_an_ipv6_client_is_its_network(address: str, same: str) -> None:
    assert client(address) == client(same)
    assert client(address) != client("2001:db8:0:2::1")
    assert client("") == client("")


def test_the_owner_signs_in_where_they_have_before_while_a_stranger_guesses(
    application: Application, browser: Browser
) -> None:
    made = application.people.add(operator("tester"), "dana", [RoleBinding(role=Role.REVIEWER)])
    app = build(application)
    owner, stranger = Browser(app, browser._portal), Browser(app, browser._portal)
    assert sign_in(owner, made.password, user="dana").status_code == 303
    owner.get("/auth/logout")
    for _ in range(FREE_TRIES):
        assert sign_in(stranger, "wrong", user="dana").status_code == 401
    answer = sign_in(stranger, made.password, user="dana")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Too many attempts" in answer.text
    assert sign_in(owner, made.password, user="dana").status_code == 303
    owner.get("/auth/logout")
    for _ in range(30):
        sign_in(stranger, "wrong", user="somebody-else")
    assert sign_in(owner, made.password, user="dana").status_code == 303


def test_a_device_cookie_of_another_making_is_not_believed(application: Application, browser: Browser) -> None:
    made = application.people.add(operator("tester"), "dana", [RoleBinding(role=Role.REVIEWER)])
    sign_in(browser, made.password, user="dana")
    signed = browser.client.cookies["governance_device"]
    browser.client.cookies.clear()
    for _ in range(FREE_TRIES):
        sign_in(browser, "wrong", user="dana")
    for forged in ("", "x", signed[:-2], signed.partition(".")[0], signed + "x"):
        browser.client.cookies.set("governance_device", forged, domain="127.0.0.1")
        assert sign_in(browser, made.password, user="dana").status_code == 429
        browser.client.cookies.clear()
    browser.client.cookies.set("governance_device", signed, domain="127.0.0.1")
    assert sign_in(browser, made.password, user="dana").status_code == 303
