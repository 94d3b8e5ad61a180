"""Finds a control that its framework does not have: evidence would name something that no auditor can look up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from governance.policy.controls import Framework, catalogue
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    frameworks = catalogue()
    for name, identifiers in subject.policy.controls.items():
        framework = frameworks.get(name)
        if framework is None:
            close = get_close_matches(name, frameworks, n=1)
            yield Remark(
                path=("controls", name),
                key=True,
                message=f"unknown framework {name[:60]!r}",
                hint=f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(frameworks)}.",
            )
            continue
        for number, identifier in enumerate(identifiers):
            if identifier not in framework.controls:
                yield Remark(
                    path=("controls", name, number),
                    message=f"{framework.title} ({framework.version}) has no {identifier[:60]!r}",
                    hint=_near(identifier, name, frameworks),
                )


def _near(identifier: str, name: str, frameworks: Mapping[str, Framework]) -> str:
    """The nearest identifier of the framework; else another framework that has this very one; else where to look."""
    own = frameworks[name]
    spelled = {_bare(known): known for known in own.controls}
    close = get_close_matches(_bare(identifier), spelled, n=1)
    if close:
        control = own.controls[spelled[close[0]]]
        return f"Did you mean {control.id!r} ({control.title})?"
    for other in frameworks.values():
        if identifier in other.controls:
            return f"{other.title} has it: {other.name}."
    listed = "its entries are" if own.complete else "a selection of its entries is"
    return f"See {own.source}; {listed} listed by: governance policy controls --framework {name}."


def _bare(identifier: str) -> str:
    """Without case, blanks and leading zeros: `llm 1` is `LLM01`."""
    return re.sub(r"0+(?=\d)", "", identifier.casefold().replace(" ", ""))


RULE = Rule(id="unknown-control", says="Controls exist in the catalogue of their framework.", check=check)
