"""What reviewers' verdicts teach about a policy: the narrowest change that would have raised none of the false alarms
and still every violation.

Two changes are sought: another value of one parameter, and an exception over where the false alarms came from. A change
is offered only if each violation still fires; each was tried on each judged call, none is derived.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from governance.domain.calls import Call
from governance.domain.content import Part
from governance.domain.decisions import PolicyStatus
from governance.domain.findings import DetectorFailure, Finding
from governance.engine.decide import DecisionEngine, Reading
from governance.engine.flips import flips
from governance.policy.conditions import Condition, ConditionFailed
from governance.policy.policy import ParamValue, Policy, PolicySet

MOST_NAMED = 12
"""Values that one term of an exception lists: a longer list would say that there is no pattern."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A call on which the policy fired and people have decided: `upheld` if it was a violation, else a false alarm."""

    case: int
    call: Call
    parts: Sequence[Part]
    findings: Sequence[Finding]
    failures: Sequence[DetectorFailure] = ()
    upheld: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """One change: parameter `param` from `value` to `to`, or the condition of an `exception`.

    `stops` are the cases of the false alarms that it would not have raised, `left` those it still would; `keeps` counts
    the violations, all of which still fire.
    """

    stops: tuple[int, ...]
    left: tuple[int, ...]
    keeps: int
    param: str = ""
    value: ParamValue = ""
    to: ParamValue = ""
    exception: str = ""


def lessons(policy: Policy, judged: Iterable[Judged]) -> tuple[Lesson, ...]:
    """The changes that separate false alarms from violations: those that stop most first, a parameter before an
    exception. Empty where nothing separates them, or nothing that the policy still fires on was a false alarm."""
    engine = DecisionEngine(
        PolicySet([policy.model_copy(update={"status": PolicyStatus.ENFORCE, "exceptions": []})]), whole=True
    )
    false: list[tuple[Judged, Reading]] = []
    upheld: list[Reading] = []
    for one in judged:
        for reading in engine.readings(one.call, one.parts, one.findings, one.failures):
            if not reading.unanswered and _holds(reading.condition, reading):
                if one.upheld:
                    upheld.append(reading)
                else:
                    false.append((one, reading))
    if not false:
        return ()
    found = [*_parameters(policy, false, upheld), *_exceptions(engine, policy, false, upheld)]
    return tuple(sorted(found, key=lambda lesson: (-len(lesson.stops), bool(lesson.exception))))


def _parameters(policy: Policy, false: Sequence[tuple[Judged, Reading]], upheld: Sequence[Reading]) -> Iterable[Lesson]:
    """For each parameter the value that stops most false alarms; among equal ones the nearest to today's."""
    tried: dict[str, list[ParamValue]] = {}
    for _, reading in false:
        for flip in flips(reading.condition, policy.params, reading.call, reading.findings):
            values = tried.setdefault(flip.name, [])
            if flip.to not in values:
                values.append(flip.to)
    for name, values in tried.items():
        best: Lesson | None = None
        for value in sorted(values, key=lambda one, name=name: _distance(policy.params[name], one)):  # type: ignore[misc]
            params = {**policy.params, name: value}
            if not all(_holds(reading.condition.given(params), reading) for reading in upheld):
                continue
            stops = tuple(one.case for one, reading in false if not _holds(reading.condition.given(params), reading))
            if stops and (best is None or len(stops) > len(best.stops)):
                best = Lesson(
                    stops=stops,
                    left=_left(false, stops),
                    keeps=len(upheld),
                    param=name,
                    value=policy.params[name],
                    to=value,
                )
        if best is not None:
            yield best


def _distance(value: ParamValue, other: ParamValue) -> float:
    if isinstance(value, int | float) and isinstance(other, int | float):
        return abs(float(other) - float(value))
    return 0.0


def _exceptions(
    engine: DecisionEngine, policy: Policy, false: Sequence[tuple[Judged, Reading]], upheld: Sequence[Reading]
) -> Iterable[Lesson]:
    """One exception a system: its false alarms' rules, and further terms until every violation still fires."""
    systems = dict.fromkeys(one.call.system for one, _ in false if one.call.system)
    for system in systems:
        group = [(one, reading) for one, reading in false if one.call.system == system]
        chosen: list[str] = []
        for term in _terms(group):
            chosen.append(term)
            if len(chosen) < 2:
                continue
            text = " && ".join(chosen)
            condition = engine.language.compile(policy, text)
            if any(_holds(condition, reading) for reading in upheld):
                continue
            stops = tuple(one.case for one, reading in false if _holds(condition, reading))
            if stops:
                yield Lesson(stops=stops, left=_left(false, stops), keeps=len(upheld), exception=text)
            break


def _terms(group: Sequence[tuple[Judged, Reading]]) -> Iterable[str]:
    """Where the false alarms came from, in CEL, each true of all of them: the system and the rules first, since those
    say what was misjudged; then who asked, which step, which documents. A user or a session is no reason."""
    calls = [one.call for one, _ in group]
    yield f"call.system == {_quoted(calls[0].system)}"
    named = [{one.findings[position].rule for position in reading.seen} for one, reading in group]
    if all(named) and (rules := _listed(set().union(*named))):
        yield f"findings.all(f, f.rule in {rules})"
    for path, values in (
        ("call.user.role", {call.user.role for call in calls}),
        ("call.name", {call.name for call in calls}),
        ("call.release.name", {call.release.name for call in calls}),
        ("call.model", {call.model for call in calls}),
    ):
        if "" not in values and (listed := _listed(values)):
            yield f"{path} in {listed}"
    places = [{str(getattr(finding, "document", "")) for finding in reading.findings} for _, reading in group]
    if all(place and "" not in place for place in places) and (listed := _listed(set().union(*places))):
        yield f"findings.all(f, f.document in {listed})"


def _listed(values: set[str]) -> str:
    return f"[{', '.join(_quoted(value) for value in sorted(values))}]" if 0 < len(values) <= MOST_NAMED else ""


def _quoted(value: str) -> str:
    """A CEL string: JSON's escapes are among CEL's; half characters are replaced, as in what conditions see."""
    return json.dumps(value.encode("utf-8", "replace").decode()[:200], ensure_ascii=False)


def _left(false: Sequence[tuple[Judged, Reading]], stops: Sequence[int]) -> tuple[int, ...]:
    return tuple(one.case for one, _ in false if one.case not in stops)


def _holds(condition: Condition, reading: Reading) -> bool:
    try:
        return condition.holds(reading.call, reading.findings)
    except ConditionFailed:
        return False
