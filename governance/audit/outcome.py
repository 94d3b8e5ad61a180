"""What a verification answers with: named checks, and results that say what was shown and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_MOST_PLACES = 10
# Checks whose failures may be shown as MISSING or DIVERGED.
_SHOWN_APART = frozenset(("sequence", "streams", "completeness", "continuity", "records"))


class Outcome(StrEnum):
    """FLAGGED is worth a look and no failure; NOT_PROVEN was asked for and could not be shown; NOT_CHECKED was not
    asked for."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_PROVEN = "not_proven"
    NOT_CHECKED = "not_checked"
    FLAGGED = "flagged"


class Result(StrEnum):
    """What a verification showed. The meanings stand in `meaning`, what to do in `advice`."""

    WITNESSED = "WITNESSED"
    SIGNED_ONLY = "SIGNED ONLY"
    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    ERASED_WITH_RECORD = "ERASED WITH RECORD"
    MISSING = "MISSING"
    DIVERGED = "DIVERGED"
    INVALID = "INVALID"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self][0]

    @property
    def advice(self) -> str:
        return _MEANINGS[self][1]

    @property
    def bad(self) -> bool:
        """Whether it is a reason not to rely on what was verified."""
        return self in (Result.MISSING, Result.DIVERGED, Result.INVALID)


_MEANINGS = {
    Result.WITNESSED: (
        "The log continues a checkpoint that was kept elsewhere: nothing before that was changed since.",
        "Keep the newer checkpoint too.",
    ),
    Result.SIGNED_ONLY: (
        "The log's key signed this state; no checkpoint that was kept elsewhere was compared.",
        "Whoever holds the key could have written the log anew. Keep a checkpoint outside; give it with --checkpoint.",
    ),
    Result.COMPLETE: ("No event of what is named is left out.", "Nothing to do."),
    Result.PARTIAL: (
        "Every event here is genuine; that no other fits what was asked for is not shown.",
        "To be sure that nothing is left out, ask for a package of the whole log, of a system, or of a period.",
    ),
    Result.ERASED_WITH_RECORD: (
        "Content is gone, and an event of the log says that it was erased, why, and who approved it.",
        "Compare the reasons with the erasures that you know of.",
    ),
    Result.MISSING: (
        "Something that the log speaks of is not here, and no event says that it was erased.",
        "Do not rely on it. Ask for what is missing, and for the whole log to be verified.",
    ),
    Result.DIVERGED: (
        "This log and the checkpoint that was kept have different histories.",
        "Do not rely on it. Keep both as they are: together they prove that history was written anew or cut.",
    ),
    Result.INVALID: (
        "Something was changed, or is not what it says it is.",
        "Do not rely on it. The failed checks say where.",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One question and its answer; `places` are where it failed (at most ten; `failures` counts all)."""

    name: str
    outcome: Outcome
    detail: str
    places: tuple[str, ...] = ()
    failures: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A result, and what it is about: `COMPLETE` of "the system support-bot, events 0 to 57"."""

    result: Result
    of: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """`ok` when no check failed and all that was asked for is proven. `size` is the log's, `events` how many events
    that were asked for are proven, `own` how many of them are only about the making of such packages."""

    checks: tuple[Check, ...]
    origin: str = ""
    size: int = 0
    events: int = 0
    key: str = ""
    own: int = 0
    manifest: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(check.outcome in (Outcome.FAILED, Outcome.NOT_PROVEN) for check in self.checks)

    @property
    def empty(self) -> bool:
        """Whether nothing was there to verify: no check failed, and no event was there but about the making of it."""
        return not self.failed and self.events == self.own

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(check.name for check in self.checks if check.outcome is Outcome.FAILED)

    @property
    def unproven(self) -> tuple[str, ...]:
        """What was asked for and could not be shown."""
        return tuple(check.name for check in self.checks if check.outcome is Outcome.NOT_PROVEN)

    @property
    def key_unknown(self) -> bool:
        """Whether the package chose the key that it was verified with."""
        return any(check.name == "key" and check.outcome is not Outcome.PASSED for check in self.checks)

    @property
    def results(self) -> tuple[Shown, ...]:
        """What was shown. Where something failed, no result that is good is among them."""
        if not self.failed:
            return self.shown
        bad = tuple(one for one in self.shown if one.result.bad)
        others = [name for name in self.failed if not bad or name not in _SHOWN_APART]
        return (*bad, Shown(result=Result.INVALID, of=", ".join(others))) if others else bad


class Ledger:
    """Collects the failures of one check, and gives the check."""

    def __init__(self, name: str, most: int = _MOST_PLACES) -> None:
        self.name = name
        self.failures = 0
        self._most = most
        self._places: list[str] = []

    def fail(self, place: str) -> None:
        self.failures += 1
        if len(self._places) < self._most:
            self._places.append(place)

    def check(self, passed: str, failed: str = "") -> Check:
        if not self.failures:
            return Check(name=self.name, outcome=Outcome.PASSED, detail=passed)
        return Check(
            name=self.name,
            outcome=Outcome.FAILED,
            detail=failed or self._places[0],
            places=tuple(self._places),
            failures=self.failures,
        )


def unchecked(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.NOT_CHECKED, detail=detail)


def unproven(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.NOT_PROVEN, detail=detail)
