"""Stored policy sets: what is in force, what differs between two, and who brought them there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.policies.files import Files
from app.shell import session, words
from governance.domain.policies import Rollout, RolloutState
from governance.errors import NotFound
from governance.policy.difference import Difference, difference
from governance.policy.policy import Policy, PolicySet


def in_force() -> tuple[Rollout, PolicySet] | None:
    """How what is in force came to be, and the set; None before the first start."""
    standing = session.application().rollout.standing().enforce
    if standing is None:
        return None
    return rollout(standing.rollout), stored(standing.digest)


def rollout(number: int) -> Rollout:
    return session.application().rollout.get(number)


def find(number: int) -> Rollout | None:
    """A rollout by its number, None where there is none."""
    try:
        return rollout(number)
    except NotFound:
        return None


def stored(digest: str) -> PolicySet:
    """A stored set. Raises `ValueError` where this version cannot read it."""
    return _stored(session.source(), digest)


@st.cache_resource(show_spinner=False, max_entries=64)
def _stored(source: str, digest: str) -> PolicySet:
    policy_set, _digest = session.application().rollout.policy_set(digest)
    return policy_set


def readable(digest: str) -> PolicySet | None:
    """A stored set, None where this version cannot read it."""
    try:
        return stored(digest)
    except ValueError:
        return None


def changes(before: str, after: str) -> Difference | None:
    """What differs between two stored sets ("" is no set); None where one cannot be read."""
    old, new = readable(before) if before else None, readable(after)
    return None if new is None or (before and old is None) else _difference(before, after, old, new)


@st.cache_resource(show_spinner=False, max_entries=64)
def _difference(before: str, after: str, _old: PolicySet | None, _new: PolicySet) -> Difference:
    return difference(_old, _new)


def drift(now_in_force: PolicySet | None, found: Files) -> Difference | None:
    """What the files hold that is not in force; None where they cannot be loaded or nothing is in force."""
    if found.set is None or now_in_force is None:
        return None
    return _difference(now_in_force.digest, found.set.digest, now_in_force, found.set)


def touched(what: Difference) -> list[str]:
    """The ids of the policies that a difference is about."""
    return [*what.added, *(change.policy for change in what.changed), *what.removed]


@dataclass(frozen=True, kw_only=True)
class Version:
    """A policy as a set brought it into force; `before` is what it was, None where it is new."""

    rollout: Rollout
    policy: Policy | None
    before: Policy | None
    what: str
    approved_by: str


def versions(history: Sequence[Rollout], policy: str) -> list[Version]:
    """The sets that changed a policy and were in force, the latest first."""
    found = []
    for one in history:
        if one.when(RolloutState.ENFORCE) is None:
            continue
        what = changes(one.against, one.digest)
        if what is None or policy not in touched(what):
            continue
        before = stored(one.against).get(policy) if one.against else None
        found.append(
            Version(
                rollout=one,
                policy=stored(one.digest).get(policy),
                before=before,
                what=_said_of(what, policy),
                approved_by=by(one, RolloutState.APPROVED) if one.when(RolloutState.APPROVED) is not None else "",
            )
        )
    return found


def _said_of(what: Difference, policy: str) -> str:
    """'New', 'Removed', or the fields that changed: 'Threshold, Tests'."""
    if policy in what.added:
        return "New"
    if policy in what.removed:
        return "Removed"
    fields = [field.path for change in what.changed if change.policy == policy for field in change.fields]
    paths = [field.partition("[")[0] for field in fields]
    spoken = (words.condition(path) if path.startswith("params.") else words.plain(path) for path in paths)
    said = list(dict.fromkeys(spoken))
    return ", ".join(said[:4]) + (" ..." if len(said) > 4 else "")


def sentence(before: str, after: str) -> str:
    """What differs between two stored sets, in words: of one policy by its title and fields, else how many policies."""
    what = changes(before, after)
    if what is None:
        return "cannot be read by this version"
    about = touched(what)
    if len(about) != 1 or what.files or not before:
        return what.words
    found = stored(after).get(about[0]) or stored(before).get(about[0])
    assert found is not None, "a difference is about a policy of either set"
    return f"{found.title} ({_said_of(what, about[0]).lower()})"


def state_words(found: Rollout) -> str:
    return {
        RolloutState.PROPOSED: "Waits for approval",
        RolloutState.APPROVED: "Approved",
        RolloutState.REJECTED: "Returned",
        RolloutState.SHADOW: "In shadow",
        RolloutState.ENFORCE: "In force",
        RolloutState.RETIRED: "Retired",
    }[found.state]


def by(found: Rollout, state: RolloutState) -> str:
    """Who made it so; "" where nobody did."""
    return next((step.by_name for step in reversed(found.steps) if step.state is state), "")


def note(found: Rollout, state: RolloutState) -> str:
    return next((step.note for step in reversed(found.steps) if step.state is state), "")
