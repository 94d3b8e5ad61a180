"""Checks calls: examines what is new in them, puts the findings in their places, and decides."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

from governance.detectors.interface import CallSubject
from governance.domain import steps
from governance.domain.calls import Call
from governance.domain.content import Content, Part, parts_of
from governance.domain.decisions import Decision
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.engine.decide import DecisionEngine
from governance.engine.sequence import content_of

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
    `skipped` are the detectors that were to look at some of it only, or at none. `around` is what had to be examined
    in other calls of its trace and session, by the names of their content items; `sequence` is what it read of them.
    """

    parts: tuple[Part, ...]
    examinations: Mapping[Content, Examination]
    call_examination: Examination
    findings: tuple[Finding, ...]
    failures: tuple[DetectorFailure, ...]
    decision: Decision
    skipped: tuple[str, ...] = ()
    around: Mapping[Hashable, tuple[Content, Examination]] = field(default_factory=dict)
    sequence: steps.OtherSteps = steps.ALONE


@dataclass(slots=True)
class _Placed:
    """A call whose content has been examined."""

    call: Call
    parts: tuple[Part, ...]
    fresh: dict[Content, Examination]
    findings: list[Finding]
    failures: dict[DetectorFailure, None]
    skipped: dict[str, None]


@dataclass(frozen=True, slots=True)
class _Looked:
    """Another call as a step, and its examinations, by the names of the content items."""

    step: steps.Step
    new: Mapping[Hashable, tuple[Content, Examination]]


class Checker:
    """Detectors and a policy set together. Holds no state of a call."""

    def __init__(self, runner: Examiner, engine: DecisionEngine) -> None:
        self.runner = runner
        self.engine = engine

    def check(
        self, call: Call, known: Mapping[Content, Examination] = NOTHING_KNOWN, around: steps.Around = steps.NOBODY
    ) -> Checked:
        """Examines each content item of the call once, unless `known` has what the same detectors said of it.

        `around` are the other calls of its trace and session, for policies that read them.
        """
        return self.check_many([(call, known)], [around])[0]

    def check_many(
        self,
        calls: Sequence[tuple[Call, Mapping[Content, Examination]]],
        around: Sequence[steps.Around] = (),
    ) -> list[Checked]:
        """As `check`, for many calls with what is known of each: content that several have is examined once, and what
        all of them bring goes through the detectors together. `around` is empty, or has one for each call."""
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
        if not any(one is not steps.NOBODY for one in around):
            return [self._decide(one, whole) for one, whole in zip(placed, wholes, strict=True)]
        # A call's other steps may be calls of the same batch: what was just found in them is known.
        of_calls = {id(one.call): whole for one, whole in zip(placed, wholes, strict=True)}
        looked = self._look_around(around, examined, of_calls)
        return [
            self._decide(one, whole, *_sequence(near, looked))
            for one, whole, near in zip(placed, wholes, around, strict=True)
        ]

    def _look_around(
        self,
        around: Sequence[steps.Around],
        examined: Mapping[Content, Examination],
        of_calls: Mapping[int, Examination],
    ) -> dict[Hashable, _Looked]:
        """Each of the other calls as a step, by its id. What nobody has examined is examined, all of it together."""
        others = {other.id: other for near in around for other in near.others}
        missing = dict.fromkeys(
            part.content
            for other in others.values()
            for part, name in zip(other.parts, other.content, strict=True)
            if name not in other.known and part.content not in examined
        )
        fresh = dict(examined)
        broken: dict[Content, str] = {}
        try:
            fresh.update(zip(missing, self.runner.examine_many(tuple(missing)), strict=True) if missing else ())
        except Exception:  # of one content: the others are none the worse for it
            for content in missing:
                try:
                    (fresh[content],) = self.runner.examine_many([content])
                except Exception as error:
                    broken[content] = type(error).__name__
        return {number: self._looked(other, fresh, broken, of_calls) for number, other in others.items()}

    def _looked(
        self,
        other: steps.OtherCall,
        fresh: Mapping[Content, Examination],
        broken: Mapping[Content, str],
        of_calls: Mapping[int, Examination],
    ) -> _Looked:
        new: dict[Hashable, tuple[Content, Examination]] = {}
        findings: list[Finding] = []
        failures: dict[DetectorFailure, None] = {}
        why = other.unreadable
        for part, name in zip(other.parts, other.content, strict=True):
            examination = other.known.get(name)
            if examination is None and part.content in broken:
                why = why or f"its examination broke off ({broken[part.content]})"
                continue
            if examination is None:
                examination = fresh[part.content]
                new[name] = (part.content, examination)
            findings.extend(replace(finding, part=part.kind, index=part.index) for finding in examination.findings)
            failures.update(dict.fromkeys(examination.failures))
        whole = other.whole or of_calls.get(id(other.call))
        if whole is None and not why:
            try:
                subject = CallSubject(call=other.call, parts=tuple(other.parts), flagged=bool(findings))
                (whole,) = self.runner.examine_calls([subject])
            except Exception as error:
                why = f"its examination broke off ({type(error).__name__})"
        if whole is not None:
            findings.extend(whole.findings)
            failures.update(dict.fromkeys(whole.failures))
        step = steps.Step(
            call=other.call,
            parts=tuple(other.parts),
            content=tuple(other.content),
            findings=tuple(findings),
            failures=tuple(failures),
            unknown=why,
        )
        return _Looked(step, {} if other.waiting else new)

    def conclude(
        self,
        call: Call,
        parts: Sequence[Part],
        examinations: Mapping[Content, Examination],
        whole: Examination,
        sequence: steps.OtherSteps = steps.ALONE,
    ) -> Checked:
        """Decides only: all that is to be known of the call's content, of the call as a whole, and of the steps around
        it, is given."""
        return self._decide(_place(call, tuple(parts), examinations, {}), whole, sequence)

    def _decide(
        self,
        one: _Placed,
        whole: Examination,
        sequence: steps.OtherSteps = steps.ALONE,
        new: Mapping[Hashable, tuple[Content, Examination]] = MappingProxyType({}),
    ) -> Checked:
        one.findings.extend(whole.findings)
        one.failures.update(dict.fromkeys(whole.failures))
        one.skipped.update(dict.fromkeys(whole.skipped))
        return Checked(
            parts=one.parts,
            examinations=one.fresh,
            call_examination=whole,
            findings=tuple(one.findings),
            failures=tuple(one.failures),
            decision=self.engine.decide(one.call, one.parts, one.findings, tuple(one.failures), sequence),
            skipped=tuple(one.skipped),
            around=new,
            sequence=sequence,
        )


def around_of(calls: Sequence[Call]) -> steps.Around:
    """Calls that nothing is known of as those around another: the `steps` of a JSON call."""
    if not calls:
        return steps.NOBODY
    gathered = [(call, tuple(parts_of(call))) for call in calls]
    return steps.Around(
        others=tuple(
            steps.OtherCall(id=id(call), call=call, parts=parts, content=content_of(parts)) for call, parts in gathered
        )
    )


def _sequence(
    near: steps.Around, looked: Mapping[Hashable, _Looked]
) -> tuple[steps.OtherSteps, dict[Hashable, tuple[Content, Examination]]]:
    if near is steps.NOBODY:
        return steps.ALONE, {}
    others = [looked[other.id] for other in near.others]
    new = {name: examined for other in others for name, examined in other.new.items()}
    sequence = steps.OtherSteps(
        others=tuple(other.step for other in others), left_out=near.left_out, content=near.content
    )
    return sequence, new


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
