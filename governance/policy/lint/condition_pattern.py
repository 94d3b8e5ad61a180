"""A regular expression that a condition matches with and that RE2 refuses, so that it would fail at every call, or that
matches the empty text, so that it matches everything."""

from __future__ import annotations

import re
from collections.abc import Iterator

import re2

from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.source import Path, Place

_LITERAL = re.compile(r"""\.matches\(\s*(r?)("((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)')\s*\)""")
_PARAMETER = re.compile(r"\.matches\(\s*params\.(\w+)\s*\)")


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    conditions: list[tuple[Path, str]] = [(("when",), policy.when)]
    conditions += [(("exceptions", number, "when"), one.when) for number, one in enumerate(policy.exceptions)]
    named: dict[str, None] = {}
    for path, condition in conditions:
        for match in _LITERAL.finditer(condition):
            raw = match.group(3) if match.group(3) is not None else match.group(4)
            pattern = raw if match.group(1) else re.sub(r"\\(.)", r"\1", raw)
            yield from _remarks(pattern, path, subject.source.at(path, match.start(2)))
        named.update(dict.fromkeys(_PARAMETER.findall(condition)))
    for name in named:
        value = policy.params.get(name)
        if isinstance(value, str):
            yield from _remarks(value, ("params", name), None)


def _remarks(pattern: str, path: Path, at: Place | None) -> Iterator[Remark]:
    try:
        compiled = re2.compile(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        yield Remark(
            path=path,
            message=f"RE2 refuses this pattern: {words[:120]}",
            hint="https://github.com/google/re2/wiki/Syntax; there are no backreferences and no lookaround.",
            at=at,
        )
        return
    if compiled.search("") is not None:
        yield Remark(
            path=path,
            message="this pattern matches the empty text, and so every text",
            hint="Ask for at least one character, or anchor it: ^...$.",
            at=at,
        )


RULE = Rule(
    id="bad-pattern",
    says="Patterns given to matches() are accepted by RE2, and do not match everything.",
    check=check,
)
