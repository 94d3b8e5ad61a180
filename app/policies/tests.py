"""What the tests of policies say, run once for each set."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from app.shell import session
from governance.detectors.interface import DetectorUse
from governance.detectors.runner import Runner
from governance.engine.coverage import Coverage, coverage
from governance.engine.trial import Trial, trials
from governance.policy.policy import PolicySet


def trials_of(policy_set: PolicySet, policy: str = "") -> list[Trial]:
    """What the set's tests say (of one policy), run once a set."""
    return [one for one in _tests(session.source(), policy_set.digest, policy_set) if policy in ("", one.policy)]


def seen_by_tests(policy_set: PolicySet, policy: str) -> Coverage | None:
    """What the tests of a policy have seen of its condition; None where it has no test, or is retired."""
    results = trials_of(policy_set, policy)
    return next(iter(coverage(policy_set, results, only=policy)), None) if results else None


@st.cache_resource(show_spinner=False, max_entries=8)
def _tests(source: str, digest: str, _policy_set: PolicySet) -> tuple[Trial, ...]:
    application = session.application()
    made: list[Runner] = []

    def build(uses: Iterable[DetectorUse]) -> Runner:
        made.append(application.build_runner(uses, _policy_set.access, thorough=True))
        return made[-1]

    try:
        return tuple(trials(_policy_set, build, observe=True))
    finally:
        for runner in made:
            runner.close()
