"""An enforced policy that changes nothing when it fires."""

from __future__ import annotations

from collections.abc import Iterator

from governance.domain.decisions import Action, PolicyStatus
from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.problems import Level


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    if policy.status is PolicyStatus.ENFORCE and policy.then.action is Action.ALLOW and not policy.then.queue:
        yield Remark(
            path=("then",),
            key=True,
            message="the policy is enforced, but allows and asks for no review",
            hint="Give it an action or a queue, or `status: shadow` if it shall only be counted.",
        )


RULE = Rule(id="no-outcome", says="An enforced policy has an action or a queue.", check=check, level=Level.WARNING)
