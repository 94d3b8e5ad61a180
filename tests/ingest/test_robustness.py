"""Bad, hostile and huge input: a clear error or a batch, in bounded memory and linear time; never another exception."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.calls import Call, ContentEvent
from governance.domain.times import EPOCH
from governance.errors import BadInput, TooLarge
from governance.ingest import otlp
from governance.ingest.batch import Batch
from governance.ingest.body import MAX_MEMBERS, unpacked
from governance.ingest.bounds import MAX_TOTAL
from governance.ingest.interpret import TABLE
from governance.ingest.otlp import decode_logs, decode_traces
from governance.ingest.text import MAX_CONTAINERS, from_json, storable
from governance.ingest.transcript import MAX_PARTS, Transcript
from tests.ingest.building import (
    BODIES,
    JSON,
    LIMIT,
    PROTOBUF,
    START,
    as_json,
    call,
    events,
    log_request,
    said,
    stored,
    trace_request,
    traces,
)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    *sorted(TABLE),
    "llm.input_messages.0.message.role",
    "llm.input_messages.0.message.content",
    "llm.input_messages.0.message.contents.0.message_content",
    "llm.input_messages.0",
    "llm.output_messages.1.message.tool_calls.0.tool_call.function",
    "llm.tools.0.tool.json_schema",
    "retrieval.documents.0.document.metadata",
    "embedding.embeddings.0.embedding.text",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0",
    "gen_ai.prompt.variable.x",
    "message.tool_calls.0.tool_call.function",
]
shaped = st.one_of(
    anything,
    st.sampled_from(
        [
            {"role": "user", "content": [{"type": "text"}]},
            [{"role": 5, "parts": [None, 3, {"type": 7}]}],
            [{"type": "tool_result", "content": [{"type": "image"}]}],
            {"messages": [[{"lc": 1, "kwargs": {"content": None}}]]},
            [{"function": "f"}, {"functionResponse": {}}, {"toolUse": {"input": {}}}],
            {"choices": [None, {"message": 1}, {"delta": {}}]},
            {"candidates": [{"content": {"parts": "x"}}]},
            [[[[[]]]]],
            {"role": "tool", "content": {"a": 1}},
            {"role": ["user"], "parts": []},
            {"role": "tool", "content": [{"type": ["tool_result"]}]},
            {"tool_calls": [None, {"id": 1, "function": {"arguments": {"a": [1]}}}], "role": "assistant"},
        ]
    ),
).flatmap(lambda item: st.sampled_from([item, json.dumps(item, default=str)]))


def decoded(body: bytes, media: str, encoding: str = "") -> Batch | None:
    """A batch, or None for a clear error; whatever comes out can be stored."""
    found: Batch | None = None
    problems: list[str] = []
    for decode in (decode_traces, decode_logs):
        try:
            batch = decode(body, media, encoding, limit=LIMIT)
        except BadInput as error:
            problems.append(error.message)
            continue
        items: tuple[Call | ContentEvent, ...] = (*batch.calls, *batch.content_events)
        for item in items:
            json.dumps(item.attributes, allow_nan=False).encode()
            for message in (*item.input, *item.output):
                assert "\0" not in message.text
                message.text.encode()
        found = batch
    assert all(problems)
    return found


@given(st.binary(max_size=400), st.sampled_from([PROTOBUF, JSON]), st.sampled_from(["", "gzip", "deflate"]))
def test_arbitrary_bytes_are_bad_input_or_a_batch(body: bytes, media: str, encoding: str) -> None:
    decoded(body, media, encoding)


@given(st.data())
@settings(max_examples=150)
def test_mutated_real_bodies_are_bad_input_or_a_batch(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(path.name for path in BODIES.glob("*.bin"))))
    body, media, encoding = stored(name.removesuffix(".bin"))
    broken = bytearray(gzip.decompress(body) if encoding else body)
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(broken))
        match rng.randrange(3):
            case 0:
                broken[place] = rng.randrange(256)
            case 1:
                del broken[place : place + rng.randrange(1, 9)]
            case _:
                broken[place:place] = rng.randbytes(3)
    decoded(bytes(broken), media)


@given(
    st.dictionaries(st.sampled_from(NAMES), shaped, max_size=8), st.sampled_from([None, "gen_ai.choice", "exception"])
)
@settings(max_examples=400)
def test_no_value_of_any_attribute_raises_and_both_encodings_agree(
    attributes: dict[str, Any], event: str | None
) -> None:
    plain = {key: item for key, item in attributes.items() if item is not None}
    request = trace_request({"attributes": plain, "events": [(event, plain)] if event else []})
    first = traces(request)
    assert len(first.calls) == 1
    assert first == traces(request)
    if "\\ud" not in repr(plain):
        assert decode_traces(as_json(request), JSON, limit=LIMIT) == first


@given(
    shaped, st.sampled_from(["gen_ai.user.message", "gen_ai.tool.message", "gen_ai.choice", "gen_ai.content.prompt"])
)
def test_no_body_of_any_log_record_raises_and_both_encodings_agree(body: Any, name: str) -> None:
    request = log_request({"name": name, **({} if body is None else {"body": body})})
    first = decode_logs(request.SerializeToString(), PROTOBUF, limit=LIMIT)
    assert decode_logs(as_json(request), JSON, limit=LIMIT) == first


@pytest.mark.parametrize("name", sorted(path.name.removesuffix(".bin") for path in BODIES.glob("*.bin")))
def test_real_bodies_are_the_same_as_json(name: str) -> None:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    body, media, encoding = stored(name)
    kind, decode = (
        (ExportTraceServiceRequest, decode_traces) if ".traces" in name else (ExportLogsServiceRequest, decode_logs)
    )
    request = kind.FromString(gzip.decompress(body) if encoding else body)
    first = decode(body, media, encoding, limit=LIMIT)
    assert decode(as_json(request), f"{JSON}; charset=utf-8", limit=LIMIT) == first
    assert decode(gzip.compress(as_json(request)), JSON, "gzip", limit=LIMIT) == first


def test_json_takes_numbers_and_names_where_the_mapping_allows_both() -> None:
    span = {
        "traceId": "0AF7651916CD43DD8448EB211C80319C",
        "spanId": "b7ad6b7169203331",
        "parentSpanId": None,
        "name": "n",
        "startTimeUnixNano": START,
        "endTimeUnixNano": str(START + 10**9),
        "status": {"code": "STATUS_CODE_ERROR", "message": "boom"},
        "somethingNew": [1, {"a": 2}],
        "attributes": [
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 7}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "8"}},
            {"key": "raw", "value": {"bytesValue": "AQI="}},
            {"key": "nan", "value": {"doubleValue": "NaN"}},
            {"key": "none", "value": {}},
        ],
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "extra": True}).encode()
    (got,) = decode_traces(body, JSON, limit=LIMIT).calls
    assert (got.trace_id, got.duration_ms, got.error) == ("0af7651916cd43dd8448eb211c80319c", 1000.0, "boom")
    assert (got.usage.input_tokens, got.usage.output_tokens) == (7, 8)
    assert (got.attributes["raw"], got.attributes["nan"], got.attributes["none"]) == ("AQI=", "NaN", None)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"resourceSpans": {}}, "resourceSpans"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}, "resourceSpans[0].scopeSpans[0].spans[0]"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 7}]}]}]}, "spans[0].name"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "x"}]}]}]}, "startTimeUnixNano"),
        (
            {
                "resourceSpans": [
                    {"scopeSpans": [{"spans": [{"attributes": [{"key": "a", "value": {"intValue": 2**63}}]}]}]}
                ]
            },
            "attributes[0].value.intValue",
        ),
        ([], "not a JSON object"),
    ],
)
def test_json_of_a_wrong_type_says_where(document: Any, where: str) -> None:
    with pytest.raises(BadInput) as error:
        decode_traces(json.dumps(document).encode(), JSON, limit=LIMIT)
    assert where in error.value.message


@pytest.mark.parametrize(
    ("body", "media", "encoding", "words"),
    [
        (b"\x0a\xff\xff", PROTOBUF, "", "ExportTraceServiceRequest"),
        (b"{", JSON, "", "not JSON"),
        (b"[" * 200_000, JSON, "", "not JSON"),
        (b"[" + b"9" * 5000 + b"]", JSON, "", r"a number has too many digits"),
        (b"x", "text/plain", "", "Content-Type 'text/plain'"),
        (b"x", PROTOBUF, "br", "Content-Encoding 'br'"),
        (b"not gzip", PROTOBUF, "gzip", "corrupt"),
        (gzip.compress(b"abc" * 1000)[:-9], PROTOBUF, "gzip", "ends too early"),
        (gzip.compress(b"")[:-1] + b"\x01", PROTOBUF, "gzip", "corrupt"),
        (gzip.compress(b"") + b"garbage", PROTOBUF, "gzip", "after its end"),
        (b"", PROTOBUF, "gzip", "ends too early"),
    ],
)
def test_undecodable_bodies_say_why(body: bytes, media: str, encoding: str, words: str) -> None:
    with pytest.raises(BadInput) as error:
        decode_traces(body, media, encoding, limit=LIMIT)
    assert words in error.value.message
    assert error.value.advice


def test_gzip_members_zero_padding_and_deflate_are_read() -> None:
    parts = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 100
    assert unpacked(parts, "gzip", limit=1000) == b"one two"
    assert unpacked(zlib.compress(b"three"), "deflate", limit=100) == b"three"
    big = random.Random(1).randbytes(300_000)
    assert unpacked(gzip.compress(big) + gzip.compress(b"!"), "GZIP ", limit=400_000) == big + b"!"
    with pytest.raises(BadInput, match="members"):
        unpacked(gzip.compress(b"") * (MAX_MEMBERS + 1), "gzip", limit=10**6)


def test_the_limit_counts_after_decompression_to_the_byte() -> None:
    body = gzip.compress(b"x" * 1000)
    assert len(unpacked(body, "gzip", limit=1000)) == 1000
    with pytest.raises(TooLarge, match="999"):
        unpacked(body, "gzip", limit=999)
    with pytest.raises(TooLarge):
        unpacked(b"x" * 11, "", limit=10)
    with pytest.raises(TooLarge, match="objects and lists"):
        decode_traces(b"[" * 1_500_001, JSON, limit=LIMIT)


def test_an_empty_request_is_an_empty_batch() -> None:
    assert decode_traces(b"", PROTOBUF, limit=LIMIT) == Batch() == decode_logs(b"{}", JSON, limit=LIMIT)


def test_a_gzip_bomb_is_refused_in_bounded_memory() -> None:
    script = """
