"""Tries a policy set on recorded traffic.

Calls are decided from what was found when they were checked. Where a detector has changed since, a call counts as
undecided, unless the order says to examine some of them again. Nothing but the report is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from governance.detectors.runner import Runner
from governance.domain.events import EventKind, Json
from governance.domain.people import SERVICE, Actor, Permission
from governance.engine.compare import Installed
from governance.errors import BadInput
from governance.policy.policy import PolicySet
from governance.services.authorise import Authority
from governance.services.named import unknown
from governance.services.policies.backtest.ports import BacktestOrder, BuildRunner, CountersFor, Record
from governance.services.policies.backtest.replay import Span, Tried
from governance.services.policies.backtest.report import BacktestReport, ReportBuilder, part_of
from governance.services.policies.backtest.tally import Tally
from governance.services.policies.golden import Golden, GoldenRunner
from governance.services.policies.ports import Transaction

DAYS = 30


SLICE = 10_000
"""Calls that are decided between two words of progress."""


EXAMINED_AT_ONCE = 200


ALONE = 3
"""Of so few slices, this process counts alone: to start others takes a second or two."""


MEASURED = timedelta(days=90)
"""Handling time is that of verdicts that are not older."""


Progress = Callable[[int, int], None]
"""Hears how many of how many calls are done. What it raises ends the backtest, and nothing is kept."""


def unheard(done: int, of: int) -> None:
    """Progress that nobody watches."""


class BacktestService:
    """`build` makes a set's detectors, as they are at work here; `counters` those who count."""

    def __init__(
        self,
        authority: Authority[Transaction],
        record: Callable[[], Record],
        build: BuildRunner,
        counters: CountersFor,
    ) -> None:
        self._authority = authority
        self._record = record
        self._build = build
        self._counters = counters

    def span(
        self, *, since: datetime | None = None, until: datetime | None = None, days: int = DAYS, system: str = ""
    ) -> Span:
        """From `since`, or `days` before `until`, up to `until`, or now. Raises `BadInput`, also for a system that
        nobody has heard of."""
        until = until or self._authority.clock()
        since = since or until - timedelta(days=days)
        if since >= until:
            raise BadInput(
                "The range is empty: its begin is not before its end.", advice="Look at --since and --until."
            )
        if system:
            with closing(self._record()) as record:
                known = sorted(record.systems_named().values())
            if system not in known:
                raise unknown("system", system, known, none="No system has sent a call yet.")
        return Span(since=since, until=until, system=system)

    def run(
        self,
        actor: Actor,
        candidate: PolicySet,
        *,
        against: PolicySet | None = None,
        span: Span | None = None,
        examine: int = 0,
        processes: int = 1,
        golden: Sequence[Golden] = (),
        progress: Progress = unheard,
    ) -> BacktestReport:
        """Tries `candidate` on the calls of `span` (default: the last 30 days) and on `golden` calls, beside `against`
        (default: the set in force; where there is none, an empty one). `examine` is how many stale calls are looked at
        again, chosen evenly. Blocks; give it a thread of its own where somebody waits.

        Raises `Denied` unless the actor may propose or approve policies.
        """
        span = span or self.span()
        self._require(actor, span)
        return self.tried(
            actor.name,
            candidate,
            against=against,
            span=span,
            examine=examine,
            processes=processes,
            golden=golden,
            progress=progress,
        )

    def tried(
        self,
        by: str,
        candidate: PolicySet,
        *,
        against: PolicySet | None = None,
        span: Span,
        examine: int = 0,
        processes: int = 1,
        golden: Sequence[Golden] = (),
        progress: Progress = unheard,
    ) -> BacktestReport:
        """As `run`, for a use case that has asked already whether it may; `by` names who wanted it."""
        began = time.monotonic()
        if against is None:
            against = self._in_force() or PolicySet([])
        runners = [self._build(one.detector_uses(), one.access) for one in (against, candidate)]
        try:
            before, after = (
                Tried(policy_set=one, installed=Installed.of(runner))
                for one, runner in zip((against, candidate), runners, strict=True)
            )
            now = self._authority.clock()
            order = BacktestOrder(before=before, after=after, now=now, span=span, most=examine)
            with closing(self._record()) as record:
                report = self._counted(record, order, processes, runners, golden, progress)
        finally:
            for runner in runners:
                runner.close()
        report = replace(report, seconds=time.monotonic() - began)
        with self._authority.database.write() as tx:
            number = tx.backtests.add(
                digest=candidate.digest,
                against=against.digest,
                by_name=by,
                at=now,
                result=report.document(),
            )
            data: dict[str, Json] = {
                "digest": candidate.digest,
                "against": against.digest,
                **tx.rows(policy_backtest=[number]),
            }
            tx.append(self._authority.event(EventKind.POLICY_SET_BACKTESTED, SERVICE, f"backtest:{number}", data=data))
        return replace(report, id=number)

    def _counted(
        self,
        record: Record,
        order: BacktestOrder,
        processes: int,
        runners: Sequence[Runner],
        golden: Sequence[Golden],
        progress: Progress,
    ) -> BacktestReport:
        """All that is read is of one moment, however many count."""
        size, slices = record.slices(order.span, SLICE)
        heard = _ProgressSum(progress, size + min(size, order.most) + len(golden))
        tally = Tally(most=order.most)
        examined = Tally()
        if slices:
            with self._counters(order, processes if len(slices) > ALONE else 1, record) as counters:
                counters.all("count", slices, lambda one: heard.merge(tally, one))
                again = sorted(call for _, call in tally.sample)
                heard.expect(tally.seen + len(again) + len(golden))
                parts = [again[at : at + EXAMINED_AT_ONCE] for at in range(0, len(again), EXAMINED_AT_ONCE)]
                counters.all("examine", parts, lambda one: heard.merge(examined, one))
        looked = examined.calls
        tally.stale -= looked
        tally.merge(replace(examined, stale=0, unchecked=0))
        sets = [one.policy_set for one in (order.before, order.after)]
        told = GoldenRunner(*zip(runners, sets, strict=True)).report(golden, heard.one) if golden else None
        maker = ReportBuilder(record, tally, order, first=record.first(order.span), since=order.now - MEASURED)
        return maker.report(at=order.now, examined=looked, golden=told)

    def latest(self, actor: Actor, digest: str, against: str, *, system: str = "") -> Mapping[str, Any] | None:
        """The document of the last backtest of a set beside another, with `by` and `id`; None where there is none. Of
        one `system` it is the last of that system alone, or its part of one of all systems (`part_of`).

        Raises `Denied` unless the actor may see the calls that it is about.
        """
        self._authority.require(actor, Permission.READ_CALLS, subject="policy", system=system)
        return next((one for kept in self._kept(digest, against) if (one := part_of(kept, system)) is not None), None)

    def kept(self, digest: str, against: str, *, since: datetime) -> Mapping[str, Any] | None:
        """As `latest`, of all systems, for a use case that has asked already whether it may; None where it is older
        than `since`."""
        found = next((one for one in self._kept(digest, against) if not one["system"]), None)
        return None if found is None or datetime.fromisoformat(found["at"]) < since else found

    def _kept(self, digest: str, against: str) -> Sequence[Mapping[str, Any]]:
        with self._authority.database.look() as tx:
            return tx.backtests.of(digest, against)

    def _require(self, actor: Actor, span: Span) -> None:
        if not self._authority.may(actor, Permission.APPROVE_POLICY, system=span.system):
            self._authority.require(actor, Permission.PROPOSE_POLICY, subject="policy", system=span.system)

    def _in_force(self) -> PolicySet | None:
        with self._authority.database.look() as tx:
            found = tx.rollouts.standing().enforce
            return None if found is None else tx.rollouts.policy_set(found.policy_set_id)


class _ProgressSum:
    """Adds up what is done, and says so."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress, self._of, self._done = progress, of, 0
        progress(0, of)

    def expect(self, of: int) -> None:
        self._of = max(of, self._done)

    def merge(self, into: Tally, one: Tally) -> None:
        into.merge(one)
        self._say(one.seen)

    def one(self) -> None:
        self._say(1)

    def _say(self, done: int) -> None:
        self._done += done
        self._progress(self._done, max(self._of, self._done))
