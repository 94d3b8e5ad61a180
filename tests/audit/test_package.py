"""Evidence packages: made once, verified offline, and no byte of them can change."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.audit.archive import Archive, Packer, Writer
from governance.audit.note import Signer
from governance.audit.package import PackageWriter
from governance.audit.scope import Scope
from governance.audit.verify import OWN, Outcome, Result, Verification, verify_package
from governance.domain.events import Event, EventKind
from governance.domain.people import Actor, ActorKind
from governance.errors import BadInput, Refused, Tampered, TooLarge
from governance.services.evidence.export import EvidenceFilter, ExportEvidence
from governance.services.evidence.read import EventFilter
from governance.store.base.database import connect
from governance.store.evidence import queries as audit
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database
from tests.audit.building import AT, FakeRecords, authority, reader, settle
from tests.conftest import Clock

SIGNER = Signer.from_seed("test.local/audit", b"\x07" * 32)
AUDITOR = Actor(kind=ActorKind.PERSON, id=17, name="Ada")
SET = "ab" * 32


def at(second: int) -> str:
    return (AT + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def populate(database: Database, records: FakeRecords) -> None:
    """Three calls; the second is blocked, opens case 5, and gets a verdict. Things of other kinds happen between."""

    def event(second: int, kind: EventKind, subject: str, actor: str = "service:0", /, **data: Any) -> Event:
        when = AT + timedelta(seconds=second)
        system = "" if kind is EventKind.SIGN_IN else "bot"
        return Event(kind=kind, at=when, actor=actor, subject=subject, system=system, data=data)

    with database.write() as tx:
        for number in (1, 2, 3):
            trace, span = f"{number:032x}", f"{number:016x}"
            blocked = number == 2
            decided = {
                "revision": 0,
                "action": "block" if blocked else "allow",
                "queue": "security" if blocked else "",
                "severity": "high" if blocked else "",
                "policies": [{"policy": "p.one", "outcome": "fired", "action": "block", "status": "enforce"}] * blocked,
                "policy_set": SET,
            }
            tx.append(
                event(
                    number * 10,
                    EventKind.CALL_RECORDED,
                    f"call:{number}",
                    call=number,
                    trace=trace,
                    span=span,
                    kind="llm",
                    release="r1",
                    started=at(number).replace("Z", "+00:00"),
                    captured=True,
                    content="aa",
                )
            )
            tx.append(
                event(
                    number * 10 + 1,
                    EventKind.DECISION_MADE,
                    f"call:{number}",
                    decision=100 + number,
                    call=number,
                    **decided,
                )
            )
            decision = {
                "id": str(100 + number),
                "call_id": str(number),
                **decided,
                "decided_at": at(number * 10 + 1),
                "explanation": "<b>=1+1</b>\ud83d",
            }
            records.stored["decisions"][100 + number] = decision
            records.stored["calls"][number] = {
                "id": str(number),
                "trace_id": trace,
                "span_id": span,
                "system": "bot",
                "kind": "llm",
                "content_captured": True,
                "release": {"fingerprint": "r1"},
                "started_at": at(number),
                "decisions": [decision],
            }
        tx.append(event(30, EventKind.CASE_OPENED, "case:5", call=2, decision=102, queue="security", policy="p.one"))
        records.stored["cases"][5] = {"id": "5", "system": "bot", "call_id": "2", "state": "decided"}
        tx.append(event(40, EventKind.SIGN_IN, "person:17", "person:17"))
        tx.append(event(50, EventKind.VERDICT_GIVEN, "case:5", "person:17", outcome="violation", reason="attack"))
        records.given.append(
            {
                "id": "9",
                "case_id": "5",
                "outcome": "violation",
                "reason": "attack",
                "note": "=cmd()",
                "given_by": "person:17",
                "given_at": at(50),
            }
        )
        tx.append(event(60, EventKind.REPORT_RECEIVED, "report:77", "key:3", case=5))
        records.stored["cases"][6] = {
            "id": "6",
            "system": "bot",
            "call_id": None,
            "state": "open",
        }  # before the log began
        records.stored["reports"][77] = {"id": "77", "system": "bot", "reference": "R-1"}


class World:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.records = FakeRecords()
        populate(database, self.records)
        self.service = ExportEvidence(authority(database, clock), reader(database), self.records)

    def package(self, *, kept: str = "", **chosen: Any) -> bytes:
        out = io.BytesIO()
        self.service.to_stream(AUDITOR, EvidenceFilter(**chosen), out, kept=kept)
        return out.getvalue()

    def note(self) -> str:
        with reader(self.database).snapshot() as snapshot:
            assert snapshot.head is not None
            return snapshot.head.checkpoint


@pytest.fixture
def world(database: Database, clock: Clock) -> World:
    return World(database, clock)


@pytest.fixture(scope="module")
def made(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One package on SQLite, for tests that only read it."""
    path = tmp_path_factory.mktemp("made") / "governance.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = connect(f"sqlite:///{path}")
    clock = Clock()
    package = World(Database(engine, SqlAuditLog(SIGNER, clock)), clock).package()
    engine.dispose()
    return package


