"""A floor outside of the folder that the organisation guards, or something else within it."""

from __future__ import annotations

from collections.abc import Iterator

from governance.policy.floor import FOLDER
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    inside = FOLDER in subject.source.file.split("/")[:-1]
    policy = subject.policy
    if policy.floor is not None and policy.extends:
        yield Remark(path=("extends",), message="a floor extends no other", hint="State it whole, or drop `floor:`.")
    elif policy.floor is not None and not inside:
        yield Remark(
            path=("floor",),
            key=True,
            message=f"a floor lies in the folder {FOLDER}/",
            hint="That folder is the organisation's: let its owners alone change it. Or drop `floor:`.",
        )
    elif policy.floor is None and inside:
        yield Remark(
            path=("id",),
            message=f"the folder {FOLDER}/ is for the organisation's floor, and this policy has no `floor:`",
            hint="Add `floor: {}`, or move it into the folder of its family.",
        )


RULE = Rule(
    id="misplaced-floor", says="Policies with `floor:` lie in the folder floor/, and no others do.", check=check
)
