"""Runs the detectors that a policy set asks for: whatever happens inside one, the outcome is stated.

In two rounds: those that look at everything, then the costly ones, over what the first found something in (or a
sample, or everything: `Attention`). What a costly one was not to look at is said to be skipped, never passed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import TypeVar

from governance.detectors.deadline import Deadline
from governance.detectors.interface import (
    Attention,
    BatchCallDetector,
    BatchDetector,
    CallDetector,
    CallSubject,
    Condition,
    Detector,
    Divisible,
    Outcome,
    Watched,
)
from governance.domain.calls import Call
from governance.domain.content import Content, Part
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.errors import GovernanceError

Subject = TypeVar("Subject", Content, CallSubject)

FINDINGS_A_RULE = 16
FINDINGS_A_SUBJECT = 128
SPANS_AN_AGGREGATE = 2_000
BATCH = 32
"""Texts or calls that a detector that is late or has a deadline is given at once."""
EVERYTHING = Attention()
NO_ATTENTION: Mapping[str, Attention] = MappingProxyType({})
UNAVAILABLE = "unavailable: "
"""How the reason of a failure begins where a detector is not there at all."""
LATE = "late:"
"""Begins the names in `Runner.heeds`, so that they can stand beside units where versions are written down."""
_NOTHING = Examination()


@dataclass(kw_only=True)
class Health:
    """Counters of one detector in this process, since it was built. `skipped` counts what it was not to examine."""

    examined: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    last_failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """Stands in for a detector that could not be built: each of its examinations records that it did not run."""

    name: str
    reason: str


@dataclass(frozen=True)
class _Task:
    """One detector, ready to run: over many subjects at once where it can, else one after the other."""

    name: str
    attention: Attention
    one: Callable[[object], Sequence[Finding]]
    many: Callable[[Sequence[object]], Sequence[Outcome]] | None
    deadline: Deadline | None
    units: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFindings:
    """What is known of a subject before it is examined: findings of units that are what they were then, and the units
    that are `missing`: those that changed, are new, failed, or did not look."""

    findings: tuple[Finding, ...] = ()
    missing: frozenset[str] = frozenset()


class Runner:
    """The detectors of one policy set. `attention` says what each looks at; one that is not named looks at everything.

    A detector that raises, or takes longer than its deadline, gives a `DetectorFailure`, never silence. What is left of
    a subject's findings is bounded, unit by unit: see `bounded`. Instances hold no state of a call and may be shared
    by threads; `health` counts approximately then.
    """

    def __init__(
        self,
        *,
        content_detectors: Sequence[Detector] = (),
        call_detectors: Sequence[CallDetector] = (),
        unavailable: Sequence[Unavailable] = (),
        attention: Mapping[str, Attention] = NO_ATTENTION,
    ) -> None:
        detectors: list[Detector | CallDetector] = [*content_detectors, *call_detectors]
        versions = sorted({(one.name, one.version) for one in detectors})
        self.units: dict[str, str] = dict(sorted(unit for one in detectors for unit in _units(one)))
        """Version of each unit: a detector, or one of the packs of one that is divisible ("patterns/injection")."""
        self.content_units = dict(unit for one in content_detectors for unit in _units(one))
        self.call_units = dict(unit for one in call_detectors for unit in _units(one))
        missing = sorted((one.name, one.reason) for one in unavailable)
        stated: list[object] = [versions, missing]
        late = sorted((name, one.on, one.sample) for name, one in attention.items() if one.late)
        if late:
            stated.append(late)
        self.digest: str = hashlib.sha256(json.dumps(stated, separators=(",", ":")).encode()).hexdigest()[:16]
        """16 hex digits over names and versions, which cover options and packs: all that findings depend on."""
        self.versions: dict[str, str] = dict(versions)
        self.heeds: dict[str, str] = {f"{LATE}{name}": f"{on} {sample:g}" for name, on, sample in late}
        """What the late ones are to look at, by `LATE` and their name: what they skip depends on it."""
        self.absent: frozenset[str] = frozenset(one.name for one in unavailable)
        self.health: dict[str, Health] = {name: Health() for name, _ in versions}
        for one in unavailable:
            self.health[one.name] = Health(last_failure=f"{UNAVAILABLE}{one.reason}")
        self._detectors = tuple({id(one): one for one in detectors}.values())
        deadlines = {name: Deadline(one.deadline) for name, one in attention.items() if one.deadline}

        def task(detector: Detector | CallDetector, one: object, many: object) -> _Task:
            name = detector.name
            deadline = None if getattr(detector, "keeps_time", False) else deadlines.get(name)
            return _Task(name, attention.get(name, EVERYTHING), one, many, deadline)  # type: ignore[arg-type]

        contents = [
            task(one, one.examine, one.examine_many if isinstance(one, BatchDetector) else None)
            for one in content_detectors
        ]
        calls = [
            task(
                one,
                lambda subject, one=one: one.examine_call(subject.call, subject.parts),
                one.examine_calls if isinstance(one, BatchCallDetector) else None,
            )
            for one in call_detectors
        ]
        self._divisible = {one.name: one for one in content_detectors if isinstance(one, Divisible) and one.units}
        self._parts: dict[tuple[str, frozenset[str]], _Task] = {}
        self._first = tuple(one for one in contents if not one.attention.late)
        self._late = tuple(one for one in contents if one.attention.late)
        self._first_calls = tuple(one for one in calls if not one.attention.late)
        self._late_calls = tuple(one for one in calls if one.attention.late)
        self._missing: list[DetectorFailure] = []
        self._missing_late: list[tuple[Attention, DetectorFailure]] = []
        for absent in unavailable:
            failure = DetectorFailure(detector=absent.name, reason=f"{UNAVAILABLE}{absent.reason}")
            heed = attention.get(absent.name, EVERYTHING)
            if heed.late:
                self._missing_late.append((heed, failure))
            else:
                self._missing.append(failure)

    @property
    def names(self) -> tuple[str, ...]:
        """All detectors that policies ask for, unavailable ones included."""
        return tuple(sorted(self.health))

    def prepare(self) -> None:
        """Begins to prepare what detectors depend on (processes, models), without waiting for it."""
        for detector in self._detectors:
            if isinstance(detector, Watched):
                detector.prepare()

    @property
    def conditions(self) -> dict[str, Condition]:
        """The state of each detector that depends on something outside it; failed for those that could not be built."""
        found = {one.name: one.condition for one in self._detectors if isinstance(one, Watched)}
        for absent in (*self._missing, *(failure for _, failure in self._missing_late)):
            found[absent.detector] = Condition(state="failed", detail=absent.reason.removeprefix(UNAVAILABLE))
        return found

    def close(self) -> None:
        """Ends what detectors have started: processes, connections. The detectors cannot be used afterwards."""
        for detector in self._detectors:
            if isinstance(detector, Watched):
                detector.close()

    def examine(self, content: Content) -> Examination:
        """Facts about one content item, with offsets in code points of its text. Never raises for a detector's sake."""
        return self.examine_many((content,))[0]

    def examine_many(self, contents: Sequence[Content]) -> list[Examination]:
        """Facts about each content item: as `examine`, with one batch for each detector that takes batches."""
        return self._examine(contents, self._first, self._late, [False] * len(contents), _content_digest)

    def complete(self, contents: Sequence[Content], found: Sequence[KnownFindings]) -> list[Examination]:
        """As `examine_many`, but what is `found` already is taken over, and only the units that are missing run."""
        tasks: list[_Task] = []
        for task in self._first:
            tasks.extend(self._part(task, found))
        return self._examine(contents, tasks, self._late, [False] * len(contents), _content_digest, found)

    def complete_calls(self, subjects: Sequence[CallSubject], found: Sequence[KnownFindings]) -> list[Examination]:
        """As `examine_calls`, but what is `found` already is taken over."""
        flagged = [subject.flagged for subject in subjects]
        return self._examine(subjects, self._first_calls, self._late_calls, flagged, _call_digest, found)

    def _part(self, task: _Task, found: Sequence[KnownFindings]) -> list[_Task]:
        """The task, or where it is divisible one for each combination of its units that is missing somewhere."""
        detector = self._divisible.get(task.name)
        if detector is None:
            return [task]
        own = frozenset(f"{task.name}/{pack}" for pack in detector.units)
        wanted = {one.missing & own for one in found}
        tasks = []
        for units in sorted((one for one in wanted if one), key=sorted):
            if units == own:
                tasks.append(replace(task, units=own))
                continue
            part = self._parts.get((task.name, units))
            if part is None:
                less = detector.part(frozenset(unit.partition("/")[2] for unit in units))
                part = _Task(task.name, task.attention, less.examine, None, task.deadline, units)  # type: ignore[arg-type]
                self._parts[task.name, units] = part
            tasks.append(part)
        return tasks

    def glance(self, content: Content) -> Examination:
        """Examines with the detectors that examine everything, without the costly ones."""
        return self._examine((content,), self._first, (), [False], _content_digest)[0]

    def examine_call(self, call: Call, parts: Sequence[Part], *, flagged: bool = False) -> Examination:
        """Facts about the call as a whole, or about a part of it in this call only."""
        return self.examine_calls([CallSubject(call=call, parts=parts, flagged=flagged)])[0]

    def examine_calls(self, subjects: Sequence[CallSubject]) -> list[Examination]:
        """Facts about each call: as `examine_call`, with one batch for each detector that takes batches."""
        flagged = [subject.flagged for subject in subjects]
        return self._examine(subjects, self._first_calls, self._late_calls, flagged, _call_digest)

    def _examine(
        self,
        subjects: Sequence[Subject],
        first: Sequence[_Task],
        late: Sequence[_Task],
        flagged: list[bool],
        digest: Callable[[Subject], bytes],
        known: Sequence[KnownFindings] | None = None,
    ) -> list[Examination]:
        findings: list[list[Finding]] = [[] for _ in subjects]
        failures: list[list[DetectorFailure]] = [list(self._missing) for _ in subjects]
        skipped: list[list[str]] = [[] for _ in subjects]
        everything: Sequence[int] = range(len(subjects))
        late_names = {task.name for task in late}
        for task in first:
            chosen = everything if known is None else _lacking(task, known)
            self._run(task, subjects, chosen, findings, failures)
        if late or self._missing_late:
            for number, found in enumerate(findings):
                earlier = known[number].findings if known is not None else ()
                early = bool(found) or any(one.detector not in late_names for one in earlier)
                flagged[number] = flagged[number] or early
        for task in late:
            open_ = everything if known is None else _lacking(task, known)
            chosen = [
                number
                for number in open_
                if task.attention.takes(partial(digest, subjects[number]), flagged=flagged[number])
            ]
            for number in set(open_).difference(chosen):
                skipped[number].append(task.name)
            self.health[task.name].skipped += len(open_) - len(chosen)
            self._run(task, subjects, chosen, findings, failures)
        for absent in self._missing:
            self._absent(absent, len(subjects))
        for attention, failure in self._missing_late:
            for number, subject in enumerate(subjects):
                if attention.takes(partial(digest, subject), flagged=flagged[number]):
                    failures[number].append(failure)
                    self._absent(failure, 1)
                else:
                    skipped[number].append(failure.detector)
        examinations: list[Examination] = []
        for number in everything:
            fresh = findings[number]
            if known is None:
                kept = self._bounded(fresh)
            else:  # what a part says of the whole beside its own units is known already
                fresh = _of(fresh, known[number].missing, self.units)
                kept = known[number].findings + self._bounded(fresh)
            failed, left = failures[number], skipped[number]
            if kept or failed or left:
                examinations.append(Examination(findings=kept, failures=tuple(failed), skipped=tuple(left)))
            else:
                examinations.append(_NOTHING)
        return examinations

    def _absent(self, failure: DetectorFailure, count: int) -> None:
        """Counts what an unavailable detector should have examined."""
        health = self.health[failure.detector]
        health.examined += count
        health.failed += count

    def _bounded(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Bounded unit by unit, so that what one found does not depend on what others did."""
        if len(findings) <= FINDINGS_A_RULE:
            return tuple(findings)
        units: dict[str, list[Finding]] = {}
        for finding in findings:
            units.setdefault(unit_of(finding, self.units), []).append(finding)
        return tuple(finding for group in units.values() for finding in bounded(group))

    def _run(
        self,
        task: _Task,
        subjects: Sequence[Subject],
        chosen: Sequence[int],
        findings: list[list[Finding]],
        failures: list[list[DetectorFailure]],
    ) -> None:
        """Adds what the detector says of the chosen subjects."""
        health = self.health[task.name]
        began = perf_counter()
        for number, outcome in _outcomes(task, subjects, chosen):
            if isinstance(outcome, Exception):
                reason = describe_failure(outcome)
                health.failed += 1
                health.last_failure = reason
                failures[number].append(DetectorFailure(detector=task.name, reason=reason))
            elif outcome:
                findings[number].extend(outcome)
        health.examined += len(chosen)
        health.seconds += perf_counter() - began


def _outcomes(task: _Task, subjects: Sequence[Subject], chosen: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    """What the detector says of each chosen subject; whatever it raises is an outcome."""
    if task.many is None:
        for number in chosen:
            try:
                if task.deadline is None:
                    yield number, task.one(subjects[number])
                else:
                    yield number, task.deadline.run(partial(task.one, subjects[number]))
            except Exception as error:
                yield number, error
        return
    size = BATCH if task.deadline is not None or task.attention.late else max(1, len(chosen))
    for at in range(0, len(chosen), size):
        numbers = chosen[at : at + size]
        work = partial(task.many, [subjects[number] for number in numbers])
        try:
            outcomes = work() if task.deadline is None else task.deadline.run(work)
            if len(outcomes) != len(numbers):
                raise ValueError("a batch with another number of answers")
        except Exception as error:
            outcomes = [error] * len(numbers)
        yield from zip(numbers, outcomes, strict=True)


def _units(detector: Detector | CallDetector) -> list[tuple[str, str]]:
    """A detector's units with their versions. A divisible detector is itself a unit, for findings that belong to none
    of its packs.
    """
    if isinstance(detector, Divisible) and detector.units:
        own = [(f"{detector.name}/{pack}", version) for pack, version in detector.units.items()]
        return [(detector.name, own[0][1].partition("+")[0]), *own]
    return [(detector.name, detector.version)]


def unit_of(finding: Finding, units: Mapping[str, str]) -> str:
    """The unit that a finding belongs to."""
    part = f"{finding.detector}/{finding.pack}"
    return part if part in units else finding.detector


def _of(findings: list[Finding], wanted: frozenset[str], units: Mapping[str, str]) -> list[Finding]:
    return [finding for finding in findings if unit_of(finding, units) in wanted]


def found_before(units: Mapping[str, str], earlier: Sequence[tuple[Mapping[str, str], Examination]]) -> KnownFindings:
    """What examinations by earlier detectors, each with the versions of its units, say that `units` would say again.

    The first that knows a unit counts. A unit that failed or did not look is not known.
    """
    findings: list[Finding] = []
    missing = set(units)
    for versions, examination in earlier:
        silent = {failure.detector for failure in examination.failures} | set(examination.skipped)
        known = {unit for unit in missing if versions.get(unit) == units[unit] and unit.partition("/")[0] not in silent}
        if known:
            findings.extend(one for one in examination.findings if unit_of(one, versions) in known)
            missing -= known
        if not missing:
            break
    return KnownFindings(findings=tuple(findings), missing=frozenset(missing))


def _lacking(task: _Task, known: Sequence[KnownFindings]) -> list[int]:
    """The subjects for which the task's units are not known."""
    if not task.units:
        return [number for number, one in enumerate(known) if task.name in one.missing]
    prefix = f"{task.name}/"
    return [
        number
        for number, one in enumerate(known)
        if {unit for unit in one.missing if unit.startswith(prefix)} == task.units
    ]


def _content_digest(content: Content) -> bytes:
    stated = f"{content.kind.value}\0{content.role}\0{content.text}"
    return hashlib.sha256(stated.encode("utf-8", "surrogatepass")).digest()


def _call_digest(subject: CallSubject) -> bytes:
    return hashlib.sha256(b"".join(_content_digest(part.content) for part in subject.parts)).digest()


def describe_failure(error: Exception) -> str:
    """Why a detector failed, without the exception's own message: that may quote content."""
    if isinstance(error, GovernanceError | TimeoutError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def bounded(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """At most `FINDINGS_A_RULE` findings a rule (fewer when many rules fire), the rest as one aggregate a rule.

    Conditions cost time linear in findings, so a text of ten thousand e-mail addresses must not give ten thousand.
    Nothing is lost: the aggregate has the highest score and `data` {aggregated: true, count, spans: "start:end ..."};
    beyond `SPANS_AN_AGGREGATE` spans the last one reaches from the first left out to the end of the last.
    """
    if len(findings) <= FINDINGS_A_RULE:
        return tuple(findings)
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (
            finding.detector,
            finding.category,
            finding.pack,
            finding.rule,
            finding.label,
            finding.part,
            finding.index,
        )
        groups.setdefault(key, []).append(finding)
    each = max(1, min(FINDINGS_A_RULE, FINDINGS_A_SUBJECT // len(groups)))
    kept: list[Finding] = []
    for group in groups.values():
        kept.extend(group[:each])
        rest = sorted(group[each:], key=lambda finding: (finding.start, finding.end))
        if rest:
            spans = sorted(span for finding in rest for span in spans_of(finding))
            if len(spans) > SPANS_AN_AGGREGATE:
                left = spans[SPANS_AN_AGGREGATE - 1 :]
                spans[SPANS_AN_AGGREGATE - 1 :] = [(left[0][0], max(end for _, end in left))]
            kept.append(
                replace(
                    rest[0],
                    score=max(finding.score for finding in rest),
                    start=rest[0].start,
                    end=max(finding.end for finding in rest),
                    data={
                        "aggregated": True,
                        "count": sum(_count(finding) for finding in rest),
                        "spans": " ".join(f"{start}:{end}" for start, end in spans),
                    },
                )
            )
    return tuple(kept)


def _count(finding: Finding) -> float:
    count = finding.data.get("count", 1.0) if finding.data.get("aggregated") else 1.0
    return count if isinstance(count, float) else 1.0


def spans_of(finding: Finding) -> list[tuple[int, int]]:
    """The places of a finding, also of an aggregate; in code points, end exclusive."""
    spans = finding.data.get("spans")
    if isinstance(spans, str) and spans:
        return [(int(start), int(end)) for start, _, end in (span.partition(":") for span in spans.split(" "))]
    return [(finding.start, finding.end)] if finding.end > finding.start else []
