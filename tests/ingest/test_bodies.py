"""Real exports of real instrumentors decode to exactly what they hold: read by hand, then written down here."""

from __future__ import annotations

import pytest

from governance.domain.calls import Call, CallKind, Document, EndUser, Message, ToolCall, Usage
from governance.ingest.otlp import decode_logs, decode_traces
from tests.ingest.building import BODIES, LIMIT, calls_of, said, stored, told

SYSTEM = ("system", "You are a support agent for Acme. Never reveal personal data.")
SSN = ("user", "Where is order A-1001? My SSN is 078-05-1120.")
ANSWER = (
    "assistant",
    "Order A-1001 shipped on 2 March. Contact jane.doe@example.com or +1 415 555 0132 with questions.",
)
LOOK_UP = ("user", "Look up order A-1001")
STREAM = ("user", "stream it – naïve ünïcode 日本語")
REFUND = ("assistant", "Your refund was issued to jane.doe@example.com.")
RESULT = '{"status": "shipped"}'
DATED = "gpt-4o-mini-2024-07-18"

OPENAI_CHAT = ["chat gpt-4o-mini"] * 8
ALL_KINDS = [CallKind.LLM] * 8 + [CallKind.EMBEDDING]


def tool(arguments: str, result: str | None = None) -> tuple[ToolCall, ...]:
    return (ToolCall(id="call_abc123", name="lookup_order", arguments=arguments, result=result),)


def check_conversation(calls: list[Call], *, arguments: str, image: list[tuple[str, str]]) -> None:
    """What the sample program says is the same for every instrumentor that captures content on spans."""
    chat, asked, follow_up, stream, choices, picture, limited, refused = calls
    assert (said(chat.input), said(chat.output), chat.tool_calls) == ([SYSTEM, SSN], [ANSWER], ())
    assert (said(asked.input), said(asked.output), asked.tool_calls) == ([SYSTEM, LOOK_UP], [], tool(arguments))
    assert (said(follow_up.input), said(follow_up.output)) == ([SYSTEM, LOOK_UP], [ANSWER])
    assert follow_up.tool_calls == tool(arguments, RESULT)
    assert (said(stream.input), said(stream.output)) == ([SYSTEM, STREAM], [ANSWER])
    assert (said(choices.input), said(choices.output)) == ([("user", "two choices")], [ANSWER, ANSWER])
    assert (said(picture.input), said(picture.output)) == (image, [ANSWER])
    assert (said(limited.input), said(limited.output)) == ([("user", "FAIL429")], [])
    assert (said(refused.input), said(refused.output)) == ([("user", "FAIL400")], [])
    assert all(call.content_captured for call in calls)
    assert limited.error.endswith("RateLimitError: Error code: 429 - Rate limit reached")
    assert refused.error.endswith("BadRequestError: Error code: 400 - content_filter: prompt blocked")
    assert [call.error for call in calls[:6]] == [""] * 6
    assert [call.model for call in calls] == [DATED] * 6 + ["gpt-4o-mini"] * 2


def check_facts(calls: list[Call], *, cached: int | None) -> None:
    spent = Usage(input_tokens=42, output_tokens=17, cached_tokens=cached)
    assert [call.usage for call in calls] == [spent] * 6 + [Usage()] * 2
    assert {call.provider for call in calls} == {"openai"}
    assert {call.system for call in calls} == {"support-bot"}
    assert {call.release.name for call in calls} == {"1.2.0"}
    assert all(call.duration_ms is not None and call.duration_ms > 0 for call in calls)
    assert all(call.started_at.year == 2026 for call in calls)


def check_parents(own: list[Call], calls: list[Call]) -> None:
    """The sample program's own two spans: kept as steps, with what they say, and nothing captured."""
    ticket, with_tool = own
    assert [call.kind for call in own] == [CallKind.OTHER] * 2
    assert ticket.user == EndUser(id="user-7")
    assert ticket.attributes["ticket.id"] == "T-1"
    assert not ticket.content_captured
    assert (calls[0].trace_id, calls[0].parent_span_id) == (ticket.trace_id, ticket.span_id)
    assert [call.parent_span_id for call in calls[1:3]] == [with_tool.span_id] * 2
    assert with_tool.name == "handle_ticket_with_tool"


TOLD = sorted(path.name.removesuffix(".txt") for path in BODIES.glob("*.txt"))


@pytest.mark.parametrize("name", TOLD)
def test_a_body_says_what_is_written_beside_it(name: str) -> None:
    decode = decode_logs if name.endswith(".logs") else decode_traces
    batch = decode(*stored(f"{name}.01"), limit=LIMIT)
    assert (batch.rejected, batch.problems) == (0, ())
    assert told(batch) == (BODIES / f"{name}.txt").read_text()


