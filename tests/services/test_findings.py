"""What verifications find wrong stands until a kept checkpoint is met again, or somebody answers for it by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.audit import merkle
from governance.audit.leaf import leaf_bytes
from governance.audit.note import Checkpoint, Signer
from governance.bootstrap import Application, open_application, run_as
from governance.bootstrap.settings import Settings
from governance.cli import main
from governance.domain.events import EventKind
from governance.domain.jobs import JobKind
from governance.domain.people import Role
from governance.errors import BadInput, Conflict, NotFound, Refused
from governance.services.evidence.findings import FindingService, keep, outcomes
from governance.services.evidence.ports import Finding
from governance.services.evidence.verify import VerifyLog, verify_snapshot
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.run import RunJobs, Task
from governance.store.base import tables as t
from governance.store.transaction import Database
from governance.worker.tasks import Payload, reader
from tests.audit.building import event, fill
from tests.audit.building import reader as log_reader
from tests.audit.test_log import as_owner
from tests.conftest import Clock
from tests.review.conftest import POLICIES, House, without_secrets

Command = Callable[..., tuple[int, Any, str]]


def kept(signer: Signer, size: int, *, root: bytes | None = None) -> str:
    """A checkpoint as somebody outside keeps it: of the events of `fill`, or of a log that says otherwise."""
    honest = merkle.root([merkle.leaf_hash(leaf_bytes(event(number), number)) for number in range(size)])
    return signer.sign(Checkpoint(signer.name, size, root or honest).text)


def look(database: Database, note: str = "") -> dict[str, Any]:
    """A verification that leaves findings and no event, so that the log stays the one of `fill`."""
    log = log_reader(database)
    with database.look() as tx:
        standing = tx.findings.standing()
    with log.snapshot() as snapshot:
        found = verify_snapshot(snapshot, log.signer.verifier, kept=note)
        said = outcomes(found, snapshot, note, log.signer.verifier, standing)
    with database.write() as tx:
        return keep(tx, said, at=found_at)


found_at = Clock()()


def standing(database: Database) -> list[Finding]:
    with database.look() as tx:
        return list(tx.findings.standing())


def service(house: House) -> VerifyLog:
    return VerifyLog(house.authority, log_reader(house.database), Alerts(wanted=True))


def test_a_cut_log_stays_found_until_the_checkpoint_is_met(database: Database, signer: Signer) -> None:
    fill(database, 30)
    note = kept(signer, 60)
    first = look(database, note)["findings"]
    assert look(database) == {}, "a log that was cut is consistent in itself"
    assert [(one.kind, one.open, one.times) for one in standing(database)] == [("continuity", True, 1)]
    fill(database, 10, start=30)
    assert look(database, note) == {"findings": first}, "the same failure renews its finding, whatever the log's size"
    assert look(database, kept(signer, 40)) == {}, "an earlier checkpoint says nothing about a later one"
    (again,) = standing(database)
    assert (again.times, again.size) == (2, 60)
    fill(database, 30, start=40)
    assert look(database, kept(signer, 65)) == {"met": first}
    assert standing(database) == []
    assert look(database, note) == {}


def test_a_forks_checkpoint_is_not_met_by_a_later_one_of_this_log(database: Database, signer: Signer) -> None:
    fill(database, 30)
    look(database, kept(signer, 20, root=b"\x09" * 32))
    assert look(database, kept(signer, 30)) == {}
    assert [one.kind for one in standing(database)] == ["continuity"]


def test_damage_stays_found_after_a_repair_until_a_later_checkpoint_is_met(database: Database, signer: Signer) -> None:
    fill(database, 30)
    leaf = "UPDATE audit_event SET subject = :subject WHERE seq = 7"
    as_owner(database, leaf, subject="call:8")
    assert set(look(database)) == {"findings"}
    as_owner(database, leaf, subject="call:7")
    assert look(database) == {}
    assert look(database, kept(signer, 20)) == {}, "from before the damage was found"
    assert [one.kind for one in standing(database)] == ["rows"]
    assert set(look(database, kept(signer, 30))) == {"met"}
    as_owner(database, leaf, subject="call:9")
    look(database)
    assert [(one.kind, one.times) for one in standing(database)] == [("rows", 1)], "a new finding"


def test_other_damage_after_an_answer_alarms_anew(house: House) -> None:
    fill(house.database, 30, kind=EventKind.AUDIT_READ)
    officer = house.person(Role.COMPLIANCE_OFFICER)
    answer = FindingService(house.authority, redact=without_secrets)
    as_owner(house.database, "UPDATE audit_event SET subject = 'call:8' WHERE seq = 7")
    look(house.database)
    answer.acknowledge(officer, standing(house.database)[0].id, "A clerk's mistake.")
    look(house.database)
    assert [one.open for one in standing(house.database)] == [False]
    as_owner(house.database, "UPDATE audit_event SET subject = 'call:9' WHERE seq = 8")
    look(house.database)
    assert [one.open for one in standing(house.database)] == [False, True]


def test_an_officer_answers_for_a_finding_by_name_and_once(house: House, signer: Signer) -> None:
    fill(house.database, 5, kind=EventKind.AUDIT_READ)
    auditor, officer = house.person(Role.AUDITOR), house.person(Role.COMPLIANCE_OFFICER)
    found = service(house).verify(auditor, kept=kept(signer, 400))
    assert found.failed == ("continuity",)
    answer = FindingService(house.authority, redact=without_secrets)
    (one,) = answer.standing(auditor)
    assert one.open
    assert answer.standing(house.person(Role.AUDITOR, system="hr-bot")) == [one], "the log is everybody's"
    with pytest.raises(Refused):
        answer.standing(house.person(Role.REVIEWER))
    assert house.events("audit.verified")[-1]["data"]["findings"] == [one.id]
    with pytest.raises(Refused):
        answer.acknowledge(auditor, one.id, "nothing to see")
    with pytest.raises(BadInput):
        answer.acknowledge(officer, one.id, "  ")
    with pytest.raises(NotFound):
        answer.acknowledge(officer, one.id + 1, "which?")
    answer.acknowledge(officer, one.id, "The backup of Friday, with secret-words.")
    with pytest.raises(Conflict):
        answer.acknowledge(officer, one.id, "again")
    (one,) = answer.standing(auditor)
    assert (one.acknowledged_by, one.note) == (officer.reference, "The backup of Friday, with [redacted].")
    (leaf,) = house.events("finding.acknowledged")
    assert (leaf["subject"], leaf["actor"]) == (f"finding:{one.id}", officer.reference)
    assert leaf["data"]["kind"] == "continuity"
    assert leaf["data"]["rows"][f"audit_finding:{one.id}"]["note"] not in ("", None)
    assert one.note not in json.dumps(leaf), "free text stays beside the log"
    assert not service(house).verify(auditor, kept=kept(signer, 400)).ok
    assert [one.open for one in answer.standing(auditor)] == [False], "known, and answered for"


@pytest.mark.parametrize("wrong", ["origin", "key", "signature", "text"])
def test_a_foreign_note_is_wrong_use_and_no_finding(house: House, signer: Signer, wrong: str) -> None:
    fill(house.database, 5, kind=EventKind.AUDIT_READ)
    auditor = house.person(Role.AUDITOR)
    stranger = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
    note = {
        "origin": kept(Signer("other.example/audit", stranger), 5),
        "key": kept(Signer(signer.name, stranger), 5),
        "signature": kept(signer, 5).replace("\n5\n", "\n4\n"),
        "text": "not a note\n",
    }[wrong]
    with pytest.raises(BadInput):
        service(house).verify(auditor, kept=note)
    assert standing(house.database) == []
    assert house.events("audit.verified") == []


def test_the_daily_job_keeps_findings_with_its_alert(house: House, clock: Clock) -> None:
    fill(house.database, 20, kind=EventKind.AUDIT_READ)
    as_owner(house.database, "UPDATE audit_event SET subject = 'call:8' WHERE seq = 7")
    task = Task(read=reader(Payload), run=lambda _, attempt: service(house).verify_unattended(attempt, ALERTS))
    runs = RunJobs(house.database, clock, {JobKind.VERIFY_AUDIT_LOG: task})
    for _ in range(2):
        with house.database.write() as tx:
            tx.jobs.add(JobKind.VERIFY_AUDIT_LOG, {}, at=clock())
        job = runs.claim()
        assert job is not None
        runs.run(job)
        clock.forward(days=1)
    (one,) = standing(house.database)
    assert (one.kind, one.times, one.seen_at - one.at) == ("rows", 2, timedelta(days=1))
    with house.database.read() as connection:
        bodies = [json.loads(row.body) for row in connection.execute(t.outbox_message.select())]
    assert [body["data"]["findings"] for body in bodies] == [[one.id]] * 2


ALERTS = Alerts(wanted=True)


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made = open_application(Settings(data_dir=tmp_path / "var", policies=POLICIES, _env_file=None))  # type: ignore[call-arg]
    run_as(made)
    yield made
    run_as(None)
    made.close()


def test_the_command_line_keeps_shows_and_answers(
    application: Application,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("governance.bootstrap.open_application", lambda *_, **__: application)
    monkeypatch.setattr("governance.cli.doctor.open_application", lambda *_, **__: application)
    monkeypatch.setattr(application, "close", lambda: None)

    def command(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), json.loads(out) if "--json" in arguments and out else out, err

    fill(application.database, 3, kind=EventKind.AUDIT_READ)
    ours, foreign = tmp_path / "kept.note", tmp_path / "foreign.note"
    ours.write_text(kept(application.signer, 99), encoding="utf-8")
    stranger = Signer("other.example/audit", Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
    foreign.write_text(kept(stranger, 3), encoding="utf-8")
    code, _, said = command("audit", "verify", "--checkpoint", str(foreign))
    assert code == 2
    assert "altered" not in said
    assert "other.example" in said or "not signed by" in said
    assert command("audit", "status", "--json")[1]["findings"] == []
    assert command("audit", "verify", "--checkpoint", str(ours))[0] == 1
    assert command("audit", "verify")[0] == 0
    (one,) = command("audit", "status", "--json")[1]["findings"]
    assert {"id", "kind", "at", "detail", "acknowledged_by"} <= set(one)
    assert (one["kind"], one["acknowledged_by"]) == ("continuity", None)
    doctor = {check["check"]: check for check in command("doctor", "--json")[1]["checks"]}
    assert doctor["audit log"]["state"] == "wrong"
    assert "OPEN" in command("audit", "status")[1]
    assert command("audit", "acknowledge", str(one["id"]))[0] == 2
    assert command("audit", "acknowledge", str(one["id"]), "--note", "the backup of Friday")[0] == 0
    assert command("audit", "acknowledge", str(one["id"]), "--note", "again")[0] == 2
    (one,) = command("audit", "status", "--json")[1]["findings"]
    assert one["acknowledged_by"].startswith("operator:")
    doctor = {check["check"]: check for check in command("doctor", "--json")[1]["checks"]}
    assert doctor["audit log"]["state"] == "ok"
