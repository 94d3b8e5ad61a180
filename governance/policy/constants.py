"""Whether a condition, or a part of it, can come to only one answer: found by trying, never by guessing.

Comparisons with constants (literals and parameters) are decided for a value on each side of every constant; whatever
else a condition asks may be true or false. Where no combination makes it false (or true), it is always (never) true.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from governance.domain.calls import CallKind
from governance.domain.content import PartKind
from governance.policy.policy import ParamValue, Policy
from governance.policy.subconditions import Branch, tree

MOST_TRIED = 4_096
"""Combinations of values that are tried for one part of a condition; with more, nothing is said of it."""
MOST_WORK = 200_000
"""Comparisons that are made for one policy; then nothing more is said of it."""

Value: TypeAlias = "str | float | int | bool"
_COMPARES = ("==", "!=", "<", "<=", ">", ">=", "in")
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_COUNTED = frozenset({"inputs", "outputs", "output_length", "index", "length", "order"})


@dataclass(frozen=True, slots=True)
class Constant:
    """A part of a condition (from `start`) that has only this one answer."""

    part: Branch
    value: bool


def constants(policy: Policy) -> tuple[Constant, ...]:
    """The largest parts of the policy's condition that have only one answer; the whole alone where that is one."""
    root = tree(policy.when)
    return () if root is None else tuple(_Tried(policy).constant(root, {}))


@dataclass(frozen=True, slots=True)
class _Compared:
    """`left sign right`, right a constant."""

    left: str
    sign: str
    right: ParamValue


