"""Promise 1, on real processes: what was acknowledged is there after kill -9, and nothing stays unchecked."""

from __future__ import annotations

import http.client
import random
import threading
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from governance.store.base import tables as t
from governance.store.base.database import connect
from tests.serving import Serving, traces

ROUNDS = 2
BATCH = 50


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Serving:
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    return Serving(tmp_path, database_url=url)


class Load:
    """Senders that post batches until told to stop, and remember which were acknowledged."""

    def __init__(self, serving: Serving, key: str, first: int) -> None:
        self.serving = serving
        self.headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {key}"}
        self.acknowledged: list[int] = []
        self._next = first
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def end(self) -> int:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self._next

    def _send(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.serving.port, timeout=20)) as connection:
            while not self._stop.is_set():
                with self._lock:
                    first, self._next = self._next, self._next + BATCH
                try:
                    connection.request("POST", "/v1/traces", traces(range(first, first + BATCH)), self.headers)
                    with closing(connection.getresponse()) as answer:
                        answer.read()
                except (OSError, http.client.HTTPException):
                    return
                if answer.status == 200:
                    with self._lock:
                        self.acknowledged.append(first)


def test_nothing_acknowledged_is_lost_and_nothing_stays_unchecked(installation: Serving) -> None:
    key = installation.key()
    chance = random.Random(7)
    acknowledged: list[int] = []
    first = 0
    for _ in range(ROUNDS):
        installation.start()
        load = Load(installation, key, first)
        deadline = time.monotonic() + 20
        while len(load.acknowledged) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        children = installation.kill()
        first = load.end()
        acknowledged += load.acknowledged
        _, alive = psutil.wait_procs(children, timeout=15)
        assert not alive, "a worker outlived its parent"
    installation.start()
    try:
        wanted = {number + 1 for start in acknowledged for number in range(start, start + BATCH)}
        assert len(wanted) >= ROUNDS * 5 * BATCH
        engine = connect(installation.environment.get("GOVERNANCE_DATABASE_URL", f"sqlite:///{database(installation)}"))
        deadline = time.monotonic() + 240  # as long as `Serving.start` waits: how fast it is decides nothing
        while True:
            with engine.connect() as connection:
                found = connection.execute(sa.select(t.call.c.span_id, t.call.c.status)).all()
                decisions = connection.execute(sa.select(sa.func.count()).select_from(t.decision)).scalar_one()
            if {row.status for row in found} == {"checked"} or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        engine.dispose()
        numbers = {int.from_bytes(row.span_id, "big") for row in found}
        assert wanted <= numbers, f"{len(wanted - numbers)} acknowledged calls are gone"
        assert {row.status for row in found} == {"checked"}
        assert decisions == len(found)
        verified = installation.run("audit", "verify", "--json", check=False)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        installation.stop()


def database(installation: Serving) -> Path:
    return installation.folder / "governance.db"


def test_sigterm_ends_server_and_worker_cleanly(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    serving.start()
    family = serving.family()
    assert len(family) >= 2
    serving.stop()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
    assert "Traceback" not in (tmp_path / "serve.log").read_text()


def test_the_command_line_and_the_server_write_one_log(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    key = serving.key()
    serving.start()
    try:
        load = Load(serving, key, 0)
        names = []
        for number in range(6):
            names.append(f"person{number}")
            serving.run("user", "add", names[-1], "--role", "reviewer", "--json")
        load.end()
        assert load.acknowledged
        verified = serving.run("audit", "verify", "--json", check=False)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        serving.stop()
