"""Policies about sequences of recorded calls: in any order and batch, once an incident, and only what is new costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from governance.domain.calls import Call, CallKind, Message, ToolCall
from governance.domain.content import Content
from governance.domain.decisions import PolicyScope
from governance.domain.findings import DetectorFailure, Examination
from governance.engine.check import Checker
from governance.engine.decide import DecisionEngine
from governance.policy.policy import PolicySet
from governance.privacy.keys import KeyRing
from governance.services.calls.check import CheckService, Deciding, DecidingSet
from governance.services.review.opening import open_for_decision
from governance.store.base import tables as t
from governance.store.calls import sequences
from governance.store.calls.checks import SqlCheckStore
from governance.store.calls.record import CallWriter
from governance.store.transaction import Database
from tests.conftest import Clock
from tests.policy.samples import policy
from tests.store.conftest import NOON, Batch, make_call
from tests.store.test_checks import CountingRunner, mask, rows, stored

WORDS = {"words": {"use": "words"}}
TRACE = policy(
    id="trace.send",
    scope="trace",
    detectors=WORDS,
    params={},
    when="steps.exists(b, 'send' in b.tools && steps.exists(a, a.order < b.order && (a.current || b.current)"
    " && a.findings.size() > 0))",
)
SESSION = policy(
    id="session.again",
    scope="session",
    detectors=WORDS,
    params={},
    applies_to={"parts": ["input"]},
    when="steps.filter(s, s.findings.size() > 0).size() >= 2 && steps.exists(s, s.current && s.findings.size() > 0)",
    then={"action": "allow", "queue": "security", "explain": "again"},
)

Checks = Callable[..., CheckService]


@pytest.fixture
def runner() -> CountingRunner:
    return CountingRunner()


@pytest.fixture
def new_checks(database: Database, keyring: KeyRing, clock: Clock, runner: CountingRunner) -> Checks:
    """Another process' checking, over these policies."""

    def made(*policies: Any, detector_set: str = "d1", with_runner: CountingRunner = runner) -> CheckService:
        policy_set = PolicySet(policies)
        store = SqlCheckStore(database, keyring, clock, open_for_decision)
        detectors = copy(with_runner)
        detectors.digest = detector_set
        detectors.units = detectors.content_units = {"words": detector_set}
        by = DecidingSet(
            policy_set_id=stored(database, policy_set.digest),
            digest=policy_set.digest,
            detectors=detectors,
            checker=Checker(with_runner, DecisionEngine(policy_set)),
            scopes=policy_set.scopes,
        )
        return CheckService(store, lambda: Deciding(enforce=by), mask, lambda text: text)

    return made


def step(number: int, *, tool: str = "", result: str | None = None, said: str = "", **changes: Any) -> Call:
    values: dict[str, Any] = {
        "trace_id": "a" * 32,
        "session_id": "s-1",
        "started_at": NOON + timedelta(seconds=number),
        "kind": CallKind.TOOL if tool else CallKind.LLM,
        "input": (Message(role="user", text=said),) if said else (),
        "output": (),
        "documents": (),
        "tool_calls": (ToolCall(id=f"t{number}", name=tool, arguments=f'{{"n": {number}}}', result=result),)
        if tool
        else (),
    }
    return make_call(number, **(values | changes))


ASKED, READ, SENT, DONE = (
    step(1, said="go"),
    step(2, tool="fetch", result="an attack"),
    step(3, tool="send"),
    step(4, said="done"),
)


def record(writer: CallWriter, *calls: Call) -> list[int]:
    return writer.write([Batch(calls=calls)])[0].call_ids