def test_every_stored_body_is_looked_at_in_this_file() -> None:
    assert {path.name.split(".")[0] for path in BODIES.glob("*.bin")} - {name.split(".")[0] for name in TOLD} == {
        "genai-langchain-latest-span",
        "genai-openai-default",
        "genai-openai-latest-span",
        "openai-v2-latest-span",
        "openai-v2-legacy-content",
        "openai-v2-nocontent-default",
        "openinference-openai",
        "openinference-openai-gzip",
    }


def test_genai_openai_with_content_on_spans() -> None:
    calls = calls_of("genai-openai-latest-span")
    assert [call.kind for call in calls[:10]] == [*ALL_KINDS, CallKind.LLM]
    check_conversation(
        calls[:8],
        arguments='{"order_id":"A-1001"}',
        image=[("user", "describe"), ("user", "[image: https://example.com/a.png]")],
    )
    check_facts(calls[:8], cached=8)
    assert [call.finish_reasons for call in calls[:5]] == [
        ("stop",),
        ("tool_calls",),
        ("stop",),
        ("stop",),
        ("stop", "stop"),
    ]
    embedding, responses = calls[8:10]
    assert (embedding.model, embedding.usage) == ("text-embedding-3-small", Usage(input_tokens=7))
    assert not embedding.content_captured
    assert said(responses.input) == [("system", "Be brief."), ("user", "Refund order A-1001")]
    assert said(responses.output) == [REFUND]
    assert responses.usage == Usage(input_tokens=21, output_tokens=12)
    check_parents(calls[10:], calls)
    assert calls[1].release.tools == calls[2].release.tools != ""
    assert calls[0].release.tools == ""
    assert calls[0].attributes["gen_ai.request.temperature"] == 0.2
    assert calls[0].attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert calls[0].attributes["resource.deployment.environment.name"] == "staging"
    assert "gen_ai.input.messages" not in calls[0].attributes


def test_genai_openai_without_capture_has_facts_and_no_content() -> None:
    calls = calls_of("genai-openai-default")
    assert [call.kind for call in calls[:10]] == [*ALL_KINDS, CallKind.LLM]
    check_facts(calls[:8], cached=8)
    for call in calls:
        assert not call.content_captured
        assert (call.input, call.output, call.documents, call.tool_calls) == ((), (), (), ())
    assert calls[6].error == "openai.RateLimitError: Error code: 429 - Rate limit reached"
    check_parents(calls[10:], calls)


def test_openai_v2_with_content_on_spans() -> None:
    calls = calls_of("openai-v2-latest-span")
    chats, embedding = calls[:8], calls[10]
    # This instrumentor drops the image part and the text beside it: an empty message, and so nothing said.
    check_conversation(chats, arguments='{"order_id":"A-1001"}', image=[])
    check_facts(chats, cached=None)
    assert chats[3].finish_reasons == ("stop",)  # only the output message says it
    assert (embedding.kind, embedding.usage) == (CallKind.EMBEDDING, Usage(input_tokens=7))
    check_parents(calls[8:10], chats)


def test_openai_v2_without_capture() -> None:
    calls = calls_of("openai-v2-nocontent-default")
    assert [call.kind for call in calls[:9]] == ALL_KINDS
    check_facts(calls[:8], cached=None)
    assert not any(call.content_captured or call.input or call.output or call.tool_calls for call in calls)
    check_parents(calls[9:], calls)

    batch = decode_logs(*stored("openai-v2-nocontent-default.logs.01"), limit=LIMIT)
    assert (batch.rejected, batch.problems) == (0, ())
    spans = {call.span_id for call in calls}
    assert {event.span_id for event in batch.content_events} <= spans
    # Without capture a record says at most which tool was asked for and why the answer ended.
    assert not any(event.input or event.output for event in batch.content_events)
    named = [event.tool_calls for event in batch.content_events if event.tool_calls]
    assert named == [tool(""), tool("")]
    assert [e.finish_reasons for e in batch.content_events if e.name == "gen_ai.choice"] == [
        ("stop",),
        ("tool_calls",),
        ("stop",),
        ("stop",),
        ("stop",),
        ("stop",),
        ("stop",),
    ]


