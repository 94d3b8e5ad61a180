"""Real worker processes killed with kill -9: every job runs again, none has two effects, every message arrives."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from governance.domain.events import EventKind
from governance.domain.jobs import JobKind, JobState
from governance.services.jobs.outbox import Alerts
from governance.store.base import tables as t
from governance.store.base.database import connect
from governance.store.transaction import Database
from tests.jobs.receiver import SECRET, Receiver, answers
from tests.serving import Serving

# The real worker, with shorter times between a death and its discovery.
WORKER = """
from datetime import timedelta
from governance import worker
from governance.bootstrap import open_application
from governance.cli import logs
from governance.services.jobs import run
from governance.store.jobs import wake
from governance.worker import jobs, procrastinate, pulse
run.LEASE = timedelta(seconds=3)
jobs.IDLE_SECONDS = 0.1
wake.STALLED_SECONDS = 3
procrastinate.HEARTBEAT_SECONDS = pulse.BEAT_SECONDS = 0.5
procrastinate.REVIVE_SECONDS = 1.0
logs.configure()
worker.run(open_application())
"""
VERIFICATIONS, MESSAGES, KILLS = 12, 12, 2


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Serving:
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    return Serving(tmp_path, database_url=url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answers("200 OK")) as one:
        yield one


def start(installation: Serving) -> subprocess.Popen[bytes]:
    with (installation.folder / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER],
            env=installation.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=installation.folder,
        )


def test_killed_workers_lose_nothing_and_do_nothing_twice(installation: Serving, receiver: Receiver) -> None:
    installation.environment |= {
        "GOVERNANCE_ALERT_WEBHOOK_URL": receiver.url,
        "GOVERNANCE_ALERT_WEBHOOK_SECRET": SECRET,
    }
    installation.run("db", "upgrade")
    url = installation.environment.get("GOVERNANCE_DATABASE_URL", f"sqlite:///{installation.folder / 'governance.db'}")
    database = Database(connect(url))
    now = datetime.now(UTC)
    for _ in range(VERIFICATIONS):
        with database.write() as tx:
            tx.jobs.add(JobKind.VERIFY_AUDIT_LOG, {}, at=now)
    for number in range(MESSAGES):
        with database.write() as tx:
            Alerts(wanted=True).send(tx, "job.failed", {"number": number}, at=now)

    def left() -> int:
        with database.read() as connection:
            wanted = sa.select(sa.func.count()).where(t.job.c.state != JobState.DONE.value)
            return int(connection.execute(wanted.select_from(t.job)).scalar_one())

    chance = random.Random(11)
    for _ in range(KILLS):
        before = left()
        process = start(installation)
        deadline = time.monotonic() + 300
        while left() > before - 2 and time.monotonic() < deadline:  # it is at work
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.wait()
        assert psutil.pid_exists(process.pid) is False
    workers = [start(installation) for _ in range(2)]
    try:
        deadline = time.monotonic() + 600
        while left() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left() == 0, (installation.folder / "worker.log").read_text()[-3000:]
    finally:
        for process in workers:
            process.terminate()
        for process in workers:
            assert process.wait(120) == 0
    with database.read() as connection:
        kinds = connection.execute(sa.select(t.audit_event.c.kind)).scalars().all()
    database.engine.dispose()
    assert kinds.count(EventKind.AUDIT_VERIFIED) == VERIFICATIONS, "each verification is in the log once"
    arrived = [payload["data"] for payload in receiver.verified()]
    assert {json.dumps(data) for data in arrived} == {json.dumps({"number": n}) for n in range(MESSAGES)}
    ids: dict[bytes, str] = {}
    for headers, body in receiver.got:
        assert ids.setdefault(body, headers["webhook-id"]) == headers["webhook-id"], "the same message, the same id"
    assert len(set(ids.values())) == MESSAGES
    assert len(arrived) <= MESSAGES + KILLS
    verified = installation.run("audit", "verify", "--json", check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
