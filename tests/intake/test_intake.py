"""Bodies are recorded in a process of their own: the same outcome, and no request that waits for ever."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from governance.bootstrap import open_application
from governance.bootstrap.settings import Settings
from governance.errors import BadInput, GovernanceError, Overloaded, TooLarge
from governance.intake import Body, Intake, LocalIntake, Taken
from governance.intake.remote import RemoteIntake
from governance.store.base import tables as t
from governance.store.base.database import connect
from tests.serving import traces

PROTOBUF = "application/x-protobuf"
LIMIT = 2**20
NOON = 1_795_435_200_000_000_000


def body(content: bytes, **changes: str) -> Body:
    values: dict[str, str] = {"signal": "traces", "content_type": PROTOBUF} | changes
    return Body(content=content, limit=LIMIT, **values)  # type: ignore[arg-type]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Intake]:
    application = open_application(Settings(data_dir=tmp_path, _env_file=None))  # type: ignore[call-arg]
    yield LocalIntake(lambda: application.recorder)
    application.close()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteIntake]:
    open_application(Settings(data_dir=tmp_path, _env_file=None)).close()  # type: ignore[call-arg]
    intake = RemoteIntake({"GOVERNANCE_DATA_DIR": str(tmp_path), "PATH": ""})
    intake.start()
    yield intake
    intake.close()


@pytest.fixture(params=["local", "remote"])
def intake(request: pytest.FixtureRequest) -> Intake:
    found: Intake = request.getfixturevalue(request.param)
    return found


def stored(folder: Path) -> int:
    engine = connect(f"sqlite:///{folder / 'governance.db'}")
    with engine.connect() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(t.call)).scalar_one()
    engine.dispose()
    return int(count)


def test_a_body_is_committed_when_its_outcome_is_known(intake: Intake, tmp_path: Path) -> None:
    assert intake.take(body(traces(range(7), at=NOON))).result(30) == Taken(items=7, new=7)
    assert stored(tmp_path) == 7
    assert intake.take(body(gzip.compress(traces(range(9), at=NOON)), coding="gzip")).result(30) == Taken(
        items=9, new=2, repeated=7
    )
    other = intake.take(body(traces(range(1), "Something else {}", at=NOON))).result(30)
    assert (other.new, other.conflicts) == (0, 1)


@pytest.mark.parametrize(
    ("content", "coding", "error", "words"),
    [
        (b"\xff\xff\xff", "", BadInput, "protobuf"),
        (b"\x1f\x8b nonsense", "gzip", BadInput, "gzip"),
        (gzip.compress(b"\0" * (2 * LIMIT)), "gzip", TooLarge, "decompression"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(
    intake: Intake, content: bytes, coding: str, error: type[GovernanceError], words: str
) -> None:
    with pytest.raises(error, match=words):
        intake.take(body(content, coding=coding)).result(30)
    assert intake.take(body(traces(range(1)))).result(30).new == 1


def test_an_empty_body_is_taken(intake: Intake) -> None:
    assert intake.take(body(b"")).result(30) == Taken()


@pytest.mark.parametrize("name", ["decoder", "recorder"])
def test_a_process_that_dies_fails_what_waits_and_both_come_back(
    remote: RemoteIntake, tmp_path: Path, name: str
) -> None:
    assert remote.take(body(traces(range(1)))).result(30).new == 1
    # Other tests of this run may have left children too, a database server for example.
    both = {one.cmdline()[2]: one for one in psutil.Process().children() if "-m" in one.cmdline()}
    both = {module: one for module, one in both.items() if module.startswith("governance.cli.")}
    assert sorted(both) == ["governance.cli.decoder", "governance.cli.recorder"]
    child = both[f"governance.cli.{name}"]
    child.suspend()
    waiting = [remote.take(body(traces(range(10, 20)))) for _ in range(3)]
    child.kill()
    for done in waiting:
        with pytest.raises(Overloaded):
            done.result(30)
    deadline = time.monotonic() + 30
    while not remote.up and time.monotonic() < deadline:
        time.sleep(0.05)
    assert remote.take(body(traces(range(10, 20)))).result(30).new == 10
    assert stored(tmp_path) == 11
    assert not any(one.is_running() for one in both.values())


def test_who_reads_bodies_is_told_no_secrets(remote: RemoteIntake) -> None:
    environments = {one.cmdline()[2]: one.environ() for one in psutil.Process().children() if "-m" in one.cmdline()}
    assert "GOVERNANCE_DATA_DIR" in environments["governance.cli.recorder"]
    assert not any(name.startswith("GOVERNANCE_") for name in environments["governance.cli.decoder"])


def test_closing_waits_for_what_was_sent(remote: RemoteIntake, tmp_path: Path) -> None:
    sent = [remote.take(body(traces(range(100 * number, 100 * number + 100)))) for number in range(5)]
    remote.close()
    assert [done.result(0).new for done in sent] == [100] * 5
    assert stored(tmp_path) == 500
    with pytest.raises(Overloaded):
        remote.take(body(b"")).result(0)
