"""Packages with something left out, or with another story about them: refused, whoever signs them.

The dishonest exporter here has the log's signing key and the database, and logs `export.begun` and `export.made` as an
honest one does; only the events that were sealed before are out of reach. The one-file verifier must agree each time.
"""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.audit import standalone
from governance.audit.note import Checkpoint, Signer
from governance.audit.package import PackageWriter
from governance.audit.scope import Coverage
from governance.audit.summary import summary
from governance.audit.tables import row
from governance.audit.verify import Result, Verification
from governance.domain.events import Event, EventKind
from governance.domain.times import micros
from governance.errors import Tampered
from governance.services.evidence import export
from governance.store.base import migrate
from governance.store.base.database import connect
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database
from tests.audit import older
from tests.audit.building import AT, FakeRecords, authority, reader, settle
from tests.audit.test_log import as_owner
from tests.audit.test_package import AUDITOR, SIGNER, World, check, remade, text_of
from tests.conftest import Clock

KEY = str(SIGNER.verifier)
PERIOD: dict[str, Any] = {"since": AT + timedelta(seconds=20), "until": AT + timedelta(seconds=45)}
CHOSEN: list[dict[str, Any]] = [{}, {"system": "bot"}, PERIOD, {"system": "bot", **PERIOD}]


def alone(package: bytes, folder: Path, *, key: str = KEY, kept: str = "") -> str:
    """What the one-file verifier answers: "ok", or what is wrong."""
    path = folder / "package.zip"
    path.write_bytes(package)
    try:
        standalone.verify(str(path), key, kept)
    except standalone.Wrong as error:
        return f"wrong: {error}"
    except standalone.Unproven as error:
        return f"unproven: {error}"
    return "ok"


def both(package: bytes, folder: Path, *, key: str = KEY, kept: str = "") -> Verification:
    """The product's answer; the one-file verifier must agree."""
    found = check(package, key=key, kept=kept)
    said = alone(package, folder, key=key, kept=kept)
    assert (said == "ok") is found.ok, (said, found.checks)
    assert said.startswith("unproven") is (not found.ok and not found.failed), (said, found.checks)
    return found


