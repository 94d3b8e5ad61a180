"""Slows down those who guess, and nobody else.

Failures are counted where they come from: for an account and the client that tries it, with waits that grow, and for
a client over all accounts. A browser on which the account has signed in before is counted by itself, so that nobody
locks its owner out. In memory, bounded, for each server process by itself; across processes and addresses the account
itself waits (`services.people.sessions`), but not for browsers that are known.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network

FREE_TRIES = 5
_FIRST_WAIT = 5.0
_LONGEST_WAIT = 900.0
_FORGET = 3_600.0
_RATE = 20
_RATE_SECONDS = 60.0
_REMEMBER = 10_000

Now = Callable[[], float]


class Backoff:
    """After `FREE_TRIES` failures under a key each further one doubles the wait. A try counts as failed from its begin
    until it has succeeded, so tries side by side gain nothing."""

    def __init__(self, *, remember: int = _REMEMBER, now: Now = time.monotonic) -> None:
        self._remember, self._now = remember, now
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, key: str) -> int:
        """Seconds until the next try may begin; 0 when it may now."""
        count, last = self._failures.get(key, (0, 0.0))
        since = self._now() - last
        if count < FREE_TRIES or since > _FORGET:
            return 0
        pause = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(count - FREE_TRIES, 20))
        return max(0, int(pause - since) + 1) if since < pause else 0

    def begin(self, key: str) -> None:
        count, last = self._failures.get(key, (0, 0.0))
        if self._now() - last > _FORGET:
            count = 0
        self._failures[key] = (count + 1, self._now())
        self._failures.move_to_end(key)
        while len(self._failures) > self._remember:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)


class Rate:
    """At most `limit` failures under a key within `seconds`."""

    def __init__(
        self,
        *,
        limit: int = _RATE,
        seconds: float = _RATE_SECONDS,
        remember: int = _REMEMBER,
        now: Now = time.monotonic,
    ) -> None:
        self._limit, self._seconds, self._remember, self._now = limit, seconds, remember, now
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, key: str) -> int:
        recent = self._recent(key)
        return 0 if len(recent) < self._limit else max(1, int(recent[-self._limit] + self._seconds - self._now()) + 1)

    def begin(self, key: str) -> None:
        self._failures[key] = [*self._recent(key), self._now()][-self._limit :]
        self._failures.move_to_end(key)
        while len(self._failures) > self._remember:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        recent = self._recent(key)[:-1]
        if recent:
            self._failures[key] = recent
        else:
            self._failures.pop(key, None)

    def _recent(self, key: str) -> list[float]:
        since = self._now() - self._seconds
        return [at for at in self._failures.get(key, ()) if at > since]


class Throttle:
    """What the sign-in routes ask before they try something. `address` is the client's (see `door.proxies`); `device`
    is "" unless the browser is known for the account; `account` is "" where the provider knows who it is."""

    def __init__(self, *, now: Now = time.monotonic) -> None:
        self._backoff = Backoff(now=now)
        self._rate = Rate(now=now)

    def begin(self, address: str, account: str, device: str) -> int:
        """0, and the try counts; or the seconds that it has to wait."""
        if device:
            who = f"device {device}"
            waits = [self._backoff.wait(f"{who} {account}") if account else self._rate.wait(who)]
        else:
            who = client(address)
            waits = [self._rate.wait(who), self._backoff.wait(f"{who} {account}") if account else 0]
        if seconds := max(waits):
            return seconds
        if account:
            self._backoff.begin(f"{who} {account}")
        if not (device and account):
            self._rate.begin(who)
        return 0

    def succeeded(self, address: str, account: str, device: str) -> None:
        who = f"device {device}" if device else client(address)
        if account:
            self._backoff.succeeded(f"{who} {account}")
        if not (device and account):
            self._rate.succeeded(who)


def client(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network that an IPv6 client can choose from."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return f"client {address[:100]}"
    if found.version == 6 and found.ipv4_mapped:
        return f"client {found.ipv4_mapped}"
    return f"client {found}" if found.version == 4 else f"client {ip_network((found, 64), strict=False)}"
