"""Checkpoints are kept outside: in a folder, at an address, in a bucket with object lock, in a mailbox."""

from __future__ import annotations

import email
import email.policy
import json
import os
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiosmtpd.controller import Controller
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from moto.server import ThreadedMotoServer

from governance.audit.note import Checkpoint, Signer
from governance.bootstrap.settings import Settings, load, mail_server
from governance.delivery.copies import BucketCopy, FolderCopy, HttpCopy, MailCopy, file_name
from governance.domain.jobs import JobKind, JobState
from governance.domain.people import Role
from governance.errors import Misconfigured, Refused
from governance.services.evidence.copies import ATTEMPTS, CopyCheckpoints
from governance.services.evidence.ports import KeepCopy
from governance.services.evidence.verify import verify_snapshot
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.ports import NotDelivered
from governance.services.jobs.run import RunJobs, Task
from governance.store.base import tables as t
from governance.worker.tasks import CopyPayload, Payload, reader
from tests.audit.building import fill
from tests.audit.building import reader as log_reader
from tests.audit.test_log import as_owner
from tests.jobs.receiver import KEY, Receiver, answers
from tests.review.conftest import House

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
ORIGIN = "test.local/audit"


class Place:
    """A place that keeps what it is given, or says why not."""

    where = "a drawer"

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.trouble: NotDelivered | None = None

    def latest(self) -> str:
        return self.kept[-1] if self.kept else ""

    def __call__(self, note: str, *, size: int, root: bytes, now: datetime) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.kept.append(note)


class Copier:
    """The use case over one place, and what runs its jobs."""

    def __init__(self, house: House, place: KeepCopy) -> None:
        self.house = house
        self.service = CopyCheckpoints(
            house.authority,
            lambda: log_reader(house.database),
            {"file": place},
            Alerts(wanted=True),
            limit=timedelta(hours=24),
        )
        self.runs = RunJobs(
            house.database,
            house.clock,
            {
                JobKind.COPY_CHECKPOINT: Task(
                    read=reader(CopyPayload), run=lambda payload, attempt: self.service.copy(payload.to, attempt)
                ),
                JobKind.WATCH_COPIES: Task(read=reader(Payload), run=lambda _, attempt: self.service.watch(attempt)),
            },
        )

    def run(self, kind: JobKind = JobKind.COPY_CHECKPOINT, **payload: str) -> JobState:
        with self.house.database.write() as tx:
            number = tx.jobs.add(kind, payload, at=self.house.clock())
        while True:
            with self.house.database.look() as tx:
                job = tx.jobs.get(number)
            assert job is not None
            if job.state is not JobState.WAITING:
                return job.state
            self.house.clock.now = max(self.house.clock(), job.not_before)
            claimed = self.runs.claim(number)
            assert claimed is not None
            self.runs.run(claimed)

    def copy(self) -> JobState:
        return self.run(to="file")

    def alerts(self) -> list[dict[str, Any]]:
        with self.house.database.read() as connection:
            return [json.loads(row.body) for row in connection.execute(t.outbox_message.select())]


def test_the_latest_checkpoint_is_copied_once_and_verifies_the_log(house: House, signer: Signer) -> None:
    place = Place()
    copier = Copier(house, place)
    fill(house.database, 30)
    assert copier.copy() is JobState.DONE
    assert copier.copy() is JobState.DONE
    assert len(place.kept) == 1, "nothing was logged since"
    fill(house.database, 10, start=30)
    copier.copy()
    assert len(place.kept) == 2
    (state,) = copier.service.standing(house.person(Role.AUDITOR))
    assert (state.size, state.copied_at, state.late, state.error) == (40, house.clock(), False, "")
    for note in place.kept:
        with log_reader(house.database).snapshot() as snapshot:
            assert verify_snapshot(snapshot, signer.verifier, kept=note).ok
    with pytest.raises(Refused):
        copier.service.standing(house.person(Role.REVIEWER))


def test_an_empty_log_and_a_place_that_is_set_no_more_are_no_failure(house: House) -> None:
    copier = Copier(house, Place())
    assert copier.run(to="mail") is JobState.DONE
    assert copier.copy() is JobState.DONE


