"""A regular expression in a condition that RE2 refuses: it would fail at every call."""

from __future__ import annotations

import re
from collections.abc import Iterator

import re2

from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.source import Path

_LITERAL = re.compile(r"""\.matches\(\s*(r?)("((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)')\s*\)""")


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    conditions: list[tuple[Path, str]] = [(("when",), policy.when)]
    conditions += [(("exceptions", number, "when"), one.when) for number, one in enumerate(policy.exceptions)]
    for path, condition in conditions:
        for match in _LITERAL.finditer(condition):
            raw = match.group(3) if match.group(3) is not None else match.group(4)
            pattern = raw if match.group(1) else re.sub(r"\\(.)", r"\1", raw)
            try:
                re2.compile(pattern)
            except re2.error as error:
                reason = error.args[0] if error.args else ""
                words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
                yield Remark(
                    path=path,
                    message=f"RE2 refuses this pattern: {words[:120]}",
                    hint="https://github.com/google/re2/wiki/Syntax; there are no backreferences and no lookaround.",
                    at=subject.source.at(path, match.start(2)),
                )


RULE = Rule(id="bad-pattern", says="Patterns given to matches() are such as RE2 takes.", check=check)