def fired(database: Database) -> list[str]:
    with database.read() as connection:
        statement = sa.select(t.call.c.span_id).where(t.call.c.action == "block").order_by(t.call.c.started_at)
        return [bytes(row.span_id).hex() for row in connection.execute(statement)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_in_any_order_of_arrival_there_is_one_case(
    database: Database, writer: CallWriter, new_checks: Checks, order: Sequence[int]
) -> None:
    checks = new_checks(TRACE)
    for number in order:
        checks.run(record(writer, (ASKED, READ, SENT, DONE)[number]))
    assert len(fired(database)) == 1
    (case,) = rows(database, t.case)
    assert (case.policy, case.queue) == ("trace.send", "security")


def test_in_one_batch_each_side_sees_the_other_and_there_is_one_case(
    database: Database, writer: CallWriter, new_checks: Checks, runner: CountingRunner
) -> None:
    new_checks(TRACE).run(record(writer, DONE, SENT, READ, ASKED))
    assert set(fired(database)) == {READ.span_id, SENT.span_id}
    assert len(rows(database, t.case)) == 1
    assert sorted(runner.examined) == sorted(set(runner.examined))  # each content once


def test_two_workers_at_the_same_time_cannot_both_miss_it(
    database: Database, writer: CallWriter, new_checks: Checks
) -> None:
    """Both calls are recorded, neither is checked: each worker has one of them."""
    read, sent = record(writer, READ), record(writer, SENT)
    first, second = new_checks(TRACE), new_checks(TRACE)
    first.run(sent)
    assert fired(database) == [SENT.span_id]
    second.run(read)
    assert len(rows(database, t.case)) == 1


def test_findings_of_earlier_steps_are_read_and_not_found_again(
    database: Database, writer: CallWriter, new_checks: Checks, runner: CountingRunner
) -> None:
    new_checks(TRACE, SESSION).run(record(writer, ASKED, READ))
    runner.examined.clear()
    new_checks(TRACE, SESSION).run(record(writer, SENT))
    assert runner.examined == ['{"n": 3}']
    assert fired(database) == [SENT.span_id]


def test_new_detectors_look_at_earlier_steps_once(
    database: Database, writer: CallWriter, new_checks: Checks, runner: CountingRunner
) -> None:
    new_checks(TRACE).run(record(writer, READ))
    runner.examined.clear()
    new_checks(TRACE, detector_set="d2").run(record(writer, SENT))
    assert sorted(runner.examined) == ["an attack", '{"n": 2}', '{"n": 3}']
    assert fired(database) == [SENT.span_id]
    runner.examined.clear()
    new_checks(TRACE, detector_set="d2").run(record(writer, DONE))
    assert runner.examined == ["done"]
    found = [row for row in rows(database, t.examination) if row.detector_set == "d2"]
    assert any(row.sealed for row in found)
    assert not any(row.redacted for row in found)


def test_nothing_else_is_loaded_where_no_policy_is_about_sequences(
    writer: CallWriter, new_checks: Checks, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("governance.store.calls.checks.with_around", never)
    new_checks(policy(detectors=WORDS)).run(record(writer, READ, SENT))
    assert {row.status for row in rows(database, t.call)} == {"checked"}


def test_an_injection_in_three_traces_of_a_session_is_one_case(
    database: Database, writer: CallWriter, new_checks: Checks
) -> None:
    checks = new_checks(SESSION)
    for number in range(1, 5):
        checks.run(record(writer, step(number, said=f"attack {number}", trace_id=f"{number:032x}")))
    checks.run(record(writer, step(9, said="attack 9", trace_id="f" * 32, session_id="s-2")))
    assert [row.queue for row in rows(database, t.call)] == ["", "security", "security", "security", ""]
    (case,) = rows(database, t.case)
    assert len(rows(database, t.case_call)) == 2
    assert case.policy == "session.again"


def test_the_history_of_a_session_counts_once(database: Database, writer: CallWriter, new_checks: Checks) -> None:
    checks = new_checks(SESSION)
    said: tuple[Message, ...] = (Message(role="user", text="attack"),)
    for number in range(1, 4):
        checks.run(record(writer, step(number, input=said, trace_id=f"{number:032x}")))
        said = (*said, Message(role="assistant", text=f"No {number}."), Message(role="user", text=f"Please {number}."))
    assert rows(database, t.case) == []


def test_a_step_that_could_not_be_examined_sends_later_ones_to_a_person(
    database: Database, writer: CallWriter, new_checks: Checks
) -> None:
    checks = new_checks(TRACE)
    checks.run(record(writer, step(1, tool="fetch", result="crash")))
    checks.run(record(writer, SENT))
    failed, later = rows(database, t.call)
    assert (failed.status, later.status, later.queue) == ("failed", "checked", "security")
    assert "secret words" not in str(rows(database, t.decision))


class Tired(CountingRunner):
    def examine_many(self, contents: Sequence[Content]) -> list[Examination]:
        return [Examination(failures=(DetectorFailure(detector="words", reason="tired"),)) for _ in contents]


def test_a_detector_that_failed_on_a_step_is_a_doubt_for_the_next(
    database: Database, writer: CallWriter, new_checks: Checks
) -> None:
    new_checks(TRACE, with_runner=Tired()).run(record(writer, READ))
    new_checks(TRACE).run(record(writer, SENT))
    assert [row.queue for row in rows(database, t.call)] == ["security", "security"]


def test_erased_steps_are_no_steps(
    database: Database, writer: CallWriter, new_writer: Callable[[], CallWriter], new_checks: Checks
) -> None:
    new_checks(TRACE).run(record(writer, READ))
    with database.write() as transaction:
        transaction.connection.execute(t.conversation.update().values(wrapped_key=None))
    new_checks(TRACE).run(record(new_writer(), step(3, tool="send", session_id="s-9")))
    assert fired(database) == []


def test_a_long_trace_is_read_up_to_a_bound_and_flagged_steps_are_kept(
    database: Database, writer: CallWriter, new_checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "MOST_STEPS", 10)
    flagging = policy(detectors=WORDS)
    checks = new_checks(TRACE, flagging)
    checks.run(record(writer, READ))
    checks.run(record(writer, *(step(number, said=f"{number}") for number in range(10, 60))))
    checks.run(record(writer, step(70, tool="send")))
    assert fired(database) == [READ.span_id, step(70).span_id]
    (decision,) = [row for row in rows(database, t.decision) if row.action == "block"][1:]
    assert '"steps.left_out":"42"' in decision.detail
    assert '"scope":"trace"' in decision.detail


def test_only_one_case_and_decision_where_a_worker_and_an_inline_check_meet(
    database: Database, writer: CallWriter, new_checks: Checks
) -> None:
    new_checks(TRACE).run(record(writer, READ))
    ids = record(writer, SENT)
    one, two = new_checks(TRACE), new_checks(TRACE)
    one.run(ids)
    two.run(ids)
    two.again(ids[0])
    assert len(rows(database, t.decision)) == 2
    assert len(rows(database, t.case)) == 1


def test_scopes_are_those_of_policies_that_decide() -> None:
    assert PolicySet([TRACE, policy(status="draft", scope="session")]).scopes == {PolicyScope.TRACE}
    assert PolicySet([policy()]).scopes == {PolicyScope.CALL}
