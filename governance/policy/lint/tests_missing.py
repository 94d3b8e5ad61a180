"""A policy without examples of what it catches and of what it must leave alone."""

from __future__ import annotations

from collections.abc import Iterator

from governance.domain.decisions import PolicyStatus
from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.problems import Level


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    if policy.status is PolicyStatus.RETIRED:
        return
    expected = {test.expect for test in policy.tests if test.expect is not None}
    for number, test in enumerate(policy.tests):
        if (test.expect is None) == (test.todo is None):
            yield Remark(path=("tests", number), message="a test has either `expect` or `todo`")
    path: tuple[str | int, ...] = ("tests",) if policy.tests else ("id",)
    hint = "Most false alarms are found by an example that only looks like the real thing."
    if not expected - {"allow", "error"}:
        yield Remark(path=path, key=True, message="no test shows what the policy catches", hint="Add an example of it.")
    if "allow" not in expected:
        yield Remark(path=path, key=True, message="no test shows what the policy leaves alone", hint=hint)


RULE = Rule(
    id="missing-tests",
    says="A policy has a test that fires and one that does not; each test has `expect` or `todo`.",
    check=check,
    level=Level.WARNING,
)
