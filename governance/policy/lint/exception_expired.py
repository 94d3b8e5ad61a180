"""An exception that has ended: the policy acts again, and the file says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.problems import Level


def check(subject: Subject) -> Iterator[Remark]:
    for number, exemption in enumerate(subject.policy.exceptions):
        if exemption.expires < subject.today:
            yield Remark(
                path=("exceptions", number, "expires"),
                message=f"the exception ended on {exemption.expires.isoformat()} and counts no longer",
                hint="Remove it, or have it approved again with a new end.",
            )


# A warning: time passing must not keep an installation from starting.
RULE = Rule(id="expired-exception", says="Exceptions have not ended.", check=check, level=Level.WARNING)
