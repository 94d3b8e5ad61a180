"""`/healthz` (alive), `/readyz` (can serve) and `/metrics` (Prometheus): open to anybody, and without any content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio.to_thread
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from governance.api.metrics import Metrics
from governance.errors import GovernanceError
from governance.store.base import keys, migrate, probe
from governance.store.calls import health
from governance.store.evidence import audit_log
from governance.store.evidence.findings import open_findings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from governance.bootstrap import Application

WORKER_SILENT = timedelta(seconds=20)
SEAL_LAG_SECONDS = 30.0
LITTLE_ROOM = 256 * 2**20
_LOG = structlog.get_logger("governance.health")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that must be well. `detail` is a sentence of ours, never a driver's. Without what is not `vital` the
    server works on, and says so."""

    name: str
    ok: bool
    detail: str
    vital: bool = True
    warns: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)


def readiness(application: Application) -> list[Check]:
    """All checks, the first that fails hiding none of the others but those that need the database."""
    try:
        with application.database.read() as connection:
            found = [Check(name="database", ok=True, detail="answers")]
            found.append(_migrations(connection))
            if found[-1].ok:
                found += [_recording(application), _worker(application, connection)]
                found += [_checking(application, connection)]
                found += [_sealing(application, connection), _detectors(connection)]
                found += [_policies(application), _damage(application)]
                found += [_copies(application), *_room(application)]
            return found
    except GovernanceError as error:
        return [Check(name="database", ok=False, detail=error.message)]
    except Exception as error:
        _LOG.error("readiness.database", error=type(error).__name__)
        return [Check(name="database", ok=False, detail="does not answer")]


def _migrations(connection: sa.Connection) -> Check:
    current = migrate.current(connection) == migrate.head()
    return Check(name="migrations", ok=current, detail="current" if current else "run: governance db upgrade")


def _recording(application: Application) -> Check:
    """While all that is sent gets 503, that must be seen here, not by the senders alone."""
    trouble = application.recording.trouble()
    return Check(name="recording", ok=not trouble, detail=trouble or "takes calls")


def _worker(application: Application, connection: sa.Connection) -> Check:
    workers = health.workers(connection)
    if not workers:
        return Check(name="worker", ok=False, detail="no worker has started")
    silent = application.clock() - workers[0].seen_at
    return Check(name="worker", ok=silent <= WORKER_SILENT, detail=f"last seen {int(silent.total_seconds())} s ago")


def _checking(application: Application, connection: sa.Connection) -> Check:
    """A server whose checking is late still records, and taking it out of service would not check one call sooner."""
    late, settings = health.backlog(connection, application.clock()), application.settings
    return Check(
        name="checking",
        ok=late.oldest_seconds < settings.check_lag_failure,
        warns=late.oldest_seconds >= settings.check_lag_warning,
        detail=late.words,
        vital=False,
        figures={"waiting": late.waiting, "oldest_seconds": round(late.oldest_seconds, 1)},
    )


def _policies(application: Application) -> Check:
    """A process that has loaded a set goes on with it; none would load the changed one."""
    altered = application.rollout.altered()
    named = ", ".join(digest[:12] for digest in altered)
    detail = f"changed in the database: {named}; run: governance audit verify" if altered else "give their digests"
    return Check(name="policies", ok=not altered, detail=detail)


def _damage(application: Application) -> Check:
    """What the last look at the database's pages found (`services.evidence.integrity`)."""
    last = application.integrity.last()
    return Check(
        name="integrity", ok=last is None or not last.problems, detail="not looked yet" if last is None else last.words
    )


def _copies(application: Application) -> Check:
    """How old the copies of checkpoints outside are: a server without them works, and proves less."""
    state = application.checkpoint_copies.state()
    late = [one for one in state if one.late]
    said = "; ".join(f"{one.name} is too old{f': {one.error}' if one.error else ''}" for one in late)
    ages = [f"{one.name} {f'{one.copied_at:%Y-%m-%d %H:%M} UTC' if one.copied_at else 'not yet'}" for one in state]
    fresh = ", ".join(ages) or "none is kept elsewhere (GOVERNANCE_CHECKPOINT_COPY_FOLDER and others)"
    return Check(name="copies", ok=not late, detail=said or fresh, vital=False)


def _room(application: Application) -> Iterator[Check]:
    free = probe.free_bytes(application.database)
    if free is not None:
        yield Check(name="disk", ok=free >= LITTLE_ROOM, detail=f"{free // 2**20:,} MiB free", vital=False)


def _sealing(application: Application, connection: sa.Connection) -> Check:
    lag = audit_log.seal_lag(connection, application.clock())
    return Check(name="sealing", ok=lag <= SEAL_LAG_SECONDS, detail=f"{lag:.1f} s behind")


def _detectors(connection: sa.Connection) -> Check:
    """Those that are not there, or have only failed: their policies answer `on_error`, so calls are still taken."""
    known = health.detectors(connection)
    absent = [
        f"{one.name} unavailable since {one.absent_since:%Y-%m-%d %H:%M} UTC" for one in known if one.absent_since
    ]
    dead = [f"{one.name} fails" for one in known if not one.absent_since and one.failed and not one.answered]
    said = "; ".join((*absent, *dead))
    return Check(name="detectors", ok=not said, detail=said or "answer", vital=False)


