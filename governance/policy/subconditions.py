"""The sub-conditions of a condition, each with its place and, for given values, what it came to.

A sub-condition is the whole condition, an operand of `&&`, `||`, `!` and `?:`, or the predicate of a quantifier
(`exists`, `all`, `exists_one`, `filter`, and `map` with three arguments). The condition has compiled before: this
module only finds where its parts begin and end (https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax);
what they mean is asked of CEL itself, which compiles and evaluates each part as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from governance.policy.conditions import NO_STEPS, Condition, ConditionFailed, IllTyped, Language
from governance.policy.policy import Policy

DEEPEST = 200
"""Levels of brackets that are looked into; CEL itself compiles fewer."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<text>(?:[rR][bB]?|[bB][rR])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
           |[bB]?(?:\"{3}(?:\\.|.)*?\"{3}|'{3}(?:\\.|.)*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
  | (?P<number>(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)[uU]?)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||[=!<>]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS = {"(": ")", "[": "]", "{": "}"}
_COMPARES = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"})
_QUANTIFIERS = frozenset({"exists", "all", "exists_one", "filter", "map"})


@dataclass(frozen=True, slots=True)
class Quantifier:
    """`range` is the text of the collection, `name` the variable for its items."""

    range: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SubCondition:
    """A part of a condition that is true or false: `condition[start:end]`, which is `text`.

    `within` are the quantifiers whose names it may use, the outermost first: it has a value for each of their items.
    """

    text: str
    start: int
    end: int
    within: tuple[Quantifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sub-condition came to: exactly one of these, or, within a quantifier, one or none for each item.

    `failed`: it gave an error (of an item: and never the value that was asked for).
    """

    true: bool = False
    false: bool = False
    failed: bool = False


def split(condition: str) -> tuple[SubCondition, ...]:
    """All sub-conditions of a condition that compiles, the whole first, then in the order of their starts."""
    parts = _Parts(condition)
    found = dict.fromkeys(parts.boolean(0, len(parts.tokens), (), 0))
    return tuple(sorted(found, key=lambda one: (one.start, -one.end)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A condition as a tree. `kind` is all (`&&`), any (`||`), not, choice (`?:`), exists or every (the quantifiers
    `exists` and `all`, whose predicate is the only item), or leaf: anything else, with its `tokens`."""

    kind: str
    text: str
    start: int
    items: tuple[Branch, ...] = ()
    tokens: tuple[str, ...] = ()
    over: str = ""
    """What a quantifier goes through."""


def tree(condition: str) -> Branch | None:
    """The structure of a condition that compiles; None for one that is nested too deeply."""
    parts = _Parts(condition)
    try:
        return parts.tree(0, len(parts.tokens), 0)
    except _TooDeep:
        return None


class _TooDeep(Exception):
    pass


class SubConditions:
    """A policy's condition taken apart, ready to be asked. `items` are those that CEL compiles (every one, unless the
    condition is near CEL's limits of size)."""

    def __init__(self, language: Language, policy: Policy, condition: str | None = None) -> None:
        """`condition` is one of the policy's: `when` unless it is given. Raises `IllTyped` if it does not compile."""
        text = policy.when if condition is None else condition
        language.compile(policy, text)
        asked = [(item, _questions(language, policy, item)) for item in split(text)]
        self._asked = tuple((item, questions) for item, questions in asked if questions is not None)
        self.items: tuple[SubCondition, ...] = tuple(item for item, _ in self._asked)

    def observe(
        self, call: Message, findings: list[Message], steps: list[Message] = NO_STEPS
    ) -> tuple[Observation, ...]:
        """What each of `items` came to, all of them: also those that CEL need not have asked to know the whole."""
        return tuple(_observed(questions, call, findings, steps) for _, questions in self._asked)


_Questions: TypeAlias = tuple[Condition, Condition | None]
"""Whether a sub-condition is true (of an item); for one within quantifiers also whether it is false of an item."""


def _questions(language: Language, policy: Policy, item: SubCondition) -> _Questions | None:
    try:
        if not item.within:
            return language.compile(policy, _bound(item.text, ())), None
        positive = language.compile(policy, _bound(item.text, item.within))
        return positive, language.compile(policy, _bound(f"!(\n{item.text}\n)", item.within))
    except IllTyped:
        return None


def _bound(text: str, within: Sequence[Quantifier]) -> str:
    """True if the text is true of some item. `exists` forgives an item's error where another item is true."""
    for quantifier in reversed(within):
        text = f"(\n{quantifier.range}\n).exists({quantifier.name}, (\n{text}\n))"
    return text


def _observed(questions: _Questions, call: Message, findings: list[Message], steps: list[Message]) -> Observation:
    positive, negative = questions
    true, broke = _asked(positive, call, findings, steps)
    if negative is None:
        return Observation(true=true, false=not true and not broke, failed=broke)
    false, broke_too = _asked(negative, call, findings, steps)
    return Observation(true=true, false=false, failed=broke or broke_too)


def _asked(condition: Condition, call: Message, findings: list[Message], steps: list[Message]) -> tuple[bool, bool]:
    try:
        return condition.holds(call, findings, steps), False
    except ConditionFailed:
        return False, True


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Parts:
    """A condition's tokens, with the partner of each bracket; ranges of tokens are [low, high)."""

    def __init__(self, condition: str) -> None:
        self.condition = condition
        self.tokens = [
            _Token(match.lastgroup or "", match.group(), match.start(), match.end())
            for match in _TOKEN.finditer(condition)
            if match.lastgroup != "space"
        ]
        self.partner: dict[int, int] = {}
        opened: list[int] = []
        for number, token in enumerate(self.tokens):
            if token.kind == "sign" and token.text in _OPENS:
                opened.append(number)
            elif token.kind == "sign" and token.text in _OPENS.values() and opened:
                self.partner[number] = opened.pop()
                self.partner[self.partner[number]] = number

    def boolean(self, low: int, high: int, within: tuple[Quantifier, ...], depth: int) -> Iterator[SubCondition]:
        """The range itself, which is true or false, and what is in it. `!x` is not its own part: x says the same."""
        while high - low > 2 and self._is(low, "(") and self.partner.get(low) == high - 1:
            low, high, depth = low + 1, high - 1, depth + 1
        if low >= high or depth > DEEPEST:
            return
        if not self._negates(low, high):
            yield SubCondition(
                text=self._text(low, high), start=self.tokens[low].start, end=self.tokens[high - 1].end, within=within
            )
        yield from self._inside(low, high, within, depth + 1, boolean=True)

    def tree(self, low: int, high: int, depth: int) -> Branch:
        while high - low > 2 and self._is(low, "(") and self.partner.get(low) == high - 1:
            low, high = low + 1, high - 1
        if low >= high or depth > DEEPEST:
            raise _TooDeep
        text, start = self._text(low, high), self.tokens[low].start
        top = list(self._top(low, high))
        asks = next((number for number in top if self._is(number, "?")), None)
        ranges: list[tuple[int, int]] = []
        kind, over = "leaf", ""
        if asks is not None:
            answer = self._otherwise(top, asks, high)
            kind, ranges = "choice", [(low, asks), (asks + 1, answer), (answer + 1, high)]
        else:
            for sign, name in (("||", "any"), ("&&", "all")):
                signs = [number for number in top if self._is(number, sign)]
                if signs and kind == "leaf":
                    kind = name
                    ranges = list(zip([low, *(number + 1 for number in signs)], [*signs, high], strict=True))
            if kind == "leaf" and self._negates(low, high):
                kind, ranges = "not", [(low + 1, high)]
            elif kind == "leaf" and (opens := self.partner.get(high - 1, high)) < high - 1:
                arguments = list(self._arguments(opens + 1, high - 1))
                if self._quantifies(opens, arguments) and self._chain(opens - 3) == low and len(arguments) == 2:
                    quantifier = self.tokens[opens - 1].text
                    kind = {"exists": "exists", "all": "every"}.get(quantifier, "leaf")
                    over = self._text(low, opens - 2)
                    ranges = [arguments[1]] if kind != "leaf" else []
        return Branch(
            kind=kind,
            text=text,
            start=start,
            items=tuple(self.tree(first, last, depth + 1) for first, last in ranges),
            tokens=tuple(token.text for token in self.tokens[low:high]),
            over=over,
        )

    def _value(self, low: int, high: int, within: tuple[Quantifier, ...], depth: int) -> Iterator[SubCondition]:
        """What is in a range that may be of any type."""
        while high - low > 2 and self._is(low, "(") and self.partner.get(low) == high - 1:
            low, high, depth = low + 1, high - 1, depth + 1
        if low >= high or depth > DEEPEST:
            return
        yield from self._inside(low, high, within, depth + 1, boolean=False)

    def _inside(
        self, low: int, high: int, within: tuple[Quantifier, ...], depth: int, *, boolean: bool
    ) -> Iterator[SubCondition]:
        top = list(self._top(low, high))
        asks = next((number for number in top if self._is(number, "?")), None)
        if asks is not None:
            answer = self._otherwise(top, asks, high)
            yield from self.boolean(low, asks, within, depth)
            branch = self.boolean if boolean else self._value
            yield from branch(asks + 1, answer, within, depth)
            yield from branch(answer + 1, high, within, depth)
            return
        for sign in ("||", "&&"):
            signs = [number for number in top if self._is(number, sign)]
            if signs:
                for start, end in zip([low, *(number + 1 for number in signs)], [*signs, high], strict=True):
                    yield from self.boolean(start, end, within, depth)
                return
        compares = [number for number in top if self.tokens[number].text in _COMPARES and self._operates(number)]
        for start, end in zip([low, *(number + 1 for number in compares)], [*compares, high], strict=True):
            if start < end and self._is(start, "!"):
                yield from self.boolean(start + 1, end, within, depth)
            else:
                yield from self._groups(start, end, within, depth)

    def _groups(self, low: int, high: int, within: tuple[Quantifier, ...], depth: int) -> Iterator[SubCondition]:
        """The contents of the brackets in a chain of selections and calls."""
        number = low
        while number < high:
            closes = self.partner.get(number)
            if closes is None or closes < number:
                number += 1
                continue
            arguments = list(self._arguments(number + 1, closes))
            inner = within
            predicate = -1
            if self._quantifies(number, arguments):
                start = self._chain(number - 3)
                item = self.tokens[arguments[0][0]].text
                inner = (*within, Quantifier(self._text(start, number - 2), item))
                predicate = 1 if self.tokens[number - 1].text != "map" or len(arguments) == 3 else -1
                arguments[0] = (0, 0)
            for position, (start, end) in enumerate(arguments):
                part = self.boolean if position == predicate else self._value
                yield from part(start, end, inner, depth)
            number = closes + 1

    def _quantifies(self, opens: int, arguments: Sequence[tuple[int, int]]) -> bool:
        """Whether the bracket is that of `range.exists(name, ...)` or its like."""
        return (
            opens >= 3
            and self._is(opens, "(")
            and self.tokens[opens - 1].text in _QUANTIFIERS
            and self._is(opens - 2, ".")
            and len(arguments) >= 2
            and arguments[0][1] - arguments[0][0] == 1
            and self.tokens[arguments[0][0]].kind == "word"
        )

    def _chain(self, last: int) -> int:
        """Where the chain of selections and calls begins whose last token is `last`."""
        number = last
        while True:
            token = self.tokens[number]
            while token.text in _OPENS.values() and token.kind == "sign":
                number = self.partner[number]
                before = self.tokens[number - 1] if number else None
                if before is None or before.text == "in":
                    break
                if before.kind in ("word", "text") or (before.kind == "sign" and before.text in _OPENS.values()):
                    number -= 1
                    token = before
                else:
                    break
            if number >= 2 and self._is(number - 1, "."):
                number -= 2
            else:
                return number - 1 if number and self._is(number - 1, ".") else number

    def _top(self, low: int, high: int) -> Iterator[int]:
        """The tokens of a range that stand in no bracket of it; of brackets, the opening ones."""
        number = low
        while number < high:
            yield number
            number = max(number, self.partner.get(number, number)) + 1

    def _arguments(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The parts between commas and, in `{key: value}`, between colons that belong to no `?`."""
        start, asked = low, 0
        for number in self._top(low, high):
            if self._is(number, "?"):
                asked += 1
            elif self._is(number, ":") and asked:
                asked -= 1
            elif self._is(number, ",") or self._is(number, ":"):
                yield start, number
                start, asked = number + 1, 0
        yield start, high

    def _otherwise(self, top: Sequence[int], asks: int, high: int) -> int:
        """The `:` that belongs to the `?`."""
        open_ = 0
        for number in top:
            if number > asks and self._is(number, "?"):
                open_ += 1
            elif number > asks and self._is(number, ":"):
                if open_ == 0:
                    return number
                open_ -= 1
        return high

    def _negates(self, low: int, high: int) -> bool:
        return self._is(low, "!") and not any(
            self.tokens[number].text in {"&&", "||", "?"} | _COMPARES for number in self._top(low, high)
        )

    def _operates(self, number: int) -> bool:
        return self.tokens[number].kind == "sign" or self.tokens[number].text == "in"

    def _is(self, number: int, sign: str) -> bool:
        return self.tokens[number].kind == "sign" and self.tokens[number].text == sign

    def _text(self, low: int, high: int) -> str:
        return self.condition[self.tokens[low].start : self.tokens[high - 1].end]
