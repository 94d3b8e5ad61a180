"""Recorded calls, decided by two policy sets from what was found when they were checked: no detector runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from governance.domain import steps
from governance.domain.calls import Call, CallStatus
from governance.domain.content import Part
from governance.domain.decisions import PolicyScope
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.compare import DOCUMENTS, Alike, Installed, Said, Side, said_in
from governance.policy.policy import PolicySet
from governance.services.policies.backtest.tally import Key, Tally

TOGETHER = 500
"""Calls whose contents or whose traces are read at once."""
_CACHED = 50_000
_SIMPLE = frozenset(
    {"system", "kind", "name", "model", "provider", "user", "release", "session_id", "duration_ms", "usage"}
) | {"content_captured", "error", DOCUMENTS}
"""What conditions read of a call that its row says by itself; `error` where it is empty."""
_SEALED = frozenset({"attributes", "finish_reasons", "error"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Which calls: by their start (`since` inclusive, `until` exclusive), and by system ("" is every one)."""

    since: datetime
    until: datetime
    system: str = ""


Slice = tuple[int, int, int, int]
"""A part of a span, from (started_at in microseconds, id) up to, without, another."""


class Recorded(Protocol):
    """A call as it was recorded and decided. Contents are left out unless they were asked for (`Traffic.deepen`)."""

    @property
    def id(self) -> int: ...

    @property
    def key(self) -> Key: ...

    @property
    def status(self) -> str:
        """`CallStatus`; "" where it was decided but the decision is not there."""

    @property
    def queued(self) -> bool: ...

    @property
    def policy_set(self) -> int:
        """The id of the set that decided."""

    @property
    def detectors(self) -> str:
        """The digest of the detectors whose findings these are."""

    @property
    def plain(self) -> bool:
        """Nothing was found, nothing failed, and no policy said anything."""

    @property
    def detail(self) -> Mapping[str, Any]:
        """What was said and found: {policies, findings, failures, skipped ...}, as it is stored."""

    @property
    def failed(self) -> bool:
        """Whether the call ended with an error."""

    @property
    def readable(self) -> bool:
        """False where its contents were asked for and cannot be read any more."""

    def simple(self, names: Collection[str]) -> tuple[Any, ...]:
        """The values of such fields (of `_SIMPLE`), comparable."""

    def call(self, *, bare: bool = False) -> Call:
        """With its messages, documents and tool calls, or `bare` without."""

    def parts(self) -> Sequence[Part]: ...

    def content(self) -> tuple[int, ...]:
        """Which content item each part is."""

    def findings(self) -> Sequence[Finding]: ...

    def failures(self) -> Sequence[DetectorFailure]: ...


class Traffic(Protocol):
    """Recorded calls, for reading."""

    def slices(self, span: Span, size: int) -> tuple[int, Sequence[Slice]]:
        """How many calls the span has, and parts of it of about `size` calls each."""

    def read(self, part: Slice, *, system: str = "", whole: bool = False) -> Sequence[Recorded]:
        """The calls of a part of a span; `whole` is needed before `call`, `parts` and `content` are asked for."""

    def deepen(self, calls: Sequence[Recorded], *, sealed: bool, lengths: bool) -> None:
        """Opens what is encrypted: attributes (`sealed`), the texts of answers and documents (`lengths`)."""

    def around(
        self, calls: Sequence[Recorded], scopes: frozenset[PolicyScope]
    ) -> Mapping[int, tuple[Sequence[Recorded], int]]:
        """The other calls of the trace and session that were known when each was decided, and how many were left out;
        calls that have none are not named."""

    def policy_set(self, number: int) -> PolicySet | None:
        """A stored set; None where this version cannot read it."""

    def versions(self, digest: str) -> Mapping[str, str]:
        """What was written down of a detector set: {unit: version}, and what late detectors were to look at."""

    def judged(self, span: Span) -> Mapping[int, bool]:
        """What people decided on cases about calls of the span: it was a violation (True) or a false alarm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A policy set, with the detectors that it gets here."""

    policy_set: PolicySet
    installed: Installed


class _Remembered:
    """What policies that read the same said of calls in which nothing was found."""

    def __init__(self, alike: Alike) -> None:
        self._alike = alike
        self._names = tuple(sorted(alike.reads))
        self._known: dict[tuple[Any, ...], Sequence[Said]] = {}

    def said(self, one: Recorded, about: tuple[Any, ...]) -> Sequence[Said]:
        """What they say of such a call; `about` is what `applies_to` reads of it."""
        values = about + one.simple(self._names) if self._names else about
        known = self._known.get(values)
        if known is None:
            known = self._alike.said(one.call(bare=DOCUMENTS not in self._names))
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[values] = known
        return known


class _Pair:
    """Both sides, for calls that one policy set decided."""

    def __init__(self, before: Side, after: Side) -> None:
        self.before, self.after = before, after
        self.scopes = before.scopes | after.scopes
        self.decides = bool(before.alike or after.alike)
        reads = before.reads | after.reads
        self.sealed = bool(reads & _SEALED)
        self.lengths = before.reads_lengths or after.reads_lengths
        self.remembered = tuple([_Remembered(alike) for alike in side.alike] for side in (before, after))
        self.remembers = not self.scopes and all(one.reads <= _SIMPLE for one in before.alike + after.alike)
        self.error = "error" in reads
        self.stale: dict[str, bool] = {}

    def known(self, one: Recorded) -> Iterable[Sequence[Said]]:
        """What both sides say of a call in which nothing was found."""
        about = one.key[:4]
        for side in self.remembered:
            yield [said for remembered in side for said in remembered.said(one, about)]


