"""The life of a proposed policy set: a pure state machine.

        PROPOSED ──approve (another person)──▶ APPROVED ──shadow──▶ SHADOW ──enforce──▶ ENFORCE
            │                                     │  └──enforce, with a reason──────────▲  │
            └──────────────reject─────────────────┴──▶ REJECTED      └──retire──▶ RETIRED ◀┘ (another set is enforced)

One set at a time is enforced, and one is in shadow. What is approved is a difference: it goes on only while the set in
force is the one it was compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from governance.domain.policies import RolloutState as State
from governance.errors import Conflict


class RolloutAct(StrEnum):
    """What can be done with a rollout."""

    APPROVE = "approve"
    REJECT = "reject"
    SHADOW = "shadow"
    ENFORCE = "enforce"
    RETIRE = "retire"


_STEPS: Mapping[RolloutAct, tuple[frozenset[State], State]] = {
    RolloutAct.APPROVE: (frozenset({State.PROPOSED}), State.APPROVED),
    RolloutAct.REJECT: (frozenset({State.PROPOSED, State.APPROVED}), State.REJECTED),
    RolloutAct.SHADOW: (frozenset({State.APPROVED}), State.SHADOW),
    RolloutAct.ENFORCE: (frozenset({State.APPROVED, State.SHADOW}), State.ENFORCE),
    RolloutAct.RETIRE: (frozenset({State.SHADOW, State.ENFORCE}), State.RETIRED),
}
_WORDS: Mapping[State, str] = {
    State.PROPOSED: "waits for an approval",
    State.APPROVED: "is approved",
    State.REJECTED: "was rejected",
    State.SHADOW: "is in shadow",
    State.ENFORCE: "is in force",
    State.RETIRED: "is retired",
}


def after(state: State, step: RolloutAct, *, number: int) -> State:
    """The state after a step. Raises `Conflict` that says how rollout `number` stands."""
    allowed, becomes = _STEPS[step]
    if state not in allowed:
        raise Conflict(f"Rollout {number} {_WORDS[state]}.", advice=_ADVICE.get((state, step), "See: policy history."))
    return becomes


def skips_shadow(state: State, step: RolloutAct) -> bool:
    """Whether the step puts a set into force that never ran in shadow: this needs a reason."""
    return step is RolloutAct.ENFORCE and state is State.APPROVED


_ADVICE: Mapping[tuple[State, RolloutAct], str] = {
    (State.PROPOSED, RolloutAct.SHADOW): "Somebody else than the proposer must approve it first.",
    (State.PROPOSED, RolloutAct.ENFORCE): "Somebody else than the proposer must approve it first.",
    (State.RETIRED, RolloutAct.ENFORCE): "To restore it, use: policy rollback.",
    (State.REJECTED, RolloutAct.ENFORCE): "Propose the files again.",
}
