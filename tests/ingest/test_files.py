"""Files of every format, mixed, broken, gzipped and in pieces; the command that imports them."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governance.domain.calls import Call, CallKind, Document, EndUser, Message, Release, ToolCall, Usage
from governance.errors import BadInput
from governance.ingest.batch import Batch
from governance.ingest.files import Importer, decode_file
from tests.ingest.building import BODIES, as_json, log_request, said, stored, trace_request

OWN = {
    "id": 7,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "parent_span_id": "",
    "kind": "llm",
    "name": "chat",
    "system": "bot",
    "release": {"name": "1.2", "model": "m", "prompt_version": "p", "retrieval": "", "tools": ""},
    "session_id": "s",
    "user": {"id": "u", "role": "agent"},
    "status": "checked",
    "started_at": "2026-11-23T09:40:00Z",
    "duration_ms": 12.5,
    "model": "m",
    "provider": "openai",
    "usage": {"input_tokens": 1, "output_tokens": 2, "cached_tokens": None},
    "error": "",
    "content_captured": True,
    "input": [{"role": "user", "text": "Hi"}],
    "output": [{"role": "assistant", "text": "Yo"}],
    "documents": [{"id": "d", "text": "t", "score": 0.5, "labels": ["public"]}],
    "tool_calls": [{"id": "t", "name": "f", "arguments": "{}", "result": "r"}],
    "attributes": {"a": 1},
    "findings": [],
    "decisions": [],
    "case_ids": [],
}
BATCH_IN = {
    "custom_id": "r-1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "user": "u-1"},
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_424_818,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yo"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
}
BATCH_OUT = {
    "id": "batch_req_1",
    "custom_id": "r-1",
    "response": {"status_code": 200, "request_id": "q", "body": COMPLETION},
    "error": None,
}
LITELLM = {
    "id": "chatcmpl-9",
    "trace_id": "0af76519-16cd-43dd-8448-eb211c80319c",
    "call_type": "acompletion",
    "status": "success",
    "startTime": 1_795_424_818.0,
    "endTime": 1_795_424_819.5,
    "model": "gpt-4o",
    "custom_llm_provider": "azure",
    "prompt_tokens": 3,
    "completion_tokens": 4,
    "response_cost": 0.01,
    "messages": [{"role": "user", "content": "Hi"}],
    "response": {"choices": [{"message": {"role": "assistant", "content": "Yo"}, "finish_reason": "stop"}]},
    "model_parameters": {"temperature": 0.1, "tools": [{"type": "function", "function": {"name": "f"}}]},
    "metadata": {"user_api_key_alias": "hr-bot", "requester_metadata": {"session_id": "s-1", "user_role": "hr"}},
    "end_user": "u-9",
}


def lines(*items: Any) -> bytes:
    return b"".join((item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in items)


def read(data: bytes | Path, format: str = "auto", system: str = "") -> tuple[list[Call], list[str]]:
    batches = list(decode_file(data, format, system=system, name="f"))
    return [call for batch in batches for call in batch.calls], [p for batch in batches for p in batch.problems]


def one(item: Any, format: str = "auto", system: str = "") -> Call:
    calls, problems = read(lines(item), format, system)
    assert problems == []
    (call,) = calls
    return call


def test_our_own_call_object_is_read_field_by_field() -> None:
    assert one(OWN) == Call(
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id="b7ad6b7169203331",
        kind=CallKind.LLM,
        name="chat",
        system="bot",
        release=Release(name="1.2", model="m", prompt_version="p"),
        session_id="s",
        user=EndUser(id="u", role="agent"),
        started_at=datetime(2026, 11, 23, 9, 40, tzinfo=UTC),
        duration_ms=12.5,
        model="m",
        provider="openai",
        usage=Usage(input_tokens=1, output_tokens=2),
        content_captured=True,
        input=(Message(role="user", text="Hi"),),
        output=(Message(role="assistant", text="Yo"),),
        documents=(Document(id="d", text="t", score=0.5, labels=("public",)),),
        tool_calls=(ToolCall(id="t", name="f", arguments="{}", result="r"),),
        attributes={"a": 1},
    )


def test_a_bare_text_is_a_call_and_the_same_one_at_every_import() -> None:
    first, second = one({"id": "a", "text": "Hello"}), one({"id": "a", "text": "Hello"})
    assert first == second
    assert (said(first.input), first.output, first.system) == ([("user", "Hello")], (), "unknown")
    answer = one({"id": "b", "text": "Hello", "direction": "output"}, system="bot")
    assert (answer.input, said(answer.output), answer.system) == ((), [("assistant", "Hello")], "bot")
    assert len({(call.trace_id, call.span_id) for call in (first, answer)}) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input": {"Hi": 1}}, "input must be a list."),
        ({"input": [7]}, "input[0] must be an object with role and text."),
        ({"input": [{"role": "user", "text": 7}]}, "input[0].text must be a string."),
        ({"kind": "chat"}, "kind must be one of: llm, embedding"),
        ({"trace_id": "xyz"}, "trace_id must be 32 hex digits"),
        ({"span_id": "0" * 16}, "span_id must be 16 hex digits"),
        ({"started_at": "yesterday"}, "started_at must be RFC 3339"),
        ({"usage": {"input_tokens": -1}}, "usage.input_tokens must be a whole number from 0"),
        ({"user": ["u"]}, "user must be an object with id and role."),
        ({"documents": [{"labels": [1]}]}, "documents[0].labels must be a list of strings"),
        ({"duration_ms": "long"}, "duration_ms must be a number"),
        ({"text": "t", "direction": "up"}, "direction must be input or output, not 'up'"),
    ],
)
def test_a_wrong_field_of_ours_is_named_with_its_line(change: dict[str, Any], words: str) -> None:
    calls, problems = read(lines({"id": "ok", "text": "fine"}, {**OWN, **change}, {"id": "ok2", "text": "fine"}))
    assert len(calls) == 2
    (problem,) = problems
    assert problem.startswith(f"f:2: {words}")


def test_openai_batch_lines_join_in_either_order_and_across_files() -> None:
    joined = one_of_two(BATCH_IN, BATCH_OUT)
    assert joined == one_of_two(BATCH_OUT, BATCH_IN)
    assert (said(joined.input), said(joined.output)) == ([("user", "Hi")], [("assistant", "Yo")])
    assert (joined.model, joined.usage) == (
        "gpt-4o-2024-08-06",
        Usage(input_tokens=1, output_tokens=2, cached_tokens=1),
    )
    assert (joined.finish_reasons, joined.user.id, joined.provider) == (("stop",), "u-1", "openai")
    assert joined.started_at == datetime(2026, 11, 23, 9, 6, 58, tzinfo=UTC)
    importer = Importer("openai")
    found = [*importer.decode(lines(BATCH_IN)), *importer.decode(lines(BATCH_OUT)), *importer.finish()]
    assert [call for batch in found for call in batch.calls] == [joined]


def one_of_two(first: dict[str, Any], second: dict[str, Any]) -> Call:
    calls, problems = read(lines(first, second))
    assert problems == []
    (call,) = calls
    return call


def test_openai_batch_errors_and_missing_answers() -> None:
    refused = {
        **BATCH_OUT,
        "response": {"status_code": 429, "body": {"error": {"code": "rate_limit", "message": "slow down"}}},
    }
    assert one_of_two(BATCH_IN, refused).error == "rate_limit: slow down"
    expired = {
        "id": "b",
        "custom_id": "r-1",
        "response": None,
        "error": {"code": "batch_expired", "message": "too late"},
    }
    assert one_of_two(BATCH_IN, expired).error == "batch_expired: too late"
    alone = one(BATCH_IN)
    assert (said(alone.input), alone.output) == ([("user", "Hi")], ())
    _, problems = read(lines(BATCH_IN, BATCH_IN))
    assert problems == ["f:2: custom_id 'r-1' is there twice without an answer between."]


def test_openai_bodies_and_pairs() -> None:
    assert said(one(COMPLETION).output) == [("assistant", "Yo")]
    pair = one({"request": BATCH_IN["body"], "response": COMPLETION, "user": "u-2", "session_id": "s"})
    assert (said(pair.input), said(pair.output), pair.user.id, pair.session_id) == (
        [("user", "Hi")],
        [("assistant", "Yo")],
        "u-2",
        "s",
    )
    chat = one(
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a"},
            ]
        }
    )
    assert (said(chat.input), said(chat.output)) == ([("system", "s"), ("user", "q")], [("assistant", "a")])
    response = one(
        {
            "id": "resp_1",
            "object": "response",
            "model": "gpt-4o",
            "created_at": 1_795_424_818,
            "instructions": "Be brief.",
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
            ],
            "usage": {"input_tokens": 1, "output_tokens": 2},
        }
    )
    assert said(response.input) == [("system", "Be brief.")]
    assert [(m.type, m.text) for m in response.output] == [("reasoning", "hm"), ("text", "a")]
    assert response.tool_calls == (ToolCall(id="c", name="f", arguments="{}"),)


def test_litellm_payloads() -> None:
    call = one(LITELLM)
    assert call == one({"standard_logging_object": LITELLM})
    assert (call.system, call.model, call.provider, call.duration_ms) == ("hr-bot", "gpt-4o", "azure", 1500.0)
    assert (said(call.input), said(call.output)) == ([("user", "Hi")], [("assistant", "Yo")])
    assert call.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert (call.user, call.session_id) == (EndUser(id="u-9", role="hr"), "s-1")
    assert call.usage == Usage(input_tokens=3, output_tokens=4)
    assert call.release.tools
    assert call.attributes["litellm.response_cost"] == 0.01
    failed = one(
        {
            **LITELLM,
            "status": "failure",
            "response": {},
            "error_information": {"error_class": "RateLimitError", "error_message": "slow"},
        }
    )
    assert (failed.error, failed.output) == ("RateLimitError: slow", ())


def test_otlp_bodies_and_the_lines_of_the_collectors_file_exporter(tmp_path: Path) -> None:
    spans, logs = (
        as_json(trace_request({"name": "a"}, {"name": "b"})),
        as_json(log_request({"name": "gen_ai.user.message", "body": {"content": "Hi"}})),
    )
    batches = list(decode_file(lines(spans, b"", logs), name="f"))
    assert [call.name for batch in batches for call in batch.calls] == ["a", "b"]
    assert [said(event.input) for batch in batches for event in batch.content_events] == [[("user", "Hi")]]
    pretty = json.dumps(json.loads(spans), indent=2).encode()
    assert [call.name for call in read(pretty)[0]] == ["a", "b"]
    for name in sorted(path.name for path in BODIES.glob("*.bin")):
        (batch,) = decode_file(BODIES / name)
        assert batch.calls if ".traces." in name else batch.content_events
        assert not batch.rejected
    packed = tmp_path / "x.jsonl.gz"
    packed.write_bytes(gzip.compress(lines(OWN)))
    assert len(read(packed)[0]) == 1


def test_a_rejected_span_in_a_file_says_where() -> None:
    body = as_json(trace_request({"name": "a"}, {"name": "b", "span_id": b""}))
    (batch,) = decode_file(lines({"id": 1, "text": "x"}, body), name="f")
    assert (len(batch.calls), batch.rejected) == (2, 1)
    assert batch.problems == ("f:2: Span 1 ('b') has no span id.",)


def test_bad_lines_do_not_stop_the_others() -> None:
    calls, problems = read(
        lines({"id": 1, "text": "x"}, b"{broken", {"what": 1}, [1], b"\xff\xfe", {"id": 2, "text": "y"})
    )
    assert len(calls) == 2
    assert [problem.split(":")[1] for problem in problems] == ["2", "3", "4", "5"]
    assert problems[1] == "f:3: no known format (it has: what); say which with --format."


@pytest.mark.parametrize(
    ("data", "format", "words"),
    [
        (b"\x00\x01\x02", "auto", "no OTLP body"),
        (b"hello", "jsonl", "no JSON object"),
        (b'{\n "a": \n', "auto", "no JSON"),
        (gzip.compress(b"x" * 5000)[:-4], "auto", "gzip data is corrupt"),
        (b"{}", "csv", "'csv' is not a format"),
    ],
)
def test_a_file_that_is_nothing_is_bad_input(data: bytes, format: str, words: str) -> None:
    with pytest.raises(BadInput) as error:
        list(decode_file(data, format, name="f"))
    assert words in error.value.message
    assert error.value.advice


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        list(decode_file(tmp_path / "none"))


def test_empty_files_have_nothing() -> None:
    assert list(decode_file(b"")) == list(decode_file(b"\n\n")) == []


def test_many_lines_come_in_batches() -> None:
    batches: list[Batch] = list(decode_file(lines(*({"id": i, "text": f"t{i}"} for i in range(450))), name="f"))
    assert [len(batch.calls) for batch in batches] == [200, 200, 50]


def test_a_format_that_is_said_is_the_only_one() -> None:
    _, problems = read(lines(OWN), "otlp")
    assert problems == ["f:1: neither resourceSpans nor resourceLogs is in the object."]
    _, problems = read(lines(OWN), "litellm")
    assert len(problems) == 1
    assert stored("openinference-openai-gzip.traces.01")[2] == "gzip"