class Replay:
    """Counts what two sets say of recorded calls. One for a thread: it keeps what it has learnt of them.

    `most` is how many stale calls are named for looking at them again.
    """

    def __init__(
        self,
        traffic: Traffic,
        before: Tried,
        after: Tried,
        *,
        judged: Mapping[int, bool],
        now: datetime,
        system: str = "",
        most: int = 0,
    ) -> None:
        self._traffic = traffic
        self._before, self._after = before, after
        self._judged = judged
        self._now = now
        self._system = system
        self._most = most
        self._pairs: dict[int, _Pair] = {}
        self._whole = False

    def count(self, part: Slice) -> Tally:
        """What both sets say of these calls."""
        while True:
            calls = self._traffic.read(part, system=self._system, whole=self._whole)
            if self._whole or not any(self._pair(number).decides for number in {one.policy_set for one in calls}):
                break
            self._whole = True  # and once more, with what conditions read
        tally = Tally(most=self._most)
        waiting: dict[int, list[Recorded]] = {}
        for one in calls:
            if one.status != CallStatus.CHECKED:
                self._undecided(tally, one)
                continue
            tally.recorded_queued += one.queued
            pair = self._pair(one.policy_set)
            if self._stale(pair, one):
                tally.undecidable(one.id)
            elif not pair.decides:
                self._add(tally, one, (), ())
            elif pair.remembers and one.plain and not (pair.error and one.failed):
                self._add(tally, one, *pair.known(one))
            else:
                waiting.setdefault(one.policy_set, []).append(one)
        for number, some in waiting.items():
            for start in range(0, len(some), TOGETHER):
                self._decide(tally, self._pair(number), some[start : start + TOGETHER])
        return tally

    @staticmethod
    def _undecided(tally: Tally, one: Recorded) -> None:
        if one.status == CallStatus.RECORDED:
            tally.waiting += 1
        else:
            tally.unchecked += 1
            tally.recorded_queued += one.queued

    def _pair(self, number: int) -> _Pair:
        pair = self._pairs.get(number)
        if pair is None:
            decided = self._traffic.policy_set(number)
            before, after = self._before, self._after
            pair = self._pairs[number] = _Pair(
                Side(before.policy_set, before.installed, decided, beside=after.policy_set, now=self._now),
                Side(after.policy_set, after.installed, decided, beside=before.policy_set, now=self._now),
            )
        return pair

    def _stale(self, pair: _Pair, one: Recorded) -> bool:
        digest = one.detectors
        stale = pair.stale.get(digest)
        if stale is None:
            versions = self._traffic.versions(digest)
            stale = pair.stale[digest] = pair.before.stale(versions) or pair.after.stale(versions)
        if stale or one.plain or not (skipped := one.detail.get("skipped")):
            return stale
        versions = self._traffic.versions(digest)
        return pair.before.looks_elsewhere(skipped, versions) or pair.after.looks_elsewhere(skipped, versions)

    def _decide(self, tally: Tally, pair: _Pair, calls: Sequence[Recorded]) -> None:
        if pair.sealed or pair.lengths:
            self._traffic.deepen(calls, sealed=pair.sealed, lengths=pair.lengths)
        around = self._traffic.around(calls, pair.scopes) if pair.scopes else {}
        for one in calls:
            others, left_out = around.get(one.id, ((), 0))
            if not one.readable or any(self._unknown(pair, other) for other in others):
                tally.undecidable(one.id)
                continue
            call, parts, findings, failures = one.call(), one.parts(), one.findings(), one.failures()
            said = []
            for side in (pair.before, pair.after):
                sequence = steps.ALONE
                if side.scopes:
                    sequence = steps.OtherSteps(
                        others=tuple(self._step(side, other) for other in others),
                        left_out=left_out,
                        content=one.content(),
                    )
                own = side.own(findings, self._traffic.versions(one.detectors)) if findings else ()
                said.append(side.said(call, parts, own, failures, sequence))
            self._add(tally, one, *said)

    def _unknown(self, pair: _Pair, other: Recorded) -> bool:
        return other.status != CallStatus.CHECKED or self._stale(pair, other)

    def _step(self, side: Side, other: Recorded) -> steps.Step:
        findings = other.findings()
        return steps.Step(
            call=other.call(),
            parts=tuple(other.parts()),
            content=other.content(),
            findings=tuple(side.own(findings, self._traffic.versions(other.detectors))) if findings else (),
            failures=tuple(other.failures()),
        )

    def _add(self, tally: Tally, one: Recorded, before: Sequence[Said], after: Sequence[Said]) -> None:
        """Counts a call, with what was decided anew beside what stands as it was recorded."""
        judged = self._judged.get(one.id)
        if one.plain:
            if not before and not after and judged is None:
                tally.quiet(one.key)
                return
        elif recorded := said_in(one.detail["policies"]):
            pair = self._pair(one.policy_set)
            before = _with(recorded, pair.before.kept, before)
            after = _with(recorded, pair.after.kept, after)
        tally.add(one.id, one.key, before, after, judged)


def _with(recorded: Iterable[Said], kept: frozenset[str], anew: Sequence[Said]) -> Sequence[Said]:
    return [*(one for one in recorded if one.policy in kept), *anew]
