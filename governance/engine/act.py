"""What the application that waits for a decision must do: redacted messages, or a safe response."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

from governance.domain.calls import Call, Message
from governance.domain.content import Part, PartKind
from governance.domain.decisions import Action, Decision, Operator, Outcome, PolicyOutcome, PolicyStatus
from governance.domain.findings import Finding
from governance.policy.policy import PolicySet


class Redact(Protocol):
    """Takes out of a text what the findings point at: `governance.privacy.redaction.Redactor.redact`."""

    def __call__(
        self, text: str, findings: Sequence[Finding], operators: Mapping[str, Operator] = ..., record: str = ...
    ) -> str: ...


_LEAST_SHOWN: tuple[Operator, ...] = get_args(Operator)
BLOCKED = (
    "This request was stopped by a policy of the organisation. If you think that is wrong, please contact support."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Consequence:
    """`redacted` are the call's messages (input, then output) without what the redacting policies found; None where
    nothing is to be redacted. `safe_response` is what the application is to say instead, or None."""

    redacted: tuple[Message, ...] | None = None
    safe_response: str | None = None


def consequence(
    decision: Decision,
    policy_set: PolicySet,
    call: Call,
    parts: Sequence[Part],
    findings: Sequence[Finding],
    redact: Redact,
) -> Consequence:
    """What the application must do. `parts` and `findings` are those that the decision was made of."""
    acting = [
        outcome
        for outcome in decision.policies
        if outcome.status is PolicyStatus.ENFORCE and outcome.outcome is not Outcome.EXCEPTED
    ]
    redacting = [outcome for outcome in acting if outcome.action is Action.REDACT]
    redacted: tuple[Message, ...] | None = None
    if redacting:
        redacted = _redacted(
            call,
            parts,
            [findings[index] for outcome in redacting for index in _read(outcome.findings, findings)],
            lambda text, found: redact(text, found, _operators(redacting, policy_set), record_of(call)),
        )
    response: str | None = None
    if decision.action in (Action.SAFE_DEFAULT, Action.BLOCK):
        response = BLOCKED
        for outcome in acting:
            policy = policy_set.get(outcome.policy)
            if outcome.action is decision.action and policy is not None and policy.then.safe_response:
                response = policy.then.safe_response
                break
    return Consequence(redacted=redacted, safe_response=response)


def record_of(call: Call) -> str:
    """Identifies the record that encrypted places of a call's texts are bound to."""
    return f"{call.trace_id}:{call.span_id}"


def _operators(redacting: Sequence[PolicyOutcome], policy_set: PolicySet) -> dict[str, Operator]:
    """The policies' redactions, by label and category. Where two disagree, the one that shows less applies."""
    chosen: dict[str, Operator] = {}
    for outcome in redacting:
        policy = policy_set.get(outcome.policy)
        for label, operator in (policy.then.redact if policy is not None else {}).items():
            earlier = chosen.get(label, operator)
            chosen[label] = min((operator, earlier), key=_LEAST_SHOWN.index)
    return chosen


def _read(indexes: Sequence[int], findings: Sequence[Finding]) -> Sequence[int]:
    """The findings that an outcome names. An outcome that failed names none: then everything found is redacted."""
    return indexes or range(len(findings))


def _redacted(
    call: Call, parts: Sequence[Part], findings: Sequence[Finding], redact: Callable[[str, Sequence[Finding]], str]
) -> tuple[Message, ...]:
    """The call's messages; those without a finding are unchanged."""
    by_part: dict[tuple[PartKind, int], list[Finding]] = {}
    for finding in findings:
        if finding.part is not None and finding not in by_part.setdefault((finding.part, finding.index), []):
            by_part[finding.part, finding.index].append(finding)
    # `parts_of` gives one part a message, input first, then output, in the order of the call.
    messages = [*call.input, *call.output]
    result = []
    for part, message in zip(parts, messages, strict=False):
        found = by_part.get((part.kind, part.index))
        text = redact(message.text, found) if found else message.text
        result.append(Message(role=message.role, text=text, type=message.type))
    return tuple(result)
