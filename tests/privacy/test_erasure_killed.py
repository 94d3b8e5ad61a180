"""A real worker that erases is killed with kill -9 again and again, or the disk is full: it goes on where it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.jobs import JobKind
from governance.domain.people import operator
from governance.domain.privacy import Erasable, ErasureState
from governance.store.base import purge
from governance.store.base import tables as t
from tests.privacy.house import CONTENT, NAMES, House, a_call
from tests.privacy.test_erasure import events
from tests.serving import Serving
from tests.store.conftest import Batch

# The real jobs, one conversation a commit, and with a shorter time between a death and its discovery.
WORKER = """
import time
from datetime import timedelta
from governance.bootstrap import open_application
from governance.services.evidence import erase
from governance.services.jobs import run
from governance.worker import job_worker
run.LEASE = timedelta(seconds=1)
erase._AT_ONCE = 1
jobs = job_worker(open_application())
while True:
    jobs.run_until_idle()
    time.sleep(0.05)
"""
MANY = 40


def left_to_erase(house: House) -> int:
    with house.application.database.read() as connection:
        wanted = sa.select(sa.func.count()).select_from(t.call).where(t.call.c.user_id == NAMES[0])
        return int(connection.execute(wanted).scalar_one())


def state(house: House, number: int) -> ErasureState:
    return next(one for one in house.application.erase.list(operator("a")) if one.id == number).state


def test_a_killed_worker_leaves_each_conversation_whole_or_gone(house: House, tmp_path: Path) -> None:
    url = house.application.database_url
    environment = Serving(house.folder, database_url=url if url.startswith("postgresql") else "").environment
    calls = tuple(a_call(number, session=f"s{number}") for number in range(1, MANY + 1))
    house.application.recorder.record(Batch(calls=calls))
    asked = house.application.erase.request(operator("a"), Erasable.SUBJECT, NAMES[0], reason="x")
    house.application.erase.approve(operator("b"), asked.id)
    for goal in (MANY - 3, MANY - 12, MANY - 25, 0):
        with (tmp_path / "worker.log").open("ab") as log:
            worker = subprocess.Popen([sys.executable, "-c", WORKER], env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 180
            while time.monotonic() < deadline and left_to_erase(house) > goal:
                assert worker.poll() is None, (tmp_path / "worker.log").read_text()[-2000:]
                time.sleep(0.002)
            while goal == 0 and time.monotonic() < deadline and state(house, asked.id) is not ErasureState.DONE:
                time.sleep(0.05)
        finally:
            worker.kill()
            worker.wait()
        named = [call for leaf in events(house, "content.erased") for call in leaf["data"]["calls"]]
        assert len(named) == len(set(named)) == MANY - left_to_erase(house), "the log says what was done, no more"
    assert state(house, asked.id) is ErasureState.DONE
    assert house.application.verify.verify(operator("a")).ok


def test_a_full_disk_leaves_nothing_half_erased(sqlite_house: House) -> None:
    """The database may not grow, which SQLite says as it says that a disk is full."""
    house = sqlite_house
    call = house.application.inline.check(a_call()).call_id
    before = house.application.read_call(call)
    asked = house.application.erase.request(operator("a"), Erasable.SUBJECT, NAMES[0], reason="x")
    house.application.erase.approve(operator("b"), asked.id)

    def full(connection: Any, _record: Any, _proxy: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}").close()

    sa.event.listen(house.application.engine, "checkout", full)
    house.application.engine.dispose()
    house.work()
    shown = house.application.read_call(call)
    assert shown == before or shown["erased"] is not None
    assert len(events(house, "content.erased")) == (shown != before)
    sa.event.remove(house.application.engine, "checkout", full)
    house.application.engine.dispose()
    house.application.clock.forward(hours=2)  # type: ignore[attr-defined]
    house.work()
    assert state(house, asked.id) is ErasureState.DONE
    assert house.left(NAMES[0], *CONTENT) == set()


def test_without_room_to_rewrite_the_file_it_waits_and_says_so(
    sqlite_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sqlite_house
    call = house.application.inline.check(a_call()).call_id

    class Usage:
        free = 10

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    asked = house.application.erase.request(operator("a"), Erasable.CALL, str(call), reason="x")
    house.application.erase.approve(operator("b"), asked.id)
    house.work()
    (found,) = house.application.erase.list(operator("a"))
    assert (found.state, found.purged_at) == (ErasureState.DONE, None)
    assert house.application.read_call(call)["erased"] is not None
    monkeypatch.undo()
    house.application.clock.forward(hours=2)  # type: ignore[attr-defined]
    house.work()
    (found,) = house.application.erase.list(operator("a"))
    assert found.purged_at is not None


def test_a_large_file_is_rewritten_by_the_daily_job(sqlite_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = sqlite_house
    monkeypatch.setattr(purge, "AT_ONCE", 0)
    call = house.application.inline.check(a_call()).call_id
    asked = house.application.erase.request(operator("a"), Erasable.CALL, str(call), reason="x")
    house.application.erase.approve(operator("b"), asked.id)
    house.work()
    (found,) = house.application.erase.list(operator("a"))
    assert (found.state, found.purged_at) == (ErasureState.DONE, None)
    with house.application.database.write() as tx:
        tx.jobs.add(JobKind.APPLY_RETENTION, {}, at=house.application.clock())
    house.work()
    (found,) = house.application.erase.list(operator("a"))
    assert found.purged_at is not None
