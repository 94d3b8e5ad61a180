"""Finds a parameter that no condition and no explanation reads: changing it would have no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.problems import Level


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    read = " ".join([policy.when, policy.then.explain, *(one.when for one in policy.exceptions)])
    for name in policy.params:
        if not re.search(rf"\bparams\.{name}\b", read):
            yield Remark(
                path=("params", name),
                key=True,
                message=f"nothing reads the parameter {name!r}",
                hint=f"Use it as params.{name}, or remove it.",
            )


RULE = Rule(id="unused-parameter", says="Every parameter is read.", check=check, level=Level.WARNING)