def test_a_place_that_fails_is_tried_again_and_its_age_alerts_once_a_day(house: House) -> None:
    place = Place()
    copier = Copier(house, place)
    fill(house.database, 3)
    place.trouble = NotDelivered("The folder cannot be written.")
    assert copier.copy() is JobState.DONE, "the next hour tries again; a failed job an hour would help nobody"
    (state,) = copier.service.state()
    assert (state.error, state.copied_at, state.late) == ("The folder cannot be written.", None, False)
    with house.database.look() as tx:
        assert max(job.attempts for job in tx.jobs.page(state=None, kind="", before=None, limit=10)) == ATTEMPTS
    copier.run(JobKind.WATCH_COPIES)
    assert copier.alerts() == []
    house.clock.forward(hours=24)
    for _ in range(30):
        copier.run(JobKind.WATCH_COPIES)
        house.clock.forward(hours=1)
    found = copier.alerts()
    assert [one["type"] for one in found] == ["audit.copies_late"] * 2
    assert found[0]["data"]["copies"] == [{"copy": "file", "copied_at": None, "error": "The folder cannot be written."}]
    assert copier.service.state()[0].late
    place.trouble = None
    copier.copy()
    (state,) = copier.service.state()
    assert (state.late, state.error) == (False, "")


def test_a_place_without_any_attempt_is_late_too(house: House) -> None:
    copier = Copier(house, Place())
    copier.run(JobKind.WATCH_COPIES)
    house.clock.forward(hours=25)
    copier.run(JobKind.WATCH_COPIES)
    assert [one["type"] for one in copier.alerts()] == ["audit.copies_late"]


def test_a_log_that_does_not_continue_the_last_copy_is_found_and_not_copied(house: House, signer: Signer) -> None:
    place = Place()
    copier = Copier(house, place)
    fill(house.database, 30)
    copier.copy()
    forged = signer.sign(Checkpoint(signer.name, 30, b"\x01" * 32).text)
    as_owner(house.database, "UPDATE checkpoint_copy SET note = :note", note=forged)
    fill(house.database, 5, start=30)
    assert copier.copy() is JobState.DONE
    assert len(place.kept) == 1
    with house.database.look() as tx:
        (finding,) = tx.findings.standing()
    assert (finding.kind, finding.checkpoint, finding.size) == ("continuity", forged, 30)
    assert [one["data"] for one in copier.alerts()] == [{"copy": "file", "findings": [finding.id]}]
    assert copier.service.state()[0].error


