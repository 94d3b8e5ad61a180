"""Which events a package is about, and whether all of them are in it: pure, for the exporter and the verifier alike.

A package of the whole log, of a system or of a period shows by itself that nothing is left out: the places of the log,
or the numbers of the system's stream, run without a gap from the beginning, or from an event that is surely before the
period, to the event with which the export began, or to one that is surely after the period (`audit.streams` says why
`late` makes that sure). A package of a policy, a case or some kinds cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from governance.domain import times
from governance.errors import BadInput

_FIELDS = frozenset(("since", "until", "system", "policy", "case", "kinds"))


def micros(text: str) -> int:
    """A leaf's time in microseconds since 1970. Raises `ValueError`."""
    return times.micros(datetime.fromisoformat(text))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What was asked for, as the manifest's `filter` says it; times are RFC 3339 as in leaves, `since` inclusive,
    `until` exclusive. `begun` is the place of the event with which the export began."""

    since: str | None
    until: str | None
    system: str
    policy: str
    case: int | None
    kinds: tuple[str, ...]
    begun: int
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, document: object, begun: int) -> Scope:
        """Raises `BadInput` unless `document` is a manifest's filter."""
        if not isinstance(document, dict) or document.keys() != _FIELDS:
            raise BadInput("The filter has other members than a filter has.")
        since, until, case, kinds = (document[name] for name in ("since", "until", "case", "kinds"))
        fits = (
            all(one is None or (isinstance(one, str) and _is_moment(one)) for one in (since, until))
            and isinstance(document["system"], str)
            and isinstance(document["policy"], str)
            and (case is None or type(case) is int)
            and isinstance(kinds, list)
            and all(isinstance(one, str) for one in kinds)
        )
        if not fits:
            raise BadInput("The filter has a member of another type than a filter has.")
        return cls(
            since=since,
            until=until,
            system=document["system"],
            policy=document["policy"],
            case=case,
            kinds=tuple(kinds),
            begun=begun,
            document=document,
        )

    @property
    def related(self) -> bool:
        """Whether the events are those about certain calls and cases, at any time."""
        return bool(self.policy) or self.case is not None

    @property
    def provable(self) -> bool:
        """Whether completeness can be shown."""
        return not self.related and not self.kinds

    @property
    def whole(self) -> bool:
        return self.provable and not self.system and self.since is None and self.until is None

    def holds(self, seq: int, leaf: Mapping[str, Any]) -> bool:
        """Whether a leaf is among what was asked for. Other leaves of a package are there for what they prove."""
        if self.system and leaf["system"] != self.system:
            return False
        if self.kinds and leaf["kind"] not in self.kinds:
            return False
        if self.related:
            return seq != self.begun
        at: str = leaf["at"]  # of one width, so that the order of texts is the order of times
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    def is_own(self, leaf: Mapping[str, Any]) -> bool:
        """Whether a leaf is only about an export of just this filter, which did not ask for such entries: with nothing
        but those, a package holds nothing."""
        return (
            leaf["kind"] in ("export.begun", "export.made")
            and leaf["kind"] not in self.kinds
            and leaf["data"].get("filter") == self.document
        )

    def __str__(self) -> str:
        parts = [f"the system {self.system}" if self.system else "the log"]
        if self.since is not None:
            parts.append(f"from {self.since}")
        if self.until is not None:
            parts.append(f"until {self.until}")
        return " ".join(parts)


@dataclass(slots=True)
class _Run:
    """Events of the unit that follow each other without a gap: position, place, time and lateness of the first; of the
    last, too. `open_end`: it has only leaves of version 1 of one system, whose count nothing confirms yet."""

    position: int
    at: str
    late: int | None
    last: int
    last_seq: int
    last_at: str
    held: bool = False
    open_end: bool = False


@dataclass(slots=True)
class Coverage:
    """Takes a package's leaves in the log's order, and tells whether all that was asked for is among them."""

    scope: Scope
    size: int
    _runs: list[_Run] = field(default_factory=list)
    _older: int = 0
    _older_late: int | None = None
    _end_late: int = 0
    _beyond: int | None = None

    def take(self, seq: int, leaf: Mapping[str, Any]) -> None:
        scope = self.scope
        older = leaf["v"] == 1
        if leaf["kind"] == "log.upgraded" and not older:
            self._older_late = leaf["late"]
        if seq == scope.begun and not older:
            self._end_late = leaf["late"]
        if scope.system and leaf["system"] != scope.system:
            return
        if seq > scope.begun and not scope.whole:
            self._beyond = seq if self._beyond is None else self._beyond
            return
        position: int = seq
        if scope.system:
            position = self._older if older else leaf["n"]
            self._older += older
        run = self._runs[-1] if self._runs else None
        if run is None or position != run.last + 1:
            run = _Run(position, leaf["at"], leaf.get("late"), position, seq, leaf["at"])
            self._runs.append(run)
        run.open_end = older and bool(scope.system)
        run.last, run.last_seq, run.last_at = position, seq, leaf["at"]
        run.held = run.held or scope.holds(seq, leaf)
        if len(self._runs) > 1 and self._alone(self._runs[-2]):
            del self._runs[-2]  # memory does not grow with what stands alone

    def problem(self) -> str:
        """What keeps the package from being complete; nothing when it is."""
        if self._beyond is not None:
            return f"Event {self._beyond} is from after the export began."
        held = [run for run in self._runs if run.held]
        if len(held) > 1:
            return f"What stands between event {held[0].last_seq} and the next is left out."
        candidates = held or self._runs
        if any(not self._before(run) and not self._after(run) for run in candidates):
            return ""
        if not candidates:
            return "There is no event that shows where the selection begins and ends."
        return self._before(candidates[0]) or self._after(candidates[0])

    def _alone(self, run: _Run) -> bool:
        """Whether a run that ended cannot show anything, whatever follows."""
        return not run.held and run.late is not None and bool(self._before(run))

    def _before(self, run: _Run) -> str:
        """What is wrong with a run's beginning."""
        if run.open_end:
            return "Events from before the streams are there without the first that has a number."
        if run.position == 0:
            return ""
        late = run.late if run.late is not None else None if self.scope.system else self._older_late
        if self.scope.since is None:
            return f"What stands before number {run.position} of {self.scope} is left out."
        if late is None or micros(run.at) + late >= micros(self.scope.since):
            return f"Nothing shows that what stands before number {run.position} is not of the period."
        return ""

    def _after(self, run: _Run) -> str:
        """What is wrong with a run's end."""
        if run.last_seq == (self.size - 1 if self.scope.whole else self.scope.begun):
            return ""
        if self.scope.until is None:
            return f"What stands after event {run.last_seq} is left out."
        if micros(run.last_at) - self._end_late < micros(self.scope.until):
            return f"Nothing shows that what stands after event {run.last_seq} is not of the period."
        return ""

    def __str__(self) -> str:
        """What a complete package is complete of."""
        if self.scope.whole:
            return f"the log, all {self.size} events"
        return f"{self.scope}, up to event {self.scope.begun}"


def _is_moment(text: str) -> bool:
    try:
        micros(text)
    except (ValueError, OverflowError, TypeError):
        return False
    return len(text) == 27 and text.endswith("Z")