class _Gauges(Collector):
    """Figures read from the database at each scrape."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily("governance_refused_keys", "API keys refused.", labels=["reason"])
        if "authority" in vars(self._application):  # else no key was asked for yet, and the database need not be there
            for reason, count in self._application.authority.refusals.counts.items():
                refused.add_metric([reason.value], count)
        yield refused
        checks = readiness(self._application)
        ready = GaugeMetricFamily("governance_ready", "1 where the check passes.", labels=["check"])
        for check in checks:
            ready.add_metric([check.name], float(check.ok))
        yield ready
        if not checks[0].ok or len(checks) < 3:
            return
        now = self._application.clock()
        with self._application.database.read() as connection:
            late = health.backlog(connection, now)
            yield GaugeMetricFamily(
                "governance_calls_waiting", "Calls not checked yet, up to 100000.", value=late.waiting
            )
            yield GaugeMetricFamily(
                "governance_check_lag_seconds", "Age of the oldest call not checked yet.", value=late.oldest_seconds
            )
            yield GaugeMetricFamily(
                "governance_checked_calls_per_second", "Lately; 0 while no call waits.", value=late.rate
            )
            yield GaugeMetricFamily(
                "governance_seal_lag_seconds",
                "Age of the oldest unsealed audit event.",
                value=audit_log.seal_lag(connection, now),
            )
            yield GaugeMetricFamily(
                "governance_audit_log_size", "Sealed audit events.", value=keys.log_size(connection)
            )
            yield GaugeMetricFamily(
                "governance_audit_findings",
                "Findings of verifications that nobody has acknowledged.",
                value=open_findings(connection),
            )
            workers = health.workers(connection)
            failures = GaugeMetricFamily("governance_detector_failures", "Texts not examined.", labels=["detector"])
            there = GaugeMetricFamily(
                "governance_detector_available", "0 where a detector is not there.", labels=["detector"]
            )
            for detector in health.detectors(connection):
                failures.add_metric([detector.name], detector.failed)
                there.add_metric([detector.name], float(detector.absent_since is None))
            yield failures
            yield there
        yield from _jobs(self._application)
        yield _copy_ages(self._application)
        if workers:
            yield GaugeMetricFamily(
                "governance_worker_silent_seconds",
                "Since the latest heartbeat of any worker.",
                value=(now - workers[0].seen_at).total_seconds(),
            )


def _jobs(application: Application) -> Iterator[GaugeMetricFamily]:
    figures = application.background.figures()
    jobs = GaugeMetricFamily("governance_jobs", "Background jobs that wait, run, or failed.", labels=["state"])
    for state in ("waiting", "running", "failed"):
        jobs.add_metric([state], getattr(figures, state))
    yield jobs
    yield GaugeMetricFamily(
        "governance_jobs_overdue", "Jobs that could have run a quarter of an hour ago.", value=figures.overdue
    )
    yield GaugeMetricFamily(
        "governance_outbox_waiting", "Messages that are not delivered yet.", value=figures.messages_waiting
    )
    oldest = figures.oldest_message_at
    yield GaugeMetricFamily(
        "governance_outbox_oldest_seconds",
        "Age of the oldest message that is not delivered yet; 0 where none waits.",
        value=(application.clock() - oldest).total_seconds() if oldest else 0.0,
    )
    yield GaugeMetricFamily(
        "governance_outbox_dead_total",
        "Messages that could not be delivered, and for which no attempt is left.",
        value=figures.messages_dead,
    )


def _copy_ages(application: Application) -> GaugeMetricFamily:
    ages = GaugeMetricFamily(
        "governance_checkpoint_copy_age_seconds",
        "Since a place outside last held the latest checkpoint; -1 where none was copied yet.",
        labels=["copy"],
    )
    now = application.clock()
    for one in application.checkpoint_copies.state():
        ages.add_metric([one.name], -1.0 if one.copied_at is None else (now - one.copied_at).total_seconds())
    return ages


def health_routes(application: Application, metrics: Metrics) -> list[Route]:
    """Routes for the root of the server, beside /v1."""
    metrics.registry.register(_Gauges(application))

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})

    async def readyz(_: Request) -> Response:
        checks = await anyio.to_thread.run_sync(readiness, application)
        ready = all(check.ok for check in checks if check.vital)
        well = all(check.ok and not check.warns for check in checks)
        body = {
            "status": "ready" if well else "degraded" if ready else "not ready",
            "checks": {
                check.name: {
                    "ok": check.ok,
                    "detail": check.detail,
                    **({"warning": True} if check.warns else {}),
                    **check.figures,
                }
                for check in checks
            },
        }
        return JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})

    async def figures(_: Request) -> Response:
        text = await anyio.to_thread.run_sync(generate_latest, metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", figures, methods=["GET"]),
    ]