import gzip, io, resource, zlib
from governance.errors import TooLarge
from governance.ingest.otlp import decode_traces
packer = zlib.compressobj(9, zlib.DEFLATED, 31)
zeros = bytes(1 << 20)
bomb = b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_traces(bomb, "application/x-protobuf", "gzip", limit=20 << 20)
except TooLarge:
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(len(bomb), (after - before) * 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    packed, grown = map(int, done.stdout.split())
    assert packed < 2 * 2**20
    assert grown < 50 * 2**20  # of a gigabyte


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ({"trace_id": b""}, "has no trace id"),
        ({"span_id": b""}, "has no span id"),
        ({"trace_id": b"\1" * 15}, "has a trace id that is not 32 hex digits"),
        ({"span_id": b"\1" * 9}, "has a span id that is not 16 hex digits"),
        ({"trace_id": bytes(16)}, "has a trace id of zeros only"),
        ({"span_id": bytes(8)}, "has a span id of zeros only"),
    ],
)
def test_a_span_that_cannot_be_identified_is_rejected_and_the_others_are_taken(
    ids: dict[str, bytes], words: str
) -> None:
    batch = traces(trace_request({"name": "good"}, {"name": "bad", **ids}, {"name": "fine"}))
    assert [got.name for got in batch.calls] == ["good", "fine"]
    assert batch.rejected == 1
    assert len(batch.problems) == 1
    assert batch.problems[0].startswith(f"Span 1 ('bad') {words}")
    logs = decode_logs(log_request({"name": "gen_ai.choice", **ids}).SerializeToString(), PROTOBUF, limit=LIMIT)
    assert (logs.rejected, logs.content_events) == (1, ())