def test_what_a_folder_holds_counts_though_the_database_forgot_it(house: House, signer: Signer, tmp_path: Path) -> None:
    copier = Copier(house, FolderCopy(tmp_path, signer.name))
    fill(house.database, 30)
    stranger = Signer("other.example/audit", Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
    for size, text in (
        (7, "not a note"),
        (900, stranger.sign(Checkpoint(stranger.name, 900, b"\x01" * 32).text)),
    ):
        (tmp_path / file_name(signer.name, size)).write_text(text, encoding="utf-8")
        copier.copy()
        (tmp_path / file_name(signer.name, size)).unlink()
    with house.database.look() as tx:
        assert tx.findings.standing() == []
    longer = signer.sign(Checkpoint(signer.name, 60, b"\x01" * 32).text)
    (tmp_path / file_name(signer.name, 60)).write_text(longer, encoding="utf-8")
    as_owner(house.database, "DELETE FROM checkpoint_copy")
    assert copier.copy() is JobState.DONE
    with house.database.look() as tx:
        (finding,) = tx.findings.standing()
    assert (finding.kind, finding.checkpoint) == ("continuity", longer)
    assert len(list(tmp_path.glob("*.note"))) == 2, "the log that was cut is not copied"


# The places themselves.


def test_a_folder_keeps_read_only_files_that_are_never_written_again(tmp_path: Path, signer: Signer) -> None:
    place = FolderCopy(tmp_path, ORIGIN)
    checkpoint = Checkpoint(ORIGIN, 42, b"\x01" * 32)
    note = signer.sign(checkpoint.text)
    for _ in range(2):
        place(note, size=42, root=checkpoint.root, now=NOW)
    (kept,) = tmp_path.iterdir()
    assert kept.name == file_name(ORIGIN, 42) == "test.local_audit-000000000042.note"
    assert kept.read_text(encoding="utf-8") == note
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444
    place(note.replace("— ", "— other.example AAAAAAAA\n— ", 1), size=42, root=checkpoint.root, now=NOW)
    other = Checkpoint(ORIGIN, 42, b"\x02" * 32)
    with pytest.raises(NotDelivered, match="forged"):
        place(signer.sign(other.text), size=42, root=other.root, now=NOW)
    assert kept.read_text(encoding="utf-8") == note
    assert [one.name for one in tmp_path.iterdir()] == [kept.name]


def test_many_that_copy_into_a_folder_at_once_leave_one_whole_file(tmp_path: Path, signer: Signer) -> None:
    note = signer.sign(Checkpoint(ORIGIN, 42, b"\x01" * 32).text)
    ready = threading.Barrier(8)

    def copies() -> None:
        ready.wait()
        FolderCopy(tmp_path, ORIGIN)(note, size=42, root=b"\x01" * 32, now=NOW)

    threads = [threading.Thread(target=copies) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.read_text(encoding="utf-8") for one in tmp_path.iterdir()] == [note]


def test_a_folder_that_is_away_or_full_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotDelivered, match="No such file"):
        FolderCopy(tmp_path / "away", ORIGIN)("note", size=1, root=b"", now=NOW)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotDelivered, match="No space left"):
        FolderCopy(tmp_path, ORIGIN)("note", size=1, root=b"", now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_an_address_gets_a_signed_message_with_the_note(signer: Signer) -> None:
    checkpoint = Checkpoint(ORIGIN, 42, b"\x01" * 32)
    note = signer.sign(checkpoint.text)
    with Receiver(answers("200 OK")) as receiver:
        place = HttpCopy(receiver.url, KEY, ORIGIN)
        now = datetime.now(UTC)  # the receiver's library looks at its own clock
        place(note, size=42, root=checkpoint.root, now=now)
        place(note, size=42, root=checkpoint.root, now=now)
        first, again = receiver.verified()
        assert first == again
        data: Any = first["data"]
        assert Checkpoint.open(data["checkpoint"], signer.verifier) == checkpoint
        assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
        assert "token" not in place.where
        receiver.answer = answers("500 Internal Server Error")
        with pytest.raises(NotDelivered, match="500"):
            place(note, size=42, root=checkpoint.root, now=now)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.mark.usefixtures("credentials")
def test_a_bucket_locks_each_object_so_that_nobody_deletes_it(endpoint: str, signer: Signer) -> None:
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    checkpoint = Checkpoint(ORIGIN, 42, b"\x01" * 32)
    note = signer.sign(checkpoint.text)
    place = BucketCopy("locked", ORIGIN, prefix="prod/", endpoint=endpoint, lock=timedelta(days=30))
    now = datetime.now(UTC)
    place(note, size=42, root=checkpoint.root, now=now)
    key = f"prod/{file_name(ORIGIN, 42)}"
    (version,) = client.list_object_versions(Bucket="locked")["Versions"]
    assert version["Key"] == key
    kept = client.get_object(Bucket="locked", Key=key)
    assert kept["Body"].read().decode() == note
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    assert abs(kept["ObjectLockRetainUntilDate"] - now - timedelta(days=30)) < timedelta(seconds=2)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket="locked", Key=key, VersionId=version["VersionId"])
    client.close()


@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_refuses_or_is_away_says_so_without_its_words(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="open")
    client.close()
    place = BucketCopy("nowhere", ORIGIN, endpoint=endpoint, lock=timedelta(0))
    with pytest.raises(NotDelivered, match=r"refused the object \(NoSuchBucket\)"):
        place("note", size=1, root=b"", now=NOW)
    BucketCopy("open", ORIGIN, endpoint=endpoint, lock=timedelta(0))("note", size=1, root=b"", now=NOW)
    monkeypatch.setattr("governance.delivery.copies.SECONDS", 1.0)
    away = BucketCopy("open", ORIGIN, endpoint="http://127.0.0.1:9", lock=timedelta(0))
    with pytest.raises(NotDelivered, match="cannot be reached"):
        away("note", size=1, root=b"", now=NOW)


