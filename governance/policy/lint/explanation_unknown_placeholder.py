"""A placeholder in the explanation that nothing fills."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from governance.policy.explain import known, placeholders
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    names = known(subject.policy)
    for offset, name in placeholders(subject.policy.then.explain):
        if name not in names:
            close = get_close_matches(name, names, n=1)
            yield Remark(
                path=("then", "explain"),
                message=f"nothing fills the placeholder {{{name[:60]}}}",
                hint=f"Did you mean {{{close[0]}}}?" if close else f"There are: {', '.join(names)}.",
                at=subject.source.at(("then", "explain"), offset),
            )


RULE = Rule(id="unknown-placeholder", says="Placeholders of an explanation are known.", check=check)