def check(package: bytes, *, key: str = str(SIGNER.verifier), kept: str = "") -> Verification:
    return verify_package(io.BytesIO(package), key=key, kept=kept)


def text_of(package: bytes, name: str) -> str:
    return zipfile.ZipFile(io.BytesIO(package)).read(name).decode()


def lines_of(package: bytes, name: str) -> list[Any]:
    return [json.loads(line) for line in text_of(package, name).splitlines()]


def test_a_package_verifies_with_the_key_one_has(world: World) -> None:
    package = world.package()
    found = check(package, key=str(SIGNER.verifier))
    assert found.ok, found.checks
    assert found.events == 11, "ten that happened, and the export itself"
    assert [(one.result, one.of) for one in found.results] == [
        (Result.COMPLETE, "the log, all 11 events"),
        (Result.SIGNED_ONLY, "11 events of test.local/audit"),
    ]
    assert {one.name for one in found.checks if one.outcome is Outcome.PASSED} == {
        "archive",
        "key",
        "manifest",
        "files",
        "checkpoint",
        "leaves",
        "inclusion",
        "completeness",
        "records",
        "statement",
        "made",
    }
    assert check(package, key=SIGNER.verifier.pem).ok


def test_without_a_key_the_answer_says_that_nobody_vouches_for_it(made: bytes) -> None:
    found = check(made, key="")
    assert not found.ok
    assert (found.failed, found.unproven) == ((), ("key",))
    asked = check(made, key=OWN)
    assert asked.ok
    assert {one.name: one.outcome for one in asked.checks}["key"] is Outcome.NOT_CHECKED


def test_a_package_holds_records_readable_beside_their_events(world: World) -> None:
    package = world.package()
    assert [line["call"]["id"] for line in lines_of(package, "records/calls.jsonl")] == ["1", "2", "3"]
    assert lines_of(package, "records/verdicts.jsonl")[0]["verdict"]["note"] == "=cmd()"
    assert lines_of(package, "records/reports.jsonl")[0]["report"]["reference"] == "R-1"
    manifest = json.loads(text_of(package, "manifest.json"))
    assert manifest["made_by"] == "person:17"
    assert manifest["names"] == {"person:17": "Ada\x1b[31m"}
    assert manifest["kinds"]["decision.made"] == 3
    assert manifest["leaves"] == {"count": 11, "first": 0, "last": 10, "contiguous": True}
    summary = text_of(package, "summary.txt")
    assert "Ada" in summary
    assert "\x1b" not in summary
    for name, about in manifest["files"].items():
        assert hashlib.sha256(zipfile.ZipFile(io.BytesIO(package)).read(name)).hexdigest() == about["sha256"]