class Mailbox:
    """A mail server's side that keeps what comes, or refuses it."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.mails.append(envelope.content)
        return self.answer


@pytest.fixture
def mailbox(free_tcp_port: int) -> Iterator[tuple[Mailbox, Callable[..., MailCopy]]]:
    box = Mailbox()
    port = free_tcp_port  # it cannot choose one: it calls itself to begin
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()

    def place(**more: Any) -> MailCopy:
        values: dict[str, Any] = {"host": "127.0.0.1", "port": port, "secure": False, "local": True} | more
        return MailCopy("auditor@example.org", "governance@example.org", ORIGIN, **values)

    yield box, place
    controller.stop()


def test_a_mailbox_gets_the_note_as_a_file_that_verifies(
    mailbox: tuple[Mailbox, Callable[..., MailCopy]], signer: Signer
) -> None:
    box, place = mailbox
    checkpoint = Checkpoint(ORIGIN, 42, b"\x01" * 32)
    place()(signer.sign(checkpoint.text), size=42, root=checkpoint.root, now=NOW)
    mail = email.message_from_bytes(box.mails[0], policy=email.policy.default)
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == file_name(ORIGIN, 42)
    content = attached.get_content()
    assert Checkpoint.open(content.decode(), signer.verifier) == checkpoint
    assert (mail["To"], mail["Subject"]) == ("auditor@example.org", f"Checkpoint of {ORIGIN}: 42 events")


def test_a_mail_server_that_refuses_or_speaks_in_clear_gets_no_mail(
    mailbox: tuple[Mailbox, Callable[..., MailCopy]],
) -> None:
    box, place = mailbox
    with pytest.raises(NotDelivered, match="no STARTTLS"):
        place(local=False)("note", size=1, root=b"", now=NOW)
    box.answer = "554 5.7.1 go away, secret words"
    with pytest.raises(NotDelivered, match=r"refused the mail \(code 554\)") as refused:
        place()("note", size=1, root=b"", now=NOW)
    assert "secret" not in refused.value.said
    with pytest.raises(NotDelivered, match="TLS"):
        place(secure=True)("note", size=1, root=b"", now=NOW)
    with pytest.raises(NotDelivered, match="cannot be reached"):
        place(port=9)("note", size=1, root=b"", now=NOW)
    assert box.mails == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, that nobody but who is told trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_mail_goes_over_tls_to_a_server_that_is_trusted(certificate: Path, free_tcp_port: int) -> None:
    box = Mailbox()
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    demands: dict[str, Any] = {"tls_context": served, "require_starttls": True}
    controller = Controller(box, hostname="127.0.0.1", port=free_tcp_port, **demands)
    controller.start()

    def place(trust: ssl.SSLContext | None) -> MailCopy:
        return MailCopy(
            "auditor@example.org",
            "governance@example.org",
            ORIGIN,
            host="127.0.0.1",
            port=free_tcp_port,
            secure=False,
            local=False,
            trust=trust,
        )

    try:
        place(ssl.create_default_context(cafile=str(certificate)))("note\n", size=1, root=b"", now=NOW)
        assert len(box.mails) == 1
        with pytest.raises(NotDelivered, match="not trusted"):
            place(None)("note\n", size=2, root=b"", now=NOW)
        assert len(box.mails) == 1
    finally:
        controller.stop()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("smtp://mail.example.org", (False, "mail.example.org", 587, "")),
        ("smtps://robot%40example.org@mail.example.org", (True, "mail.example.org", 465, "robot@example.org")),
        ("smtp://[::1]:2525", (False, "::1", 2525, "")),
    ],
)
def test_a_mail_server_is_named_by_its_address(address: str, said: tuple[bool, str, int, str]) -> None:
    assert tuple(mail_server(address)) == said


@pytest.mark.parametrize(
    "wrong",
    [
        {"checkpoint_copy_smtp": "mail.example.org:25"},
        {"checkpoint_copy_smtp": "smtp://user:password@mail.example.org"},
        {"checkpoint_copy_smtp": "smtp://mail.example.org:99999"},
        {"checkpoint_copy_url": "http://keeper.example.org/hook"},
        {"checkpoint_copy_url": "https://keeper.example.org/hook"},
        {"checkpoint_copy_mail_to": "auditor@example.org"},
        {"checkpoint_copy_limit_hours": 1},
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as stopped:
        load(**wrong, _env_file=None)
    assert "password" not in str(stopped.value)


def test_settings_name_the_places(tmp_path: Path) -> None:
    from governance.bootstrap import open_application

    settings = Settings(
        data_dir=tmp_path / "var",
        checkpoint_copy_folder=str(tmp_path),
        checkpoint_copy_bucket="b",
        checkpoint_copy_mail_to="a@example.org",
        checkpoint_copy_mail_from="g@example.org",
        checkpoint_copy_smtp="smtp://localhost",
        _env_file=None,  # type: ignore[call-arg]
    )
    application = open_application(settings)
    assert list(application.checkpoint_copies.places) == ["file", "s3", "mail"]
    application.close()
