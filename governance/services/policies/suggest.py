"""From verdict to policy: what reviewers overturned becomes a change of the policy file that an engineer can take or
leave: a threshold or an exception that keeps every violation, and a test that holds it there.

Nothing is changed here. The example of a test is a call's redacted text, so it goes into git as the console showed it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any, Protocol

from governance.detectors.interface import DetectorUse
from governance.domain.decisions import Action, Outcome, PolicyStatus
from governance.domain.people import Actor, Permission
from governance.engine.check import Examiner
from governance.engine.decide import DecisionEngine
from governance.engine.lesson import Judged, Lesson, lessons
from governance.engine.trial import trials
from governance.errors import BadInput
from governance.policy.edit import with_item, with_param
from governance.policy.policy import Exemption, Policy, PolicySet, PolicyTest
from governance.policy.source import Value
from governance.services.authorise import Authority
from governance.services.calls.explain import Decided
from governance.services.policies.backtest.run import BacktestService, Progress, unheard
from governance.services.ports import UnitOfWork

MOST_CASES = 500
FRESH = timedelta(hours=1)
"""A check on history that is not older is not made again."""
LASTS = timedelta(days=90)
APPROVER = "to be named"
"""Stands in a suggested exception until somebody has approved it."""
LONGEST_EXAMPLE = 4_000
"""Code points of an example call: longer ones make no test that people read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseOfPolicy:
    """A case with a decision in which the policy fired. `upheld` is None while nobody has decided."""

    case: int
    decided: Decided
    upheld: bool | None


class Verdicts(Protocol):
    """Where cases and their calls come from."""

    def of_policy(self, policy: str, *, limit: int) -> Sequence[CaseOfPolicy]:
        """The latest cases in which the policy fired, alone or beside others, without those whose content cannot be
        read any more."""

    def redacted(self, call_id: int) -> Mapping[str, Any]:
        """The call object, as the console shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """One change. `text` is the whole file with it, `diff` a unified diff; `example` is the case its test shows, None
    where no redacted text shows it (`without_example` says why). Of the false alarms that it stops, `shared` were
    raised by another policy, too. `undecided` counts cases that nobody has decided yet, and `undecided_stopped` those
    of them on which the policy would not fire. `history` is what it would have done to the calls of the last 30 days,
    None where nobody looked."""

    lesson: Lesson
    text: str
    diff: str
    example: int | None
    without_example: str
    shared: int
    undecided: int
    undecided_stopped: int
    history: History | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Of `calls` of the last 30 days, how many the policy fires on no longer, and on how many for the first time;
    `undecided` calls could not be asked."""

    calls: int
    no_longer: int
    newly: int
    undecided: int


class SuggestService:
    """`build` makes the detectors that a policy's tests ask for, with the set's Cedar files; `backtest` checks what is
    suggested on history."""

    def __init__(
        self,
        authority: Authority[UnitOfWork],
        verdicts: Verdicts,
        build: Callable[[Iterable[DetectorUse], Mapping[str, str]], Examiner],
        backtest: BacktestService | None = None,
    ) -> None:
        self._backtest = backtest
        self._authority = authority
        self._verdicts = verdicts
        self._build = build

    def suggest(
        self,
        actor: Actor,
        policies: PolicySet,
        policy: Policy,
        text: str,
        *,
        file: str,
        most: int | None = None,
        processes: int = 1,
        progress: Progress = unheard,
    ) -> tuple[Suggestion, ...]:
        """What the verdicts on the policy's cases suggest, the best first, and no more than `most`. `text` is that of
        the policy's file, `policies` the set it belongs to. Each is checked on history by so many `processes`; blocks,
        as `BacktestService.run` does."""
        self._authority.require(actor, Permission.PROPOSE_POLICY, subject="policy")
        progress(0, 0)
        firing = _firing(policy)
        cases = [one for one in self._verdicts.of_policy(policy.id, limit=MOST_CASES) if firing(_judged(one))]
        waiting = [_judged(one) for one in cases if one.upheld is None]
        today = self._authority.clock().date()
        found: list[tuple[Suggestion, Policy]] = []
        for lesson in lessons(policy, (_judged(one) for one in cases if one.upheld is not None))[:most]:
            progress(0, 0)
            try:
                changed_text, changed = self._changed(policy, text, lesson, today)
            except BadInput as error:
                raise BadInput(f"{file}: {error.message}", advice="Change it by hand.") from None
            changed_text, example, why = self._with_example(
                policy, changed, changed_text, lesson, cases, policies.access
            )
            still = _firing(changed)
            stopped = set(lesson.stops)
            made = Suggestion(
                lesson=lesson,
                text=changed_text,
                diff=_diff(text, changed_text, file),
                example=example,
                without_example=why,
                shared=sum(one.case in stopped and _raised_by_another(policy, one) for one in cases),
                undecided=len(waiting),
                undecided_stopped=sum(not still(one) for one in waiting),
            )
            found.append((made, changed))
        if self._backtest is None:
            return tuple(made for made, _ in found)
        checked = partial(self._history, self._backtest, actor, policies, processes)
        return tuple(
            replace(made, history=checked(changed, _Part(progress, number, found)))
            for number, (made, changed) in enumerate(found)
        )

    def _history(
        self,
        backtest: BacktestService,
        actor: Actor,
        before: PolicySet,
        processes: int,
        changed: Policy,
        progress: Progress,
    ) -> History:
        """The backtest of the set with the policy changed, which is what taking the suggestion makes; what others say
        does not change. It is kept like any other, and one of the last hour is not run again."""
        after = PolicySet([changed if one.id == changed.id else one for one in before.policies], access=before.access)
        report = backtest.kept(after.digest, before.digest, since=self._authority.clock() - FRESH)
        if report is None:
            span = backtest.span()
            report = backtest.tried(
                actor.name, after, against=before, span=span, processes=processes, progress=progress
            ).document()
        found: Mapping[str, int] = next((one for one in report["policies"] if one["name"] == changed.id), {})
        return History(
            calls=report["calls"],
            no_longer=found.get("no_longer_flagged", 0),
            newly=found.get("newly_flagged", 0),
            undecided=sum(report["undecided"].values()),
        )

    def _changed(self, policy: Policy, text: str, lesson: Lesson, today: date) -> tuple[str, Policy]:
        """The file and the policy with the change made."""
        if lesson.param:
            value: Any = lesson.to
            params = {**policy.params, lesson.param: lesson.to}
            return with_param(text, lesson.param, value), policy.model_copy(update={"params": params})
        cases = ", ".join(str(number) for number in lesson.stops[:8])
        item: dict[str, Value] = {
            "when": lesson.exception,
            "expires": today + LASTS,
            "approved_by": APPROVER,
            "reason": f"Reviewers found no violation in {'case' if len(lesson.stops) == 1 else 'cases'} {cases}.",
        }
        exemption = Exemption.model_validate(item)
        return with_item(text, "exceptions", item), policy.model_copy(
            update={"exceptions": [*policy.exceptions, exemption]}
        )

    def _with_example(
        self,
        policy: Policy,
        changed: Policy,
        text: str,
        lesson: Lesson,
        cases: Sequence[CaseOfPolicy],
        access: Mapping[str, str],
    ) -> tuple[str, int | None, str]:
        """The file with a test that fails on the policy as it is and passes on the changed one, of the first case whose
        redacted text shows that."""
        by_case = {one.case: one for one in cases}
        why = "no redacted text of a case shows the difference"
        for number in lesson.stops[:20]:
            call = example(self._verdicts.redacted(by_case[number].decided.call_id))
            if call is None:
                why = "the calls are too long for an example"
                continue
            test: dict[str, Value] = {"name": f"case {number} was a false alarm", "call": call, "expect": "allow"}
            passes = [self._passes(one, test, access) for one in (policy, changed)]
            if passes == [False, True]:
                return with_item(text, "tests", test), number, ""
        return text, None, why

    def _passes(self, policy: Policy, test: Mapping[str, Any], access: Mapping[str, str]) -> bool:
        alone = policy.model_copy(update={"tests": [PolicyTest.model_validate(test)]})
        tried = trials(PolicySet([alone], access=access), lambda uses: self._build(uses, access))
        return all(trial.passed for trial in tried)


