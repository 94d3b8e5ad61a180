"""Decides: findings and a call's circumstances against a policy set. No detector runs here, so that a new policy set
over recorded traffic is only this step.

Exactness before speed: what is skipped is skipped because it is known to answer False, never because it is likely to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import Message

from governance.domain import steps
from governance.domain.calls import Call, kind_of_error
from governance.domain.content import Part, PartKind
from governance.domain.decisions import (
    Action,
    Decision,
    Outcome,
    PolicyOutcome,
    PolicyScope,
    PolicyStatus,
    Severity,
)
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.sequence import Row, Telling, content_of, rows
from governance.policy.conditions import Condition, ConditionFailed, Language, Silence, paths_of
from governance.policy.explain import clean, fill
from governance.policy.policy import Exemption, Policy, PolicySet

ERROR_QUEUE = "quality"
"""Where a failed policy's calls are reviewed, if the policy itself names no queue."""
CAUSES_TRIED = 64
"""Findings that are tried singly for having caused a decision; beyond, all that the policy read are named."""
_CACHED = 1024
_MOST_DOUBTS = 5


@dataclass(frozen=True, slots=True)
class _Ready:
    """A policy, compiled."""

    policy: Policy
    condition: Condition
    exceptions: tuple[tuple[Exemption, Condition], ...]
    detectors: frozenset[str]
    parts: frozenset[PartKind]
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Applicable:
    """Indexes of the policies that apply to a call, and an expression that is true when none of them fires."""

    numbers: tuple[int, ...]
    silence: Silence
    sequences: tuple[tuple[PolicyScope, tuple[int, ...]], ...]

    @property
    def all(self) -> tuple[int, ...]:
        return self.numbers + tuple(number for _, numbers in self.sequences for number in numbers)


@dataclass(frozen=True, slots=True)
class _Around:
    """What a policy about a sequence reads besides the call: the steps, and those of the findings in them that are its
    own, each with the name of the part it lies in. `doubts` say what is not known of them."""

    steps: list[Message]
    found: tuple[tuple[Finding, str], ...]
    left_out: int
    doubts: tuple[str, ...]


