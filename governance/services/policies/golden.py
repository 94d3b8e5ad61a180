"""Golden calls: examples with what a policy set is expected to say of them, kept in a file beside the policies.

One JSON object a line: a call as `governance check --jsonl` takes it, with `expect`: an action, `fire` (it is flagged,
whatever the action) or `allow` (it is not), or with `label` in its place, 1 or 0 for `fire` or `allow`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from governance.detectors.runner import Runner
from governance.domain.calls import Call
from governance.domain.decisions import Action, Decision
from governance.domain.steps import Around
from governance.engine.check import NOTHING_KNOWN, Checker, around_of
from governance.engine.decide import DecisionEngine
from governance.engine.request import call_from, object_of, steps_from
from governance.errors import BadInput, GovernanceError
from governance.policy.policy import PolicySet
from governance.services.policies.share import Share, share

FIRE, ALLOW = "fire", "allow"
EXPECTED = (FIRE, *(action.value for action in Action))
LONGEST_LINE = 20 * 1024 * 1024
SYSTEM = "golden"
"""The system of a call that names none."""
EXAMPLES = 20
_MISTAKES = 10
"""Mistakes that are named; of more, how many there are."""
_TOGETHER = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """A labelled call: `line` is where it stands, `name` its `id` ("" where it has none)."""

    line: int
    name: str
    call: Call
    around: Around
    expect: str

    @property
    def flags(self) -> bool:
        """Whether it is expected to be flagged."""
        return self.expect != ALLOW

    def met(self, decision: Decision) -> bool:
        """Whether a decision is what was expected."""
        if self.expect == FIRE:
            return decision.flagged
        return not decision.flagged if self.expect == ALLOW else decision.action.value == self.expect


def read(file: str, stream: BinaryIO) -> list[Golden]:
    """The labelled calls of a file. Raises `BadInput` that names each wrong line as `file:line: what`."""
    found: list[Golden] = []
    wrong: list[str] = []
    for number, raw in enumerate(_lines(stream), 1):
        if not raw.strip():
            continue
        try:
            found.append(_golden(number, raw))
        except GovernanceError as error:
            wrong.append(f"{file}:{number}: {error}")
    if wrong:
        more = f"\nand {len(wrong) - _MISTAKES} more" if len(wrong) > _MISTAKES else ""
        raise BadInput("\n".join(wrong[:_MISTAKES]) + more)
    if not found:
        raise BadInput(f"{file} holds no call.", advice='One a line, as {"text": "...", "expect": "allow"}.')
    return found


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines; of one over the limit, what is over is left out: it is then no JSON."""
    while line := stream.readline(LONGEST_LINE):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(LONGEST_LINE)):
            line = line[:1]
        yield line


def _golden(number: int, raw: bytes) -> Golden:
    value = object_of(raw)
    expect = _expected(value)
    call = call_from(value, system=SYSTEM)
    name = value.get("id")
    return Golden(
        line=number,
        name="" if name is None else str(name)[:200],
        call=call,
        around=around_of(steps_from(value, call)),
        expect=expect,
    )


