"""The use case: a report of the controls that the policies in force are mapped to, to be read or taken away.

Figures are those of the systems that the reader may see. What is taken away as a file is an event of the audit log,
with the file's SHA-256: so a report that somebody shows later can be found again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from governance.domain.events import EventKind
from governance.domain.people import Actor, Permission, Systems
from governance.engine.trial import Trial
from governance.errors import BadInput, Conflict
from governance.policy.controls import Framework, catalogue
from governance.policy.policy import PolicySet
from governance.services.authorise import Authority
from governance.services.named import unknown
from governance.services.policies.controls import forms
from governance.services.policies.controls.coverage import Period, Report, cover, hits_of
from governance.services.policies.controls.oscal import component_definition
from governance.services.policies.read import PolicyQueries
from governance.services.ports import Clock, UnitOfWork
from governance.services.visible import Visible

DAYS = 30
"""A report is about so many days up to today where no period is named."""


class ReportForm(StrEnum):
    """The forms that are files."""

    JSON = "json"
    CSV = "csv"
    OSCAL = "oscal"

    @property
    def ending(self) -> str:
        return "csv" if self is ReportForm.CSV else "oscal.json" if self is ReportForm.OSCAL else "json"

    @property
    def mime(self) -> str:
        return "text/csv" if self is ReportForm.CSV else "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a report is about: one framework ("" is all), and days from `since` to before `until` (None: `DAYS` days up
    to today)."""

    framework: str = ""
    since: date | None = None
    until: date | None = None


def rendered(report: Report, form: ReportForm) -> bytes:
    """The file's bytes."""
    if form is ReportForm.CSV:
        return forms.csv(report)
    value = component_definition(report) if form is ReportForm.OSCAL else forms.document(report)
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")


def of_files(policy_set: PolicySet, asked: Asked, *, trials: Sequence[Trial] | None, now: datetime) -> Report:
    """What policy files are mapped to: no database, so no figures."""
    return Report(
        policy_set=policy_set.digest,
        in_force=False,
        made_at=now,
        period=None,
        systems=None,
        calls=None,
        tested=trials is not None,
        frameworks=cover(policy_set, chosen(asked.framework), hits=None, period=None, trials=trials),
    )


def chosen(framework: str) -> Sequence[Framework]:
    """All frameworks, or the one that is named. Raises `UnknownName`."""
    known = catalogue()
    if not framework:
        return list(known.values())
    if framework not in known:
        raise unknown("framework", framework, known)
    return [known[framework]]


def day(at: datetime | None, name: str) -> date | None:
    """The day that begins at `at`. Raises `BadInput` for another time of day: figures are kept by day."""
    if at is None:
        return None
    at = at.astimezone(UTC)
    if at.time() != time():
        raise BadInput(f"{name}: figures are kept by whole days in UTC.", advice=f"Give a day: {at.date()}.")
    return at.date()


class ControlsService:
    """Reports of controls; safe to share among threads. `in_force` gives the policy set that decides now."""

    def __init__(
        self,
        authority: Authority[UnitOfWork],
        visible: Visible,
        queries: PolicyQueries,
        in_force: Callable[[], PolicySet | None],
        clock: Clock,
    ) -> None:
        self._authority = authority
        self._visible = visible
        self._queries = queries
        self._in_force = in_force
        self._clock = clock

    def policies(self) -> PolicySet:
        """The policy set in force. Raises `Conflict` before the first start."""
        found = self._in_force()
        if found is None:
            raise Conflict(
                "No policy is in force yet.", advice="Start: governance serve. Or name a folder: --policies."
            )
        return found

    def report(
        self, actor: Actor, asked: Asked, *, policy_set: PolicySet | None = None, trials: Sequence[Trial] | None = None
    ) -> Report:
        """A report to be read. Raises `Denied`, `BadInput`, and `Conflict` where nothing is in force. `policy_set` is
        what `policies` gave and `trials` what its tests said, if they were run."""
        return self._report(actor, Permission.READ_CASES, asked, policy_set, trials)

    def file(
        self,
        actor: Actor,
        asked: Asked,
        form: ReportForm,
        *,
        policy_set: PolicySet | None = None,
        trials: Sequence[Trial] | None = None,
    ) -> bytes:
        """A report to be taken away: an event is committed before its bytes are given. Needs the permission to export
        evidence; raises as `report`."""
        report = self._report(actor, Permission.EXPORT_EVIDENCE, asked, policy_set, trials)
        made = rendered(report, form)
        assert report.period is not None, "a report of what is in force has a period"
        with self._authority.act(actor) as tx:
            tx.append(
                self._authority.event(
                    EventKind.CONTROLS_REPORTED,
                    actor,
                    data={
                        "framework": asked.framework,
                        "form": form.value,
                        "since": report.period.since.isoformat(),
                        "until": report.period.until.isoformat(),
                        "policy_set": report.policy_set,
                        "all_systems": report.systems is None,
                        "sha256": hashlib.sha256(made).hexdigest(),
                    },
                )
            )
        return made

    def _report(
        self,
        actor: Actor,
        permission: Permission,
        asked: Asked,
        policy_set: PolicySet | None,
        trials: Sequence[Trial] | None,
    ) -> Report:
        frameworks = chosen(asked.framework)
        names = self._visible.names(actor, permission)
        systems = self._visible.systems(actor, permission)
        now = self._clock()
        period = _period(asked, now)
        policies = policy_set or self.policies()
        figures = self._queries.figures(systems, _number(period.since), until=_number(period.until))
        return Report(
            policy_set=policies.digest,
            in_force=True,
            made_at=now,
            period=period,
            systems=None if names is None else tuple(sorted(names)),
            calls=sum(one.calls for one in figures.decided),
            tested=trials is not None,
            frameworks=cover(
                policies,
                frameworks,
                hits=hits_of(figures, self._waiting(systems)),
                period=period,
                trials=trials,
            ),
        )

    def _waiting(self, systems: Systems) -> dict[str, int]:
        return dict(self._queries.waiting(systems))


def _period(asked: Asked, now: datetime) -> Period:
    """The days that are asked for; without an end up to today, without a begin `DAYS` days."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    until = asked.until or tomorrow
    try:
        since = asked.since or until - timedelta(days=DAYS)
    except OverflowError:
        since = date.min
    if since >= until:
        raise BadInput("since is not before until.", advice="`until` is the day after the last one.")
    return Period(since=since, until=until)


def _number(day_: date) -> int:
    """Days since 1970."""
    return (day_ - date(1970, 1, 1)).days
