"""Promises 1, 2 and 5: what is recorded is whole, once, and encrypted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from governance.domain.calls import Message, ToolCall
from governance.errors import Misconfigured, NotFound, Tampered
from governance.privacy.keys import KeyRing
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.calls import documents as calls_store
from governance.store.calls.opening import CallOpener
from governance.store.calls.record import CallWriter
from governance.store.jobs.checking import JobQueue
from governance.store.transaction import Database
from tests.store.conftest import TEXTS, Batch, make_call, make_event


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def opened(database: Database, keyring: KeyRing, call_id: int):  # type: ignore[no-untyped-def]
    with database.read() as connection:
        return calls_store.original(connection, keyring, call_id)


def test_what_goes_in_comes_out(database: Database, writer: CallWriter, keyring: KeyRing) -> None:
    call = make_call()
    receipt = writer.write([Batch(calls=(call,))])[0]
    assert (receipt.new, receipt.repeated, receipt.conflicts) == (1, 0, 0)
    assert opened(database, keyring, receipt.call_ids[0]) == call


def test_a_large_batch_is_recorded_whole_or_not_at_all(database: Database, writer: CallWriter) -> None:
    many = 2 * bulk.ROWS + 30  # whole statements, and a rest
    receipt = writer.write([Batch(calls=tuple(make_call(number) for number in range(many)))])[0]
    assert receipt.new == many == count(database, t.call)
    logs = [(receipt.call_ids[0], n.to_bytes(32, "big"), n) for n in range(many)]
    logs[bulk.ROWS + 5] = logs[3]
    with pytest.raises(sa.exc.IntegrityError), database.write() as transaction:
        bulk.insert(transaction.connection, t.call_log, logs)
    assert count(database, t.call_log) == 0
    with database.write() as transaction:
        bulk.insert(transaction.connection, t.call_log, logs, ignore=True)
    assert count(database, t.call_log) == many - 1


def test_a_resend_changes_nothing(database: Database, writer: CallWriter, new_writer: Callable[[], CallWriter]) -> None:
    batch = Batch(calls=(make_call(1), make_call(2)))
    writer.write([batch])
    before = [count(database, table) for table in t.metadata.sorted_tables if table.name != "id_block"]
    for again in (writer, new_writer()):
        receipt = again.write([batch])[0]
        assert (receipt.new, receipt.repeated) == (0, 2)
    assert [count(database, table) for table in t.metadata.sorted_tables if table.name != "id_block"] == before


def test_the_same_ids_with_other_content_are_kept_as_a_conflict(
    database: Database, writer: CallWriter, keyring: KeyRing
) -> None:
    call = make_call()
    first = writer.write([Batch(calls=(call,))])[0].call_ids[0]
    other = replace(call, output=(Message(role="assistant", text="Something else."),))
    assert writer.write([Batch(calls=(other, other))])[0].conflicts == 2
    assert writer.write([Batch(calls=(other,))])[0].conflicts == 1
    assert count(database, t.call_conflict) == 1
    assert opened(database, keyring, first) == call
    with database.read() as connection:
        assert calls_store.read_call(connection, first, texts=TEXTS)["conflicts"] == 1


def test_repeated_content_of_a_conversation_is_stored_once(database: Database, writer: CallWriter) -> None:
    history: tuple[Message, ...] = (Message(role="system", text="Be kind."),)
    for turn in range(10):
        question = Message(role="user", text=f"Question {turn}?")
        answer = Message(role="assistant", text=f"Answer {turn}.")
        call = make_call(turn, input=(*history, question), output=(answer,), documents=(), tool_calls=())
        writer.write([Batch(calls=(call,))])
        history = (*history, question, answer)
    assert count(database, t.message) == 1 + 2 * 10


def test_equal_text_of_two_conversations_is_stored_apart(database: Database, writer: CallWriter) -> None:
    for session in ("a", "b"):
        writer.write([Batch(calls=(make_call(ord(session), session_id=session, trace_id=f"{ord(session):032x}"),))])
    with database.read() as connection:
        digests = [bytes(row.digest) for row in connection.execute(sa.select(t.message.c.digest))]
    assert len(set(digests)) == len(digests)


def test_no_content_lies_in_clear(sqlite_url: str, database: Database, writer: CallWriter) -> None:
    secret = "Rumpelstilzchen"
    call = make_call(
        input=(Message(role="user", text=f"I am {secret}"),),
        tool_calls=(ToolCall(id="1", name="n", arguments=f'{{"q": "{secret}"}}', result=secret),),
        attributes={"note": secret},
    )
    writer.write([Batch(calls=(call,))])
    with database.read() as connection:
        for table in t.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                for value in row:
                    assert secret not in (value.decode("latin-1") if isinstance(value, bytes) else str(value))


def test_a_moved_or_changed_ciphertext_does_not_open(database: Database, writer: CallWriter, keyring: KeyRing) -> None:
    call_id = writer.write([Batch(calls=(make_call(),))])[0].call_ids[0]
    with database.write() as transaction:
        rows = transaction.connection.execute(sa.select(t.message.c.id, t.message.c.body)).all()
        for (number, _), (_, body) in zip(rows, [*rows[1:], *rows[:1]], strict=True):
            transaction.connection.execute(t.message.update().where(t.message.c.id == number).values(body=body))
    with pytest.raises(NotFound, match="changed or moved"):
        opened(database, keyring, call_id)


def test_another_key_encryption_key_is_refused(database: Database, writer: CallWriter) -> None:
    call_id = writer.write([Batch(calls=(make_call(),))])[0].call_ids[0]
    with pytest.raises(Misconfigured, match="does not fit"):
        opened(database, KeyRing(b"\x06" * 32), call_id)


def test_writers_with_stale_caches_agree(
    database: Database, new_writer: Callable[[], CallWriter], keyring: KeyRing
) -> None:
    one, two = new_writer(), new_writer()
    one.write([Batch(calls=(make_call(1),))])
    two.write([Batch(calls=(make_call(2),))])
    one.write([Batch(calls=(make_call(3),))])  # knows nothing of what `two` added to the conversation
    two.write([Batch(calls=(make_call(4), make_call(3)))])
    assert count(database, t.call) == 4
    assert count(database, t.conversation) == 1
    assert count(database, t.system) == 1
    assert count(database, t.message) == 1 + 2 * 4 + 1 + 2


def test_writers_at_the_same_time_lose_and_double_nothing(
    database: Database, new_writer: Callable[[], CallWriter]
) -> None:
    errors: list[Exception] = []
    receipts = []

    def run(seed: int) -> None:
        numbers = list(range(60))
        random.Random(seed).shuffle(numbers)
        writer = new_writer()
        try:
            for start in range(0, 60, 6):
                batch = Batch(calls=tuple(make_call(number) for number in numbers[start : start + 6]))
                receipts.append(writer.write([batch])[0])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert count(database, t.call) == 60
    assert sum(receipt.new for receipt in receipts) == 60
    assert sum(receipt.repeated for receipt in receipts) == 180
    assert count(database, t.audit_event) == 60


QUESTION = Message(role="user", text="When do you open?")
ANSWER = Message(role="assistant", text="At nine.")


@pytest.mark.parametrize("order", ["logs first", "span first", "one at a time"])
def test_content_that_came_apart_is_joined_in_any_order(
    database: Database, writer: CallWriter, keyring: KeyRing, order: str
) -> None:
    span = make_call(content_captured=False, input=(), output=(), documents=(), tool_calls=())
    logs = [
        make_event(after=1, input=(QUESTION,)),
        make_event(after=2, name="gen_ai.choice", output=(ANSWER,)),
    ]
    if order == "logs first":
        batches = [Batch(content_events=tuple(logs)), Batch(calls=(span,))]
    elif order == "span first":
        batches = [Batch(calls=(span,)), Batch(content_events=tuple(logs))]
    else:
        batches = [Batch(content_events=(logs[0],)), Batch(calls=(span,)), Batch(content_events=(logs[1],))]
    ids = {number for batch in batches for number in writer.write([batch])[0].call_ids}
    assert len(ids) == 1
    call = opened(database, keyring, ids.pop())
    assert (call.input, call.output, call.content_captured) == ((QUESTION,), (ANSWER,), True)
    assert (call.model, call.user) == (span.model, span.user)
    for batch in batches:
        assert writer.write([batch])[0].new == 0
    assert opened(database, keyring, 0 or int(_only(database))) == call


def _only(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(t.call.c.id)).scalar_one())


def test_content_on_the_span_and_on_logs_is_there_once(
    database: Database, writer: CallWriter, keyring: KeyRing
) -> None:
    span = make_call(input=(QUESTION,), output=(ANSWER,), documents=(), tool_calls=())
    logs = (make_event(after=1, input=(QUESTION,)), make_event(after=2, output=(ANSWER,)))
    for batches in ([Batch(calls=(span,)), Batch(content_events=logs)],):
        for batch in batches:
            writer.write([batch])
    call = opened(database, keyring, _only(database))
    assert (call.input, call.output) == ((QUESTION,), (ANSWER,))


def test_a_tool_named_without_arguments_is_no_captured_content(
    database: Database, writer: CallWriter, keyring: KeyRing
) -> None:
    span = make_call(content_captured=False, input=(), output=(), documents=(), tool_calls=())
    log = make_event(after=1, tool_calls=(ToolCall(id="t", name="transfer"),))
    for batch in (Batch(content_events=(log,)), Batch(calls=(span,))):
        writer.write([batch])
        assert not opened(database, keyring, _only(database)).content_captured
    writer.write([Batch(content_events=(make_event(after=2, input=(QUESTION,)),))])
    assert opened(database, keyring, _only(database)).content_captured


def test_a_tool_s_result_joins_its_call_that_came_in_another_log_record(
    database: Database, writer: CallWriter, keyring: KeyRing
) -> None:
    asked = ToolCall(id="t", name="look_up", arguments="{}")
    results = [
        ToolCall(id="t", result="shipped"),
        ToolCall(id="t", result="shipped"),
        ToolCall(id="x", result="whose?"),
    ]
    logs = [
        make_event(after=number, tool_calls=(tool,))
        for number, tool in enumerate([asked, asked, *results, ToolCall(id="t", result="returned")])
    ]
    writer.write([Batch(content_events=tuple(logs))])
    call = opened(database, keyring, _only(database))
    assert call.tool_calls == (ToolCall(id="t", name="look_up", arguments="{}", result="shipped"),)
    assert call.input == (Message(role="tool", text="whose?"), Message(role="tool", text="returned"))


def test_a_user_may_say_the_same_thing_twice(database: Database, writer: CallWriter, keyring: KeyRing) -> None:
    yes = Message(role="user", text="yes")
    logs = (make_event(after=1, input=(yes,)), make_event(after=2, input=(yes,)))
    writer.write([Batch(content_events=logs)])
    assert opened(database, keyring, _only(database)).input == (yes, yes)


def test_a_call_whose_content_was_erased_stays_erased(
    database: Database, writer: CallWriter, new_writer: Callable[[], CallWriter], keyring: KeyRing
) -> None:
    batch = Batch(calls=(make_call(),))
    call_id = writer.write([batch])[0].call_ids[0]
    with database.write() as transaction:
        transaction.connection.execute(t.conversation.update().values(wrapped_key=None))
        transaction.connection.execute(t.message.update().values(body=None))
    assert new_writer().write([batch])[0].repeated == 1
    with pytest.raises(NotFound, match="erased"):
        opened(database, keyring, call_id)


def test_work_is_queued_with_the_calls(database: Database, writer: CallWriter, jobs: JobQueue) -> None:
    writer.write([Batch(calls=tuple(make_call(number) for number in range(450)))])
    with database.read() as connection:
        assert jobs.waiting(connection) == 3  # type: ignore[attr-defined]


def test_what_cannot_be_committed_leaves_nothing(
    database: Database, writer: CallWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("disk full")

    assert database.audit is not None
    with monkeypatch.context() as patch:
        patch.setattr(database.audit, "write", fail)
        with pytest.raises(RuntimeError):
            writer.write([Batch(calls=(make_call(),))])
    assert count(database, t.call) == count(database, t.message) == count(database, t.conversation) == 0
    assert writer.write([Batch(calls=(make_call(),))])[0].new == 1


def test_the_opener_says_what_it_cannot_read(database: Database, writer: CallWriter, keyring: KeyRing) -> None:
    call_id = writer.write([Batch(calls=(make_call(),))])[0].call_ids[0]
    with database.write() as transaction:
        transaction.connection.execute(t.message.update().values(body=b"\0" * 40))
    with database.read() as connection:
        loaded = CallOpener(keyring).open(connection, [call_id])[0]
    assert loaded.call is None
    assert "does not open" in loaded.unreadable


def test_tampered_is_an_error_of_its_own() -> None:
    key, _ = KeyRing(b"\x05" * 32).create()
    with pytest.raises(Tampered):
        key.open(key.seal(b"x", b"a"), b"b")


def test_looking_for_calls_uses_the_index(database: Database, writer: CallWriter) -> None:
    """The look-up before each commit must not grow with the table."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by statistics")
    seen: list[str] = []

    def explain(connection: sa.Connection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("WITH wanted"):
            plan = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            seen.extend(str(row[3]) for row in plan)

    sa.event.listen(database.engine, "before_cursor_execute", explain)
    writer.write([Batch(calls=(make_call(1), make_call(2)))])
    assert any("USING INDEX" in step for step in seen)
    assert [step for step in seen if step.startswith("SCAN") and "wanted" not in step and "CONSTANT" not in step] == []
