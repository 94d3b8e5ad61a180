"""Finds a control that its framework does not have: evidence would claim something that no auditor can look up."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from governance.policy.controls import catalogue
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    frameworks = catalogue()
    for name, identifiers in subject.policy.controls.items():
        framework = frameworks.get(name)
        if framework is None:
            yield Remark(
                path=("controls", name),
                key=True,
                message=f"unknown framework {name[:60]!r}",
                hint=f"There are: {', '.join(frameworks)}.",
            )
            continue
        for number, identifier in enumerate(identifiers):
            if identifier not in framework.controls:
                close = get_close_matches(identifier, framework.controls, n=1)
                yield Remark(
                    path=("controls", name, number),
                    message=f"{framework.title} has no {identifier[:60]!r}",
                    hint=f"Did you mean {close[0]!r} ({framework.controls[close[0]]})?" if close else framework.source,
                )


RULE = Rule(id="unknown-control", says="Controls exist in the catalogue of their framework.", check=check)
