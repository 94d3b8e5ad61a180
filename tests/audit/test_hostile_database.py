"""A log in which anything was written: the verifier names the place, whatever it finds, and never stops for it.

And a log that is somebody else's: read without secrets, from where nothing can be written.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governance.audit.merkle import EMPTY_ROOT, verify_consistency
from governance.audit.note import Checkpoint, Signer
from governance.audit.verify import Outcome
from governance.cli import main
from governance.domain.events import EventKind
from governance.errors import Tampered
from governance.services.evidence.read import EventFilter
from governance.store.base.database import connect
from governance.store.evidence import queries as audit
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database
from tests.audit.building import fill
from tests.audit.test_log import as_owner, note, verified
from tests.conftest import Clock

SIGNER = Signer.from_seed("test.local/audit", b"\x07" * 32)
KEY = str(SIGNER.verifier)


@pytest.fixture(scope="module")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300 events, to be copied."""
    path = tmp_path_factory.mktemp("filled") / "governance.db"
    shutil.copyfile(sqlite_template, path)
    engine = connect(f"sqlite:///{path}")
    fill(Database(engine, SqlAuditLog(SIGNER, Clock())), 300, kind=EventKind.AUDIT_READ)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture
def embedded(filled: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copyfile(filled, tmp_path / "governance.db")
    engine = connect(f"sqlite:///{tmp_path / 'governance.db'}")
    yield Database(engine, SqlAuditLog(SIGNER, Clock()))
    engine.dispose()


ANYTHING = {
    "text": "'\u00e4 text'",
    "a large integer": "9223372036854775807",
    "infinity": "9e999",
    "no bytes": "x''",
    "a JSON number": "CAST('-7' AS BLOB)",
    "deep JSON": "CAST(replace(hex(zeroblob(50000)), '00', '[') AS BLOB)",
    "other members": 'CAST(\'{"at":1,"kind":[],"actor":{},"subject":null,"system":{"a":1}}\' AS BLOB)',
}
COLUMNS = [
    ("audit_event", "leaf", "seq = 123", ("leaves", "rows"), "Event 123"),
    ("audit_event", "at", "seq = 123", ("rows",), "Event 123"),
    ("audit_event", "kind", "seq = 123", ("rows",), "Event 123"),
    ("audit_event", "actor", "seq = 123", ("rows",), "Event 123"),
    ("audit_event", "subject", "seq = 123", ("rows",), "Event 123"),
    ("audit_event", "system", "seq = 123", ("rows",), "Event 123"),
    ("audit_event", "seq", "seq = 123", ("sequence",), "Event 123"),
    ("audit_tile", "hashes", "level = 0 AND number = 0", ("tiles",), "Tile 0/0"),
    ("audit_tile", "number", "level = 0 AND number = 0", ("tiles",), "Tile 0/0"),
    ("audit_tile", "level", "level = 0 AND number = 0", ("tiles",), "Tile 0/0"),
    ("audit_head", "size", "id = 1", ("checkpoints", "sequence"), ""),
    ("audit_head", "edge", "id = 1", ("tiles",), "edge"),
    ("audit_head", "checkpoint", "id = 1", ("checkpoints",), "latest"),
    ("audit_head", "at", "id = 1", (), ""),
    ("audit_head", "latest", "id = 1", ("streams",), ""),
    ("audit_head", "late", "id = 1", ("streams",), ""),
    ("audit_checkpoint", "note", "1", ("checkpoints",), "checkpoint"),
    ("audit_checkpoint", "size", "1", ("checkpoints",), "checkpoint"),
    ("audit_stream", "next", "1", ("streams",), "bot"),
    ("audit_stream", "before", "1", ("streams",), "bot"),
    ("audit_stream", "system", "1", ("streams",), "bot"),
]


@pytest.mark.parametrize("anything", ANYTHING)
@pytest.mark.parametrize(("table", "column", "where", "checks", "place"), COLUMNS)
def test_whatever_a_cell_holds_the_place_is_named(
    embedded: Database, anything: str, table: str, column: str, where: str, checks: tuple[str, ...], place: str
) -> None:
    as_owner(embedded, f"UPDATE {table} SET {column} = {ANYTHING[anything]} WHERE {where}".replace(":", "\\:"))
    found = verified(embedded)
    if not checks:
        return
    failed = {one.name: one for one in found.checks if one.outcome is Outcome.FAILED}
    assert failed.keys() & set(checks), failed
    assert any(place in one for name in failed.keys() & set(checks) for one in failed[name].places), failed
    with embedded.read() as connection:
        assert audit.events(connection, EventFilter(kinds=("audit.read",)), limit=1)


def test_a_leaf_that_became_text_of_the_same_bytes_is_the_same_leaf(embedded: Database) -> None:
    as_owner(embedded, "UPDATE audit_event SET leaf = CAST(leaf AS TEXT) WHERE seq = 123")
    assert verified(embedded).ok
    as_owner(embedded, "UPDATE audit_event SET leaf = replace(CAST(leaf AS TEXT), 'bot', 'bat') WHERE seq = 123")
    found = verified(embedded)
    assert {"leaves", "rows"} <= set(found.failed)


def test_a_consistency_proof_from_nothing_and_hashes_of_another_length_are_refused() -> None:
    root = b"\x01" * 32
    for old, new, old_root, new_root in (
        (0, 0, EMPTY_ROOT, EMPTY_ROOT),
        (0, 5, EMPTY_ROOT, root),
        (5, 5, b"", b""),
        (5, 5, root[:31], root[:31]),
        (6, 5, root, root),
        (-1, 5, root, root),
    ):
        with pytest.raises(Tampered):
            verify_consistency(old, new, [], old_root, new_root)
    with pytest.raises(Tampered):
        verify_consistency(4, 5, [b""], root, root)


@pytest.fixture
def evidence() -> Iterator[Path]:
    """A folder that other accounts may read."""
    folder = Path(tempfile.mkdtemp(prefix="governance-evidence-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


Command = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `audit verify` with no settings; the arguments, exit code, JSON and error."""
    for name in list(os.environ):
        if name.startswith("GOVERNANCE_"):
            monkeypatch.delenv(name)

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        with pytest.raises(SystemExit) as ended:
            main(["audit", "verify", *arguments, "--json"])
        out, error = capfd.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out else {}, error

    return run


def laid_out(embedded: Database, folder: Path, *, wal: bool, shm: bool = False) -> Path:
    """The database in a folder, with the write-ahead log that a killed server leaves, or without."""
    source = Path(str(embedded.engine.url.database))
    target = folder / "governance.db"
    if wal:
        with sqlite3.connect(source, isolation_level=None) as keeping:
            keeping.execute("PRAGMA wal_autocheckpoint=0")
            fill(embedded, 20, start=300, kind=EventKind.AUDIT_READ)
            assert source.with_name("governance.db-wal").stat().st_size > 0
            for ending in ("", "-wal", *(["-shm"] if shm else [])):
                shutil.copyfile(source.with_name(source.name + ending), target.with_name(target.name + ending))
        keeping.close()
    else:
        fill(embedded, 20, start=300, kind=EventKind.AUDIT_READ)
        embedded.engine.dispose()
        with sqlite3.connect(source) as last:
            last.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        last.close()
        shutil.copyfile(source, target)
    for one in folder.iterdir():
        one.chmod(0o444)
    return target


def as_nobody(work: Callable[[], int]) -> int:
    """Runs something without the rights of root: its exit code."""
    child = os.fork()
    if not child:
        code = 99
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("wal", "shm"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("writable", [True, False])
def test_a_database_is_verified_without_secrets_and_left_as_it_is(
    embedded: Database, evidence: Path, command: Command, wal: bool, shm: bool, writable: bool
) -> None:
    target = laid_out(embedded, evidence, wal=wal, shm=shm)
    kept = evidence / "kept.txt"
    kept.write_text(note(embedded))
    kept.chmod(0o444)
    before = {one.name: one.read_bytes() for one in evidence.iterdir() if not one.name.endswith("-shm")}
    evidence.chmod(0o777 if writable else 0o555)
    arguments = ("--database", f"sqlite:///{target}", "--key", KEY, "--checkpoint", str(kept))

    def work() -> int:
        os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"
        code, found, _ = command(*arguments)
        return 0 if code == 0 and found["ok"] and found["size"] == 320 else 1

    # All that is imported on the way must be there: the other account may not read this environment.
    assert command("--database", f"sqlite:///{embedded.engine.url.database}", "--key", KEY)[0] == 0
    assert as_nobody(work) == 0
    after = {one.name: one.read_bytes() for one in evidence.iterdir() if not one.name.endswith("-shm")}
    assert after == before


def test_a_running_servers_database_is_read_beside_it(embedded: Database, command: Command) -> None:
    url = f"sqlite:///{embedded.engine.url.database}"
    assert command("--database", url, "--key", KEY)[1]["size"] == 300
    fill(embedded, 5, start=300, kind=EventKind.AUDIT_READ)
    code, found, _ = command("--database", url, "--key", KEY)
    assert (code, found["size"]) == (0, 305)
    assert [one["result"] for one in found["results"]] == ["COMPLETE", "SIGNED ONLY"]


def test_postgresql_is_verified_with_rights_to_read_only(
    postgresql_url: str, command: Command, clock: Clock, tmp_path: Path
) -> None:
    engine = connect(postgresql_url)
    database = Database(engine, SqlAuditLog(SIGNER, clock))
    fill(database, 50, kind=EventKind.AUDIT_READ)
    kept = tmp_path / "kept.txt"
    kept.write_text(note(database))
    fill(database, 50, start=50, kind=EventKind.AUDIT_READ)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE auditor LOGIN")
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor")
    url = sa.make_url(postgresql_url).set(drivername="postgresql", username="auditor").render_as_string(False)
    try:
        code, found, error = command("--database", url, "--key", KEY, "--checkpoint", str(kept))
        assert (code, found.get("size")) == (0, 100), error
        assert [one["result"] for one in found["results"]] == ["COMPLETE", "WITNESSED"]
        as_owner(database, "DELETE FROM audit_event WHERE seq = 7")
        code, found, _ = command("--database", url, "--key", KEY)
        assert code == 1
        assert {"sequence", "streams"} <= set(found["failed"])
        assert [one["result"] for one in found["results"]] == ["MISSING"]
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP OWNED BY auditor")
            connection.exec_driver_sql("DROP ROLE auditor")
        engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--database", "sqlite:///{}/governance.db"), "needs --key"),
        (("e.zip", "--database", "sqlite:///{}/governance.db", "--key", KEY), "not both"),
        (("--database", "sqlite:///{}/absent.db", "--key", KEY), "There is no database file"),
        (("--database", "sqlite://", "--key", KEY), "There is no database file"),
        (("--database", "nonsense", "--key", KEY), "not a database URL"),
        (("--database", "mysql://x/y", "--key", KEY), "not supported"),
        (("--database", "postgresql://localhost:1/none", "--key", KEY), "does not answer"),
        (("--database", "sqlite:///{}/text.db", "--key", KEY), "cannot be read"),
        (("--database", "sqlite:///{}/empty.db", "--key", KEY), "empty"),
        (("--database", "sqlite:///{}/governance.db", "--key", "nonsense"), "cannot be read"),
        (("--key", "own"), "is for a package"),
    ],
)
def test_what_cannot_be_read_is_wrong_use(
    embedded: Database, command: Command, arguments: tuple[str, ...], words: str
) -> None:
    folder = Path(str(embedded.engine.url.database)).parent
    (folder / "text.db").write_text("no database at all" * 100)
    (folder / "empty.db").touch()
    code, _, error = command(*(one.format(folder) for one in arguments))
    assert code == 2
    assert words in error, error
    assert len(error.splitlines()) == 1
    assert not (folder / "absent.db").exists()


def test_a_checkpoint_of_a_fork_is_never_verified(embedded: Database, command: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{embedded.engine.url.database}"
    kept = tmp_path / "kept.txt"
    for size in (1, 200, 300, 10_000):
        kept.write_text(SIGNER.sign(Checkpoint(SIGNER.name, size, b"\x09" * 32).text))
        code, found, _ = command("--database", url, "--key", KEY, "--checkpoint", str(kept))
        assert (code, found["failed"]) == (1, ["continuity"])
        assert [one["result"] for one in found["results"]] == ["DIVERGED"]
    stranger = Signer.from_seed("test.local/audit", b"\x55" * 32)
    for text in (
        "nonsense",
        stranger.sign(Checkpoint(SIGNER.name, 300, b"\x09" * 32).text),
        SIGNER.sign(Checkpoint(SIGNER.name, 0, EMPTY_ROOT).text),
    ):
        kept.write_text(text)
        assert command("--database", url, "--key", KEY, "--checkpoint", str(kept))[0] == 2
    code, found, _ = command("--database", url, "--key", str(stranger.verifier))
    assert code == 1, "a key that is not the log's proves nothing of it"


def test_the_folder_of_an_installation_is_not_needed(embedded: Database, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "governance",
            "audit",
            "verify",
            "--database",
            f"sqlite:///{embedded.engine.url.database}",
            "--key",
            KEY,
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GOVERNANCE_DATABASE_URL": "nonsense", "HOME": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Verified: nothing was changed."
    assert not (tmp_path / "var").exists()
