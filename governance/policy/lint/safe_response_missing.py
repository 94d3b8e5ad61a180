"""Finds a policy that answers with a safe response, and states none."""

from __future__ import annotations

from collections.abc import Iterator

from governance.domain.decisions import Action
from governance.policy.lint.interface import Remark, Rule, Subject


def check(subject: Subject) -> Iterator[Remark]:
    policy = subject.policy
    if policy.then.safe_response.strip():
        return
    hint = "Add `safe_response:` under `then:`: the text that the end user gets."
    if policy.then.action is Action.SAFE_DEFAULT:
        yield Remark(path=("then", "action"), message="safe_default needs a safe_response", hint=hint)
    elif policy.on_error == "safe_default":
        yield Remark(path=("on_error",), message="on_error: safe_default needs a safe_response", hint=hint)


RULE = Rule(id="missing-safe-response", says="safe_default states the answer that it gives.", check=check)