@pytest.fixture
def world(sqlite_url: str, clock: Clock) -> Iterator[World]:
    engine = connect(sqlite_url)
    yield World(Database(engine, SqlAuditLog(SIGNER, clock)), clock)
    engine.dispose()


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the exporter leave out leaves, and not look at what it does."""
    honest = export._selected

    def lie(leave_out: Callable[[int, Mapping[str, Any]], bool]) -> None:
        def selected(*given: Any) -> Iterator[Any]:
            return (one for one in honest(*given) if not leave_out(one[0], one[2]))

        class Blind(Coverage):
            def problem(self) -> str:
                return ""

        monkeypatch.setattr(export, "_selected", selected)
        monkeypatch.setattr(export, "Coverage", Blind)
        monkeypatch.setattr(export, "_refuse_gaps", lambda *_: None)

    return lie


@pytest.mark.parametrize("chosen", CHOSEN)
def test_an_honest_package_is_complete(world: World, tmp_path: Path, chosen: dict[str, Any]) -> None:
    found = both(world.package(**chosen), tmp_path)
    assert found.ok, found.checks
    assert found.results[0].result is Result.COMPLETE


@pytest.mark.parametrize("chosen", [{"case": 5}, {"policy": "p.one"}, {"kinds": (EventKind.VERDICT_GIVEN,)}])
def test_a_selection_says_that_it_is_partial(world: World, tmp_path: Path, chosen: dict[str, Any]) -> None:
    package = world.package(**chosen)
    assert Result.PARTIAL in [one.result for one in both(package, tmp_path).results]
    assert "not shown" in text_of(package, "summary.txt")


@pytest.mark.parametrize("seqs", [(6,), (8,), (6, 8), (0,), (9,), tuple(range(10))])
@pytest.mark.parametrize("chosen", [*CHOSEN, {"case": 5}])
def test_no_package_is_made_of_a_log_with_gaps(world: World, seqs: tuple[int, ...], chosen: dict[str, Any]) -> None:
    as_owner(world.database, *(f"DELETE FROM audit_event WHERE seq = {seq}" for seq in seqs))
    with pytest.raises(Tampered, match="events are missing"):
        world.package(**chosen)


def test_no_package_is_made_of_changed_leaves(world: World) -> None:
    as_owner(world.database, "UPDATE audit_event SET leaf = replace(CAST(leaf AS TEXT), 'violation', 'false_alarm')")
    with pytest.raises(Tampered, match="not those that were signed"):
        world.package()


@pytest.mark.parametrize(
    "leave_out",
    [
        lambda seq, leaf: leaf["kind"] == "verdict.given",
        lambda seq, leaf: leaf["kind"] == "call.recorded",
        lambda seq, leaf: seq < 5,
        lambda seq, leaf: seq > 4,
        lambda seq, leaf: seq > 4 and leaf["kind"] != "export.begun",
        lambda seq, leaf: seq != 3,
        lambda seq, leaf: seq != 3 and leaf["kind"] != "export.begun",
        lambda seq, leaf: seq == 3,
        lambda seq, leaf: leaf["kind"] == "export.begun",
        lambda seq, leaf: leaf["kind"] != "export.begun",
        lambda seq, leaf: True,
    ],
)
@pytest.mark.parametrize("chosen", CHOSEN)
def test_a_package_with_events_left_out_is_refused(
    world: World, tmp_path: Path, liar: Callable[..., None], leave_out: Any, chosen: dict[str, Any]
) -> None:
    liar(leave_out)
    found = both(world.package(**chosen), tmp_path)
    assert not found.ok
    assert {"completeness", "statement"} & set(found.failed)
    assert {one.result for one in found.results} <= {Result.MISSING, Result.INVALID}


def test_neighbours_that_lie_within_the_period_do_not_show_its_ends(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_bounds", lambda *_: (3, 5))
    with pytest.raises(Tampered, match="Nothing shows that what stands before number 3"):
        world.package(**PERIOD)
    monkeypatch.setattr(Coverage, "problem", lambda _: "")
    package = world.package(**PERIOD)
    monkeypatch.undo()
    assert both(package, tmp_path).failed == ("completeness",)


LIES: list[Callable[[dict[str, Any]], object]] = [
    lambda manifest: manifest["filter"].update(system="shop"),
    lambda manifest: manifest["filter"].update(since="2026-01-01T00:00:00.000000Z"),
    lambda manifest: manifest["filter"].update(kinds=["call.recorded"]),
    lambda manifest: manifest["kinds"].update({"verdict.given": 7}),
    lambda manifest: manifest["kinds"].clear(),
    lambda manifest: manifest["names"].update({"person:18": "Eve"}),
    lambda manifest: manifest.update(made_by="person:18"),
    lambda manifest: manifest.update(made_at="2026-01-01T00:00:00.000000Z"),
    lambda manifest: manifest.update(export="0" * 16),
    lambda manifest: manifest.update(begun=manifest["begun"] - 1),
    lambda manifest: manifest["leaves"].update(count=3),
    lambda manifest: manifest["leaves"].update(contiguous=not manifest["leaves"]["contiguous"]),
    lambda manifest: manifest["records"]["calls"].update(count=2),
    lambda manifest: manifest["records"].pop("cases"),
    lambda manifest: manifest.update(note="all is well"),
]


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_lies_is_refused_even_where_the_log_states_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: Callable[[dict[str, Any]], object]
) -> None:
    honest = PackageWriter.seal

    def seal(self: PackageWriter, manifest: Mapping[str, Any]) -> str:
        told = json.loads(json.dumps(manifest))
        lie(told)
        return honest(self, told)

    monkeypatch.setattr(PackageWriter, "seal", seal)
    found = both(world.package(system="bot"), tmp_path)
    assert found.failed


def test_a_summary_that_lies_is_refused_even_where_the_log_states_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = summary
    monkeypatch.setattr(export, "summary", lambda *given: honest(*given).replace(b"violation", b"no alarm!"))
    assert check(world.package()).failed == ("statement",)


@pytest.mark.parametrize("table", ["cases", "verdicts", "decisions"])
def test_a_table_that_lies_is_refused_even_where_the_log_states_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    written = row

    def lying(name: str, record: dict[str, Any]) -> bytes:
        return b"" if name == table else written(name, record)

    monkeypatch.setattr(export, "row", lying)
    found = both(world.package(), tmp_path)
    assert found.failed == ("statement",)


@pytest.mark.parametrize("lie", [*LIES, lambda manifest: manifest["names"].update({"person:17": "Eve"})])
def test_a_manifest_that_is_changed_and_signed_again_is_not_the_one_the_log_states(
    world: World, tmp_path: Path, lie: Callable[[dict[str, Any]], object]
) -> None:
    def change(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        lie(manifest)

    package = remade(world.package(), SIGNER, change)
    assert both(package, tmp_path).failed


def test_a_summary_that_is_changed_and_signed_again_is_refused(world: World, tmp_path: Path) -> None:
    package = remade(world.package(), SIGNER, lambda files, _: files.update({"summary.txt": b"All is well.\n"}))
    assert {"statement", "made"} <= set(both(package, tmp_path).failed)


def test_an_old_entry_about_an_export_does_not_vouch_for_another_package(world: World, tmp_path: Path) -> None:
    old, new = world.package(case=5), world.package(case=5)
    stated = zipfile.ZipFile(io.BytesIO(old)).read("made.json")
    package = remade(new, SIGNER, lambda files, _: files.update({"made.json": stated}))
    assert "made" in both(package, tmp_path).failed
    assert both(old, tmp_path).ok, "it is what it was then"


def test_a_checkpoint_of_a_fork_and_a_missing_key_are_not_proven(world: World, tmp_path: Path) -> None:
    with world.database.write() as tx:
        tx.append(Event(kind=EventKind.AUDIT_READ, at=AT, actor="person:17"))
    package = world.package(case=5)
    fork = SIGNER.sign(Checkpoint(SIGNER.name, 1, b"\x09" * 32).text)
    found = both(package, tmp_path, kept=fork)
    assert (found.ok, found.unproven) == (False, ("continuity",))
    assert Result.WITNESSED not in [one.result for one in found.results]
    found = both(world.package(), tmp_path, kept=fork)
    assert [one.result for one in found.results] == [Result.DIVERGED]
    found = both(package, tmp_path, key="")
    assert (found.ok, found.unproven) == (False, ("key",))
    thief = Signer.from_seed("test.local/audit", b"\x55" * 32)
    strange = thief.sign(Checkpoint(SIGNER.name, 1, b"\x09" * 32).text)
    assert not check(package, key="", kept=strange).ok


def history(database: Database, systems: list[str], seconds: list[int]) -> None:
    with database.write() as tx:
        for system, second in zip(systems, seconds, strict=True):
            at = AT + timedelta(seconds=second)
            tx.append(Event(kind=EventKind.AUDIT_READ, at=at, actor="person:17", subject="log", system=system))
    settle(database)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_period_of_any_log_is_complete_also_where_clocks_step_back(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """With an older log before it, or without; events are in no order of time."""
    folder = tmp_path_factory.mktemp("periods")
    before = data.draw(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["bot", "", "other"])), max_size=8))
    after = data.draw(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["bot", "", "other"])), min_size=1))
    engine = connect(f"sqlite:///{folder / 'governance.db'}")
    migrate.upgrade(engine, "0008")
    older.write(engine, SIGNER, [(micros(AT + timedelta(seconds=at)), "audit.read", system) for at, system in before])
    migrate.upgrade(engine)
    clock = Clock()
    clock.now = AT + timedelta(seconds=data.draw(st.integers(0, 90)))
    database = Database(engine, SqlAuditLog(SIGNER, clock))
    history(database, [system for _, system in after], [at for at, _ in after])
    service = export.ExportEvidence(authority(database, clock), reader(database), FakeRecords())
    start = data.draw(st.none() | st.integers(0, 80))
    end = data.draw(st.none() | st.integers(0 if start is None else start + 1, 100))
    system = data.draw(st.sampled_from(["", "bot"]))
    chosen = export.EvidenceFilter(
        since=None if start is None else AT + timedelta(seconds=start),
        until=None if end is None else AT + timedelta(seconds=end),
        system=system,
    )
    out = io.BytesIO()
    done = service.to_stream(AUDITOR, chosen, out)
    engine.dispose()
    found = both(out.getvalue(), folder)
    assert found.ok, found.checks
    inside = [
        at for at, one in [*before, *after]
        if (not system or one == system) and (start or 0) <= at and (end is None or at < end)
    ]  # fmt: skip
    kinds = json.loads(text_of(out.getvalue(), "manifest.json"))["kinds"]
    assert kinds.get("audit.read", 0) == len(inside)
    assert done.events >= len(inside)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_verifiers_refuse_every_changed_byte(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert alone(bytes(changed), tmp_path).startswith("wrong"), f"byte {place}"


@pytest.fixture(scope="module")
def whole(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "governance.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = connect(f"sqlite:///{path}")
    package = World(Database(engine, SqlAuditLog(SIGNER, Clock())), Clock()).package()
    engine.dispose()
    return package


def test_the_verifier_in_the_package_needs_nothing_but_python(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "package.zip").write_bytes(whole)
    zipfile.ZipFile(io.BytesIO(whole)).extract("verify.py", tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "verify.py", "package.zip", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = run("--key", KEY)
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.splitlines()[-1] == "Verified: nothing was changed."
    assert run().returncode == 1
    (tmp_path / "package.zip").write_bytes(whole[:-1])
    assert run("--key", KEY).returncode == 1
    (tmp_path / "package.zip").unlink()
    assert run("--key", KEY).returncode == 2


def test_its_signatures_are_those_of_rfc_8032() -> None:
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert standalone.signed(public, b"\x72", signature)
    for place in range(64):
        changed = bytearray(signature)
        changed[place] ^= 1
        assert not standalone.signed(public, b"\x72", bytes(changed))
    assert not standalone.signed(public, b"\x73", signature)


def test_the_one_file_verifier_keeps_to_python_3_9() -> None:
    source = Path(standalone.__file__).read_text("utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    younger = {("datetime", "UTC"), ("enum", "StrEnum"), ("typing", "Self"), ("itertools", "pairwise")}
    imported = {
        (node.module, name.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names
    }
    assert not imported & younger
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "strict"]
