"""The organisation's floor: a system's own policy may be stricter than the floor, and never weaker.

A policy with a `floor:` block, in the folder `floor/`, is in force like any other, for all systems that it is about.
A policy that names it in `extends:` takes over all it does not state itself, and is in force besides it. So nothing a
system's policy says can lower an outcome; `weaknesses` says where it tries to, since whoever wrote it would rely on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from governance.domain.decisions import Action, PolicyStatus
from governance.policy.policy import Direction, ParamValue, Policy
from governance.policy.source import Path

FOLDER = "floor"
_MERGED = ("applies_to", "params", "detectors", "then", "controls", "budget")
_OWN = ("floor", "tests", "exceptions", "extends")
_STATUS = (PolicyStatus.RETIRED, PolicyStatus.DRAFT, PolicyStatus.SHADOW, PolicyStatus.ENFORCE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weakness:
    """A place where a policy would be weaker than the floor that it extends, and what the floor requires."""

    path: Path
    message: str
    hint: str
    key: bool = False


def extended(own: Mapping[str, Any], floor: Mapping[str, Any]) -> dict[str, Any]:
    """What a file with `extends:` stands for: the floor's value, with what the file states in its place. Groups of
    settings are taken over one by one; tests and exceptions are a policy's own."""
    value = {name: given for name, given in floor.items() if name not in _OWN}
    for name, given in own.items():
        inherited = value.get(name)
        if name in _MERGED and isinstance(given, dict) and isinstance(inherited, dict):
            value[name] = {**inherited, **given}
        else:
            value[name] = given
    return value


def weaknesses(policy: Policy, floor: Policy, *, today: date) -> Iterator[Weakness]:
    """Everything in which the policy would allow what the floor does not."""
    name = floor.id
    if policy.then.action.rank < floor.then.action.rank:
        yield _weak(("then", "action"), f"the action {policy.then.action}", name, f"{floor.then.action} or stricter")
    if floor.then.queue and not policy.then.queue:
        yield _weak(("then", "queue"), "no review", name, f"a queue, such as {floor.then.queue}")
    if _STATUS.index(policy.status) < _STATUS.index(floor.status):
        yield _weak(("status",), f"the status {policy.status}", name, floor.status)
    if policy.severity.rank < floor.severity.rank:
        yield _weak(("severity",), f"the severity {policy.severity}", name, f"{floor.severity} or higher")
    if _on_error(policy) < _on_error(floor):
        yield _weak(("on_error",), f"on_error: {policy.on_error}", name, f"{floor.on_error} or stricter")
    if policy.scope is not floor.scope:
        yield _weak(("scope",), f"the scope {policy.scope}", name, floor.scope)
    if policy.when.split() != floor.when.split():
        yield Weakness(
            path=("when",),
            message=f"the condition differs from that of {name}",
            hint="Leave it out to take the floor's. A further condition is a policy of its own, without extends.",
        )
    yield from _narrower(policy, floor)
    yield from _params(policy, floor)
    yield from _detectors(policy, floor)
    yield from _exceptions(policy, floor, today)


def _on_error(policy: Policy) -> int:
    return 0 if policy.on_error == "review" else Action(policy.on_error).rank


def _weak(path: Path, what: str, floor: str, needed: str) -> Weakness:
    return Weakness(path=path, message=f"{what} is weaker than {floor} asks for", hint=f"It asks for {needed}.")


def _narrower(policy: Policy, floor: Policy) -> Iterator[Weakness]:
    """A system's policy may be about fewer systems: the floor stays in force for the others."""
    mine, theirs = policy.applies_to, floor.applies_to
    for name in ("roles", "releases"):
        if not _covers_names(getattr(mine, name), getattr(theirs, name)):
            yield _narrow(name, getattr(theirs, name), floor.id)
    for name in ("parts", "kinds"):
        own, needed = getattr(mine, name), getattr(theirs, name)
        if own and not (needed and set(needed) <= set(own)):
            yield _narrow(name, [str(one) for one in needed], floor.id)


def _covers_names(own: Sequence[str], needed: Sequence[str]) -> bool:
    return "*" in own or set(needed) <= set(own)


def _narrow(name: str, needed: Sequence[str], floor: str) -> Weakness:
    return Weakness(
        path=("applies_to", name),
        message=f"it is about fewer {name} than {floor}",
        hint=f"It asks for {', '.join(needed) or 'all of them: leave the setting out'}.",
    )


def _params(policy: Policy, floor: Policy) -> Iterator[Weakness]:
    directions = floor.floor.params if floor.floor is not None else {}
    for name, needed in floor.params.items():
        own = policy.params.get(name)
        if own == needed and type(own) is type(needed):
            continue
        direction = directions.get(name)
        if own is None or direction is None:
            yield Weakness(
                path=("params", name),
                message=f"{floor.id} fixes {name}",
                hint=f"It is {needed!r} there, and the floor names no direction in which it may be changed.",
            )
        elif not _stricter(own, needed, direction):
            yield Weakness(
                path=("params", name),
                message=f"{name} is weaker than {floor.id} asks for",
                hint=f"It asks for {needed!r} or {_WORDS[direction]}.",
            )


_WORDS: Mapping[Direction, str] = {
    "lower": "less",
    "higher": "more",
    "more": "further items besides these",
    "fewer": "fewer of these items",
}


def _stricter(own: ParamValue, needed: ParamValue, direction: Direction) -> bool:
    if isinstance(own, list) and isinstance(needed, list):
        here, there = {str(item) for item in own}, {str(item) for item in needed}
        return (direction == "more" and there <= here) or (direction == "fewer" and here <= there)
    if isinstance(own, bool | str | list) or isinstance(needed, bool | str | list) or type(own) is not type(needed):
        return False
    return (direction == "lower" and own <= needed) or (direction == "higher" and own >= needed)


def _detectors(policy: Policy, floor: Policy) -> Iterator[Weakness]:
    """The floor's detectors, with its options; of an option that is a list, with more items too."""
    for alias, needed in floor.detectors.items():
        own = policy.detectors.get(alias)
        if own is None or own.use != needed.use:
            yield Weakness(
                path=("detectors", alias),
                message=f"{floor.id} reads the detector {needed.use} as {alias!r}",
                hint="Leave it out to take the floor's.",
            )
            continue
        options = own.stated.options
        for option, value in needed.stated.options.items():
            given = options.get(option)
            more = isinstance(value, list) and isinstance(given, list) and all(item in given for item in value)
            if given != value and not more:
                yield Weakness(
                    path=("detectors", alias, option),
                    message=f"{option} differs from that of {floor.id}",
                    hint=f"It is {value!r} there.",
                )


def _exceptions(policy: Policy, floor: Policy, today: date) -> Iterator[Weakness]:
    days = floor.floor.exceptions_days if floor.floor is not None else 0
    for number, exemption in enumerate(policy.exceptions):
        if days == 0:
            yield Weakness(
                path=("exceptions", number),
                message=f"{floor.id} allows no exceptions",
                hint="Have the floor's owner approve it there.",
            )
        elif (exemption.expires - today).days > days:
            yield Weakness(
                path=("exceptions", number, "expires"),
                message=f"the exception runs longer than {floor.id} allows",
                hint=f"It allows {days} days from now.",
            )
