"""A detector, an option or a pack that does not exist."""

from __future__ import annotations

from collections.abc import Iterator

from governance.detectors.interface import Fault
from governance.detectors.registry import problems
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    for alias, detect in subject.policy.detectors.items():
        for message in problems(detect.stated):
            if isinstance(message, Fault):
                path = ("detectors", alias, *message.path)
                yield Remark(path=path, message=message, hint="See docs/detectors.md.", key=True)
                continue
            named = next((name for name in detect.stated.options if repr(name) in message), None)
            if named is None and "pack" in message and "packs" in detect.stated.options:
                named = "packs"
            path = ("detectors", alias, named or "use")
            yield Remark(path=path, message=message, hint="`governance detectors list` shows what there is.")


RULE = Rule(id="unknown-detector", says="Detectors, their options and packs exist.", check=check)