def test_ids_in_base64_are_told_apart_from_hex() -> None:
    span = {"traceId": "CvdlGRbNQ92ESOshHIAxnA==", "spanId": "t61rcWkgMzE="}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span] * 50}]}]}).encode()
    batch = decode_traces(body, JSON, limit=LIMIT)
    assert (batch.calls, batch.rejected, len(batch.problems)) == ((), 50, 20)


@pytest.mark.parametrize(
    ("times", "started", "duration", "note"),
    [
        ({"start": 0, "end": 0}, EPOCH, None, "no start time"),
        ({"start": 0, "end": START}, None, None, "no start time"),
        ({"start": START, "end": START - 1}, None, None, "end time is before the start time"),
        ({"start": START, "end": 0}, None, None, "no end time"),
        ({"start": START, "end": 2**64 - 1}, None, None, f"end time is not usable: {2**64 - 1} ns"),
        ({"start": 2**64 - 1, "end": START}, None, None, f"start time is not usable: {2**64 - 1} ns"),
        ({"start": 5, "end": 6}, EPOCH, None, "start time is not usable: 5 ns"),
    ],
)
def test_absurd_times_become_none_with_a_note(times: dict[str, int], started: Any, duration: Any, note: str) -> None:
    got = call({}, **times)
    assert got.started_at == (started or call({}).started_at)
    assert got.duration_ms is duration
    assert got.attributes["governance.notes"] == [note]


