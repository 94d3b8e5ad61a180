"""Everything that is wrong with a policy file, and where, in words for the person who fixes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from governance.errors import BadInput

SHOWN = 50
_WIDEST = 160


class Level(StrEnum):
    """An error keeps the set from being loaded; a warning only fails `governance policy lint`."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake. Line and column count from 1, columns in code points; `source` is the offending line, as written.

    `rule` is the id of a lint rule, or of the loader's: syntax, schema, too-large, no-policies.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str
    hint: str = ""
    source: str = ""
    level: Level = Level.ERROR

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def render(self) -> str:
        """`file:line:column: message [rule]`, the line with a caret under the place, and the hint."""
        lines = [f"{self.place}: {self.level}: {self.message} [{self.rule}]"]
        if self.source.strip():
            start = max(0, self.column - 1 - _WIDEST // 2)
            shown = self.source[start : start + _WIDEST]
            # Tabs stay in the margin, so that the caret stands under its place however wide a tab is.
            margin = "".join("\t" if character == "\t" else " " for character in shown[: self.column - 1 - start])
            lines += [f"    {shown}", f"    {margin}^"]
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(lines)

    def document(self) -> dict[str, str | int]:
        """As a JSON-compatible value, for `governance policy lint --json`."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "rule": self.rule,
            "level": self.level.value,
            "message": self.message,
            "hint": self.hint,
            "source": self.source,
        }


class PolicyErrors(BadInput):
    """Policy files that cannot be loaded; `problems` has every mistake, in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=order))
        count = len(self.problems)
        shown = [problem.render() for problem in self.problems[:SHOWN]]
        if count > SHOWN:
            shown.append(f"... and {count - SHOWN} more")
        what = "1 mistake" if count == 1 else f"{count} mistakes"
        super().__init__("\n".join([f"{what} in the policy files:", *shown]))


def order(problem: Problem) -> tuple[str, int, int, str, str]:
    return (problem.file, problem.line, problem.column, problem.rule, problem.message)


def errors(problems: Sequence[Problem]) -> list[Problem]:
    """Those that keep the set from being loaded."""
    return [problem for problem in problems if problem.level is Level.ERROR]