def _expected(value: dict[str, Any]) -> str:
    expect, label = value.get("expect"), value.get("label")
    if expect is None and label in (0, 1):  # True and False too
        return FIRE if label else ALLOW
    if expect is None and label is None:
        raise BadInput("the call has no label.", advice=f'Give it "expect": one of {", ".join(EXPECTED)}.')
    if expect not in EXPECTED:
        shown = json.dumps(label if expect is None else expect)[:60]
        raise BadInput(f"{shown} is no label.", advice=f"expect is one of {', '.join(EXPECTED)}; label is 0 or 1.")
    return str(expect)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenSide:
    """What one set makes of golden calls: the share that it answers as expected; of what it flags, the share that was
    to be flagged (`precision`); of what was to be flagged, the share that it does (`recall`)."""

    right: Share
    precision: Share
    recall: Share

    def document(self) -> dict[str, Any]:
        return {
            "right": self.right.document(),
            "precision": self.precision.document(),
            "recall": self.recall.document(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenCase:
    """A golden call whose answer changes, or is wrong: what was expected, and what either set says."""

    line: int
    name: str
    expect: str
    before: str
    after: str

    def document(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "id": self.name,
            "expect": self.expect,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenReport:
    """`lost` were answered rightly and would be no more, `won` would be from now on; the cases are the first of them.
    `wrong` are those that the set after answers wrongly, the lost ones among them."""

    calls: int
    before: GoldenSide
    after: GoldenSide
    lost: int
    won: int
    wrong: int
    lost_cases: tuple[GoldenCase, ...]
    won_cases: tuple[GoldenCase, ...]
    wrong_cases: tuple[GoldenCase, ...]

    def document(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "before": self.before.document(),
            "after": self.after.document(),
            "lost": self.lost,
            "won": self.won,
            "wrong": self.wrong,
            "lost_calls": [one.document() for one in self.lost_cases],
            "won_calls": [one.document() for one in self.won_cases],
            "wrong_calls": [one.document() for one in self.wrong_cases],
        }


class GoldenRunner:
    """Two sets over golden calls. Where both get the same detectors, these look once."""

    def __init__(self, before: tuple[Runner, PolicySet], after: tuple[Runner, PolicySet]) -> None:
        self._before, self._after = (
            Checker(runner, DecisionEngine(policy_set)) for runner, policy_set in (before, after)
        )
        self._once = before[0].digest == after[0].digest

    def report(self, golden: Sequence[Golden], heard: Callable[[], None]) -> GoldenReport:
        """What both say of each; `heard` is called once a call."""
        said: list[tuple[Golden, Decision, Decision]] = []
        for start in range(0, len(golden), _TOGETHER):
            for one, before, after in self._decided(golden[start : start + _TOGETHER]):
                said.append((one, before, after))
                heard()
        lost = [_case(*one) for one in said if one[0].met(one[1]) and not one[0].met(one[2])]
        won = [_case(*one) for one in said if one[0].met(one[2]) and not one[0].met(one[1])]
        wrong = [_case(*one) for one in said if not one[0].met(one[2])]
        return GoldenReport(
            calls=len(said),
            before=_side([(one, before) for one, before, _ in said]),
            after=_side([(one, after) for one, _, after in said]),
            lost=len(lost),
            won=len(won),
            wrong=len(wrong),
            lost_cases=tuple(lost[:EXAMPLES]),
            won_cases=tuple(won[:EXAMPLES]),
            wrong_cases=tuple(wrong[:EXAMPLES]),
        )

    def _decided(self, some: Sequence[Golden]) -> Iterable[tuple[Golden, Decision, Decision]]:
        calls, around = [(one.call, NOTHING_KNOWN) for one in some], [one.around for one in some]
        first = self._before.check_many(calls, around)
        if self._once:
            for one, checked in zip(some, first, strict=True):
                again = self._after.conclude(
                    one.call, checked.parts, checked.examinations, checked.call_examination, checked.sequence
                )
                yield one, checked.decision, again.decision
            return
        for one, checked, other in zip(some, first, self._after.check_many(calls, around), strict=True):
            yield one, checked.decision, other.decision


def _case(one: Golden, before: Decision, after: Decision) -> GoldenCase:
    return GoldenCase(line=one.line, name=one.name, expect=one.expect, before=_words(before), after=_words(after))


def _words(decision: Decision) -> str:
    """The action, and the queue: `block`, `allow, queue security`."""
    return decision.action.value + (f", queue {decision.queue}" if decision.queue else "")


def _side(said: Sequence[tuple[Golden, Decision]]) -> GoldenSide:
    flagged = [one for one, decision in said if decision.flagged]
    hits = sum(one.flags for one in flagged)
    return GoldenSide(
        right=share(sum(one.met(decision) for one, decision in said), len(said)),
        precision=share(hits, len(flagged)),
        recall=share(hits, sum(one.flags for one, _ in said)),
    )
