"""Two files with one policy id."""

from __future__ import annotations

from collections.abc import Iterator

from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    if subject.first_file != subject.source.file:
        yield Remark(
            path=("id",),
            message=f"the id {subject.policy.id!r} is used in {subject.first_file} already",
            hint="Decisions and evidence refer to a policy by its id: give this one another."
            + (" To tighten a floor, name it in `extends:`." if subject.all[subject.policy.id].floor else ""),
        )


RULE = Rule(id="duplicate-id", says="Every policy of a set has an id of its own.", check=check)
