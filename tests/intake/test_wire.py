"""The messages between server, decoder and recorder: they arrive as sent, and nothing else is taken for one."""

from __future__ import annotations

import marshal
import pickle
import sys
import time
import tracemalloc
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.bootstrap import open_application
from governance.bootstrap.settings import Settings
from governance.domain.calls import Call, ContentEvent
from governance.errors import BadInput, Overloaded, TooLarge
from governance.intake import Body, Decoded, Taken, remote, wire
from governance.intake.remote import RemoteIntake
from governance.processes.child import DEVNULL, Child
from governance.store.calls.prepared import prepare
from tests.intake.test_intake import LIMIT, body, stored
from tests.serving import traces
from tests.store.conftest import make_call, make_event
from tests.store.test_parts import documents, messages, tools, words

content = {
    "input": st.lists(messages, max_size=3).map(tuple),
    "output": st.lists(messages, max_size=2).map(tuple),
    "documents": st.lists(documents, max_size=2).map(tuple),
    "tool_calls": st.lists(tools, max_size=2).map(tuple),
    "session_id": words,
    "attributes": st.dictionaries(words, words | st.integers() | st.lists(st.booleans() | st.none())),
}
calls = st.builds(make_call, number=st.integers(0, 99), error=words, duration_ms=st.none() | st.floats(0, 9), **content)
events = st.builds(make_event, number=st.integers(0, 99), after=st.integers(0, 999), name=words, **content)


@given(st.binary(), st.text(), st.text(), st.text())
def test_a_request_arrives_as_it_was_sent(content: bytes, content_type: str, coding: str, system: str) -> None:
    sent = Body(signal="logs", content=content, content_type=content_type, coding=coding, system=system, limit=5)
    assert wire.read_request(*wire.request(3, sent)) == (3, sent)


@given(st.integers(0, 10**6), st.lists(st.text(), max_size=3).map(tuple))
def test_an_outcome_arrives_as_it_was(count: int, problems: tuple[str, ...]) -> None:
    taken = Taken(items=count, rejected=1, problems=problems, new=count)
    assert wire.read_answer(wire.answer(7, taken)) == (7, taken)


@given(st.integers(0, 2**64 - 1), st.lists(calls, max_size=3), st.lists(events, max_size=3))
def test_a_batch_arrives_as_it_was_sent(number: int, some: list[Call], apart: list[ContentEvent]) -> None:
    decoded = Decoded(
        calls=[prepare(call) for call in some], content_events=apart, rejected=2, problems=("Span 1 has no trace id.",)
    )
    message = wire.batch(number, decoded, limit=LIMIT)
    assert wire.read_head(message) == (number, None)
    assert wire.read_batch(message) == decoded


def test_a_refusal_arrives_with_its_words() -> None:
    number, error = wire.read_head(wire.refusal(5, BadInput("No batch.", advice="Look.")))
    assert number == 5
    assert isinstance(error, BadInput)
    assert (error.message, error.advice) == ("No batch.", "Look.")


def test_an_error_arrives_with_its_words_and_a_foreign_one_without() -> None:
    _, error = wire.read_answer(wire.answer(1, Overloaded("Full.", advice="Wait.", retry_after=9)))
    assert isinstance(error, Overloaded)
    assert (error.message, error.advice, error.retry_after) == ("Full.", "Wait.", 9)
    _, foreign = wire.read_answer(wire.answer(1, RuntimeError("the prompt's own words")))
    assert isinstance(foreign, Overloaded)
    assert "prompt" not in str(foreign)


def batch_of(some: list[Call], apart: list[ContentEvent]) -> bytes:
    decoded = Decoded(calls=[prepare(call) for call in some], content_events=apart)
    return wire.batch(1, decoded, limit=LIMIT)


def read(message: bytes) -> object:
    """What the recorder does with a message."""
    number, refusal = wire.read_head(message)
    return (number, refusal) if refusal else wire.read_batch(message)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\0" * 9, b"\0" * 8 + b"\1"]))
def test_bytes_at_random_are_refused(content: bytes, head: bytes) -> None:
    for reader in (read, wire.read_answer, lambda message: wire.read_request(message, b"")):
        with suppress(wire.Malformed):  # and no other error
            reader(head + content)


