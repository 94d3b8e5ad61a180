"""Finds a policy that repeats another, or that can never change an outcome."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from governance.domain.decisions import Action, PolicyStatus
from governance.policy.lint.interface import Remark, Rule, Subject
from governance.policy.policy import Policy, canonical_json
from governance.policy.problems import Level
from governance.policy.subconditions import Branch, tree

MOST_OPERANDS = 6
"""Of a condition with more, only the same condition is looked for, not each wider one."""

_Key: TypeAlias = tuple[bytes, frozenset[str]]


def check(subject: Subject) -> Iterator[Remark]:
    mine = subject.policy
    if mine.status in (PolicyStatus.RETIRED, PolicyStatus.DRAFT) or subject.all.get(mine.id) is not mine:
        return
    own = _operands(mine)
    if own is None:
        return
    index = subject.all.remembered("operands", _index)
    reading = _reading(mine)
    for theirs in _wider_conditions(own):
        for other in index.get((reading, theirs), ()):
            if other.id == mine.id:
                continue
            same_calls = mine.applies_to == other.applies_to
            if same_calls and own == theirs and mine.status is other.status and mine.exceptions == other.exceptions:
                theirs_counts, mine_counts = _stricter(other, mine), _stricter(mine, other)
                if (theirs_counts and not mine_counts) or (theirs_counts == mine_counts and mine.id > other.id):
                    yield Remark(
                        path=("when",),
                        message=f"{other.id} has the same condition for the same calls",
                        hint="Make them one policy, with the stricter action.",
                    )
                    return
            elif _wider(other, mine) and _stricter(other, mine):
                yield Remark(
                    path=("when",),
                    message=f"this policy can never change an outcome: where it fires, {other.id} does, as strictly",
                    hint="Remove it, or give it what the other lacks: an action, a queue, a severity, other calls.",
                )
                return


def _index(policies: Mapping[str, Policy]) -> dict[_Key, list[Policy]]:
    found: dict[_Key, list[Policy]] = {}
    for policy in policies.values():
        operands = _operands(policy)
        if operands is not None:
            found.setdefault((_reading(policy), operands), []).append(policy)
    return found


def _wider_conditions(own: frozenset[str]) -> Iterator[frozenset[str]]:
    """The condition itself, then each condition that requires less."""
    yield own
    if len(own) <= MOST_OPERANDS:
        for size in range(len(own) - 1, 0, -1):
            yield from map(frozenset, itertools.combinations(sorted(own), size))


def _reading(policy: Policy) -> bytes:
    """What the names of a condition mean: equal for two conditions that, with the same words, mean the same."""
    return canonical_json([policy.scope, {name: one.model_dump() for name, one in policy.detectors.items()}])


def _operands(policy: Policy) -> frozenset[str] | None:
    """What all must hold for the policy to fire, parameters as their values: a subset of these is a wider condition."""
    root = tree(policy.when)
    if root is None:
        return None
    parts = root.items if root.kind == "all" else (root,)
    return frozenset(_written(part, policy) for part in parts)


def _written(part: Branch, policy: Policy) -> str:
    tokens: Sequence[str] = part.tokens
    words: list[str] = []
    number = 0
    while number < len(tokens):
        if tokens[number : number + 2] == ("params", ".") and tokens[number + 2] in policy.params:
            words.append(json.dumps(policy.params[tokens[number + 2]]))
            number += 3
        else:
            words.append(tokens[number])
            number += 1
    return " ".join(words)


def _wider(other: Policy, mine: Policy) -> bool:
    """Whether the other applies to every call, and every part, that this one applies to."""
    a, b = other.applies_to, mine.applies_to
    names = all(
        "*" in getattr(a, name) or set(getattr(b, name)) <= set(getattr(a, name))
        for name in ("systems", "roles", "releases")
    )
    # With fewer parts a condition about what is not found may hold where with more it does not.
    return names and a.parts == b.parts and (not a.kinds or (bool(b.kinds) and set(b.kinds) <= set(a.kinds)))


def _stricter(other: Policy, mine: Policy) -> bool:
    """Whether the other's outcome is at least this one's in everything that an outcome has."""
    if other.exceptions or (other.status is not PolicyStatus.ENFORCE and other.status is not mine.status):
        return False
    return (
        other.then.action.rank >= mine.then.action.rank
        and other.then.queue == mine.then.queue
        and other.then.safe_response == mine.then.safe_response
        and other.severity.rank >= mine.severity.rank
        and _on_error(other) >= _on_error(mine)
    )


def _on_error(policy: Policy) -> int:
    return 0 if policy.on_error == "review" else Action(policy.on_error).rank


RULE = Rule(
    id="shadowed-policy",
    says="No policy repeats another, or is hidden by a stricter one that always fires with it.",
    check=check,
    level=Level.WARNING,
)
