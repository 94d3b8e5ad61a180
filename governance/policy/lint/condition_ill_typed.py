"""A condition that does not compile: an unknown field, values that cannot be compared, or no boolean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from governance.policy.conditions import IllTyped, Language
from governance.policy.context import MESSAGES
from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.source import Path

_UNKNOWN = re.compile(r"undefined field '(\w+)' not found in struct '(\w+)'")


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    try:
        language = Language([policy])
    except (IllTyped, ValueError, TypeError, OverflowError) as error:
        yield Remark(path=("params",), message=f"the parameters cannot be typed: {str(error)[:200]}", key=True)
        return
    conditions: list[tuple[Path, str]] = [(("when",), policy.when)]
    conditions += [(("exceptions", number, "when"), one.when) for number, one in enumerate(policy.exceptions)]
    for path, condition in conditions:
        try:
            language.compile(policy, condition)
        except IllTyped as error:
            # What follows from a mistake is none of its own.
            mistakes = [mistake for mistake in error.mistakes if "'*error*'" not in mistake.message]
            for mistake in mistakes or error.mistakes:
                yield Remark(
                    path=path,
                    message=_plain(mistake.message),
                    hint=_hint(mistake.message, list(policy.params)),
                    at=subject.source.inside(path, mistake.line, mistake.column),
                )


def _plain(message: str) -> str:
    return re.sub(r"Params\d+", "params", message)


def _hint(message: str, params: list[str]) -> str:
    unknown = _UNKNOWN.search(message)
    if unknown:
        field, struct = unknown.groups()
        names = [one.name for one in MESSAGES[struct]] if struct in MESSAGES else params
        close = get_close_matches(field, names, n=1)
        there = ", ".join(names) or "none"
        return f"Did you mean {close[0]!r}?" if close else f"There are: {there}."
    if "undeclared reference to 'steps'" in message:
        return "steps are there with `scope: trace` or `scope: session`."
    if "undeclared reference" in message:
        return "A condition reads findings, call and params (docs/policies.md)."
    if "double, int" in message or "int, double" in message:
        return "A double is compared with a double: write 1.0, not 1, also in params."
    return ""


RULE = Rule(
    id="ill-typed-condition",
    says="Conditions compile: fields exist, compared values are of one type, the result is true or false.",
    check=check,
)
