"""A policy that would be weaker than the floor it extends."""

from __future__ import annotations

from collections.abc import Iterator

from governance.policy.floor import weaknesses
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    floor = subject.all.get(subject.policy.extends)
    if floor is None or floor.floor is None:
        return
    for found in weaknesses(subject.policy, floor, today=subject.today):
        yield Remark(path=found.path, message=found.message, hint=found.hint)


RULE = Rule(
    id="weaker-than-floor",
    says="A policy that extends one of the organisation's floor is as strict or stricter in everything.",
    check=check,
)