def test_texts_that_databases_refuse_become_storable_with_every_offset_kept() -> None:
    assert storable("a\0b\ud800c日") == "a\ufffdb\ufffdc日"
    raw = (
        json.dumps([{"role": "user", "content": "a\0b"}])[:-1]
        + ', {"role": "user", "content": "x\\udfffy \\ud83d\\ude00"}]'
    )
    got = call({"gen_ai.input.messages": raw, "session.id": "s\0", "k\0": "v\0"}, name="n\0")
    assert said(got.input) == [("user", "a\ufffdb"), ("user", "x\ufffdy 😀")]
    assert (got.session_id, got.name, got.attributes) == ("s\ufffd", "n\ufffd", {"k\ufffd": "v\ufffd"})


@pytest.mark.parametrize("broken", ['[{"role": "user", "content": "My SSN', "{]", "not JSON at all"])
def test_content_that_is_no_json_is_kept_as_it_came(broken: str) -> None:
    got = call({"gen_ai.input.messages": broken, "gen_ai.output.messages": broken})
    assert (said(got.input), said(got.output)) == ([("user", broken)], [("assistant", broken)])
    assert got.content_captured


def test_long_names_and_ids_fit_their_columns_and_distinct_ids_stay_distinct() -> None:
    first, second = (
        call({"user.id": "u" * 500 + end, "session.id": "s" * 500, "gen_ai.request.model": "m" * 500}, name="n" * 500)
        for end in "ab"
    )
    for got in (first, second):
        assert max(len(got.user.id), len(got.session_id), len(got.model), len(got.name)) == 200
    assert first.user.id != second.user.id
    assert first.session_id == second.session_id


def test_attributes_are_bounded_and_what_is_left_out_is_counted() -> None:
    got = call({f"k{i}": "x" * 10_000 for i in range(500)})
    left_out = got.attributes["governance.attributes_left_out"]
    assert isinstance(left_out, int)
    assert left_out + len(got.attributes) - 1 == 500
    assert len(json.dumps(dict(got.attributes))) < 2 * MAX_TOTAL


def test_a_message_of_10_mb_is_kept_whole() -> None:
    text = "Refund, please. " * 655_360
    got = call({"gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])})
    assert got.input[0].text == text


def test_10_000_messages_in_one_call_are_all_kept() -> None:
    history: list[dict[str, Any]] = []
    for i in range(5_000):
        history.append(
            {"role": "assistant", "tool_calls": [{"id": f"t{i}", "function": {"name": "f", "arguments": "{}"}}]}
        )
        history.append({"role": "tool", "tool_call_id": f"t{i}", "content": str(i)})
    got = call({"gen_ai.input.messages": json.dumps(history)})
    assert [tool.result for tool in got.tool_calls] == [str(i) for i in range(5_000)]
    flat = {f"llm.input_messages.{i}.message.content": f"m{i}" for i in range(10_000)}
    assert [message.text for message in call(flat).input] == [f"m{i}" for i in range(10_000)]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("gen_ai.input.messages", [1] * (MAX_PARTS + 5)),
        ("gen_ai.output.messages", [{"role": "assistant", "tool_calls": ["c"] * (MAX_PARTS + 5)}]),
        ("gen_ai.input.messages", [{"role": "user", "content": ["p"] * (MAX_PARTS + 5)}]),
        ("gen_ai.system_instructions", ["s"] * (MAX_PARTS + 5)),
        ("gen_ai.retrieval.documents", ["d"] * (MAX_PARTS + 5)),
        ("gen_ai.prompt", ["t"] * (MAX_PARTS + 5)),
        ("events", [1] * (MAX_PARTS + 5)),
    ],
)
def test_of_a_list_without_end_the_rest_is_one_text(attribute: str, value: list[Any]) -> None:
    got = call({"gen_ai.operation.name": "chat", attribute: json.dumps(value)})
    kept = [*(m.text for m in (*got.input, *got.output)), *(d.text for d in got.documents)]
    kept += [tool.arguments for tool in got.tool_calls]
    assert len(kept) == MAX_PARTS + 1
    assert len(kept[-1]) > len(kept[0])
    assert sum(text.count(kept[0]) for text in kept) == MAX_PARTS + 5


