"""Finds the smallest change of one parameter that turns a condition's answer, for the same call and findings.

Nothing is derived from the condition's form: each change that is named has been tried. Tried first are the values that
the call and the findings hold, since a threshold flips where it passes one of them; then, for conditions that
calculate, a bisection on either side of the parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from google.protobuf.message import Message

from governance.policy.conditions import Condition, ConditionFailed
from governance.policy.policy import ParamValue

VALUES_TRIED = 400
"""Values of one parameter that are tried for being among those of the call and the findings."""
DOUBLINGS = 40
DIGITS = 2
"""Decimals of a threshold that is named; more where no such number flips and is smaller."""

Number: TypeAlias = "int | float"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """A parameter's value `to` (now `value`) with which, everything else unchanged, the condition gives `holds`."""

    name: str
    value: ParamValue
    to: ParamValue
    holds: bool


def flips(
    condition: Condition, params: Mapping[str, ParamValue], call: Message, findings: list[Message]
) -> tuple[Flip, ...]:
    """The smallest change of each parameter that flips the condition, in the order of the parameters; none for a
    parameter that alone cannot, or for a condition that fails."""

    def says(name: str, value: ParamValue) -> bool | None:
        try:
            return condition.given({**params, name: value}).holds(call, findings)
        except (ConditionFailed, TypeError, ValueError):
            return None

    try:
        now = condition.holds(call, findings)
    except ConditionFailed:
        return ()
    seen = tuple(chain(_numbers(call), *(_numbers(finding) for finding in findings)))
    words = tuple(dict.fromkeys(chain(_words(call), *(_words(finding) for finding in findings))))
    found = []
    for name, value in params.items():

        def flipped(other: ParamValue, name: str = name) -> bool:
            return says(name, other) is (not now)

        if isinstance(value, bool):
            to: ParamValue | None = (not value) if flipped(not value) else None
        elif isinstance(value, int | float):
            to = _number(value, seen, flipped)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            to = _list([str(item) for item in value], words, flipped)
        else:
            to = None
        if to is not None:
            found.append(Flip(name=name, value=value, to=to, holds=not now))
    return tuple(found)


def _number(value: Number, seen: Sequence[Number], flipped: Callable[[Number], bool]) -> Number | None:
    """The nearest number that turns the condition, of the parameter's own type, with as few decimals as possible."""
    # Protobuf does not list a field that is 0.
    edges = sorted({0.0, *(float(one) for one in seen if math.isfinite(one))}, key=lambda one: abs(one - value))
    for edge in edges[:VALUES_TRIED]:
        for beyond in _beyond(value, edge):
            if flipped(beyond):
                return _readable(value, beyond, flipped)
    found = [one for one in (_bisected(value, up, flipped) for up in (True, False)) if one is not None]
    return min(found, key=lambda one: abs(one - value)) if found else None


def _beyond(value: Number, edge: float) -> tuple[Number, ...]:
    """The edge itself and the next value on its far side: `>=` and `>` flip at one or the other."""
    if isinstance(value, int):
        steps: tuple[Number, ...] = (math.floor(edge), math.ceil(edge))
        steps += (steps[1] + 1,) if edge >= value else (steps[0] - 1,)
        return tuple(sorted({step for step in steps if step != value}, key=lambda one: abs(one - value)))
    if edge == value:
        return (math.nextafter(edge, math.inf), math.nextafter(edge, -math.inf))
    return (edge, math.nextafter(edge, math.inf if edge > value else -math.inf))


def _bisected(value: Number, up: bool, flipped: Callable[[Number], bool]) -> Number | None:
    """The number next to `value` that flips, if there is one within `DOUBLINGS` doublings of its size; exact to
    `DIGITS` decimals where the condition flips once on that side."""
    step = 1.0 if value == 0 else abs(float(value)) / 64
    near: float = value
    for _ in range(DOUBLINGS):
        far = value + step if up else value - step
        if isinstance(value, int):
            far = math.ceil(far) if up else math.floor(far)
        if flipped(far):
            break
        near, step = far, step * 2
    else:
        return None
    resolution = 1.0 if isinstance(value, int) else 10.0 ** -(DIGITS + 1)
    while abs(far - near) > resolution:
        middle = (near + far) / 2
        if isinstance(value, int):
            middle = int(middle)
        if flipped(middle):
            far = middle
        else:
            near = middle
    return _readable(value, far, flipped)


def _readable(value: Number, flip: Number, flipped: Callable[[Number], bool]) -> Number:
    """The flip rounded away from the parameter, to as few decimals as possible."""
    if isinstance(value, int):
        return int(flip)
    for digits in range(DIGITS, 17):
        scale = 10.0**digits
        # Multiplying may round back onto the edge that has to be passed: then the next decimal is the one.
        near = math.ceil(flip * scale) if flip > value else math.floor(flip * scale)
        for rounded in (near / scale, (near + (1 if flip > value else -1)) / scale):
            if flipped(rounded):
                return rounded
    return flip


def _list(value: list[str], words: Sequence[str], flipped: Callable[[list[str]], bool]) -> list[str] | None:
    """The list without one of its words, or with one more of those that the call and the findings hold."""
    for position in range(len(value)):
        without = value[:position] + value[position + 1 :]
        if flipped(without):
            return without
    for word in words[:VALUES_TRIED]:
        if word not in value and flipped([*value, word]):
            return [*value, word]
    return None


def _numbers(message: Message) -> Iterator[Number]:
    """All numbers in a message, at any depth."""
    for value in _leaves(message):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield value


def _words(message: Message) -> Iterator[str]:
    """All short texts in a message; what a producer's attributes hold is no value for a policy file."""
    for value in _leaves(message, without="attributes"):
        if isinstance(value, str) and 0 < len(value) <= 80:
            yield value


def _leaves(message: Message, *, without: str = "") -> Iterator[object]:
    for field, value in message.ListFields():
        if field.name == without:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from value.values()
        elif isinstance(value, Message):
            yield from _leaves(value, without=without)
        elif isinstance(value, str | int | float):
            yield value
        else:
            for item in value:
                if isinstance(item, Message):
                    yield from _leaves(item, without=without)
                else:
                    yield item