_NOTHING_AROUND = _Around([], (), 0, ())


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one policy reads of one call, in CEL's terms: enough to ask its condition, or a part of it, again.

    `seen` are the indexes of the findings it reads, one for each of `findings`; `unanswered` the detectors that failed.
    """

    policy: Policy
    condition: Condition
    call: Message
    seen: tuple[int, ...]
    findings: list[Message]
    unanswered: tuple[str, ...]
    steps: list[Message]


class DecisionEngine:
    """A policy set, ready to decide. Immutable in effect (its caches are bounded) and shared freely by threads.

    Raises `IllTyped` when a condition does not compile: `load` has reported that with its position before. `whole` is
    for asking further conditions of its readings (`Language`).
    """

    def __init__(
        self, policy_set: PolicySet, *, clock: Callable[[], datetime] | None = None, whole: bool = False
    ) -> None:
        self.policy_set = policy_set
        self._clock = clock or (lambda: datetime.now(UTC))
        deciding = [
            policy for policy in policy_set.policies if policy.status in (PolicyStatus.SHADOW, PolicyStatus.ENFORCE)
        ]
        self._language = Language(deciding, whole=whole)
        self._ready = tuple(self._prepare(policy) for policy in deciding)
        self._floor = frozenset(policy.id for policy in deciding if policy.floor is not None)
        self._quiet = Decision(action=Action.ALLOW, policy_set=policy_set.digest)
        self._applicable: dict[tuple[object, ...], _Applicable] = {}
        self._silences: dict[tuple[int, ...], Silence] = {}
        self._readers: dict[tuple[str, str, PartKind | None], tuple[tuple[int, str], ...]] = {}
        self._telling = Telling(" ".join(policy.when for policy in deciding if policy.scope is not PolicyScope.CALL))
        self._quiet_rows: dict[tuple[tuple[int, ...], bytes], bool] = {}

    def _prepare(self, policy: Policy) -> _Ready:
        return _Ready(
            policy=policy,
            condition=self._language.compile(policy, policy.when),
            exceptions=tuple(
                (exemption, self._language.compile(policy, exemption.when)) for exemption in policy.exceptions
            ),
            detectors=frozenset(detect.requested.name for detect in policy.detectors.values()),
            parts=frozenset(policy.applies_to.parts),
            paths=tuple(path for path in paths_of(policy.when) if path != "call.user.id"),
        )

    def decide(
        self,
        call: Call,
        parts: Sequence[Part],
        findings: Sequence[Finding],
        failures: Sequence[DetectorFailure],
        sequence: steps.OtherSteps = steps.ALONE,
    ) -> Decision:
        """What the policy set says of the call.

        `findings` are placed: `part` and `index` name one of `parts`, or None for the call as a whole. The strictest
        action of the enforced policies wins; the queue is that of the most severe of them that asks for one, of the
        organisation's floor before all others.
        A condition or a detector that failed answers with the policy's `on_error`, with human review. `sequence` is
        what policies with the scope trace or session read besides the call; the set's `scopes` say whether any does.
        """
        applicable = self._about(call)
        read: dict[int, list[tuple[int, str]]] = {}
        if findings:
            about = frozenset(applicable.all)
            for position, finding in enumerate(findings):
                for number, alias in self._readers_of(finding):
                    if number in about:
                        read.setdefault(number, []).append((position, alias))
        context = self._language.call(call)
        silent = applicable.silence.holds(context)
        if silent and not read and not failures and self._quiet_alone(applicable, call, context, sequence):
            return self._quiet
        failed = {failure.detector: failure.reason for failure in failures}
        names = {(part.kind, part.index): part.content.name for part in parts} if read else {}
        outcomes: list[PolicyOutcome] = []
        for number in applicable.numbers if read or failed or not silent else ():
            ready = self._ready[number]
            seen = read.get(number)
            broken = sorted(name for name in ready.detectors if name in failed) if failed else []
            if silent and not seen and not broken:
                continue
            outcome = self._judge(ready, call, context, findings, seen or [], names, broken, failed)
            if outcome is not None:
                outcomes.append(outcome)
        if applicable.sequences:
            for number, around in self._sequences(applicable, call, context, parts, findings, failures, sequence):
                ready = self._ready[number]
                broken = sorted(name for name in ready.detectors if name in failed) if failed else []
                seen = read.get(number, [])
                outcome = self._judge(ready, call, context, findings, seen, names, broken, failed, around)
                if outcome is not None:
                    outcomes.append(outcome)
        return self.combine(outcomes) if outcomes else self._quiet

    @property
    def language(self) -> Language:
        """CEL, typed for this set."""
        return self._language

    def _quiet_alone(self, applicable: _Applicable, call: Call, context: Message, sequence: steps.OtherSteps) -> bool:
        """Whether no policy about sequences fires on a call that is the only known step, without documents and tool
        calls.

        False may also mean that this was not evaluated.
        """
        if not applicable.sequences:
            return True
        if sequence.others or sequence.left_out or call.documents or call.tool_calls:
            return False
        only = [Row(call=call, current=True, kind=call.kind.value, name=call.name, began=call.started_at, order=1)]
        key = self._telling.key(only)
        return all(self._silent(numbers, context, only, key) for _, numbers in applicable.sequences)

    def _sequences(
        self,
        applicable: _Applicable,
        call: Call,
        context: Message,
        parts: Sequence[Part],
        findings: Sequence[Finding],
        failures: Sequence[DetectorFailure],
        sequence: steps.OtherSteps,
        *,
        all_: bool = False,
    ) -> Iterator[tuple[int, _Around]]:
        """The policies about sequences that may fire (or `all_`), each with what it reads."""
        current = steps.Step(
            call=call,
            parts=tuple(parts),
            content=sequence.content or content_of(parts),
            findings=tuple(findings),
            failures=tuple(failures),
        )
        of: list[steps.Step] | None = None
        for scope, numbers in applicable.sequences:
            theirs = [step for step in sequence.others if _belongs(step.call, call, scope)]
            if of is None or [*map(id, theirs)] != [*map(id, of)]:  # most sessions are of one trace
                of = theirs
                found, left_out = rows(theirs, current)
                key = self._telling.key(found)
                mine = self._asked(found)
            silent = not all_ and self._silent(numbers, context, found, key)
            for number in numbers:
                ready = self._ready[number]
                doubts = tuple(_doubts(theirs, ready.detectors))
                asked = mine.get(number, {})
                if silent and not asked and not doubts and not any(one.detector in ready.detectors for one in failures):
                    continue
                read = [self._step(row, asked.get(place, ())) for place, row in enumerate(found)]
                named = tuple((finding, name) for place in sorted(asked) for finding, _, name in asked[place])
                yield number, _Around(read, named, left_out + sequence.left_out, doubts)

    def _asked(self, found: Sequence[Row]) -> dict[int, dict[int, list[tuple[Finding, str, str]]]]:
        """By policy and place in the sequence: its findings, each with the policy's name of the detector and the name
        of the part."""
        mine: dict[int, dict[int, list[tuple[Finding, str, str]]]] = {}
        for place, row in enumerate(found):
            for finding, name in row.findings:
                for number, alias in self._readers_of(finding):
                    mine.setdefault(number, {}).setdefault(place, []).append((finding, alias, name))
        return mine

    def _silent(self, numbers: tuple[int, ...], context: Message, found: Sequence[Row], key: bytes | None) -> bool:
        """Whether none of these policies minds the rows, whatever was found in them left out; remembered by `key`, what
        their conditions read."""
        known = None if key is None else self._quiet_rows.get((numbers, key))
        if known is None:
            known = self._silence_of(numbers).holds(context, [self._step(row, ()) for row in found])
            if key is not None:
                if len(self._quiet_rows) >= _CACHED:
                    self._quiet_rows.clear()
                self._quiet_rows[numbers, key] = known
        return known

    def _step(self, row: Row, findings: Iterable[tuple[Finding, str, str]]) -> Message:
        return self._language.step(
            row.call,
            order=row.order,
            current=row.current,
            kind=row.kind,
            name=row.name,
            seconds=row.seconds,
            tools=row.tools,
            documents=row.documents,
            findings=[self._language.finding(finding, alias=alias, name=name) for finding, alias, name in findings],
        )

    def readings(
        self,
        call: Call,
        parts: Sequence[Part],
        findings: Sequence[Finding],
        failures: Sequence[DetectorFailure],
        sequence: steps.OtherSteps = steps.ALONE,
    ) -> Iterator[Reading]:
        """What each policy that applies to the call reads of it, by id: for explaining, not for deciding."""
        context = self._language.call(call)
        names = {(part.kind, part.index): part.content.name for part in parts}
        failed = {failure.detector for failure in failures}
        read: dict[int, list[tuple[int, str]]] = {}
        for position, finding in enumerate(findings):
            for number, alias in self._readers_of(finding):
                read.setdefault(number, []).append((position, alias))
        applicable = self._about(call)
        around = dict(
            self._sequences(applicable, call, context, parts, findings, failures, sequence, all_=True)
            if applicable.sequences
            else ()
        )
        for number in sorted(applicable.all):
            ready, seen = self._ready[number], read.get(number, [])
            yield Reading(
                policy=ready.policy,
                condition=ready.condition,
                call=context,
                seen=tuple(position for position, _ in seen),
                findings=[
                    self._language.finding(findings[at], alias=alias, name=_name_of(findings[at], names))
                    for at, alias in seen
                ],
                unanswered=tuple(sorted(ready.detectors & failed)),
                steps=around.get(number, _NOTHING_AROUND).steps,
            )

    def _about(self, call: Call) -> _Applicable:
        """The policies whose `applies_to` covers the call; cached by what `applies_to` reads."""
        key = (call.system, call.kind, call.user.role, call.release)
        found = self._applicable.get(key)
        if found is None:
            covering = [number for number, ready in enumerate(self._ready) if ready.policy.applies_to.covers(call)]
            numbers = tuple(number for number in covering if self._ready[number].policy.scope is PolicyScope.CALL)
            sequences = tuple(
                (scope, theirs)
                for scope in (PolicyScope.TRACE, PolicyScope.SESSION)
                if (theirs := tuple(number for number in covering if self._ready[number].policy.scope is scope))
            )
            found = _Applicable(numbers, self._silence_of(numbers), sequences)
            if len(self._applicable) >= _CACHED:
                self._applicable.clear()
            self._applicable[key] = found
        return found

    def _silence_of(self, numbers: tuple[int, ...]) -> Silence:
        silence = self._silences.get(numbers)
        if silence is None:
            silence = self._language.silent([self._ready[number].policy for number in numbers])
            if len(self._silences) >= _CACHED:
                self._silences.clear()
            self._silences[numbers] = silence
        return silence

    def _readers_of(self, finding: Finding) -> tuple[tuple[int, str], ...]:
        """The policies that asked for such a finding, each with its own name for the detector."""
        key = (finding.detector, finding.pack, finding.part)
        found = self._readers.get(key)
        if found is None:
            found = tuple(
                (number, alias)
                for number, ready in enumerate(self._ready)
                if finding.part is None or not ready.parts or finding.part in ready.parts
                for alias, detect in ready.policy.detectors.items()
                if detect.states(finding)
            )
            if len(self._readers) >= _CACHED:
                self._readers.clear()
            self._readers[key] = found
        return found

    def _judge(
        self,
        ready: _Ready,
        call: Call,
        context: Message,
        findings: Sequence[Finding],
        seen: Sequence[tuple[int, str]],
        names: Mapping[tuple[PartKind, int], str],
        broken: Sequence[str],
        failed: Mapping[str, str],
        around: _Around = _NOTHING_AROUND,
    ) -> PolicyOutcome | None:
        """One policy's outcome, or None where it has none."""
        policy = ready.policy
        read = [
            self._language.finding(findings[position], alias=alias, name=_name_of(findings[position], names))
            for position, alias in seen
        ]
        reasons = [f"the detector {name} did not run ({clean(failed[name])})" for name in broken]
        reasons += around.doubts
        try:
            holds = ready.condition.holds(context, read, around.steps)
        except ConditionFailed as error:
            holds = False
            reasons.append(f"the condition failed ({clean(str(error))})")
        if not holds:
            if not reasons:
                return None
            action = Action.ALLOW if policy.on_error == "review" else Action(policy.on_error)
            return PolicyOutcome(
                policy=policy.id,
                title=policy.title,
                outcome=Outcome.ERROR,
                status=policy.status,
                action=action,
                severity=policy.severity,
                queue=policy.then.queue or ERROR_QUEUE,
                explanation=f"Not decided: {'; '.join(reasons)}.",
                controls=_controls(policy),
                values=_values(ready, context, around),
                scope=policy.scope,
            )
        if policy.scope is PolicyScope.CALL:
            causes = self._causes(ready.condition, context, seen, read)
            first = findings[causes[0]] if causes else None
            name = _name_of(first, names) if first else ""
        else:
            causes = list(dict.fromkeys(position for position, _ in seen))
            first, name = around.found[0] if around.found else (None, "")
        explanation = fill(policy, call, first, name=name)
        values = _values(ready, context, around)
        outcome, action, queue = Outcome.FIRED, policy.then.action, policy.then.queue
        exemption = self._exempted(ready, context, read, around.steps)
        if exemption is not None:
            outcome, action, queue = Outcome.EXCEPTED, Action.ALLOW, ""
            values = {
                **values,
                "exception.approved_by": clean(exemption.approved_by),
                "exception.expires": exemption.expires.isoformat(),
                "exception.reason": clean(exemption.reason),
            }
        elif reasons and policy.on_error != "review":
            # It fired on what the other detectors saw; what the failed one would have said could only be worse.
            action = max(action, Action(policy.on_error), key=lambda one: one.rank)
        return PolicyOutcome(
            policy=policy.id,
            title=policy.title,
            outcome=outcome,
            status=policy.status,
            action=action,
            severity=policy.severity,
            queue=queue,
            explanation=explanation,
            findings=tuple(causes),
            controls=_controls(policy),
            values=values,
            scope=policy.scope,
        )

    def _exempted(
        self, ready: _Ready, context: Message, read: list[Message], around: list[Message]
    ) -> Exemption | None:
        """The first exception that applies today. One that fails or has expired does not apply."""
        if not ready.exceptions:
            return None
        today = self._clock().astimezone(UTC).date()
        for exemption, condition in ready.exceptions:
            if exemption.expires < today:
                continue
            try:
                if condition.holds(context, read, around):
                    return exemption
            except ConditionFailed:
                continue
        return None

    def _causes(
        self, condition: Condition, context: Message, seen: Sequence[tuple[int, str]], read: list[Message]
    ) -> list[int]:
        """The findings for which the condition holds: none if it holds without any, those with which alone it holds,
        or, where only several together make it hold, all that the policy read."""
        if not read or _holds(condition, context, []):
            return []
        alone: list[int] = []
        if len(read) <= CAUSES_TRIED:
            alone = [
                position
                for (position, _), message in zip(seen, read, strict=True)
                if _holds(condition, context, [message])
            ]
        return list(dict.fromkeys(alone or [position for position, _ in seen]))

    def combine(self, outcomes: Sequence[PolicyOutcome]) -> Decision:
        """The decision that policies come to together: the strictest action wins, and only enforced policies move it.
        Independent of the order of the policies."""
        if not outcomes:
            return self._quiet
        ordered = sorted(
            outcomes,
            key=lambda one: (
                one.status is not PolicyStatus.ENFORCE,
                one.outcome is Outcome.EXCEPTED,
                -one.action.rank,
                -one.severity.rank,
                one.policy,
            ),
        )
        acting = [one for one in ordered if one.status is PolicyStatus.ENFORCE and one.outcome is not Outcome.EXCEPTED]
        action = max((one.action for one in acting), key=lambda one: one.rank, default=Action.ALLOW)
        severity: Severity | None = max((one.severity for one in acting), key=lambda one: one.rank, default=None)
        queued = sorted(
            (one for one in acting if one.queue), key=lambda one: (one.policy not in self._floor, -one.severity.rank)
        )
        return Decision(
            action=action,
            policy_set=self.policy_set.digest,
            queue=queued[0].queue if queued else "",
            severity=severity,
            policies=tuple(ordered),
            explanation=" ".join(dict.fromkeys(one.explanation for one in acting)),
        )