def test_more_parts_than_a_body_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MAX_PARTS", 20)
    many = {"attributes": {"gen_ai.input.messages": json.dumps([{"role": "user", "content": "x"}] * 7)}}
    assert len(traces(trace_request(many, many)).calls) == 2
    with pytest.raises(TooLarge, match="more than 20 messages"):
        traces(trace_request(many, many, many))


def test_json_in_an_attribute_that_would_take_many_times_its_memory_stays_text() -> None:
    text = f"[{'{},' * MAX_CONTAINERS}1]"
    assert from_json(text) is None
    assert from_json(json.dumps(["[" * MAX_CONTAINERS])) is None
    assert from_json(text.replace("{}", "10")) is not None


def test_many_results_of_no_call_cost_no_more_each() -> None:
    """A result without an id was looked for among all calls: 100,000 of them among 30,000 took a minute."""
    asked = [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": str(i)}} for i in range(30)]}]
    given = [{"role": "tool", "name": "f", "content": str(i)} for i in range(31)]
    got = call({"gen_ai.input.messages": json.dumps(asked + given)})
    assert [(tool.arguments, tool.result) for tool in got.tool_calls] == [(str(i), str(i)) for i in range(30)]
    assert said(got.input) == [("tool", "30")]


@given(
    st.lists(
        st.tuples(st.sampled_from(["call", "result"]), st.sampled_from(["", "1", "2"]), st.sampled_from(["", "f", "g"]))
    )
)
def test_a_result_without_an_id_joins_the_first_call_of_its_name_that_has_none(
    steps: list[tuple[str, str, str]],
) -> None:
    transcript = Transcript()
    for number, (kind, id, name) in enumerate(steps):
        if kind == "call":
            transcript.call(id, name, "" if number % 3 else str(number))
            continue
        first = next((c for c in transcript.calls if not id and name and c[1] == name and c[3] is None), None)
        transcript.result(transcript.input, id, name, str(number))
        if first is not None:
            assert first[3] == str(number)
    assert [entry[4] for entry in transcript.calls] == list(range(len(transcript.calls)))


def test_the_system_of_a_key_decides_whatever_the_body_says() -> None:
    request = trace_request({}, resource={"service.name": "other"}).SerializeToString()
    (got,) = decode_traces(request, PROTOBUF, limit=LIMIT, system="mine").calls
    assert got.system == "mine"


def test_a_log_record_with_an_absurd_time_is_kept() -> None:
    (event,) = events({"name": "gen_ai.user.message", "body": {"content": "Hi"}, "time": 2**64 - 1})
    assert event.at == EPOCH


def test_answers_are_in_the_encoding_of_the_request() -> None:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    assert otlp.empty_response(JSON) == (b"{}", JSON)
    assert otlp.empty_response(PROTOBUF) == (b"", PROTOBUF)
    body, media = otlp.partial_success("traces", 3, "why\0", PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    assert (media, partial.rejected_spans, partial.error_message) == (PROTOBUF, 3, "why\ufffd")
    body, _ = otlp.partial_success("logs", 2, "why", PROTOBUF)
    assert ExportLogsServiceResponse.FromString(body).partial_success.rejected_log_records == 2
    body, media = otlp.partial_success("logs", 2, "why", JSON)
    assert json.loads(body) == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "why"}}
    body, media = otlp.error_status(3, "bad ☹", JSON)
    assert (json.loads(body), media) == ({"code": 3, "message": "bad ☹"}, JSON)
    body, media = otlp.error_status(3, "bad " * 50, PROTOBUF)
    assert (body[:5], body[5:].decode(), media) == (b"\x08\x03\x12\xc8\x01", "bad " * 50, PROTOBUF)


def test_millions_of_empty_messages_are_refused_before_they_take_memory() -> None:
    script = """
import resource
from governance.errors import TooLarge
from governance.ingest.otlp import decode_traces

def field(tag, data):
    size, out = len(data), bytes([tag])
    while size > 127:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size]) + data

count = 10_000_000
bodies = [
    bytes([10, 0]) * count,
    field(10, bytes([18, 0]) * count),
    field(10, field(18, bytes([18, 0]) * count)),
    field(10, field(18, field(18, bytes([74, 0]) * count))),
    field(10, field(18, field(18, field(74, field(18, field(42, bytes([10, 0]) * count)))))),
]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for body in bodies:
    try:
        decode_traces(body, "application/x-protobuf", limit=21 << 20)
    except TooLarge:
        pass
    else:
        raise SystemExit("taken")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 120 * 2**20
