"""What a backtest came to: rates, precision, recall, reviewers' hours and budgets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from governance.domain import times
from governance.domain.calls import Call, CallKind, EndUser, Release
from governance.domain.decisions import PolicyStatus
from governance.engine.compare import decides, meaning
from governance.policy.policy import Policy
from governance.services.policies.backtest.ports import BacktestOrder, Record
from governance.services.policies.backtest.replay import Span
from governance.services.policies.backtest.tally import Counts, Key, Tally
from governance.services.policies.golden import GoldenReport
from governance.services.policies.share import LEAST_VERDICTS, Share, percent, share

_WEEK = timedelta(days=7)


_SHORTEST = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one of the two sets says. `flagged`: it acts, or asks for a person (`queued`); a policy counts where it
    fires, also in shadow. `precision` is of flagged calls that people judged, `recall` of calls that people found to be
    violations; `hours` are reviewers' a week, None where nobody has measured how long a case takes."""

    flagged: int
    queued: int
    rate: Share
    precision: Share
    recall: Share
    hours: float | None

    def document(self) -> dict[str, Any]:
        return {
            "flagged": self.flagged,
            "queued": self.queued,
            "alert_rate": self.rate.document(),
            "precision": self.precision.document(),
            "recall": self.recall.document(),
            "hours_a_week": self.hours,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What changes for all calls (`name` ""), a system's, or those that a policy is about. `stricter` and `milder` are
    calls that are acted on more or less strictly, also where both sets flag them. `newly` and `no_longer` count
    flagged calls; the examples are ids of some of them."""

    name: str
    calls: int
    newly: int
    no_longer: int
    stricter: int
    milder: int
    before: Side
    after: Side
    newly_examples: tuple[int, ...] = ()
    no_longer_examples: tuple[int, ...] = ()

    @property
    def added_hours(self) -> float | None:
        """Reviewers' hours a week that come on top (or fall away); None where handling time is not known."""
        if self.before.hours is None or self.after.hours is None:
            return None
        return round(self.after.hours - self.before.hours, 2)

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "calls": self.calls,
            "newly_flagged": self.newly,
            "no_longer_flagged": self.no_longer,
            "stricter": self.stricter,
            "milder": self.milder,
            "before": self.before.document(),
            "after": self.after.document(),
            "added_hours_a_week": self.added_hours,
            "newly_examples": [str(one) for one in self.newly_examples],
            "no_longer_examples": [str(one) for one in self.no_longer_examples],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyChange:
    """A policy's part. `was` and `now` are its status in either set, "" where it is not in it."""

    change: Change
    was: str
    now: str

    def document(self) -> dict[str, Any]:
        return {"status_before": self.was, "status_after": self.now, **self.change.document()}


@dataclass(frozen=True, kw_only=True, slots=True)
class OverBudget:
    """A policy over its `budget:`. `standing`: it is so already with the set in force, and no worse: no gate.
    `measured` and `allowed` are shares; `what` is "max_alert_rate" or "min_precision"."""

    policy: str
    what: str
    measured: float
    allowed: float
    of: int
    standing: bool

    @property
    def words(self) -> str:
        """`injection.direct: flags 3.1% of 4,000 calls, at most 2% are agreed`."""
        measured, allowed = percent(self.measured), percent(self.allowed)
        if self.what == "max_alert_rate":
            return f"{self.policy}: flags {measured} of {self.of:,} calls, at most {allowed} are agreed"
        return f"{self.policy}: {measured} of {self.of:,} judged alerts were right, at least {allowed} are agreed"

    def document(self) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "budget": self.what,
            "measured": round(self.measured, 6),
            "allowed": self.allowed,
            "of": self.of,
            "already_in_force": self.standing,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """`day` in UTC, of the calls' start; how many of its calls either set flags."""

    day: str
    calls: int
    before: int
    after: int

    def document(self) -> dict[str, Any]:
        return {"day": self.day, "calls": self.calls, "flagged_before": self.before, "flagged_after": self.after}


@dataclass(frozen=True, kw_only=True, slots=True)
class BacktestReport:
    """What a backtest came to.

    `calls` were decided by both sets, `examined` of them by looking at them again. Undecided are `stale` calls (a
    detector has changed since), those whose own check had failed (`unchecked`), and those without a decision yet
    (`waiting`). `seconds_a_case` is the measured handling time of `verdicts`; `cases_a_queued_call` below 1 where
    several calls show one incident.
    """

    candidate: str
    against: str
    span: Span
    at: datetime
    seconds: float
    calls: int
    examined: int
    stale: int
    unchecked: int
    waiting: int
    whole: Change
    systems: tuple[Change, ...]
    policies: tuple[PolicyChange, ...]
    days: tuple[Day, ...]
    verdicts: int
    seconds_a_case: float | None
    cases_a_queued_call: float
    over: tuple[OverBudget, ...]
    golden: GoldenReport | None = None
    id: int | None = None

    @property
    def broken(self) -> tuple[OverBudget, ...]:
        """The budgets that close the gate."""
        return tuple(one for one in self.over if not one.standing)

    @property
    def passes(self) -> bool:
        """Whether no budget is broken, and no golden call that is answered rightly today would be answered wrongly."""
        return not self.broken and (self.golden is None or not self.golden.lost)

    def document(self) -> dict[str, Any]:
        """As JSON: what `policy backtest --json` prints and what is stored."""
        return {
            "id": None if self.id is None else str(self.id),
            "candidate": self.candidate,
            "against": self.against,
            "since": _rfc3339(self.span.since),
            "until": _rfc3339(self.span.until),
            "system": self.span.system,
            "at": _rfc3339(self.at),
            "seconds": round(self.seconds, 2),
            "passes": self.passes,
            "calls": self.calls,
            "examined": self.examined,
            "undecided": {"stale": self.stale, "unchecked": self.unchecked, "waiting": self.waiting},
            "whole": self.whole.document(),
            "systems": [one.document() for one in self.systems],
            "policies": [one.document() for one in self.policies],
            "days": [one.document() for one in self.days],
            "handling": {
                "verdicts": self.verdicts,
                "seconds_a_case": self.seconds_a_case,
                "cases_a_queued_call": self.cases_a_queued_call,
            },
            "over_budget": [one.document() for one in self.over],
            "golden": None if self.golden is None else self.golden.document(),
        }


class ReportBuilder:
    """Turns counts into a report."""

    def __init__(
        self, record: Record, tally: Tally, order: BacktestOrder, *, first: int | None, since: datetime
    ) -> None:
        self._record, self._tally, self._order = record, tally, order
        span = order.span
        began = span.since if first is None else max(span.since, times.moment(first))
        self._weeks = max(_SHORTEST, min(span.until, order.now) - began) / _WEEK
        handling = record.handling(span, times.micros(since))
        self._handling = handling
        self._seconds = handling.seconds / handling.verdicts if handling.verdicts else None
        queued = tally.recorded_queued
        self._cases = min(1.0, handling.cases / queued) if queued and handling.cases else 1.0

    def report(self, *, at: datetime, examined: int, golden: GoldenReport | None) -> BacktestReport:
        tally, order = self._tally, self._order
        systems = self._record.systems_named()
        by_system: dict[int, int] = {}
        by_day: dict[int, int] = {}
        for key, count in tally.about.items():
            by_system[key.system] = by_system.get(key.system, 0) + count
            by_day[key.day] = by_day.get(key.day, 0) + count
        policies = self._policies(systems)
        return BacktestReport(
            candidate=order.after.policy_set.digest,
            against=order.before.policy_set.digest,
            span=order.span,
            at=at,
            seconds=0.0,
            calls=tally.calls,
            examined=examined,
            stale=tally.stale,
            unchecked=tally.unchecked,
            waiting=tally.waiting,
            whole=self._change("", tally.calls, tally.whole, tally.newly.get("", ()), tally.no_longer.get("", ())),
            systems=tuple(
                sorted(
                    (
                        self._change(systems[number], count, tally.systems.get(number, Counts()))
                        for number, count in by_system.items()
                    ),
                    key=lambda one: one.name,
                )
            ),
            policies=policies,
            days=tuple(
                Day(
                    day=str((times.EPOCH + timedelta(days=day)).date()),
                    calls=count,
                    before=tally.days.get(day, (0, 0))[0],
                    after=tally.days.get(day, (0, 0))[1],
                )
                for day, count in sorted(by_day.items())
            ),
            verdicts=self._handling.verdicts,
            seconds_a_case=None if self._seconds is None else round(self._seconds, 1),
            cases_a_queued_call=round(self._cases, 3),
            over=tuple(self._over(policies)),
            golden=golden,
        )

    def _policies(self, systems: Mapping[int, str]) -> tuple[PolicyChange, ...]:
        """All policies that spoke, and all that differ between the sets."""
        before, after = self._order.before.policy_set, self._order.after.policy_set
        old = {policy.id: policy for policy in before.policies}
        new = {policy.id: policy for policy in after.policies}
        differing = {
            name
            for name in old.keys() | new.keys()
            if name not in old or name not in new or meaning(old[name]) != meaning(new[name])
        }
        stand_ins = {key[:4]: self._stand_in(key, systems) for key in self._tally.about}
        found = []
        for name in sorted(self._tally.policies.keys() | {one for one in differing if _speaks(one, old, new)}):
            counts = self._tally.policies.get(name, Counts())
            covered = [
                frozenset(key for key, call in stand_ins.items() if policy.applies_to.covers(call))
                if policy is not None
                else frozenset[Any]()
                for policy in (old.get(name), new.get(name))
            ]
            calls, *each = (self._counted(keys) for keys in (covered[0] | covered[1], *covered))
            found.append(
                PolicyChange(
                    change=self._change(
                        name,
                        calls,
                        counts,
                        self._tally.newly.get(name, ()),
                        self._tally.no_longer.get(name, ()),
                        each=(each[0], each[1]),
                    ),
                    was=old[name].status.value if name in old else "",
                    now=new[name].status.value if name in new else "",
                )
            )
        return tuple(found)

    def _counted(self, keys: Collection[Any]) -> int:
        """How many of the decided calls are counted by these keys."""
        return sum(count for key, count in self._tally.about.items() if key[:4] in keys)

    def _stand_in(self, key: Key, systems: Mapping[int, str]) -> Call:
        """A call that is like those that are counted by this key, as far as `applies_to` reads it."""
        return Call(
            trace_id="",
            span_id="",
            kind=CallKind(key.kind),
            system=systems[key.system],
            user=EndUser(role=key.role),
            release=Release() if key.release is None else self._record.release(key.release),
            started_at=times.EPOCH,
        )

    def _change(
        self,
        name: str,
        calls: int,
        counts: Counts,
        newly: Sequence[int] = (),
        no_longer: Sequence[int] = (),
        *,
        each: tuple[int, int] | None = None,
    ) -> Change:
        """`each` says of how many calls a policy is before and after, where that may differ."""
        of_before, of_after = each or (calls, calls)
        return Change(
            name=name,
            calls=calls,
            newly=counts.newly,
            no_longer=counts.no_longer,
            stricter=counts.stricter,
            milder=counts.milder,
            before=self._side(
                of_before, counts.flagged_before, counts.queued_before, counts.right_before, counts.wrong_before, counts
            ),
            after=self._side(
                of_after, counts.flagged_after, counts.queued_after, counts.right_after, counts.wrong_after, counts
            ),
            newly_examples=tuple(newly),
            no_longer_examples=tuple(no_longer),
        )

    def _side(self, calls: int, flagged: int, queued: int, right: int, wrong: int, counts: Counts) -> Side:
        hours = None
        if self._seconds is not None:
            hours = round(queued * self._cases * self._seconds / 3600 / self._weeks, 2)
        return Side(
            flagged=flagged,
            queued=queued,
            rate=share(flagged, calls),
            precision=share(right, right + wrong),
            recall=share(right, counts.violations),
            hours=hours,
        )

    def _over(self, policies: Sequence[PolicyChange]) -> Iterable[OverBudget]:
        """Budgets that enforced policies of the candidate are over."""
        candidate = self._order.after.policy_set
        for one in policies:
            policy = candidate.get(one.change.name)
            if policy is None or policy.status is not PolicyStatus.ENFORCE:
                continue
            stood = one.was == PolicyStatus.ENFORCE
            before, after, budget = one.change.before, one.change.after, policy.budget
            rate, precision = after.rate.value, after.precision.value
            if rate is not None and rate > budget.max_alert_rate:
                standing = stood and before.rate.value is not None and before.rate.value >= rate
                yield OverBudget(
                    policy=policy.id, what="max_alert_rate", measured=rate, allowed=budget.max_alert_rate,
                    of=after.rate.of, standing=standing,
                )  # fmt: skip
            enough = after.precision.of >= LEAST_VERDICTS
            if enough and precision is not None and precision < budget.min_precision:
                standing = stood and before.precision.value is not None and before.precision.value <= precision
                yield OverBudget(
                    policy=policy.id, what="min_precision", measured=precision, allowed=budget.min_precision,
                    of=after.precision.of, standing=standing,
                )  # fmt: skip


def part_of(document: Mapping[str, Any], system: str) -> Mapping[str, Any] | None:
    """What a report's document says of one system ("" for all): the whole of it where it is about that system, None
    where it is not. Of a report of all systems it is what that says of this one; what it says of all of them together
    (policies, days, budgets, what was not decided, examples) is left out, and `part` is true."""
    if document["system"] == system:
        return {**document, "part": False}
    change = next((one for one in document["systems"] if one["name"] == system), None)
    if document["system"] or change is None:
        return None
    return {
        **{name: document[name] for name in ("id", "by", "candidate", "against", "since", "until", "at")},
        "system": system,
        "part": True,
        "calls": change["calls"],
        "whole": change,
        "systems": [change],
        "policies": [],
        "days": [],
        "undecided": None,
        "over_budget": None,
        "golden": None,
    }


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _speaks(name: str, old: Mapping[str, Policy], new: Mapping[str, Policy]) -> bool:
    return any(name in policies and decides(policies[name]) for policies in (old, new))
