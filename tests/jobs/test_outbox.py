"""Messages that leave the installation: kept with what they speak of, signed, and sent until they arrive or die."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from governance.bootstrap.settings import load, webhook_key
from governance.delivery.webhook import Webhook
from governance.domain.jobs import Job, JobKind, JobState
from governance.errors import Misconfigured
from governance.services.jobs.outbox import BACKOFF, Alerts, DeliverMessages
from governance.services.jobs.ports import Deliver, Message, NotDelivered
from governance.services.jobs.run import RunJobs, Task
from governance.store.base import tables as t
from governance.store.transaction import Database
from governance.worker.tasks import MessagePayload, reader
from tests.conftest import Clock
from tests.jobs.conftest import read
from tests.jobs.receiver import KEY, SECRET, Receiver, answers, breaks_off
from tests.serving import free_port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answers("204 No Content")) as one:
        yield one


@pytest.fixture
def now_clock() -> Clock:
    """The library that verifies refuses old messages."""
    clock = Clock()
    clock.now = datetime.now(UTC)
    return clock


def deliverer(database: Database, clock: Clock, deliver: Deliver | None) -> RunJobs:
    use_case = DeliverMessages(database, deliver, clock)
    task = Task(
        run=lambda payload, attempt: use_case.deliver(payload.message, attempt),
        read=reader(MessagePayload),
        backoff=BACKOFF,
    )
    return RunJobs(database, clock, {JobKind.DELIVER_MESSAGE: task})


def send(database: Database, clock: Clock, kind: str = "job.failed") -> int:
    with database.write() as tx:
        Alerts(wanted=True).send(tx, kind, {"job": 7, "words": "grün 🌿"}, at=clock())
    with database.look() as tx:
        (job, *_) = tx.jobs.page(state=None, kind=JobKind.DELIVER_MESSAGE, before=None, limit=1)
    return job.id


def attempt(runs: RunJobs) -> bool:
    job = runs.claim()
    if job is not None:
        runs.run(job)
    return job is not None


def test_a_message_arrives_signed_as_any_receiver_can_verify(
    database: Database, now_clock: Clock, receiver: Receiver
) -> None:
    job = send(database, now_clock)
    assert attempt(deliverer(database, now_clock, Webhook(receiver.url, webhook_key(load_secret()))))
    (payload,) = receiver.verified()
    assert payload == {
        "type": "job.failed",
        "timestamp": now_clock().isoformat().replace("+00:00", "Z"),
        "data": {"job": 7, "words": "grün 🌿"},
    }
    assert read(database, job).state is JobState.DONE
    with database.look() as tx:
        figures = tx.jobs.figures(now_clock())
    assert (figures.messages_waiting, figures.messages_dead) == (0, 0)


def load_secret() -> SecretStr:
    settings = load(alert_webhook_url="http://127.0.0.1:1/", alert_webhook_secret=SECRET)
    return settings.alert_webhook_secret


def test_a_message_is_kept_only_with_what_it_speaks_of(database: Database, clock: Clock) -> None:
    def broken() -> None:
        with database.write() as tx:
            Alerts(wanted=True).send(tx, "job.failed", {}, at=clock())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.outbox_message)).scalar() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(t.job)).scalar() == 0


def test_without_an_address_no_message_is_kept(database: Database, clock: Clock) -> None:
    with database.write() as tx:
        Alerts(wanted=False).send(tx, "job.failed", {}, at=clock())
    with database.look() as tx:
        assert not tx.jobs.page(state=None, kind="", before=None, limit=1)


def test_a_receiver_that_fails_gets_the_same_message_later(
    database: Database, now_clock: Clock, receiver: Receiver
) -> None:
    job = send(database, now_clock)
    runs = deliverer(database, now_clock, Webhook(receiver.url, KEY))
    receiver.answer = answers("500 Internal Server Error")
    assert attempt(runs)
    assert (read(database, job).state, read(database, job).last_error) == (
        JobState.WAITING,
        "The receiver answered HTTP 500.",
    )
    assert not attempt(runs)
    now_clock.forward(seconds=10)
    receiver.answer = answers("200 OK")
    assert attempt(runs)
    first, second = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    assert first[0]["webhook-timestamp"] != second[0]["webhook-timestamp"]
    assert len(receiver.verified()) == 2
    assert read(database, job).state is JobState.DONE


def test_a_process_that_dies_after_sending_sends_again_with_the_same_id(
    database: Database, now_clock: Clock, receiver: Receiver
) -> None:
    send(database, now_clock)
    webhook = Webhook(receiver.url, KEY)

    def deliver(message: Message, *, now: datetime) -> None:
        webhook(message, now=now)
        raise SystemExit  # before it can be noted

    runs = deliverer(database, now_clock, deliver)
    with pytest.raises(SystemExit):
        attempt(runs)
    now_clock.forward(seconds=61)
    assert attempt(deliverer(database, now_clock, webhook))
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 2


def test_a_message_dies_after_its_attempts_and_a_person_can_revive_it(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    job = send(database, clock)
    receiver.answer = answers("503 Service Unavailable")
    runs = deliverer(database, clock, Webhook(receiver.url, KEY))
    began = clock()
    while attempt(runs):
        clock.now = max(clock.now, read(database, job).not_before)
    assert len(receiver.got) == BACKOFF.attempts
    assert timedelta(hours=10) < clock() - began < timedelta(hours=30)
    with database.look() as tx:
        figures = tx.jobs.figures(clock())
    assert (figures.messages_dead, figures.messages_waiting, figures.oldest_message_at) == (1, 0, None)
    receiver.answer = answers("200 OK")
    with database.write() as tx:
        assert tx.jobs.retry(job, at=clock())
    assert attempt(runs)
    with database.look() as tx:
        assert tx.jobs.figures(clock()).messages_dead == 0


def message() -> Message:
    at = datetime.now(UTC)
    return Message(id=1, message_id="msg_1", kind="k", body=json.dumps({"a": 1}), created_at=at, delivered_at=None)


def refusal(url: str, *, seconds: float = 5.0) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        Webhook(url, KEY, seconds=seconds)(message(), now=datetime.now(UTC))
    assert url not in caught.value.said
    assert "token" not in caught.value.said
    return caught.value


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_a_receiver_that_hangs_is_left_in_time(receiver: Receiver, how: str) -> None:
    receiver.answer = getattr(receiver, how)
    began = time.monotonic()
    found = refusal(receiver.url, seconds=0.5)
    assert found.said == "The receiver did not answer within 0.5 s."
    assert not found.final
    assert time.monotonic() - began < 10


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    with Receiver(answers("200 OK")) as elsewhere:
        receiver.answer = answers("307 Temporary Redirect", f"Location: {elsewhere.url}")
        assert refusal(receiver.url).said == "The receiver answered with a redirect (HTTP 307), which is not followed."
        assert elsewhere.got == []


def test_a_receiver_that_is_gone_gets_no_more(database: Database, clock: Clock, receiver: Receiver) -> None:
    receiver.answer = answers("410 Gone")
    job = send(database, clock)
    assert attempt(deliverer(database, clock, Webhook(receiver.url, KEY)))
    found = read(database, job)
    assert (found.state, found.attempts) == (JobState.FAILED, 1)
    assert found.last_error == "The receiver says that its address is gone (HTTP 410)."


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("Retry-After: 120", timedelta(minutes=2)),
        ("Retry-After: 999999999", timedelta(hours=6)),
        ("Retry-After: Mon, 01 Jan 1990 00:00:00 GMT", timedelta(0)),
        ("Retry-After: soon", None),
        ("Retry-After: -5", None),
        ("X: 1", None),
    ],
)
def test_a_busy_receiver_may_say_when_to_come_back(receiver: Receiver, header: str, wait: timedelta | None) -> None:
    receiver.answer = answers("429 Too Many Requests", header)
    assert refusal(receiver.url).retry_after == wait


def test_a_connection_that_breaks_off_is_said(receiver: Receiver) -> None:
    receiver.answer = breaks_off
    assert refusal(receiver.url).said.startswith("The connection to the receiver broke off")


def test_what_is_no_http_is_said(receiver: Receiver) -> None:
    receiver.answer = lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n" * 3)
    assert refusal(receiver.url).said.startswith("The connection to the receiver broke off")


def test_a_receiver_that_is_not_there_is_said() -> None:
    assert refusal(f"http://127.0.0.1:{free_port()}/hook").said == "The receiver cannot be reached."
    assert refusal("https://receiver.invalid/hook").said == "The receiver cannot be reached."


def test_a_certificate_that_is_not_trusted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no") from ssl.SSLCertVerificationError("self-signed certificate")

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", refused)
    assert refusal("https://receiver.invalid/hook").said == "The receiver's certificate is not trusted."


def test_proxies_of_the_environment_are_not_asked_on_the_way_to_this_machine(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    Webhook(receiver.url, KEY)(message(), now=datetime.now(UTC))
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alert_webhook_url": "ftp://a/b"}, "GOVERNANCE_ALERT_WEBHOOK_URL: must be an https address"),
        ({"alert_webhook_url": "https://"}, "GOVERNANCE_ALERT_WEBHOOK_URL: must be an https address"),
        (
            {"alert_webhook_url": "http://alerts.example.org"},
            "must be an https address: what is sent would be readable",
        ),
        ({"alert_webhook_url": "https://user:secret@a.example"}, "without a user name"),
        ({"alert_webhook_url": "https://a.example:port/"}, "GOVERNANCE_ALERT_WEBHOOK_URL: is not an address"),
        ({"alert_webhook_url": "https://[::1/"}, "GOVERNANCE_ALERT_WEBHOOK_URL: is not an address"),
        ({"alert_webhook_url": "https://a.example/"}, "GOVERNANCE_ALERT_WEBHOOK_SECRET: is missing"),
        ({"alert_webhook_secret": "c2VjcmV0"}, "GOVERNANCE_ALERT_WEBHOOK_SECRET: must be whsec_"),
        ({"alert_webhook_secret": "whsec_c2VjcmV0"}, "GOVERNANCE_ALERT_WEBHOOK_SECRET: must be whsec_"),
        ({"alert_webhook_secret": "whsec_§§"}, "GOVERNANCE_ALERT_WEBHOOK_SECRET: must be whsec_"),
    ],
)
def test_wrong_settings_stop_the_start_and_are_named(changes: dict[str, str], words: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(**changes)
    assert words in str(caught.value)
    assert "secret@" not in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_without_an_address_a_message_that_was_kept_dies_with_the_reason(database: Database, clock: Clock) -> None:
    job = send(database, clock)
    assert attempt(deliverer(database, clock, None))
    found: Job = read(database, job)
    assert (found.state, found.last_error) == (
        JobState.FAILED,
        "No address is set (GOVERNANCE_ALERT_WEBHOOK_URL).",
    )
