"""Finds a condition, or a part of one, that is always or never true: it does less than it seems to."""

from __future__ import annotations

from collections.abc import Iterator

from governance.policy.constants import constants
from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.problems import Level


def check(subject: Subject) -> Iterator[Remark]:
    for found in constants(subject.policy):
        whole = found.part.start == 0 and found.part.text == subject.policy.when.strip()
        what = "the condition" if whole else "this part of the condition"
        yield Remark(
            path=("when",),
            message=f"{what} is {'always' if found.value else 'never'} true",
            hint="Compare it with what its fields can be (docs/policies.md), and with the parameters.",
            at=subject.source.at(("when",), found.part.start),
        )


RULE = Rule(
    id="constant-condition",
    says="No condition, and no part of one, is always or never true.",
    check=check,
    level=Level.WARNING,
)