class _Tried:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._left = MOST_WORK
        self._quantifiers: dict[int, bool | None] = {}
        self._comparisons: dict[int, _Compared | None] = {}

    def constant(self, part: Branch, over: Mapping[str, str]) -> Iterator[Constant]:
        value = self._answer(part, over)
        if value is not None:
            yield Constant(part, value)
            return
        inner = {**over, _variable(part): part.over} if part.over else over
        for item in part.items:
            yield from self.constant(item, inner)

    def _answer(self, part: Branch, over: Mapping[str, str]) -> bool | None:
        """The only answer the part has, or None."""
        groups: dict[str, list[_Compared]] = {}
        free: dict[str, None] = {}
        leaves = list(self._leaves(part, over))
        for leaf in leaves:
            compared = self._compared(leaf)
            if compared is None:
                free[leaf.text] = None
            else:
                groups.setdefault(compared.left, []).append(compared)
        choices = [self._values(left, found, over) for left, found in groups.items()]
        count = math.prod(len(values) for values in choices) * 2 ** len(free)
        work = count * (len(leaves) + 1)
        if count > MOST_TRIED or not count or work > self._left:
            return None
        self._left -= work
        answers = set()
        for values in itertools.product(*choices, *([(True, False)] * len(free))):
            world = dict(zip([*groups, *free], values, strict=True))
            answers.add(self._holds(part, world, over))
            if len(answers) > 1:
                return None
        return answers.pop()

    def _leaves(self, part: Branch, over: Mapping[str, str]) -> Iterator[Branch]:
        if part.kind == "leaf" or (part.over and self._of_quantifier(part, over) is None):
            if part.text not in ("true", "false"):
                yield part
        elif not part.over:
            for item in part.items:
                yield from self._leaves(item, over)

    def _of_quantifier(self, part: Branch, over: Mapping[str, str]) -> bool | None:
        """A quantifier whose predicate decides it alone: none is ever such, or all always are."""
        if id(part) not in self._quantifiers:
            value = self._answer(part.items[0], {**over, _variable(part): part.over})
            decides = (part.kind, value) in (("exists", False), ("every", True))
            self._quantifiers[id(part)] = value if decides else None
        return self._quantifiers[id(part)]

    def _holds(self, part: Branch, world: Mapping[str, Value], over: Mapping[str, str]) -> bool:
        items = (self._holds(item, world, over) for item in part.items)
        match part.kind:
            case "all":
                return all(items)
            case "any":
                return any(items)
            case "not":
                return not next(items)
            case "choice":
                asked, yes, no = items
                return yes if asked else no
        if part.over:
            decided = self._of_quantifier(part, over)
            return bool(world[part.text]) if decided is None else decided
        if part.text in ("true", "false"):
            return part.text == "true"
        compared = self._compared(part)
        return bool(world[part.text]) if compared is None else _compare(world[compared.left], compared)

    def _compared(self, leaf: Branch) -> _Compared | None:
        if id(leaf) not in self._comparisons:
            self._comparisons[id(leaf)] = self._comparison(leaf)
        return self._comparisons[id(leaf)]

    def _comparison(self, leaf: Branch) -> _Compared | None:
        depth = 0
        signs = []
        for number, token in enumerate(leaf.tokens):
            depth += (token in _OPEN) - (token in _CLOSE)
            if depth == 0 and token in _COMPARES:
                signs.append(number)
        if leaf.over or len(signs) != 1:
            return None
        (at,) = signs
        left, right = leaf.tokens[:at], self._known(leaf.tokens[at + 1 :])
        sign = leaf.tokens[at]
        if right is None or (self._known(left) is not None and isinstance(right, list)):
            return None
        if (sign == "in") is not isinstance(right, list) or not left or isinstance(right, bool):
            return None
        if isinstance(right, str) and sign not in ("==", "!="):
            return None
        return _Compared(" ".join(left), sign, right)

    def _known(self, tokens: Sequence[str]) -> ParamValue | None:
        """The value of a literal, a list of literals, or a parameter."""
        if len(tokens) == 3 and tokens[:2] == ("params", "."):
            return self._policy.params.get(tokens[2])
        text = "".join(tokens)
        if (
            "\\" in text
            or not tokens
            or (tokens[0] not in ("[", "-") and not (tokens[0][0] in "\"'" or tokens[0][0].isdigit()))
        ):
            return None
        try:
            value: object = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
        if isinstance(value, str | int | float):
            return value
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return value
        return None

    def _values(self, left: str, found: Sequence[_Compared], over: Mapping[str, str]) -> list[Value]:
        """Values that stand for all that the left side can be, as far as these comparisons can tell."""
        words = [item for one in found for item in (one.right if isinstance(one.right, list) else [one.right])]
        domain = self._domain(left, over)
        fixed = self._known(tuple(left.split(" ")))
        if isinstance(fixed, str | int | float):
            return [fixed]
        if domain is not None and all(isinstance(one, str) for one in domain):
            return [*domain]
        if any(isinstance(one, str) for one in words):
            other = "?" + "?".join(str(one) for one in words)  # longer than each of them, so none of them
            return [*dict.fromkeys(str(one) for one in words), other, ""]
        numbers = sorted(one for one in words if isinstance(one, int | float))
        tried: list[int | float] = []
        if all(isinstance(one, int) for one in numbers):
            tried = [near for one in numbers for near in (int(one) - 1, int(one), int(one) + 1)]
        else:
            middles = [(one + two) / 2 for one, two in itertools.pairwise(numbers)]
            tried = [float(numbers[0]) - 1, *map(float, numbers), *middles, float(numbers[-1]) + 1]
            if domain is None:
                tried.append(math.nan)
        if domain is not None:
            low, high = (one for one in domain if isinstance(one, int | float))
            tried = [one for one in tried if low <= one <= high]
            tried += [one for one in (low, high) if math.isfinite(one)]
        return [*tried]

    def _domain(self, left: str, over: Mapping[str, str]) -> tuple[Value, ...] | None:
        """All words the left side can be, or the smallest and largest number; None where it may be anything."""
        owner, _, field = left.rpartition(" . ")
        scope = self._policy.applies_to
        if left == "call . kind":
            return tuple(scope.kinds or list(CallKind))
        for name, patterns in (("call . system", scope.systems), ("call . user . role", scope.roles)):
            if left == name and not any(sign in pattern for pattern in patterns for sign in "*?["):
                return tuple(patterns)
        if left.endswith(". size ( )") or (field in _COUNTED and (owner == "call" or owner in over)):
            return (0, math.inf)
        # Of findings; what a policy calls `f` elsewhere is something else.
        if over.get(owner) == "findings" or over.get(owner, "").endswith(".findings"):
            if field == "score":
                return (0.0, 1.0)
            if field == "count":
                return (1, math.inf)
            if field == "part":
                return ("", *(scope.parts or list(PartKind)))
        return None


def _variable(part: Branch) -> str:
    """The name that a quantifier gives each item: `range.exists(name, ...)`."""
    inside = part.tokens
    depth = 0
    for number in range(len(inside) - 1, -1, -1):
        depth += (inside[number] in _CLOSE) - (inside[number] in _OPEN)
        if depth == 0:
            return inside[number + 1]
    return ""


def _compare(value: Value, one: _Compared) -> bool:
    right = one.right
    if one.sign == "in":
        return isinstance(right, list) and value in right
    if one.sign == "==":
        return value == right
    if one.sign == "!=":
        return value != right
    if isinstance(value, str) or isinstance(right, str | list):
        return False
    return {"<": value < right, "<=": value <= right, ">": value > right, ">=": value >= right}[one.sign]