@pytest.mark.parametrize(
    ("chosen", "kinds"),
    [
        ({"case": 5}, ["call.recorded", "decision.made", "case.opened", "verdict.given", "report.received"]),
        ({"policy": "p.one"}, ["call.recorded", "decision.made", "case.opened", "verdict.given", "report.received"]),
        ({"policy": "p.silent"}, []),
        ({"case": 6}, []),
        ({"kinds": (EventKind.VERDICT_GIVEN,)}, ["verdict.given"]),
        ({"case": 5, "kinds": (EventKind.CALL_RECORDED,)}, ["call.recorded"]),
        ({"system": "other"}, ["export.begun"]),
        ({"until": AT + timedelta(seconds=12)}, ["call.recorded", "decision.made"]),
        ({"since": AT + timedelta(seconds=60), "until": AT + timedelta(hours=1)}, ["report.received"]),
    ],
)
def test_filters_choose_what_goes_in(world: World, chosen: dict[str, Any], kinds: list[str]) -> None:
    package = world.package(**chosen)
    manifest = json.loads(text_of(package, "manifest.json"))
    scope = Scope.parse(manifest["filter"], manifest["begun"])
    lines = [line.partition("\t") for line in text_of(package, "leaves.tsv").splitlines()]
    leaves = [(int(place), json.loads(leaf)) for place, _, leaf in lines]
    assert [leaf["kind"] for place, leaf in leaves if scope.holds(place, leaf)] == kinds
    found = check(package)
    assert found.ok, found.checks
    assert (Result.COMPLETE if scope.provable else Result.PARTIAL) in [one.result for one in found.results]


def test_the_export_is_logged_before_anything_is_written(world: World) -> None:
    class Broken(io.RawIOBase):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        world.service.to_stream(AUDITOR, EvidenceFilter(case=5), Broken())  # type: ignore[arg-type]
    with world.database.read() as connection:
        found = audit.events(connection, EventFilter(kinds=("export.begun",)))
    assert [row.data["filter"]["case"] for row in found] == [5]
    assert found[0].actor == "person:17"


def test_who_may_not_export_gets_nothing_and_is_recorded(world: World, tmp_path: Path) -> None:
    service = ExportEvidence(
        authority(world.database, world.clock, allowed=False), reader(world.database), FakeRecords()
    )
    with pytest.raises(Refused):
        service.to_file(AUDITOR, EvidenceFilter(), tmp_path / "e.zip")
    assert list(tmp_path.glob("*e.zip*")) == []
    with world.database.read() as connection:
        kinds = [row.kind for row in audit.events(connection, EventFilter(), limit=1)]
    assert kinds == ["action.refused"]