@given(st.lists(calls, max_size=2), st.lists(events, max_size=2), st.data())
def test_a_changed_batch_is_refused_or_is_another_batch(
    some: list[Call], apart: list[ContentEvent], data: st.DataObject
) -> None:
    message = bytearray(batch_of(some, apart))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(9, len(message) - 1))
        change = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if change == "set":
            message[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del message[at:]
            break
        else:
            message.insert(at, data.draw(st.integers(0, 255)))
    try:
        found = wire.read_batch(bytes(message))
    except wire.Malformed:
        return
    assert wire.read_batch(wire.batch(1, found, limit=LIMIT)) == found


HEAD = b"\0" * 9
SPAN = (b"s" * 16, b"s" * 8, None, "bot", "trace:", "", "", "")
FACTS = ("llm", "", "", "", "", 0, None, "", "", None, None, None, "", 1)


def call(facts: tuple[Any, ...] = FACTS, frame: tuple[Any, ...] = ("input", 0), text: bytes = b"", **rest: Any) -> Any:
    return (*rest.get("span", SPAN), facts, [(frame, b"", text)], rest.get("attributes"), rest.get("head", b""))


def encoded(*calls: Any, more: tuple[Any, ...] = ()) -> bytes:
    return HEAD + msgspec.msgpack.encode((calls, [], 0, [], *more))


def test_the_smallest_call_is_taken() -> None:
    (found,) = wire.read_batch(encoded(call())).calls
    assert found.kind == "llm"


@pytest.mark.parametrize(
    "message",
    [
        HEAD + marshal.dumps(([], [], 0, ())),
        HEAD + pickle.dumps(([], [], 0, ())),
        encoded() + b"\0",
        encoded(more=("more",)),
        encoded((*call(), "more")),
        encoded(call(facts=("oracle", *FACTS[1:]))),
        encoded(call(facts=(*FACTS[:5], 2**63, *FACTS[6:]))),
        encoded(call(facts=(*FACTS[:-1], 2))),
        encoded(call(frame=("oracle", 0))),
        encoded(call(frame=("input", 7))),
        encoded(call(frame=("input",))),
        encoded(call(frame=("input", 0, "user", "text", "", 0.5, [], "more"))),
        encoded(call(frame=("input", 0, 5))),
        encoded(call(frame=("input", 0, "user", "text", "", "0.5"))),
        encoded(call(text=b"\xff")),
        encoded(call(attributes=b"{")),
        encoded(call(span=(b"s" * 15, *SPAN[1:]))),
        encoded(call(head="text")),
        b"",
        HEAD[:-1],
        HEAD,
        HEAD[:-1] + b"\1" + msgspec.msgpack.encode(("SystemExit", "", "", 0)),
    ],
)
def test_what_the_types_do_not_allow_is_refused(message: bytes) -> None:
    with pytest.raises(wire.Malformed):
        read(message)


@pytest.mark.parametrize(
    "claim", [b"\xdd\xff\xff\xff\xff", b"\x94\xdd\xff\xff\xff\xff", b"\x94\xc6\xff\xff\xff\xff", b"\x91" * 10**6]
)
def test_a_length_that_is_only_claimed_takes_no_memory(claim: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(wire.Malformed):
        wire.read_batch(HEAD + claim)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.parametrize(
    "answer",
    [
        (1, None, [], None),
        (1, (1, 0, 0, 0, 0), [], ("BadInput", "", "", 0)),
        (-1, (1, 0, 0, 0, 0), [], None),
        (1, (1, 0, 0, 0), [], None),
        (1, (-1, 0, 0, 0, 0), [], None),
        (1, None, [], ("GeneratorExit", "", "", 0)),
    ],
)
def test_an_answer_is_one_or_the_other(answer: tuple[Any, ...]) -> None:
    with pytest.raises(wire.Malformed):
        wire.read_answer(msgspec.msgpack.encode(answer))


def test_a_batch_that_the_recorder_would_refuse_is_not_sent() -> None:
    wide = Decoded(calls=[prepare(make_call(1, attributes={"a": "x" * 2**24}))] * 2)
    with pytest.raises(TooLarge):
        wire.batch(1, wide, limit=2**20)


DECODER = """
import sys
from multiprocessing.connection import Connection
bodies, batches = Connection(int(sys.argv[1]), writable=False), Connection(int(sys.argv[2]), readable=False)
batches.send_bytes(b"ready")
bodies.recv_bytes(), bodies.recv_bytes()
{does}
bodies.recv_bytes()
"""


@pytest.mark.parametrize(
    "does",
    [
        "batches.send_bytes(bytes(8) + b'\\1\\0junk')",
        # An outcome of a body that was never sent.
        "import msgspec; batches.send_bytes(bytes(7) + b'\\7\\0' + msgspec.msgpack.encode(([], [], 0, [])))",
        # A message of 2 GiB is announced.
        "import os; os.write(batches.fileno(), b'\\x7f\\xff\\xff\\xff' + bytes(100))",
        "import os; os.write(batches.fileno(), b'\\0\\0')",
        "",
    ],
    ids=["junk", "unknown number", "too long", "half a head", "silence"],
)
def test_a_decoder_that_has_turned_against_us_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, does: str
) -> None:
    begun: list[Child] = []
    real = remote._started

    def started(name: str, environment: dict[str, str], *ends: Connection) -> Child:
        if name == "decoder":
            monkeypatch.setattr(remote, "SILENT_SECONDS", 60 if begun else 1)
        if name != "decoder" or begun:
            return real(name, environment, *ends)
        numbers = [end.fileno() for end in ends]
        command = [sys.executable, "-c", DECODER.format(does=does), *map(str, numbers)]
        begun.append(Child(command, passed=numbers, stdin=DEVNULL))
        for end in ends:
            end.close()
        return begun[0]

    monkeypatch.setattr(remote, "_started", started)
    open_application(Settings(data_dir=tmp_path, _env_file=None)).close()  # type: ignore[call-arg]
    intake = RemoteIntake({"GOVERNANCE_DATA_DIR": str(tmp_path), "PATH": ""})
    intake.start()
    try:
        with pytest.raises(Overloaded):
            intake.take(body(traces(range(3)))).result(30)
        assert begun[0].wait(30) == -9
        deadline = time.monotonic() + 30
        while not intake.up and time.monotonic() < deadline:
            time.sleep(0.05)
        assert intake.take(body(traces(range(3)))).result(30).new == 3
    finally:
        intake.close()
    assert stored(tmp_path) == 3
