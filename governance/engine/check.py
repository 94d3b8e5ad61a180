"""Checks calls: examines what is new in them, puts the findings in their places, and decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from governance.detectors.interface import CallSubject
from governance.domain.calls import Call
from governance.domain.content import Content, Part, parts_of
from governance.domain.decisions import Decision
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.engine.decide import Engine

NOTHING_KNOWN: Mapping[Content, Examination] = MappingProxyType({})


class Examiner(Protocol):
    """What runs the detectors: `governance.detectors.runner.Runner`. One examination a subject, in order."""

    def examine_many(self, contents: Sequence[Content]) -> Sequence[Examination]: ...

    def examine_calls(self, subjects: Sequence[CallSubject]) -> Sequence[Examination]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What a check came to.

    `examinations` are those of this check's new content, `call_examination` is about the call as a whole. `findings`
    are all findings in their places (`part` and `index` set), call-level ones last; `decision` refers to them by index.
    `skipped` are the detectors that were to look at some of it only, or at none.
    """

    parts: tuple[Part, ...]
    examinations: Mapping[Content, Examination]
    call_examination: Examination
    findings: tuple[Finding, ...]
    failures: tuple[DetectorFailure, ...]
    decision: Decision
    skipped: tuple[str, ...] = ()


@dataclass(slots=True)
class _Placed:
    """A call whose content has been examined."""

    call: Call
    parts: tuple[Part, ...]
    fresh: dict[Content, Examination]
    findings: list[Finding]
    failures: dict[DetectorFailure, None]
    skipped: dict[str, None]


class Checker:
    """Detectors and a policy set together. Holds no state of a call."""

    def __init__(self, runner: Examiner, engine: Engine) -> None:
        self.runner = runner
        self.engine = engine

    def check(self, call: Call, known: Mapping[Content, Examination] = NOTHING_KNOWN) -> Checked:
        """Examines each content item of the call once, unless `known` has what the same detectors said of it."""
        return self.check_many([(call, known)])[0]

    def check_many(self, calls: Sequence[tuple[Call, Mapping[Content, Examination]]]) -> list[Checked]:
        """As `check`, for many calls with what is known of each: content that several have is examined once, and what
        all of them bring goes through the detectors together."""
        gathered = [(call, known, tuple(parts_of(call))) for call, known in calls]
        new: dict[Content, Examination | None] = {}
        for _, known, parts in gathered:
            for part in parts:
                if part.content not in known:
                    new[part.content] = None
        examined = dict(zip(new, self.runner.examine_many(tuple(new)), strict=True)) if new else {}
        placed = [_place(call, parts, known, examined) for call, known, parts in gathered]
        wholes = self.runner.examine_calls(
            [CallSubject(call=one.call, parts=one.parts, flagged=bool(one.findings)) for one in placed]
        )
        return [self._decide(one, whole) for one, whole in zip(placed, wholes, strict=True)]

    def _decide(self, one: _Placed, whole: Examination) -> Checked:
        one.findings.extend(whole.findings)
        one.failures.update(dict.fromkeys(whole.failures))
        one.skipped.update(dict.fromkeys(whole.skipped))
        return Checked(
            parts=one.parts,
            examinations=one.fresh,
            call_examination=whole,
            findings=tuple(one.findings),
            failures=tuple(one.failures),
            decision=self.engine.decide(one.call, one.parts, one.findings, tuple(one.failures)),
            skipped=tuple(one.skipped),
        )


def _place(
    call: Call,
    parts: tuple[Part, ...],
    known: Mapping[Content, Examination],
    examined: Mapping[Content, Examination],
) -> _Placed:
    one = _Placed(call, parts, {}, [], {}, {})
    for part in parts:
        examination = known.get(part.content)
        if examination is None:
            examination = one.fresh[part.content] = examined[part.content]
        if examination.findings:
            one.findings.extend(replace(finding, part=part.kind, index=part.index) for finding in examination.findings)
        if examination.failures:
            one.failures.update(dict.fromkeys(examination.failures))
        if examination.skipped:
            one.skipped.update(dict.fromkeys(examination.skipped))
    return one