def test_a_file_is_whole_or_not_there(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "evidence.zip"
    done = world.service.to_file(AUDITOR, EvidenceFilter(), target)
    assert done.path == target
    assert check(target.read_bytes()).ok
    assert list(folder.iterdir()) == [target]
    with pytest.raises(BadInput, match="cannot be written"):
        world.service.to_file(AUDITOR, EvidenceFilter(), folder / "missing" / "e.zip")
    (folder / "taken.zip").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        world.service.to_file(AUDITOR, EvidenceFilter(), folder / "taken.zip")
    assert sorted(one.name for one in folder.iterdir()) == ["evidence.zip", "taken.zip"]


def exports(world: World) -> int:
    with world.database.read() as connection:
        return len(audit.events(connection, EventFilter(kinds=("export.begun",))))


@pytest.mark.parametrize("taken", ["file", "dangling link", "link", "folder", "link to a folder"])
def test_what_is_there_is_not_written_over_and_nothing_is_logged(world: World, tmp_path: Path, taken: str) -> None:
    target = tmp_path / "out" / "e.zip"
    target.parent.mkdir()
    (tmp_path / "kept").write_text("kept")
    match taken:
        case "file":
            target.write_text("kept")
        case "dangling link":
            target.symlink_to(tmp_path / "absent")
        case "link":
            target.symlink_to(tmp_path / "kept")
        case "folder":
            target.mkdir()
        case _:
            target.symlink_to(tmp_path)
    with pytest.raises(BadInput, match="is a folder" if "folder" in taken else "exists already"):
        world.service.to_file(AUDITOR, EvidenceFilter(), target)
    assert exports(world) == 0
    assert [one.name for one in target.parent.iterdir()] == ["e.zip"]
    assert (tmp_path / "kept").read_text() == "kept"


@pytest.mark.parametrize("links", [True, False])
def test_what_comes_while_the_package_is_made_is_not_written_over(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also on a file system that knows no links."""
    if not links:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "link", refuse)
    alone = tmp_path / "alone.zip"
    world.service.to_file(AUDITOR, EvidenceFilter(), alone)
    assert check(alone.read_bytes()).ok
    target = tmp_path / "e.zip"

    def come(_: int) -> None:
        target.write_text("theirs")

    with pytest.raises(BadInput, match="exists already"):
        world.service.to_file(AUDITOR, EvidenceFilter(), target, advance=come)
    assert target.read_text() == "theirs"
    assert sorted(one.name for one in tmp_path.iterdir() if one.suffix == ".zip") == ["alone.zip", "e.zip"]
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"system": "bott"}, "There is no system 'bott'. Did you mean 'bot'?"),
        ({"system": "BOT"}, "Did you mean 'bot'?"),
        ({"system": "x" * 500}, f"There is no system '{'x' * 80}'. There are: bot, other."),
        ({"policy": "p.ome"}, "There is no policy 'p.ome'. Did you mean 'p.one'?"),
        ({"case": 7}, "There is no case 7."),
        ({"case": 5, "system": "other"}, "There is no case 5 of other."),
        ({"since": AT, "until": AT}, "The period is empty"),
    ],
)
def test_what_does_not_exist_is_said_and_nothing_is_logged(world: World, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        world.package(**chosen)
    assert words in str(caught.value)
    assert exports(world) == 0


@pytest.mark.parametrize(
    ("chosen", "events"),
    [
        ({"policy": "p.silent"}, 0),
        ({"until": AT - timedelta(days=1)}, 0),
        ({"kinds": (EventKind.KEY_CREATED,)}, 0),
        ({"system": "other"}, 1),  # the entry about the export itself is of that system
        ({"since": AT + timedelta(hours=1)}, 1),
    ],
)
def test_a_selection_that_holds_nothing_says_so_first(world: World, chosen: dict[str, Any], events: int) -> None:
    world.clock.now = AT + timedelta(hours=2)
    out = io.BytesIO()
    done = world.service.to_stream(AUDITOR, EvidenceFilter(**chosen), out)
    assert (done.empty, done.events) == (True, events)
    for name in ("summary.txt", "README.txt"):
        assert text_of(out.getvalue(), name).startswith("THIS PACKAGE HOLDS NOTHING.")
    found = check(out.getvalue())
    assert (found.ok, found.empty, found.events) == (True, True, events)
    again = check(world.package(**chosen))  # holds the entry about the first export too, where that fits
    assert again.empty


@pytest.mark.parametrize("chosen", [{}, {"case": 5}, {"system": "bot"}])
def test_a_selection_that_holds_something_does_not(world: World, chosen: dict[str, Any]) -> None:
    package = world.package(**chosen)
    assert "NOTHING" not in text_of(package, "summary.txt")
    assert not check(package).empty


def test_exports_that_are_asked_for_are_something(world: World) -> None:
    world.package()
    assert not check(world.package(kinds=(EventKind.EXPORT_MADE,))).empty


def test_a_broken_package_is_not_an_empty_one(world: World) -> None:
    package = bytearray(world.package(policy="p.silent"))
    package[len(package) // 2] ^= 1
    assert not check(bytes(package)).empty


def test_a_package_continues_the_checkpoint_an_auditor_kept(world: World) -> None:
    world.package()
    with world.database.write() as tx:
        tx.append(Event(kind=EventKind.AUDIT_READ, at=world.clock(), actor="person:17"))
    settle(world.database)
    kept = world.note()
    later = world.package(kept=kept)
    outcomes = {one.name: one.outcome for one in check(later, kept=kept).checks}
    assert outcomes["continuity"] is Outcome.PASSED
    assert Result.WITNESSED in [one.result for one in check(later, kept=kept).results]
    # A whole log shows any earlier state by itself; a selection needs the proof.
    assert check(world.package(), kept=kept).ok
    found = check(world.package(case=5), kept=kept)
    assert (found.ok, found.failed, found.unproven) == (False, (), ("continuity",))
    with pytest.raises(Tampered):
        world.package(kept=kept.replace("local", "other"))


def test_a_fork_is_found_by_a_kept_checkpoint_of_the_same_size(made: bytes) -> None:
    note = text_of(made, "checkpoint.note")
    assert check(made, kept=note).ok
    forked = SIGNER.sign("test.local/audit\n11\n" + "A" * 43 + "=\n")
    assert check(made, kept=forked).failed == ("continuity",)


def test_records_that_are_gone_are_missing_unless_an_event_says_that_they_were_erased(world: World) -> None:
    del world.records.stored["calls"][1]
    package = world.package()
    assert json.loads(text_of(package, "manifest.json"))["records"]["calls"] == {"count": 2, "absent": [0]}
    found = check(package)
    assert found.failed == ("records",)
    assert [one.result for one in found.results] == [Result.MISSING]
    with world.database.write() as tx:
        data: dict[str, Any] = {"what": "conversation", "calls": [1], "reason": "request"}
        kind = EventKind.CONTENT_ERASED
        tx.append(
            Event(kind=kind, at=world.clock(), actor="service:0", subject="conversation:3", system="bot", data=data)
        )
    before = {"until": AT + timedelta(hours=1)}
    for chosen in ({}, {"case": 5}, {"system": "bot"}, before, {"kinds": (EventKind.CALL_RECORDED,)}):
        found = check(world.package(**chosen))
        assert found.ok, found.checks
        gone = [one.of for one in found.results if one.result is Result.ERASED_WITH_RECORD]
        assert bool(gone) is (chosen != {"case": 5}), gone


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.stored["calls"][2].update(trace_id="f" * 32), "trace_id"),
        (lambda r: r.stored["calls"][2].update(system="other"), "system"),
        (lambda r: r.stored["calls"][2].update(content_captured=False), "content_captured"),
        (lambda r: r.stored["calls"][2].update(started_at=at(9)), "start"),
        (lambda r: r.stored["calls"][2]["release"].update(fingerprint="r2"), "release"),
        (lambda r: r.stored["calls"][2].pop("span_id"), "shape"),
        (lambda r: r.stored["decisions"][102].update(action="allow"), "decision"),
        (lambda r: r.stored["decisions"][102].update(policies=[]), "decision"),
        (lambda r: r.stored["decisions"][102].update(policy_set="cd" * 32), "decision"),
        (lambda r: r.stored["decisions"][102].update(call_id="3"), "call"),
        (lambda r: r.stored["cases"][5].update(call_id="3"), "call"),
        (lambda r: r.given[0].update(outcome="false_alarm"), "outcome"),
        (lambda r: r.given[0].update(given_by="person:18"), "reviewer"),
        (lambda r: r.given[0].update(given_at=at(500)), "time"),
        (lambda r: r.stored["reports"][77].update(system="other"), "system"),
    ],
)
def test_a_record_that_says_otherwise_than_its_event_is_found(
    world: World, change: Callable[[FakeRecords], object], words: str
) -> None:
    change(world.records)
    found = check(world.package())
    assert found.failed == ("records",)
    places = next(one.places for one in found.checks if one.name == "records")
    assert any(words in place for place in places), places


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_no_byte_of_a_package_can_change(made: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(made) - 1))
    changed = bytearray(made)
    changed[place] ^= data.draw(st.integers(1, 255))
    assert not check(bytes(changed)).ok, f"byte {place}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_can_be_cut_off_or_put_in(made: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(4, len(made) - 1))
    extra = data.draw(st.binary(min_size=1, max_size=20))
    for changed in (made[:place], made[:place] + extra + made[place:], made + extra, made[:place] + made[place + 1 :]):
        assert not check(changed).ok


def remade(package: bytes, signer: Signer, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> bytes:
    """A package with other contents, made as `signer` would."""
    archive = zipfile.ZipFile(io.BytesIO(package))
    files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    del files["manifest.note"]
    change(files, manifest)
    stated = files.pop("made.json", b"")
    out = io.BytesIO()
    with PackageWriter(signer) as writer:
        for name, content in files.items():
            writer.file(name).write(content)
        writer.seal(manifest)
        writer.finish(out, stated)
    return out.getvalue()


def without_line(name: str, number: int) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def change(files: dict[str, bytes], _: dict[str, Any]) -> None:
        lines = files[name].splitlines(keepends=True)
        del lines[number]
        files[name] = b"".join(lines)

    return change


def swapped(name: str) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def change(files: dict[str, bytes], _: dict[str, Any]) -> None:
        lines = files[name].splitlines(keepends=True)
        lines[1], lines[2] = lines[2], lines[1]
        files[name] = b"".join(lines)

    return change


def replaced(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def change(files: dict[str, bytes], _: dict[str, Any]) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (without_line("leaves.tsv", 3), "inclusion"),
        (without_line("records/decisions.jsonl", 1), "records"),
        (swapped("leaves.tsv"), "leaves"),
        (swapped("records/calls.jsonl"), "records"),
        (replaced("leaves.tsv", b'"violation"', b'"false_alarm"'), "inclusion"),
        (replaced("leaves.tsv", b'{"actor"', b'{ "actor"'), "leaves"),
        (replaced("leaves.tsv", b"3\t", b"03\t"), "leaves"),
        (replaced("records/verdicts.jsonl", b"violation", b"false_alarm"), "records"),
        (replaced("records/calls.jsonl", b"{", b"[" * 100_000), "records"),
        (lambda files, _: files.pop("leaves.tsv"), "leaves"),
        (lambda files, _: files.pop("records/calls.jsonl"), "records"),
        (lambda files, _: files.pop("checkpoint.note"), "checkpoint"),
        (lambda _, manifest: manifest["leaves"].update(count=3), "statement"),
        (lambda _, manifest: manifest["checkpoint"].update(size=10), "checkpoint"),
        (lambda _, manifest: manifest.pop("leaves"), "manifest"),
        (lambda _, manifest: manifest.update(format="other"), "manifest"),
        (lambda _, manifest: manifest.update(origin=7), "manifest"),
        (lambda _, manifest: manifest["records"]["calls"].update(absent=[0], count=2), "records"),
    ],
)
def test_even_with_the_logs_key_a_package_says_nothing_that_the_log_does_not(
    made: bytes, change: Callable[[dict[str, bytes], dict[str, Any]], None], failed: str
) -> None:
    found = check(remade(made, SIGNER, change))
    assert failed in found.failed, found.checks


def test_a_package_signed_by_somebody_else_is_found_by_the_key(made: bytes) -> None:
    thief = Signer.from_seed("test.local/audit", b"\x55" * 32)

    def take(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["key"] = str(thief.verifier)
        files["checkpoint.note"] = thief.sign(SIGNER.verifier.open(files["checkpoint.note"].decode())).encode()

    forged = remade(made, thief, take)
    assert check(forged).failed == ("key",)
    assert check(forged, key="").failed == ("statement", "made"), "the log's own key states no such package"
    assert "manifest" in check(remade(made, thief, lambda *_: None)).failed


def test_a_key_that_is_none_is_bad_input(made: bytes) -> None:
    with pytest.raises(BadInput):
        check(made, key="nonsense")
    with pytest.raises(BadInput):
        check(made, key="-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")


@pytest.mark.parametrize("content", [b"", b"hello", b"PDF-1.7" * 100, os.urandom(64).replace(b"P", b"Q")])
def test_what_is_no_package_is_bad_input(content: bytes) -> None:
    with pytest.raises(BadInput, match="not an evidence package"):
        check(content)


def test_an_ordinary_zip_is_no_package() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../etc/passwd", "x")
    assert check(out.getvalue()).failed == ("archive",)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    writer = Writer(out)
    spool = io.BytesIO()
    packer = Packer("leaves.tsv", spool)
    for _ in range(40):
        packer.write(bytes(1 << 20))
    member = packer.close()
    spool.seek(0)
    writer.add(member, spool)
    writer.close()
    raw = bytearray(out.getvalue())
    archive = Archive(io.BytesIO(bytes(raw)))
    with pytest.raises(TooLarge):
        archive.read("leaves.tsv")
    with pytest.raises(TooLarge):
        list(archive.lines("leaves.tsv", limit=1 << 20))
    # The header lies: it says ten bytes.
    struct.pack_into("<I", raw, 22, 10)
    struct.pack_into("<I", raw, raw.rindex(b"PK\x01\x02") + 24, 10)
    lying = Archive(io.BytesIO(bytes(raw)))
    with pytest.raises(Tampered, match="longer than its header"):
        lying.read("leaves.tsv")


@given(st.dictionaries(st.sampled_from(["a.txt", "b.json", "records/c.jsonl"]), st.binary(max_size=5000)))
def test_an_archive_gives_back_what_went_in_and_any_unzip_reads_it(contents: dict[str, bytes]) -> None:
    out = io.BytesIO()
    writer = Writer(out)
    writer.store("first.txt", b"first")
    for name, content in contents.items():
        spool = io.BytesIO()
        packer = Packer(name, spool)
        packer.write(content)
        member = packer.close()
        spool.seek(0)
        writer.add(member, spool)
    writer.close()
    archive = Archive(io.BytesIO(out.getvalue()))
    ordinary = zipfile.ZipFile(io.BytesIO(out.getvalue()))
    assert ordinary.testzip() is None
    for name, content in {"first.txt": b"first", **contents}.items():
        assert archive.read(name) == ordinary.read(name) == content
        assert archive.members[name].crc == zlib.crc32(content)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_verifier_fail_otherwise_than_in_words(content: bytes) -> None:
    assert not check(b"PK\x03\x04" + content).ok


def test_the_command_verifies_with_no_installation(made: bytes, tmp_path: Path) -> None:
    package, key = tmp_path / "e.zip", tmp_path / "key.txt"
    package.write_bytes(made)
    key.write_text(str(SIGNER.verifier))
    changed = bytearray(made)
    changed[len(made) // 2] ^= 1
    (tmp_path / "changed.zip").write_bytes(changed)
    environment = {"PATH": os.environ["PATH"], "GOVERNANCE_DATABASE_URL": "nonsense", "HOME": str(tmp_path / "none")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "governance", "audit", "verify", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    good = run("e.zip", "--key", "key.txt", "--json")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["ok"] is True
    bad = run("changed.zip")
    assert bad.returncode == 1
    assert "NOT VERIFIED" in bad.stdout
    wrong = run("missing.zip")
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["changed.zip", "e.zip", "key.txt"]


def test_the_readme_by_hand_instructions_work(made: bytes, tmp_path: Path) -> None:
    zipfile.ZipFile(io.BytesIO(made)).extractall(tmp_path)
    commands = """
        set -e
        sed '/^$/,$d' manifest.note > text
        tail -n 1 manifest.note | awk '{print $3}' | base64 -d | tail -c 64 > signature
        openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in text -sigfile signature
        sed -n 3p text
        sha256sum manifest.json | cut -d' ' -f1
        head -n 1 leaves.tsv | cut -f 2- | tr -d '\\n' | (printf '\\0'; cat) | sha256sum | cut -d' ' -f1
    """
    done = subprocess.run(["bash", "-c", commands], cwd=tmp_path, capture_output=True, text=True, check=False)
    if "openssl: command not found" in done.stderr:
        pytest.skip("openssl is not installed")
    assert done.returncode == 0, done.stderr
    verified, signed, manifest, leaf = done.stdout.split("\n")[:4]
    assert "Verified Successfully" in verified
    assert signed == f"sha256:{manifest}"
    first = (tmp_path / "leaves.tsv").read_bytes().split(b"\n")[0].partition(b"\t")[2]
    assert leaf == hashlib.sha256(b"\x00" + first).hexdigest()


def test_a_package_of_the_first_edition_still_verifies_and_says_what_it_does_not_show() -> None:
    package = (Path(__file__).parent / "data" / "package-v1.zip").read_bytes()
    found = check(package)
    assert found.ok, found.checks
    assert found.events == 11
    assert [one.result for one in found.results] == [Result.PARTIAL, Result.SIGNED_ONLY]
    assert {one.name: one.outcome for one in found.checks}["completeness"] is Outcome.NOT_CHECKED
    kept = text_of(package, "checkpoint.note")
    assert Result.WITNESSED in [one.result for one in check(package, kept=kept).results]
    forked = SIGNER.sign("test.local/audit\n11\n" + "A" * 43 + "=\n")
    assert [one.result for one in check(package, kept=forked).results] == [Result.DIVERGED]


@settings(max_examples=100)
@given(data=st.data())
def test_no_byte_of_a_package_of_the_first_edition_can_change(data: st.DataObject) -> None:
    changed = bytearray((Path(__file__).parent / "data" / "package-v1.zip").read_bytes())
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    assert not check(bytes(changed)).ok, f"byte {place}"
