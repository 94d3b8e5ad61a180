"""What a policy set is mapped to, control by control, with the gaps. Pure: figures and test results are given.

A mapping says which policies are about a control. Nothing here says that a control is met.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from governance.domain.decisions import PolicyStatus, Severity
from governance.engine.trial import Trial
from governance.policy.controls import Control, Framework, Means
from governance.policy.policy import Policy, PolicySet
from governance.services.policies.read import PolicyFigures

NOTE = (
    "A mapping states which policies are about a control, by the people who wrote the policies. "
    "It does not state that the control is met."
)


class GapKind(StrEnum):
    """What is missing between a control and its evidence."""

    NO_POLICY = "no_policy"
    NOT_ENFORCED = "not_enforced"
    NO_TESTS = "no_tests"
    TESTS_FAIL = "tests_fail"
    NO_HITS = "no_hits"
    NO_VERDICTS = "no_verdicts"


GAP_WORDS: Mapping[GapKind, str] = {
    GapKind.NO_POLICY: "No policy is mapped to it.",
    GapKind.NOT_ENFORCED: "None of its policies is enforced: what they find changes nothing.",
    GapKind.NO_TESTS: "A policy has no test that must pass.",
    GapKind.TESTS_FAIL: "A policy's test fails.",
    GapKind.NO_HITS: "None of its policies fired in the period.",
    GapKind.NO_VERDICTS: "Its policies fired, and nobody decided a case of theirs in the period.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """`policies` are those that the gap is about; empty where it is about all or none."""

    kind: GapKind
    policies: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        named = f" ({', '.join(self.policies)})" if self.policies else ""
        return f"{GAP_WORDS[self.kind].removesuffix('.')}{named}."


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedTest:
    """A test of a policy. `todo` is not promised yet; `passed` is None where tests were not run."""

    name: str
    expected: str
    todo: bool
    passed: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """What a policy did in the period, by calls, and what people decided on its cases that were closed in it. `waiting`
    cases are open now."""

    fired: int = 0
    shadow_fired: int = 0
    errors: int = 0
    excepted: int = 0
    violations: int = 0
    false_alarms: int = 0
    waiting: int = 0
    last_at: datetime | None = None

    @property
    def verdicts(self) -> int:
        return self.violations + self.false_alarms

    def __add__(self, other: Hits) -> Hits:
        ends = [at for at in (self.last_at, other.last_at) if at is not None]
        return Hits(
            fired=self.fired + other.fired,
            shadow_fired=self.shadow_fired + other.shadow_fired,
            errors=self.errors + other.errors,
            excepted=self.excepted + other.excepted,
            violations=self.violations + other.violations,
            false_alarms=self.false_alarms + other.false_alarms,
            waiting=self.waiting + other.waiting,
            last_at=max(ends, default=None),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedPolicy:
    """A policy that names a control. `hits` is None where no figures were asked for; `evidence` is the command that
    exports what proves them."""

    id: str
    title: str
    owner: str
    status: PolicyStatus
    severity: Severity
    queue: str
    tests: tuple[MappedTest, ...]
    hits: Hits | None
    evidence: str

    @property
    def promised(self) -> int:
        """Tests that must pass."""
        return sum(not test.todo for test in self.tests)

    @property
    def failed(self) -> int:
        return sum(test.passed is False for test in self.tests)


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlCoverage:
    """A control and the policies that name it."""

    control: Control
    policies: tuple[MappedPolicy, ...]
    gaps: tuple[Gap, ...]

    @property
    def hits(self) -> Hits:
        return sum((one.hits for one in self.policies if one.hits is not None), Hits())

    @property
    def tests(self) -> int:
        return sum(one.promised for one in self.policies)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self.policies)

    @property
    def outside(self) -> bool:
        """Whether no policy is mapped to it and none is missed: the organisation or the product must serve it."""
        return not self.policies and self.control.means is not Means.POLICIES


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameworkCoverage:
    """A framework, control by control, in its own order."""

    framework: Framework
    controls: tuple[ControlCoverage, ...]

    @property
    def mapped(self) -> int:
        return sum(bool(one.policies) for one in self.controls)

    @property
    def expected(self) -> int:
        """Controls that policies can serve, in our judgement, or do name."""
        return sum(not one.outside for one in self.controls)

    @property
    def with_gaps(self) -> int:
        return sum(bool(one.gaps) for one in self.controls)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """Whole days in UTC: figures are kept by day. `until` is the day after the last."""

    since: date
    until: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """`systems` are those whose figures are counted; None is all. `period` and `calls` (decided in it) are None where
    no figures were asked for. `tested` says whether the tests were run."""

    policy_set: str
    in_force: bool
    made_at: datetime
    period: Period | None
    systems: tuple[str, ...] | None
    calls: int | None
    tested: bool
    frameworks: tuple[FrameworkCoverage, ...]

    @property
    def policies(self) -> tuple[MappedPolicy, ...]:
        """The policies that name any control of the report, by id."""
        found = {policy.id: policy for part in self.frameworks for one in part.controls for policy in one.policies}
        return tuple(found[name] for name in sorted(found))


def cover(
    policy_set: PolicySet,
    frameworks: Iterable[Framework],
    *,
    hits: Mapping[str, Hits] | None,
    period: Period | None,
    trials: Sequence[Trial] | None,
) -> tuple[FrameworkCoverage, ...]:
    """The frameworks with the policies that are mapped to each control; retired policies count for nothing."""
    mapped = {
        policy.id: _mapped(policy, hits, period, trials)
        for policy in policy_set.policies
        if policy.status is not PolicyStatus.RETIRED
    }
    found = []
    for framework in frameworks:
        naming: dict[str, list[MappedPolicy]] = {}
        for policy in policy_set.policies:
            if policy.id in mapped:
                for identifier in dict.fromkeys(policy.controls.get(framework.name, ())):
                    naming.setdefault(identifier, []).append(mapped[policy.id])
        controls = []
        for control in framework.controls.values():
            policies = tuple(naming.get(control.id, ()))
            controls.append(ControlCoverage(control=control, policies=policies, gaps=_gaps(control, policies)))
        found.append(FrameworkCoverage(framework=framework, controls=tuple(controls)))
    return tuple(found)


def hits_of(figures: PolicyFigures, waiting: Mapping[str, int]) -> dict[str, Hits]:
    """The figures of a period by policy."""
    found: dict[str, Hits] = {}
    for one in figures.spoke:
        found[one.policy] = found.get(one.policy, Hits()) + Hits(
            fired=one.fired,
            shadow_fired=one.shadow_fired,
            errors=one.errors + one.shadow_errors,
            excepted=one.excepted,
            last_at=one.last_at,
        )
    for policy, judged in figures.judged.items():
        found[policy] = found.get(policy, Hits()) + Hits(violations=judged.violations, false_alarms=judged.false_alarms)
    for policy, number in waiting.items():
        found[policy] = found.get(policy, Hits()) + Hits(waiting=number)
    return found


def _mapped(
    policy: Policy, hits: Mapping[str, Hits] | None, period: Period | None, trials: Sequence[Trial] | None
) -> MappedPolicy:
    results = None if trials is None else {one.number: one.passed for one in trials if one.policy == policy.id}
    return MappedPolicy(
        id=policy.id,
        title=policy.title,
        owner=policy.owner,
        status=policy.status,
        severity=policy.severity,
        queue=policy.then.queue,
        tests=tuple(
            MappedTest(
                name=test.name,
                expected=(test.todo if test.todo is not None else test.expect) or "allow",
                todo=test.todo is not None,
                passed=None if results is None else results.get(number),
            )
            for number, test in enumerate(policy.tests)
        ),
        hits=None if hits is None else hits.get(policy.id, Hits()),
        evidence=_evidence(policy.id, period),
    )


def _evidence(policy: str, period: Period | None) -> str:
    words = ["governance", "export", "--policy", policy]
    if period is not None:
        words += ["--since", period.since.isoformat(), "--until", period.until.isoformat()]
    return shlex.join([*words, "--out", f"{policy}.zip"])


def _gaps(control: Control, policies: Sequence[MappedPolicy]) -> tuple[Gap, ...]:
    if not policies:
        return (Gap(kind=GapKind.NO_POLICY),) if control.means is Means.POLICIES else ()
    gaps = []
    if not any(one.status is PolicyStatus.ENFORCE for one in policies):
        gaps.append(Gap(kind=GapKind.NOT_ENFORCED))
    if untested := tuple(one.id for one in policies if not one.promised):
        gaps.append(Gap(kind=GapKind.NO_TESTS, policies=untested))
    if failing := tuple(one.id for one in policies if one.failed):
        gaps.append(Gap(kind=GapKind.TESTS_FAIL, policies=failing))
    if any(one.hits is not None for one in policies):
        hits = sum((one.hits for one in policies if one.hits is not None), Hits())
        if not hits.fired + hits.shadow_fired:
            gaps.append(Gap(kind=GapKind.NO_HITS))
        elif not hits.verdicts and any(one.queue and one.hits is not None and one.hits.fired for one in policies):
            gaps.append(Gap(kind=GapKind.NO_VERDICTS))
    return tuple(gaps)
