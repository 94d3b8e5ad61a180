"""Looking at jobs, retrying and cancelling them: as a service, a command, a page, and in what monitors read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from governance.api.health import _jobs
from governance.bootstrap import Application, open_application, run_as
from governance.bootstrap.settings import Settings
from governance.cli import doctor, main
from governance.domain.events import EventKind
from governance.domain.jobs import JobKind, JobState
from governance.domain.people import Actor, ActorKind, Role, RoleBinding
from governance.errors import Conflict, NotFound, Refused
from governance.store.base import tables as t
from governance.store.transaction import Database
from governance.worker import job_worker
from governance.worker.tasks import recurring, tasks
from tests.conftest import Clock
from tests.jobs.receiver import SECRET, Receiver, answers

Command = Callable[..., tuple[int, Any, str]]
ADMIN = Actor(kind=ActorKind.PERSON, id=1, name="A", bindings=(RoleBinding(role=Role.ADMIN),))
REVIEWER = Actor(kind=ActorKind.PERSON, id=2, name="R", bindings=(RoleBinding(role=Role.REVIEWER),))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(answers("200 OK")) as one:
        yield one


@pytest.fixture
def application(database_url: str, tmp_path: Path, clock: Clock, receiver: Receiver) -> Iterator[Application]:
    settings = Settings(
        data_dir=tmp_path / "var",
        database_url=database_url,
        time_zone="Europe/Berlin",
        alert_webhook_url=receiver.url,
        alert_webhook_secret=SecretStr(SECRET),
        _env_file=None,  # type: ignore[call-arg]
    )
    made = open_application(settings, clock=clock)
    run_as(made)
    yield made
    run_as(None)
    made.close()


@pytest.fixture
def command(application: Application, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), json.loads(out) if "--json" in arguments and out else out, err

    return run


def events(database: Database, *kinds: EventKind) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        rows = connection.execute(t.audit_event.select().order_by(t.audit_event.c.id)).all()
    return [(row.kind, row.actor, row.subject) for row in rows if row.kind in kinds]


def add(application: Application, state: JobState, kind: str = "jobs.prune") -> int:
    now = application.clock()
    with application.database.write() as tx:
        number = tx.jobs.add(kind, {}, at=now)
        if state is JobState.WAITING:
            return number
        if state is JobState.CANCELLED:
            tx.jobs.cancel(number, at=now)
            return number
        job = tx.jobs.claim([kind], now=now, lease=timedelta(minutes=1), job_id=number)
        assert job is not None
        if state is JobState.DONE:
            assert tx.jobs.done(job, at=now)
        if state is JobState.FAILED:
            assert tx.jobs.failed(job, at=now, error="It is gone.")
    return number


RETRIED = {JobState.WAITING, JobState.FAILED, JobState.CANCELLED}
CANCELLED = {JobState.WAITING, JobState.FAILED}


@pytest.mark.parametrize("state", JobState)
def test_what_a_person_may_do_with_a_job_and_what_is_recorded(application: Application, state: JobState) -> None:
    service, database = application.background, application.database
    for act, allowed, kind, verb in (
        (service.retry, RETRIED, EventKind.JOB_RETRIED, "retried"),
        (service.cancel, CANCELLED, EventKind.JOB_CANCELLED, "cancelled"),
    ):
        job = add(application, state)
        if state in allowed:
            act(ADMIN, job)
            assert events(database, kind)[-1] == (kind, "person:1", f"job:{job}")
        else:
            why = "is running and" if state is JobState.RUNNING else f"is {state} and"
            with pytest.raises(Conflict, match=f"Job {job} {why} cannot be {verb}"):
                act(ADMIN, job)
            assert not events(database, kind)
        with pytest.raises(NotFound, match="There is no job 999999"):
            act(ADMIN, 999_999)


def test_who_does_not_manage_the_installation_is_refused_and_that_is_recorded(application: Application) -> None:
    job = add(application, JobState.FAILED)
    service = application.background
    for act in (
        lambda: service.list(REVIEWER),
        lambda: service.retry(REVIEWER, job),
        lambda: service.cancel(REVIEWER, job),
    ):
        with pytest.raises(Refused, match="You may not manage people, keys and jobs"):
            act()
    assert len(events(application.database, EventKind.ACTION_REFUSED)) == 3
    assert [one.state for one in service.list(ADMIN)] == [JobState.FAILED]


def test_the_command_lists_retries_and_cancels(application: Application, command: Command) -> None:
    failed, unknown = add(application, JobState.FAILED), add(application, JobState.WAITING, "weather.predict")
    code, listed, _ = command("jobs", "list", "--json")
    assert code == 0
    assert [(one["id"], one["state"], one["known"], one["last_error"]) for one in listed] == [
        (unknown, "waiting", False, ""),
        (failed, "failed", True, "It is gone."),
    ]
    assert command("jobs", "list", "--state", "failed", "--json")[1][0]["id"] == failed
    assert [one["id"] for one in command("jobs", "list", "--kind", "weather.predict", "--json")[1]] == [unknown]
    assert [one["id"] for one in command("jobs", "list", "--before", str(unknown), "--json")[1]] == [failed]
    assert "waiting, for a newer version" in command("jobs", "list")[1]
    assert command("jobs", "retry", str(failed), "--json")[:2] == (0, {"id": failed, "state": "waiting"})
    assert command("jobs", "cancel", str(unknown))[1] == f"Job {unknown} is cancelled.\n"
    (_, actor, subject) = events(application.database, EventKind.JOB_RETRIED)[0]
    assert (actor, subject) == ("service:0", f"job:{failed}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("list", "--state", "dead"),
            "There is no state 'dead'. States are waiting, running",
        ),
        (("list", "--kind", "nonsense"), "There is no kind 'nonsense', and no job of it."),
        (("retry", "7"), "There is no job 7. See: governance jobs list."),
        (("cancel", "7"), "There is no job 7."),
        (("retry", "x"), "Invalid value"),
        (("retry", "-1"), ""),
        (("cancel", "99999999999999999999"), ""),
    ],
)
def test_wrong_use_of_the_command_is_said_in_one_line(command: Command, arguments: tuple[str, ...], words: str) -> None:
    code, _, err = command("jobs", *arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_retrying_what_runs_is_refused_with_the_reason(application: Application, command: Command) -> None:
    job = add(application, JobState.RUNNING)
    code, _, err = command("jobs", "retry", str(job))
    assert code == 2
    assert f"Job {job} is running and cannot be retried now." in err


def metrics(application: Application) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(type("Jobs", (), {"collect": lambda _: _jobs(application)})())
    text = generate_latest(registry).decode()
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_dead_messages_are_in_doctor_and_metrics_and_can_be_revived(
    application: Application, receiver: Receiver, clock: Clock
) -> None:
    here = job_worker(application)
    with application.database.write() as tx:
        application.alerts.send(tx, "job.failed", {"job": 1}, at=clock())
    clock.forward(seconds=100)
    assert metrics(application) == {
        "governance_jobswaiting": 1,
        "governance_jobsrunning": 0,
        "governance_jobsfailed": 0,
        "governance_jobs_overdue": 0,
        "governance_outbox_waiting": 1,
        "governance_outbox_oldest_seconds": 100,
        "governance_outbox_dead_total": 0,
    }
    receiver.answer = answers("410 Gone")
    assert here.run_until_idle() == 1
    found = metrics(application)
    assert (found["governance_outbox_dead_total"], found["governance_outbox_waiting"]) == (1, 0)
    (verdict,) = doctor._jobs(application)
    assert (verdict.check, verdict.state) == ("messages", "warning")
    assert "1 message could not be sent" in verdict.says
    (job,) = application.background.list(ADMIN, state=JobState.FAILED)
    assert job.kind == JobKind.DELIVER_MESSAGE
    assert len(receiver.got) == 1, "no alert about an alert"
    receiver.answer = answers("200 OK")
    application.background.retry(ADMIN, job.id)
    assert here.run_until_idle() == 1
    assert metrics(application)["governance_outbox_dead_total"] == 0
    (verdict,) = doctor._jobs(application)
    assert verdict.state == "ok"


def test_what_waits_too_long_and_what_nobody_knows_is_in_doctor(application: Application, clock: Clock) -> None:
    add(application, JobState.WAITING)
    add(application, JobState.WAITING, "weather.predict")
    add(application, JobState.FAILED)
    clock.forward(minutes=20)
    says = [verdict.says for verdict in doctor._jobs(application)]
    assert says == [
        "1 job failed, and no attempt is left.",
        "1 job of a kind that this version does not know.",
        "1 job could have run a quarter of an hour ago.",
    ]


# What the product itself runs


def test_every_kind_has_a_task_and_recurring_jobs_are_of_known_kinds(application: Application) -> None:
    assert set(tasks(application)) == set(JobKind)
    entries = recurring(application)
    assert {entry.kind for entry in entries} <= set(JobKind)
    assert len({entry.name for entry in entries}) == len(entries)
    assert [str(entry.schedule) for entry in entries if entry.kind == JobKind.VERIFY_AUDIT_LOG] == [
        "daily at 03:30 Europe/Berlin"
    ]


def test_a_day_of_recurring_jobs_runs(application: Application, clock: Clock, receiver: Receiver) -> None:
    here = job_worker(application)
    here.timetable.tick()
    application.people.ensure_administrator()
    ran = 0
    for _ in range(25):
        clock.forward(hours=1)
        here.timetable.tick()
        ran += here.run_until_idle()
    assert ran == 25 * 4 + 4
    assert not application.background.list(ADMIN, state=JobState.FAILED)
    verified = events(application.database, EventKind.AUDIT_VERIFIED)
    assert [actor for _, actor, _ in verified] == ["service:0"]
    assert receiver.got == []


def test_a_log_that_was_altered_is_found_by_the_daily_verification_and_alerted(
    application: Application, clock: Clock, receiver: Receiver
) -> None:
    here = job_worker(application)
    application.people.ensure_administrator()
    if application.database.dialect == "postgresql":
        application.sealer.start()
        application.sealer.stop()
    with application.database.write() as tx:
        connection = tx.connection
        if application.database.dialect == "sqlite":
            connection.exec_driver_sql("DROP TRIGGER audit_event_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_event DISABLE TRIGGER ALL")
        connection.exec_driver_sql("UPDATE audit_event SET actor = 'person:999'")
        tx.jobs.add(JobKind.VERIFY_AUDIT_LOG, {}, at=clock())
    assert here.run_until_idle() == 2  # the verification, and its alert
    ((_, body),) = receiver.got
    payload = json.loads(body)
    assert payload["type"] == "audit.verification_failed"
    assert payload["data"]["ok"] is False
    assert "rows" in payload["data"]["failed"]


def test_a_job_that_is_given_up_is_alerted(application: Application, clock: Clock, receiver: Receiver) -> None:
    here = job_worker(application)
    number = add(application, JobState.RUNNING, "audit.verify")
    for _ in range(5):  # each time it ends its process
        clock.forward(minutes=2)
        job = here.jobs.claim()
        assert job is not None
        if job.attempts > 3:
            here.jobs.run(job)
            break
    assert here.run_until_idle() == 1
    ((_, body),) = receiver.got
    assert json.loads(body)["type"] == "job.failed"
    assert json.loads(body)["data"] == {
        "job": number,
        "kind": "audit.verify",
        "attempts": 4,
        "error": "The process that ran it ended each time before the job was done.",
    }


def test_sessions_that_ended_are_deleted_but_the_last_sign_in_is_known(application: Application, clock: Clock) -> None:
    from governance.store.people import queries as people

    made = application.people.ensure_administrator()
    assert made is not None
    with application.database.look() as tx:
        account = tx.people.account("local", made[0])
    assert account is not None
    tokens = []
    for _ in range(3):
        tokens.append(application.sessions.open_session(account.person))
        clock.forward(hours=1)
    application.sessions.close(tokens[0])
    seen = clock() - timedelta(hours=1)
    here = job_worker(application)

    def prune() -> int:
        with application.database.write() as tx:
            tx.jobs.add(JobKind.PRUNE_SESSIONS, {}, at=clock())
        assert here.run_until_idle() == 1
        with application.database.read() as connection:
            (person,) = people.people(connection)
            assert person.last_seen_at == seen
            return len(connection.execute(t.session.select()).all())

    assert prune() == 3
    clock.forward(hours=30)
    assert prune() == 2  # the closed one is gone; the others ended less than a day ago
    clock.forward(hours=30)
    assert prune() == 1
    assert application.sessions.find(tokens[2]) is None