def _holds(condition: Condition, context: Message, read: list[Message]) -> bool:
    try:
        return condition.holds(context, read)
    except ConditionFailed:
        return False


def _name_of(finding: Finding, names: Mapping[tuple[PartKind, int], str]) -> str:
    return "" if finding.part is None else names.get((finding.part, finding.index), "")


def _controls(policy: Policy) -> dict[str, tuple[str, ...]]:
    return {framework: tuple(identifiers) for framework, identifiers in policy.controls.items()}


def _belongs(other: Call, call: Call, scope: PolicyScope) -> bool:
    """Whether another call is a step of the call's trace, or of its session within the same system."""
    if scope is PolicyScope.TRACE or not call.session_id:
        return other.trace_id == call.trace_id
    return (other.system, other.session_id) == (call.system, call.session_id)


def _doubts(theirs: Iterable[steps.Step], detectors: frozenset[str]) -> Iterator[str]:
    """What is unknown about the other steps, each once, where a policy that uses these detectors would need it."""
    if not detectors:
        return
    reasons: dict[str, None] = {}
    for step in theirs:
        if step.unknown:
            reasons[f"another step could not be examined ({clean(step.unknown)})"] = None
        for failure in step.failures:
            if failure.detector in detectors:
                words = f"the detector {failure.detector} did not run on another step ({clean(failure.reason)})"
                reasons[words] = None
    yield from list(reasons)[:_MOST_DOUBTS]


def _values(ready: _Ready, context: Message, around: _Around) -> dict[str, str]:
    """The values that the condition's own selections had: `call.*` and `params.*`, as text; and the number of steps."""
    values: dict[str, str] = {}
    if around.steps:
        values["steps"] = str(len(around.steps))
    if around.left_out:
        values["steps.left_out"] = str(around.left_out)
    for path in ready.paths:
        scope, *steps = path.split(".")
        value: object
        if scope == "params":
            value = ready.policy.params.get(steps[0])
        else:
            value = context
            for step in steps:
                value = getattr(value, step, None)
                if value is None:
                    break
            if steps == ["error"]:  # its words may quote the prompt, and these values are stored in clear
                value = kind_of_error(str(value or ""))
        if isinstance(value, str | int | float):
            values[path] = clean(str(value))
        elif isinstance(value, Sequence) and all(isinstance(item, str | int | float) for item in value):
            values[path] = clean(", ".join(str(item) for item in value))
    return values
