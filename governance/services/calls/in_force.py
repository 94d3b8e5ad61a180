"""The policy sets that decide now, ready to work, for every process that checks: a worker, an inline check.

A process asks before each batch. A step of a rollout commits in one transaction, so each batch is decided by the sets
from before it or by those from after it, never by a mixture, and each decision says by which.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from governance.detectors.runner import Runner
from governance.domain.policies import StandingSet, StandingSets
from governance.engine.check import Checker
from governance.policy.policy import PolicySet
from governance.services.calls.check import Checker as Checking
from governance.services.calls.check import Deciding, DecidingSet

_KEPT = 4
"""Sets that are kept ready: the two that decide, and those that may come back."""


@dataclass(frozen=True, kw_only=True)
class ReadySet:
    """A policy set with its detectors built and its conditions compiled."""

    policy_set_id: int
    policy_set: PolicySet
    runner: Runner
    checker: Checker

    @property
    def digest(self) -> str:
        return self.policy_set.digest

    def deciding(self, checker: Checking | None = None) -> DecidingSet:
        """As `CheckService` uses it; `checker` in the place of its own."""
        return DecidingSet(
            policy_set_id=self.policy_set_id,
            digest=self.digest,
            detectors=self.runner,
            checker=checker or self.checker,
            scopes=self.policy_set.scopes,
        )


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """The set in force and the one in shadow, if there is one."""

    enforce: ReadySet
    shadow: ReadySet | None = None

    @property
    def beside(self) -> DecidingSet | None:
        return None if self.shadow is None else self.shadow.deciding()

    def deciding(self) -> Deciding:
        return Deciding(enforce=self.enforce.deciding(), shadow=self.beside)


class InForce:
    """Thread-safe. `standing` asks the database which sets decide; `make` gets one of them ready; `failed` hears of a
    set that cannot be got ready here: then the one before goes on deciding, and the workers' list shows it."""

    def __init__(
        self,
        standing: Callable[[], StandingSets],
        make: Callable[[StandingSet], ReadySet],
        failed: Callable[[StandingSet, Exception], None],
    ) -> None:
        self._standing = standing
        self._make = make
        self._failed = failed
        self._lock = threading.Lock()
        self._ready: OrderedDict[int, ReadySet] = OrderedDict()
        self._refused: set[int] = set()
        self._now: tuple[StandingSets, AtWork] | None = None

    def current(self) -> AtWork:
        """The sets that decide at this moment; asks the database. Raises when there has never been one that works."""
        standing = self._standing()
        now = self._now
        if now is not None and now[0] == standing:
            return now[1]
        with self._lock:
            if self._now is not None and self._now[0] == standing:
                return self._now[1]
            at_work = self._switch(standing)
            self._now = (standing, at_work)
            return at_work

    def latest(self) -> AtWork:
        """What `current` gave last, without asking."""
        return self._now[1] if self._now is not None else self.current()

    def close(self) -> None:
        """Ends what detectors have started."""
        with self._lock:
            for ready in self._ready.values():
                ready.runner.close()
            self._ready.clear()

    def _switch(self, standing: StandingSets) -> AtWork:
        assert standing.enforce is not None, "the first start has put a set into force"
        enforce = self._get(standing.enforce)
        if enforce is None:
            if self._now is None:
                return AtWork(enforce=self._make(standing.enforce))  # raises again, with the reason
            enforce = self._now[1].enforce
        shadow = self._get(standing.shadow) if standing.shadow is not None else None
        return AtWork(enforce=enforce, shadow=shadow)

    def _get(self, wanted: StandingSet) -> ReadySet | None:
        number = wanted.policy_set_id
        found = self._ready.get(number)
        if found is None and number not in self._refused:
            try:
                found = self._make(wanted)
            except Exception as error:
                self._refused.add(number)
                self._failed(wanted, error)
                return None
            self._ready[number] = found
            while len(self._ready) > _KEPT:
                _, oldest = self._ready.popitem(last=False)
                oldest.runner.close()
        elif found is not None:
            self._ready.move_to_end(number)
        return found
