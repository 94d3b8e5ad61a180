"""Promises 1 to 3 and 9: every recorded call is decided once, nothing is silently open, known content costs nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa

from governance.detectors.interface import CallSubject
from governance.detectors.runner import KnownFindings
from governance.domain.calls import Call, CallKind, Message
from governance.domain.content import Content, Part
from governance.domain.decisions import Action, Decision, Outcome, PolicyOutcome, PolicyStatus, Severity
from governance.domain.findings import DetectorFailure, Examination, Finding
from governance.engine.check import Checked, Checker
from governance.privacy.keys import KeyRing
from governance.services.calls.check import ATTEMPTS, CheckService, Deciding, DecidingSet
from governance.services.review.opening import open_for_decision
from governance.store.base import tables as t
from governance.store.calls import documents as calls_store
from governance.store.calls import facts, search
from governance.store.calls.checks import SqlCheckStore
from governance.store.calls.record import CallWriter
from governance.store.review import queries as case_queries
from governance.store.transaction import Database
from governance.worker.loop import Loop
from governance.worker.procrastinate import ProcrastinateLoop
from tests.conftest import Clock
from tests.store.conftest import TEXTS, Batch, make_call, make_event

DIGEST = "ab" * 32


class CountingRunner:
    """Finds the word "attack", and remembers what it was asked to examine."""

    def __init__(self) -> None:
        self.digest = "d1"
        self.examined: list[str] = []
        self.units = self.content_units = {"words": "1"}
        self.call_units: dict[str, str] = {}

    def complete(self, contents: Sequence[Content], found: Sequence[KnownFindings]) -> list[Examination]:
        return [self.examine(content) for content in contents]

    def complete_calls(self, subjects: Sequence[CallSubject], found: Sequence[KnownFindings]) -> list[Examination]:
        return self.examine_calls(subjects)

    def examine(self, content: Content) -> Examination:
        self.examined.append(content.text)
        if "crash" in content.text:
            raise RuntimeError("secret words of the prompt")
        if "mute" in content.text:
            return Examination(failures=(DetectorFailure(detector="words", reason="it is tired"),))
        start = content.text.find("attack")
        if start < 0:
            return Examination()
        finding = Finding(detector="words", category="injection", rule="attack", score=1.0, start=start, end=start + 6)
        return Examination(findings=(finding,))

    def examine_many(self, contents: Sequence[Content]) -> list[Examination]:
        return [self.examine(content) for content in contents]

    def examine_calls(self, subjects: Sequence[CallSubject]) -> list[Examination]:
        return [Examination() for _ in subjects]


class WordEngine:
    """Blocks and queues what has a finding; a failure goes to review."""

    def decide(
        self,
        call: Call,
        parts: tuple[Part, ...],
        findings: list[Finding],
        failures: tuple[DetectorFailure, ...],
        sequence: object,
    ) -> Decision:
        if not findings and not failures:
            return Decision(action=Action.ALLOW, policy_set=DIGEST)
        outcome = PolicyOutcome(
            policy="test.words",
            title="A bad word",
            outcome=Outcome.FIRED if findings else Outcome.ERROR,
            status=PolicyStatus.ENFORCE,
            action=Action.BLOCK if findings else Action.ALLOW,
            severity=Severity.HIGH,
            queue="security",
            findings=tuple(range(len(findings))),
        )
        return Decision(
            action=outcome.action, policy_set=DIGEST, queue="security", severity=Severity.HIGH, policies=(outcome,)
        )


def mask(text: str, findings: object) -> str:
    return text.replace("attack", "[word]") if findings else text


@pytest.fixture
def runner() -> CountingRunner:
    return CountingRunner()


@pytest.fixture
def checks(database: Database, keyring: KeyRing, clock: Clock, runner: CountingRunner) -> CheckService:
    return new_checks(database, keyring, clock, runner)


def new_checks(database: Database, keyring: KeyRing, clock: Clock, runner: CountingRunner) -> CheckService:
    store = SqlCheckStore(database, keyring, clock, open_for_decision)
    checker = Checker(runner, WordEngine())  # type: ignore[arg-type]
    by = DecidingSet(policy_set_id=stored(database, DIGEST), digest=DIGEST, detectors=runner, checker=checker)
    return CheckService(store, lambda: Deciding(enforce=by), mask, lambda text: mask(text, [1]))


def stored(database: Database, digest: str, document: Mapping[str, object] | None = None) -> int:
    """A policy set's row."""
    with database.write() as tx:
        found = tx.connection.execute(sa.select(t.policy_set.c.id).where(t.policy_set.c.digest == digest)).scalar()
        if found is None:
            found = tx.take()
            tx.connection.execute(
                t.policy_set.insert().values(id=found, digest=digest, policies=json.dumps(document or {}), loaded_at=0)
            )
    return int(found)


