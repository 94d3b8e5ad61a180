"""Finds a condition that reads findings of a detector that the policy does not use: it would never be true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from governance.policy.lint.interface import Remark, Rule, Subject

_COMPARED = re.compile(r"""\.detector\s*[!=]=\s*("([^"\\]*)"|'([^'\\]*)')""")


def check(subject: Subject) -> Iterator[Remark]:
    names = list(subject.policy.detectors)
    for match in _COMPARED.finditer(subject.policy.when):
        name = match.group(2) if match.group(2) is not None else match.group(3)
        if name not in names:
            close = get_close_matches(name, names, n=1)
            there = ", ".join(names) or "none"
            yield Remark(
                path=("when",),
                message=f"the policy uses no detector under the name {name[:60]!r}",
                hint=f"Did you mean {close[0]!r}?" if close else f"Under `detectors:` there are: {there}.",
                at=subject.source.at(("when",), match.start(1)),
            )


RULE = Rule(
    id="unknown-name",
    says="A condition compares f.detector with names that the policy declares under `detectors:`.",
    check=check,
)