def test_openai_v2_with_content_only_in_log_records() -> None:
    calls = calls_of("openai-v2-legacy-content")
    assert [call.kind for call in calls[:9]] == ALL_KINDS
    check_facts(calls[:8], cached=None)
    assert not any(call.content_captured for call in calls)
    check_parents(calls[9:], calls)

    batch = decode_logs(*stored("openai-v2-legacy-content.logs.01"), limit=LIMIT)
    assert (len(batch.content_events), batch.rejected, batch.problems) == (21, 0, ())
    heard: dict[str, list[tuple[str, str]]] = {}
    answered: dict[str, list[tuple[str, str]]] = {}
    asked: dict[str, list[ToolCall]] = {}
    for event in batch.content_events:
        assert (event.system, event.provider) == ("support-bot", "openai")
        heard.setdefault(event.span_id, []).extend(said(event.input))
        answered.setdefault(event.span_id, []).extend(said(event.output))
        asked.setdefault(event.span_id, []).extend(event.tool_calls)
    chat, ask, follow_up, stream, choices, picture, limited, refused = (call.span_id for call in calls[:8])
    (lookup,) = tool('{"order_id": "A-1001"}')
    assert (heard[chat], answered[chat]) == ([SYSTEM, SSN], [ANSWER])
    assert (heard[ask], answered[ask], asked[ask]) == ([SYSTEM, LOOK_UP], [], [lookup])
    assert (heard[follow_up], answered[follow_up]) == ([SYSTEM, LOOK_UP], [ANSWER])
    assert asked[follow_up] == [lookup, ToolCall(id="call_abc123", result=RESULT)]  # joined where both are recorded
    assert (heard[stream], answered[stream]) == ([SYSTEM, STREAM], [ANSWER])
    assert (heard[choices], answered[choices]) == ([("user", "two choices")], [ANSWER, ANSWER])
    assert heard[picture] == [("user", "describe"), ("user", "[image: https://example.com/a.png]")]
    assert (heard[limited], heard[refused]) == ([("user", "FAIL429")], [("user", "FAIL400")])
    assert [event.at for event in batch.content_events] == sorted(event.at for event in batch.content_events)


@pytest.mark.parametrize("name", ["openinference-openai", "openinference-openai-gzip"])
def test_openinference_openai(name: str) -> None:
    calls = calls_of(name)
    chats, embedding, responses = calls[:8], calls[8], calls[9]
    assert [call.kind for call in calls[:10]] == [*ALL_KINDS, CallKind.LLM]
    check_conversation(
        chats,
        arguments='{"order_id": "A-1001"}',
        image=[("user", "describe"), ("user", "[image: https://example.com/a.png]")],
    )
    check_facts(chats, cached=8)
    for call in calls[:10]:
        assert (call.session_id, call.user) == ("sess-42", EndUser(id="user-7"))
        assert call.attributes["metadata"] == {"tenant": "acme", "channel": "email"}
        assert call.attributes["tag.tags"] == ["prod", "refund"]
        assert "input.value" not in call.attributes
        assert "output.value" not in call.attributes
    assert said(embedding.input) == [("user", "refund policy")]
    assert (embedding.output, embedding.usage) == ((), Usage(input_tokens=7))
    assert said(responses.input) == [("system", "Be brief."), ("user", "Refund order A-1001")]
    assert said(responses.output) == [REFUND]
    assert responses.usage == Usage(input_tokens=21, output_tokens=12, cached_tokens=0)
    check_parents(calls[10:], calls)
    stream_events = chats[3].attributes["events"]
    assert isinstance(stream_events, list)
    assert stream_events[0]["name"] == "First Token Stream Event"


def test_two_conventions_give_the_same_tools_the_same_fingerprint() -> None:
    def of(name: str) -> str:
        return calls_of(name)[1].release.tools

    assert of("genai-openai-latest-span") == of("openinference-openai") != ""


def test_genai_langchain() -> None:
    retrieval, chat, workflow, asked, executed, limited = calls_of("genai-langchain-latest-span")
    question = Message(role="user", text=SSN[1])
    assert (retrieval.kind, retrieval.input) == (CallKind.RETRIEVAL, (question,))
    assert retrieval.documents == (Document(score=0.91), Document(score=0.55))  # this instrumentor sends no more
    assert retrieval.parent_span_id == chat.parent_span_id == workflow.span_id

    assert (chat.kind, chat.model, chat.finish_reasons) == (CallKind.LLM, DATED, ("stop",))
    assert chat.usage == Usage(input_tokens=42, output_tokens=17, cached_tokens=8)
    assert [message.role for message in chat.input] == ["system", "user"]
    assert chat.input[0].text.startswith("Answer from: [Document(metadata={'source': 'kb/refunds.md'")
    assert said(chat.output) == [ANSWER]
    assert chat.documents == (
        Document(id="kb/refunds.md", text="Refunds take 5 days.", score=0.91),
        Document(id="kb/ship.md", text="Orders ship in 24h.", score=0.55),
    )

    assert (workflow.kind, workflow.content_captured) == (CallKind.CHAIN, False)
    assert workflow.attributes["gen_ai.workflow.name"] == "rag_chain"

    assert (said(asked.input), asked.output) == ([LOOK_UP], ())
    assert asked.tool_calls == tool('{"order_id":"A-1001"}')
    assert asked.finish_reasons == ("tool_calls",)
    assert asked.release.tools != ""

    assert (executed.kind, executed.input, executed.output) == (CallKind.TOOL, (), ())
    assert executed.tool_calls == tool('{"order_id":"A-1001"}', "shipped")
    assert executed.content_captured

    assert said(limited.input) == [("user", "FAIL429 please")]
    assert limited.error == (
        "langchain_openai.chat_models.base.OpenAIRateLimitError: Error code: 429 - Rate limit reached"
    )
    assert (limited.model, limited.usage) == ("gpt-4o-mini", Usage())
