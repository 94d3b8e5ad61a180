"""What a backtest needs from the outside: recorded calls, and whoever counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from governance.detectors.interface import DetectorUse
from governance.detectors.runner import Runner
from governance.domain.calls import Release
from governance.domain.decisions import PolicyScope
from governance.engine.compare import Installed
from governance.policy.policy import PolicySet
from governance.services.calls.check import Deciding, LoadedCall
from governance.services.policies.backtest.replay import Span, Traffic, Tried
from governance.services.policies.backtest.tally import Key, Tally


@dataclass(frozen=True, kw_only=True, slots=True)
class Handling:
    """`verdicts` took `seconds` together, from claim to verdict; `cases` were opened about the calls of the span."""

    verdicts: int
    seconds: int
    cases: int


class Record(Traffic, Protocol):
    """Where recorded calls, verdicts and handling times come from, all as they were at one moment."""

    def shared(self) -> AbstractContextManager[str]:
        """While it is open, other processes can begin to read as of the same moment, which has this name."""

    def close(self) -> None: ...

    def systems_named(self) -> Mapping[int, str]:
        """All systems, by id."""

    def release(self, number: int) -> Release: ...

    def first(self, span: Span) -> int | None:
        """When the first call of the span began, in microseconds since 1970."""

    def handling(self, span: Span, since: int) -> Handling: ...

    def keys_of(self, call_ids: Sequence[int]) -> Mapping[int, Key]:
        """What these calls are counted by."""

    def load(self, call_ids: Sequence[int], sets: Deciding, scopes: frozenset[PolicyScope]) -> Sequence[LoadedCall]:
        """Whole calls, to be looked at again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BacktestOrder:
    """What processes need to know to count."""

    before: Tried
    after: Tried
    now: datetime
    span: Span
    most: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON, for another process."""
        return {
            "sets": [one.policy_set.document() for one in (self.before, self.after)],
            "installed": [one.installed.document() for one in (self.before, self.after)],
            "now": self.now.isoformat(),
            "span": [self.span.since.isoformat(), self.span.until.isoformat(), self.span.system],
            "most": self.most,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> BacktestOrder:
        """What `document` gave."""
        before, after = (
            Tried(policy_set=PolicySet.from_document(one), installed=Installed.of_document(installed))
            for one, installed in zip(document["sets"], document["installed"], strict=True)
        )
        since, until, system = document["span"]
        span = Span(since=datetime.fromisoformat(since), until=datetime.fromisoformat(until), system=system)
        now = datetime.fromisoformat(document["now"])
        return cls(before=before, after=after, now=now, span=span, most=document["most"])


class Counters(Protocol):
    """Whoever counts: this process, or several."""

    def all(self, kind: str, jobs: Iterable[Any], heard: Callable[[Tally], None]) -> None:
        """Asks what both sets say of all jobs, in any order: `count` of calls by slices, from what was found; `examine`
        of calls by lists of ids, looked at again. `heard` takes each outcome, one at a time."""


CountersFor = Callable[[BacktestOrder, int, Record], AbstractContextManager[Counters]]
"""Makes counters for an order, in so many processes, that read what the record reads; ends them with the context."""


BuildRunner = Callable[[Iterable[DetectorUse], Mapping[str, str]], Runner]
