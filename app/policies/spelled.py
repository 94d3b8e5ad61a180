"""Policies as YAML for reading, and the lines that differ between two versions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from app.components.marked import Line
from app.shell import words
from governance.policy.policy import Policy


def spelled(policy: Policy | None) -> str:
    """A policy as YAML, as it is kept: defaults and comments left out."""
    if policy is None:
        return ""
    return yaml.dump(_broken(policy.document()), Dumper=_Readable, sort_keys=False, allow_unicode=True, width=88)


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks, without quotes."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Readable.add_representer(str, _text)
# Outside of quotes: CEL reads a line's end as a space.
_OPERATOR = re.compile(r"""("[^"]*"|'[^']*')|\s+(&&|\|\|)\s+""")


def _broken(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same policy, its conditions in lines of one operand."""

    def lines(condition: str) -> str:
        return _OPERATOR.sub(lambda found: found[1] or f"\n{found[2]} ", condition.strip())

    shown = dict(document)
    shown["when"] = lines(shown["when"])
    if "exceptions" in shown:
        shown["exceptions"] = [one | {"when": lines(one["when"])} for one in shown["exceptions"]]
    return shown


def differing(before: Policy | None, after: Policy | None, around: int = 3) -> list[Line]:
    """What differs between two versions of a policy, line by line, with some lines around it."""
    return differing_text(spelled(before), spelled(after), around)


def differing_text(before: str, after: str, around: int = 3) -> list[Line]:
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    shown = 0
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(around):
        if group[0][3] > shown:
            lines.append(_gap(group[0][3] - shown))
        for kind, a, b, c, d in group:
            if kind == "equal":
                lines += [Line(text=text, n=str(c + at + 1)) for at, text in enumerate(new[c:d])]
            else:
                lines += [Line(text=text, kind="del") for text in old[a:b]]
                lines += [Line(text=text, n=str(c + at + 1), kind="add") for at, text in enumerate(new[c:d])]
        shown = group[-1][4]
    if lines and shown < len(new):
        lines.append(_gap(len(new) - shown))
    return lines


def _gap(number: int) -> Line:
    return Line(text=f"{words.count(number, 'line')} the same", kind="gap")
