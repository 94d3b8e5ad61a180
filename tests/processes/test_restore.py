"""`governance db restore` on real processes: after a crash, beside a running server, and with files that are no use."""

from __future__ import annotations

import gzip
import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from governance.cli import main
from governance.store.base import backup, migrate
from governance.store.base.in_use import unfinished
from tests.processes.test_kill import Load
from tests.serving import Serving


def restored(serving: Serving, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return serving.run("db", "restore", str(file), "--yes", *more, check=False)


def events(database: Path) -> int:
    found = backup.contents(database)
    assert found is not None
    return found.events


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a few events, keys of its own, and `copy.db`, a backup of it."""
    folder = tmp_path_factory.mktemp("made")
    serving = Serving(folder)
    serving.run("user", "add", "anna", "--role", "reviewer", "--json")
    serving.run("db", "backup", str(folder / "copy.db"))
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Serving:
    """The same installation once more, to be broken."""
    shutil.copytree(made, tmp_path / "data")
    return Serving(tmp_path / "data")


def test_a_crash_under_load_then_a_restore_verifies(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    serving = Serving(data)
    key = serving.key()
    serving.start()
    load = Load(serving, key, 0)
    deadline = time.monotonic() + 20
    while len(load.acknowledged) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    copy = tmp_path / "copy.db"
    serving.run("db", "backup", str(copy))
    assert copy.stat().st_mode & 0o777 == 0o600
    serving.run("user", "add", "later", "--role", "reviewer", "--json")
    before = len(load.acknowledged)
    while len(load.acknowledged) < before + 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    family = serving.family()
    for one in reversed(family):  # a machine that loses its power: no process ends by itself
        one.kill()
    serving.kill()
    first = load.end()
    psutil.wait_procs(family, timeout=15)
    database = data / "governance.db"
    log = database.with_name("governance.db-wal")
    assert log.stat().st_size, "the crash left a write-ahead log, which must not come near the backup"
    stale = log.read_bytes()

    answer = json.loads(restored(serving, copy, "--json").stdout)
    assert answer["events_lost"] == answer["replaced_events"] - answer["events"] > 0
    assert answer["access_changes_to_repeat"] == {"person.added": 1, "person.roles_changed": 1}
    aside = Path(answer["replaced"])
    assert (aside / "governance.db").exists()
    assert (aside / "governance.db-wal").read_bytes() == stale
    assert aside.stat().st_mode & 0o777 == 0o700
    assert not log.exists()
    assert not list(data.glob("*.staging")) + list(data.glob("*.restoring"))
    verified = serving.run("audit", "verify", "--json", check=False)
    assert verified.returncode == 0, verified.stdout
    with closing(sqlite3.connect(database)) as connection:
        (leaf,) = connection.execute("SELECT leaf FROM audit_event WHERE kind = 'database.restored'").fetchone()
        (next_id,) = connection.execute("SELECT next FROM id_block").fetchone()
    event = json.loads(leaf)
    assert event["data"]["replaced_events"] == answer["replaced_events"]
    with closing(sqlite3.connect(aside / "governance.db")) as connection:
        assert next_id >= connection.execute("SELECT next FROM id_block").fetchone()[0], "no id stands for two things"

    serving.start()
    try:
        more = Load(serving, key, first)
        while not more.acknowledged and time.monotonic() < deadline + 20:
            time.sleep(0.01)
        more.end()
        assert more.acknowledged
        refused = restored(serving, copy)
        assert refused.returncode == 2
        assert "in use" in refused.stderr
    finally:
        serving.stop()


def test_the_account_in_the_log_is_the_systems(here: Serving) -> None:
    here.environment["LOGNAME"] = here.environment["USER"] = "somebody-else"
    assert restored(here, here.folder / "copy.db").returncode == 0
    with closing(sqlite3.connect(here.folder / "governance.db")) as connection:
        (leaf,) = connection.execute("SELECT leaf FROM audit_event WHERE kind = 'database.restored'").fetchone()
    assert json.loads(leaf)["data"]["operator"] == psutil.Process().username()


def test_it_asks_and_without_a_terminal_it_does_not_guess(here: Serving) -> None:
    file = here.folder / "copy.db"
    silent = here.run("db", "restore", str(file), check=False)
    assert (silent.returncode, silent.stdout) == (2, "")
    assert "--yes" in silent.stderr
    for typed, code in (("n\n", 2), ("y\n", 0)):
        terminal, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "governance", "db", "restore", str(file)],
            env=here.environment,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(terminal, typed.encode())
        _, said = process.communicate(timeout=60)
        os.close(terminal)
        os.close(theirs)
        assert process.returncode == code, said
        assert "Restore it?" in said
        assert bool(list(here.folder.glob("replaced-*"))) == (code == 0)


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _garble(file: Path) -> None:
    """Some pages in the middle are another's."""
    with file.open("r+b") as opened:
        size = file.stat().st_size
        opened.seek(size // 2)
        opened.write(os.urandom(min(65_536, size // 4)))


def _newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")


def _other_product(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE notes (text TEXT)")


def _altered(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE audit_event SET leaf = replace(leaf, 'person', 'parson') WHERE seq = 1")


def _zipped(file: Path) -> None:
    file.write_bytes(gzip.compress(file.read_bytes()))


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _dump(file: Path) -> None:
    file.write_bytes(b"PGDMP\x01\x0e\x00" + bytes(200))


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (_cut, 2, "cut off"),
        (_garble, 2, "damaged"),
        (_newer, 2, "newer version"),
        (_other_product, 2, "not one of this product"),
        (_altered, 1, "does not verify"),
        (_zipped, 2, "not a SQLite database"),
        (_emptied, 2, "is empty"),
        (_dump, 2, "PostgreSQL dump"),
        (Path.unlink, 2, "There is no file"),
    ],
)
def test_a_backup_that_is_no_use_changes_nothing(
    here: Serving,
    spoil: Callable[[Path], object],
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GOVERNANCE_DATA_DIR", str(here.folder))
    file = here.folder / "copy.db"
    spoil(file)
    before = whole(here.folder)
    with pytest.raises(SystemExit) as left:
        main(["db", "restore", str(file), "--yes"])
    said = capsys.readouterr()
    assert (left.value.code, said.out) == (code, ""), said.err
    assert words in said.err
    assert said.err.count("\n") == 1
    assert whole(here.folder) == before


def whole(folder: Path) -> dict[str, bytes]:
    """What of a data directory must stay as it was."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix != ".lock" and "-shm" not in one.name}


def test_a_backup_of_another_installation_is_refused(here: Serving, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Serving(other).run("user", "add", "eve", "--role", "admin", "--json")
    answer = restored(here, other / "governance.db")
    assert answer.returncode == 2
    assert "signing key" in answer.stderr
    (here.folder / "signing.key").unlink()
    lost = restored(here, here.folder / "copy.db")
    assert lost.returncode == 2
    assert "signing key is missing" in lost.stderr
    assert not (here.folder / "signing.key").exists(), "a new key would make another log of it"


def test_an_older_backup_is_migrated(here: Serving) -> None:
    """The schema of the second revision, with the data of this one that it can hold: none."""
    from alembic import command
    from sqlalchemy import create_engine

    old = here.folder / "old.db"
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    assert restored(here, old).returncode == 0
    assert here.run("db", "check", check=False).returncode == 0


def test_what_was_set_aside_can_be_put_back_with_its_log(here: Serving) -> None:
    """Commits that are only in the write-ahead log of a database that a crash left are not lost by setting it aside."""
    database = here.folder / "governance.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE id_block SET next = next + 1000000")
        connection.commit()
        crashed = here.folder / "crashed"
        crashed.mkdir()
        for one in here.folder.glob("governance.db*"):  # as kill -9 leaves it
            shutil.copy(one, crashed / one.name)
        (wanted,) = connection.execute("SELECT next FROM id_block").fetchone()
    assert (crashed / "governance.db-wal").stat().st_size
    assert restored(here, crashed / "governance.db").returncode == 0
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT next FROM id_block").fetchone()[0] >= wanted


def test_another_program_that_has_it_open_is_seen(here: Serving) -> None:
    with closing(sqlite3.connect(here.folder / "governance.db")) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        answer = restored(here, here.folder / "copy.db")
    assert answer.returncode == 2
    assert "Another program" in answer.stderr
    assert not unfinished(here.folder / "governance.db").exists()


_CUT_OFF = """
import os, signal, sys
from pathlib import Path
from governance.store.base import backup
real, moves = Path.rename, int(sys.argv[1])
def rename(self, target):
    global moves
    if moves == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    moves -= 1
    return real(self, target)
Path.rename = rename
from governance.cli import main
main(["db", "restore", sys.argv[2], "--yes"])
"""


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_restore_that_is_killed_is_told_and_can_be_done_again(here: Serving, moves: int) -> None:
    database = here.folder / "governance.db"
    database.with_name("governance.db-wal").write_bytes(b"stale")
    killed = subprocess.run(
        [sys.executable, "-c", _CUT_OFF, str(moves), str(here.folder / "copy.db")], env=here.environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    for command in (["user", "list"], ["db", "upgrade"], ["serve", "--port", str(here.port)]):
        told = here.run(*command, check=False)
        assert told.returncode == 2
        assert "cut off half-way" in told.stderr
    assert database.exists() == (moves == 0), "nobody began a new database"
    assert restored(here, here.folder / "copy.db").returncode == 0
    assert len(list(here.folder.glob("replaced-*"))) == 1
    assert here.run("audit", "verify", check=False).returncode == 0


def test_a_full_disk_leaves_no_half_backup(here: Serving) -> None:
    limited = f"ulimit -f 64; exec {sys.executable} -m governance db backup {here.folder / 'second.db'}"
    answer = subprocess.run(["bash", "-c", limited], env=here.environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 2, answer.stderr
    assert "cannot be written" in answer.stderr
    assert not list(here.folder.glob("second*"))


def test_postgresql_is_told_what_to_use_instead(here: Serving) -> None:
    here.environment["GOVERNANCE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    answer = restored(here, here.folder / "copy.db")
    assert answer.returncode == 2
    assert "pg_restore" in answer.stderr
