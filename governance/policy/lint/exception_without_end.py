"""Finds an exception that runs so long that nobody will review it."""

from __future__ import annotations

from collections.abc import Iterator

from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.problems import Level

LONGEST_DAYS = 366


def check(subject: Subject) -> Iterator[Remark]:
    for number, exemption in enumerate(subject.policy.exceptions):
        if (exemption.expires - subject.today).days > LONGEST_DAYS:
            yield Remark(
                path=("exceptions", number, "expires"),
                message=f"the exception runs until {exemption.expires.isoformat()}, more than a year from now",
                hint="Approve it for a year at most; then look at it again.",
            )


RULE = Rule(id="endless-exception", says="Exceptions end within a year.", check=check, level=Level.WARNING)