@pytest.fixture
def loop(database: Database, checks: CheckService, clock: Clock) -> Loop | ProcrastinateLoop:
    return Loop(database, checks, clock) if database.dialect == "sqlite" else ProcrastinateLoop(database, checks)


def rows(database: Database, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))


def said(text: str, number: int = 1, **changes: object) -> Call:
    message = Message(role="user", text=text)
    return make_call(number, input=(message,), output=(), documents=(), tool_calls=(), **changes)


def test_the_worker_decides_all_that_was_recorded(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    calls = [said(f"hello {number}" if number % 10 else f"attack {number}", number) for number in range(250)]
    writer.write([Batch(calls=tuple(calls))])
    assert loop.run_until_idle() == 2
    assert {row.status for row in rows(database, t.call)} == {"checked"}
    assert len(rows(database, t.decision)) == 250
    assert sum(row.action == "block" for row in rows(database, t.call)) == 25
    assert len(rows(database, t.case)) == 25
    assert sum(row.calls for row in rows(database, t.daily_figure)) == 250
    assert sum(row.flagged for row in rows(database, t.daily_figure)) == 25
    kinds = [row.kind for row in rows(database, t.audit_event)]
    assert kinds.count("decision.made") == 250
    assert kinds.count("case.opened") == 25
    assert loop.run_until_idle() == 0


def test_examined_and_nothing_found_is_a_row_of_its_own(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    writer.write([Batch(calls=(said("all is well"),))])
    assert rows(database, t.examination) == []
    loop.run_until_idle()
    (row,) = rows(database, t.examination)
    assert (row.findings, row.redacted) == ('{"findings":[],"failures":[]}', None)
    assert b"well" not in row.sealed


def test_known_content_is_not_examined_again(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop, runner: CountingRunner
) -> None:
    history: tuple[Message, ...] = ()
    for turn in range(20):
        history = (*history, Message(role="user", text=f"turn {turn}"))
        writer.write([Batch(calls=(make_call(turn, input=history, output=(), documents=(), tool_calls=()),))])
        before = len(runner.examined)
        loop.run_until_idle()
        assert runner.examined[before:] == [f"turn {turn}"]


def test_what_a_detector_could_not_answer_goes_to_review_and_is_asked_again(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop, runner: CountingRunner
) -> None:
    writer.write([Batch(calls=(said("mute", 1),))])
    loop.run_until_idle()
    assert rows(database, t.call)[0].queue == "security"
    writer.write([Batch(calls=(said("mute", 2),))])
    loop.run_until_idle()
    assert runner.examined == ["mute", "mute"]


def test_a_call_that_breaks_the_check_is_failed_and_has_a_case(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    writer.write([Batch(calls=(said("crash", 1), said("fine", 2)))])
    loop.run_until_idle()
    failed, fine = rows(database, t.call)
    assert (failed.status, fine.status) == ("failed", "checked")
    assert "RuntimeError" in failed.failure
    assert "secret words" not in failed.failure
    assert rows(database, t.case)[0].call_id == failed.id


def test_calls_over_which_processes_died_go_to_a_person_unexamined(
    database: Database, writer: CallWriter, checks: CheckService, runner: CountingRunner
) -> None:
    ids = writer.write([Batch(calls=(said("poison"),))])[0].call_ids
    checks.run(ids, attempt=ATTEMPTS + 1)
    assert runner.examined == []
    assert rows(database, t.call)[0].status == "failed"
    assert len(rows(database, t.case)) == 1


def test_erased_content_is_said_to_be_unreadable(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    writer.write([Batch(calls=(said("hello"),))])
    with database.write() as transaction:
        transaction.connection.execute(t.conversation.update().values(wrapped_key=None))
    loop.run_until_idle()
    assert rows(database, t.call)[0].failure == "Its content was erased."


def test_content_that_comes_later_is_decided_again(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    writer.write([Batch(calls=(said("hello", content_captured=True),))])
    loop.run_until_idle()
    writer.write([Batch(content_events=(make_event(after=5, input=(Message(role="user", text="attack"),)),))])
    loop.run_until_idle()
    (call,) = rows(database, t.call)
    assert (call.status, call.action, call.revision) == ("checked", "block", 1)
    assert [row.revision for row in rows(database, t.decision)] == [0, 1]
    (figure,) = rows(database, t.daily_figure)
    assert (figure.calls, figure.flagged, figure.input_tokens) == (1, 1, 3)


def test_tokens_of_a_day_are_those_of_model_calls_and_not_again_an_agent_s_sum(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    kinds = (CallKind.LLM, CallKind.EMBEDDING, CallKind.AGENT, CallKind.CHAIN)
    writer.write([Batch(calls=tuple(said("hello", number, kind=kind) for number, kind in enumerate(kinds)))])
    loop.run_until_idle()
    (figure,) = rows(database, t.daily_figure)
    assert (figure.calls, figure.input_tokens) == (4, 6)


def test_two_workers_on_the_same_calls_give_one_decision(
    database: Database, writer: CallWriter, keyring: KeyRing, clock: Clock
) -> None:
    ids = writer.write([Batch(calls=tuple(said(f"attack {number}", 10 * number) for number in range(40)))])[0].call_ids
    errors: list[Exception] = []
    gate = threading.Barrier(4)

    def run(check: CheckService) -> None:
        try:
            gate.wait()
            assert len(check.run(ids)) == 40
        except Exception as error:
            errors.append(error)

    services = [new_checks(database, keyring, clock, CountingRunner()) for _ in range(4)]
    threads = [threading.Thread(target=run, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(rows(database, t.decision)) == 40
    assert len(rows(database, t.case)) == 40
    assert sum(row.flagged for row in rows(database, t.daily_figure)) == 40


def test_one_incident_is_one_case(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop, clock: Clock
) -> None:
    """Three steps of a trace show the same prompt, and three later turns repeat it: one case, six calls."""
    attack = Message(role="user", text="attack")
    steps = [said("attack", number, trace_id=f"{7:032x}") for number in range(3)]
    writer.write([Batch(calls=tuple(steps))])
    loop.run_until_idle()
    turns = [
        make_call(
            number,
            trace_id=f"{number:032x}",
            input=(attack, Message(role="user", text=f"and {number}?")),
            output=(),
            documents=(),
            tool_calls=(),
        )
        for number in range(10, 13)
    ]
    with database.write() as transaction:
        transaction.connection.execute(t.case.update().values(state="decided", closed_at=1))
    writer.write([Batch(calls=tuple(turns))])
    loop.run_until_idle()
    (case,) = rows(database, t.case)
    assert sum(row.action == "block" for row in rows(database, t.call)) == 6
    with database.read() as connection:
        found = calls_store.read_calls(connection, [row.id for row in rows(database, t.call)], texts=TEXTS)
    assert [document["case_ids"] for document in found] == [[case.id]] * 6


def test_another_incident_is_another_case(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    calls = [said("attack", 1), said("attack again", 20), said("attack", 30, session_id="another")]
    writer.write([Batch(calls=tuple(calls))])
    loop.run_until_idle()
    assert len(rows(database, t.case)) == 3


def test_systems_in_one_trace_have_cases_of_their_own(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    trace = f"{7:032x}"
    writer.write([Batch(calls=(said("attack", 1, trace_id=trace, system="one"),))])
    loop.run_until_idle()
    writer.write([Batch(calls=(said("attack", 2, trace_id=trace, system="two"),))])
    loop.run_until_idle()
    assert len({row.system_id for row in rows(database, t.case)}) == 2


def test_the_lease_of_a_dead_worker_runs_out(
    database: Database, writer: CallWriter, checks: CheckService, clock: Clock
) -> None:
    if database.dialect != "sqlite":
        pytest.skip("leases of the job table are SQLite's")
    writer.write([Batch(calls=(said("hello"),))])
    dead = Loop(database, checks, clock)
    assert dead._claims.claim() is not None  # and then it dies
    alive = Loop(database, checks, clock)
    assert alive.step() is False
    clock.forward(minutes=2)
    assert alive.step() is True
    assert rows(database, t.call)[0].status == "checked"
    assert rows(database, t.check_job) == []


def test_calls_in_no_job_are_swept_up(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop, clock: Clock
) -> None:
    clock.now = datetime(2020, 1, 1, tzinfo=clock.now.tzinfo)  # PostgreSQL takes only what has waited a minute
    writer.write([Batch(calls=(said("hello"),))])
    with database.write() as transaction:
        name = "check_job" if database.dialect == "sqlite" else "procrastinate_jobs"
        transaction.connection.execute(sa.text(f"DELETE FROM {name}"))
    assert loop.run_until_idle() == 1
    assert rows(database, t.call)[0].status == "checked"


def test_only_redacted_text_is_found_and_shown(
    database: Database, writer: CallWriter, keyring: KeyRing, loop: Loop | ProcrastinateLoop
) -> None:
    call_id = writer.write([Batch(calls=(said("an attack on tea"),))])[0].call_ids[0]
    with database.read() as connection:
        assert calls_store.read_call(connection, call_id, texts=TEXTS)["input"][0]["text"] == calls_store.UNCHECKED
    loop.run_until_idle()
    with database.read() as connection:
        document = calls_store.read_call(connection, call_id, texts=TEXTS)
        assert document["input"][0]["text"] == "an [word] on tea"
        assert document["decisions"][0]["policies"][0]["policy"] == "test.words"
        assert document["case_ids"] == [rows(database, t.case)[0].id]
        assert search.find(connection, TEXTS.words, "attack") == []
        assert len(search.find(connection, TEXTS.words, "TEA word")) == 1
        assert search.find(connection, TEXTS.words, 'tea" OR NEAR(') == []
    (case,) = rows(database, t.case)
    assert case.excerpt == ""
    with database.read() as connection:
        row = case_queries.find(connection, case.id, keyring=keyring)
    assert row is not None
    assert row.excerpt == "an [word] on tea"


def test_the_words_of_an_error_are_encrypted_and_shown_redacted(
    database: Database, writer: CallWriter, loop: Loop | ProcrastinateLoop
) -> None:
    error = "ContentFilter: the prompt said attack at dawn"
    call_id = writer.write([Batch(calls=(said("hello", error=error),))])[0].call_ids[0]
    assert rows(database, t.call)[0].error == "ContentFilter"
    loop.run_until_idle()
    with database.read() as connection:
        document = calls_store.read_call(connection, call_id, texts=TEXTS)
    assert document["error"] == "ContentFilter: the prompt said [word] at dawn"


def test_the_checker_is_asked_with_what_is_known(database: Database, writer: CallWriter, checks: CheckService) -> None:
    """The service hands known examinations through, whatever checker it has."""
    seen: list[Mapping[Content, Examination]] = []
    by = checks._sets().enforce
    inner = by.checker

    class Spy:
        def check_many(
            self, calls: Sequence[tuple[Call, Mapping[Content, Examination]]], around: object = ()
        ) -> list[Checked]:
            seen.extend(known for _, known in calls)
            return inner.check_many(calls)  # type: ignore[return-value]

    checks._sets = lambda: Deciding(enforce=replace(by, checker=Spy()))  # type: ignore[arg-type]
    for number in (1, 2):
        checks.run(writer.write([Batch(calls=(said("same words", number),))])[0].call_ids)
    assert [len(known) for known in seen] == [0, 1]


def test_a_job_examines_what_its_calls_share_once_and_all_of_it_together(
    writer: CallWriter, checks: CheckService, runner: CountingRunner
) -> None:
    batches: list[int] = []
    inner = runner.examine_many

    def examine_many(contents: Sequence[Content]) -> list[Examination]:
        batches.append(len(contents))
        return inner(contents)

    runner.examine_many = examine_many  # type: ignore[method-assign]
    recorded = writer.write([Batch(calls=tuple(said("an attack", number) for number in range(1, 6)))])[0]
    checks.run(recorded.call_ids)
    assert batches == [len(set(runner.examined))]
    assert len(runner.examined) == len(set(runner.examined))


def test_a_check_that_takes_minutes_keeps_its_job_and_a_dead_one_loses_it(
    database: Database, writer: CallWriter, checks: CheckService, runner: CountingRunner, clock: Clock
) -> None:
    if database.dialect != "sqlite":
        pytest.skip("Procrastinate's own heartbeat holds its jobs")
    loop, other = Loop(database, checks, clock), Loop(database, checks, clock)
    taken: list[object] = []
    inner = runner.examine_many

    def examine_many(contents: Sequence[Content]) -> list[Examination]:
        for _ in range(4):  # a judge that thinks, and a pulse beside it
            clock.forward(seconds=40)
            taken.append(other._claims.claim())
            loop.renew()
        clock.forward(seconds=61)
        taken.append(other._claims.claim())
        loop.renew()  # it is the other's now: this one lets it be
        clock.forward(seconds=59)
        taken.append(loop._claims.claim())
        return inner(contents)

    runner.examine_many = examine_many  # type: ignore[method-assign]
    writer.write([Batch(calls=(said("an attack"),))])
    assert loop.run_until_idle() == 1
    assert taken[:4] == [None] * 4
    assert taken[4] is not None
    assert taken[5] is None
    loop.renew()
    assert len(rows(database, t.decision)) == 1


def test_what_costly_detectors_skipped_is_kept_with_the_message_and_with_the_decision(
    database: Database, writer: CallWriter, checks: CheckService, runner: CountingRunner
) -> None:
    def examine_many(contents: Sequence[Content]) -> list[Examination]:
        return [Examination(skipped=("judge",)) for _ in contents]

    runner.examine_many = examine_many  # type: ignore[method-assign]
    (call_id,) = writer.write([Batch(calls=(said("all is well"),))])[0].call_ids
    checks.run([call_id])
    with database.read() as connection:
        (decision,) = calls_store.read_call(connection, call_id, texts=TEXTS)["decisions"]
        stored = connection.execute(sa.select(t.examination.c.findings)).scalars().all()
    assert decision["skipped"] == ["judge"]
    assert decision["action"] == "allow"
    assert all(facts.decode_examination(text).skipped == ("judge",) for text in stored)