def example(call: Mapping[str, Any]) -> dict[str, Value] | None:
    """A call object as the call of a test: what detectors and conditions read, redacted; None if it is too long."""
    made: dict[str, Value] = {"system": call["system"], "kind": call["kind"]}
    if call["user"]["role"]:
        made["user"] = {"role": call["user"]["role"]}
    if call["name"]:
        made["name"] = call["name"]
    parts: dict[str, list[Value]] = {
        "input": [{"role": one["role"], "text": one["text"]} for one in call["input"]],
        "output": [{"role": one["role"], "text": one["text"]} for one in call["output"]],
        "documents": [{"id": one["id"], "text": one["text"], "labels": one["labels"]} for one in call["documents"]],
        "tool_calls": [
            {"name": one["name"], "arguments": one["arguments"]}
            | ({} if one["result"] is None else {"result": one["result"]})
            for one in call["tool_calls"]
        ],
    }
    made.update({name: items for name, items in parts.items() if items})
    return made if len(str(made)) <= LONGEST_EXAMPLE else None


class _Part:
    """Progress of one of several backtests over the same calls, told as progress of all of them."""

    def __init__(self, progress: Progress, number: int, of: Sequence[object]) -> None:
        self._progress, self._number, self._of = progress, number, len(of)

    def __call__(self, done: int, of: int) -> None:
        self._progress(self._number * of + done, self._of * of)


def _judged(one: CaseOfPolicy) -> Judged:
    """The case's call; where nobody has decided, it was no violation so far."""
    decided = one.decided
    assert decided.call is not None, "of_policy leaves out what cannot be read"
    return Judged(
        case=one.case,
        call=decided.call,
        parts=decided.parts,
        findings=decided.findings,
        failures=decided.failures,
        upheld=bool(one.upheld),
    )


def _firing(policy: Policy) -> Callable[[Judged], bool]:
    """Whether the policy acts on a call, exceptions included."""
    engine = DecisionEngine(PolicySet([policy.model_copy(update={"status": PolicyStatus.ENFORCE})]))

    def fires(one: Judged) -> bool:
        decision = engine.decide(one.call, one.parts, one.findings, one.failures)
        return any(outcome.outcome is Outcome.FIRED for outcome in decision.policies)

    return fires


def _raised_by_another(policy: Policy, one: CaseOfPolicy) -> bool:
    return any(
        said.policy != policy.id
        and said.outcome is not Outcome.EXCEPTED
        and said.status is PolicyStatus.ENFORCE
        and (said.queue or said.action is not Action.ALLOW)
        for said in one.decided.decision.policies
    )


def _diff(before: str, after: str, file: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{file}", f"b/{file}", lineterm="")
    return "\n".join(lines) + "\n"
