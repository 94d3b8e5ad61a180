"""Hand-made spans of every convention that has no stored body: what a reader would expect of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.domain.calls import CallKind, Document, EndUser, Message, ToolCall, Usage
from tests.ingest.building import call, events, said, trace_request, traces


def test_prompt_and_completion_events_of_the_first_generation() -> None:
    got = call(
        {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4", "gen_ai.usage.prompt_tokens": 5},
        events=[
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps([{"role": "user", "content": "Hi"}])}),
            ("gen_ai.content.completion", {"gen_ai.completion": json.dumps([{"role": "assistant", "content": "Yo"}])}),
        ],
    )
    assert (got.kind, said(got.input), said(got.output)) == (CallKind.LLM, [("user", "Hi")], [("assistant", "Yo")])
    assert got.usage == Usage(input_tokens=5)
    assert "events" not in got.attributes


def test_plain_prompt_and_completion_attributes() -> None:
    got = call({"gen_ai.request.model": "m", "gen_ai.prompt": "Say hi", "gen_ai.completion": "hi"})
    assert (said(got.input), said(got.output)) == ([("user", "Say hi")], [("assistant", "hi")])


def test_message_events_on_a_span() -> None:
    got = call(
        {"gen_ai.operation.name": "chat"},
        events=[
            ("gen_ai.system.message", {"content": "Be kind"}),
            ("gen_ai.user.message", {"content": json.dumps([{"text": "Weather?"}])}),
            (
                "gen_ai.choice",
                {
                    "finish_reason": "tool_use",
                    "message": json.dumps(
                        [{"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Bonn"}}}]
                    ),
                },
            ),
        ],
    )
    assert said(got.input) == [("system", "Be kind"), ("user", "Weather?")]
    assert got.tool_calls == (ToolCall(id="t1", name="weather", arguments='{"city":"Bonn"}'),)
    assert got.finish_reasons == ("tool_use",)


def test_content_on_the_span_and_on_its_events_is_there_once() -> None:
    messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}])
    answer = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Yo"}], "finish_reason": "stop"}])
    content = {"gen_ai.input.messages": messages, "gen_ai.output.messages": answer}
    got = call(
        {"gen_ai.operation.name": "chat", **content}, events=[("gen_ai.client.inference.operation.details", content)]
    )
    assert (said(got.input), said(got.output)) == ([("user", "Hi")], [("assistant", "Yo")])
    assert got.finish_reasons == ("stop",)


def test_the_details_event_carries_structured_messages_as_a_log_record() -> None:
    (event,) = events(
        {
            "name": "gen_ai.client.inference.operation.details",
            "attributes": {
                "gen_ai.provider.name": "openai",
                "gen_ai.conversation.id": "c1",
                "gen_ai.request.model": "m",
                "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": [{"type": "text", "content": "Yo"}], "finish_reason": "stop"}
                ],
            },
        }
    )
    assert said(event.input) == [("system", "Be brief."), ("user", "Hi")]
    assert (said(event.output), event.finish_reasons) == ([("assistant", "Yo")], ("stop",))
    assert (event.provider, event.session_id) == ("openai", "c1")
    assert event.attributes == {"gen_ai.request.model": "m"}


def test_every_part_type_of_the_schema_and_one_of_the_future() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "content": "look"},
        {"type": "reasoning", "content": "hm"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUJD" * 100},
        {"type": "file", "modality": "document", "file_id": "file-7"},
        {"type": "uri", "modality": "video", "uri": "https://example.com/v.mp4"},
        {"type": "hologram", "beam": 3},
    ]
    got = call({"gen_ai.input.messages": json.dumps([{"role": "user", "parts": parts}])})
    assert got.input == (
        Message(role="user", text="look"),
        Message(role="user", text="hm", type="reasoning"),
        Message(role="user", text="[image: image/png 300 bytes inline]", type="blob"),
        Message(role="user", text="[document: file-7]", type="file"),
        Message(role="user", text="[video: https://example.com/v.mp4]", type="uri"),
        Message(role="user", text='[hologram] {"beam":3}', type="hologram"),
    )


def test_tool_results_join_their_calls_under_either_name() -> None:
    history = [
        {"role": "user", "parts": [{"type": "text", "content": "both"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "a", "name": "f", "arguments": {"x": 1}},
                {"type": "tool_call", "id": "b", "name": "g", "arguments": '{"y": 2}'},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "b", "result": {"ok": True}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "a", "response": "one"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "lost", "response": "whose?"}]},
    ]
    again = [{"role": "assistant", "parts": [{"type": "tool_call", "id": "a", "name": "f", "arguments": '{"x": 1}'}]}]
    got = call({"gen_ai.input.messages": json.dumps(history), "gen_ai.output.messages": json.dumps(again)})
    assert got.tool_calls == (
        ToolCall(id="a", name="f", arguments='{"x":1}', result="one"),
        ToolCall(id="b", name="g", arguments='{"y": 2}', result='{"ok":true}'),
    )
    assert said(got.input) == [("user", "both"), ("tool", "whose?")]


def test_one_id_used_for_two_calls_keeps_both() -> None:
    parts = [
        {"type": "tool_call", "id": "call_0", "name": "f", "arguments": {"x": 1}},
        {"type": "tool_call", "id": "call_0", "name": "f", "arguments": {"x": 2}},
    ]
    got = call({"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])})
    assert [tool.arguments for tool in got.tool_calls] == ['{"x":1}', '{"x":2}']


def test_retrieval_release_and_identities_of_gen_ai() -> None:
    got = call(
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "kb-7",
            "gen_ai.retrieval.query.text": "refunds",
            "gen_ai.retrieval.documents": json.dumps(
                [{"id": "d1", "score": 0.5, "content": "five days", "metadata": {"classification": "internal"}}]
            ),
            "gen_ai.conversation.id": "c1",
            "gen_ai.prompt.name": "support",
            "gen_ai.prompt.version": "4",
            "enduser.id": "u1",
            "user.roles": ["agent", "vip"],
        }
    )
    assert (got.kind, got.release.retrieval, got.release.prompt_version) == (CallKind.RETRIEVAL, "kb-7", "support@4")
    assert got.documents == (Document(id="d1", text="five days", score=0.5, labels=("internal",)),)
    assert (got.session_id, got.user) == ("c1", EndUser(id="u1", role="agent, vip"))
    assert said(got.input) == [("user", "refunds")]


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "invoke_agent"}, CallKind.AGENT),
        ({"gen_ai.operation.name": "create_agent"}, CallKind.AGENT),
        ({"gen_ai.operation.name": "execute_tool"}, CallKind.TOOL),
        ({"gen_ai.operation.name": "generate_content"}, CallKind.LLM),
        ({"gen_ai.operation.name": "something new", "gen_ai.request.model": "m"}, CallKind.LLM),
        ({"openinference.span.kind": "GUARDRAIL"}, CallKind.GUARDRAIL),
        ({"openinference.span.kind": "RERANKER"}, CallKind.RETRIEVAL),
        ({"openinference.span.kind": "CHAIN"}, CallKind.CHAIN),
        ({"traceloop.span.kind": "workflow"}, CallKind.CHAIN),
        ({"traceloop.span.kind": "agent"}, CallKind.AGENT),
        ({"llm.request.type": "rerank"}, CallKind.RETRIEVAL),
        ({"ai.operationId": "ai.generateText"}, CallKind.CHAIN),
        ({"ai.operationId": "ai.streamText.doStream"}, CallKind.LLM),
        ({"ai.operationId": "ai.embed.doEmbed"}, CallKind.EMBEDDING),
        ({"mcp.method.name": "tools/call", "gen_ai.tool.name": "f"}, CallKind.TOOL),
        ({"mcp.method.name": "tools/list"}, CallKind.OTHER),
        ({"db.system": "pinecone", "db.vector.query.top_k": 3}, CallKind.RETRIEVAL),
        ({"db.system": "postgresql", "db.statement": "SELECT 1"}, CallKind.OTHER),
        ({"http.request.method": "GET"}, CallKind.OTHER),
    ],
)
def test_kinds(attributes: dict[str, Any], kind: CallKind) -> None:
    got = call(attributes)
    assert got.kind is kind
    assert not got.content_captured


def test_openinference_anthropic_with_contents_and_tools() -> None:
    prefix = "llm.input_messages"
    got = call(
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "anthropic",
            "llm.model_name": "claude-sonnet-4-5",
            f"{prefix}.0.message.role": "user",
            f"{prefix}.0.message.contents.0.message_content.type": "text",
            f"{prefix}.0.message.contents.0.message_content.text": "see",
            f"{prefix}.0.message.contents.1.message_content.type": "image",
            f"{prefix}.0.message.contents.1.message_content.image.image.url": "data:image/png;base64," + "A" * 400,
            **{f"{prefix}.{i}.message.role": "user" for i in range(1, 12)},
            **{f"{prefix}.{i}.message.content": f"m{i}" for i in range(1, 12)},
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.contents.0.message_content.type": "reasoning",
            "llm.output_messages.0.message.contents.0.message_content.text": "thinking",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "t1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{}",
            "llm.tools.0.tool.json_schema": json.dumps({"name": "f", "input_schema": {"type": "object"}}),
            "llm.prompt_template.version": "v3",
            "llm.token_count.prompt_details.cache_read": 9,
        }
    )
    assert said(got.input)[:2] == [("user", "see"), ("user", "[image: 300 bytes inline]")]
    assert [message.text for message in got.input[2:]] == [f"m{i}" for i in range(1, 12)]  # 10 after 9, not after 1
    assert got.output == (Message(role="assistant", text="thinking", type="reasoning"),)
    assert got.tool_calls == (ToolCall(id="t1", name="f", arguments="{}"),)
    assert (got.provider, got.usage.cached_tokens) == ("anthropic", 9)
    assert got.release.prompt_version == "v3"
    assert got.release.tools


def test_a_bare_mark_of_a_tool_call_among_contents_is_no_further_call() -> None:
    """As openinference-instrumentation-anthropic 3.1.0 sends it."""
    message = "llm.output_messages.0.message"
    got = call(
        {
            "openinference.span.kind": "LLM",
            f"{message}.role": "assistant",
            f"{message}.contents.0.message_content.type": "text",
            f"{message}.contents.0.message_content.text": "Let me look",
            f"{message}.contents.1.message_content.type": "tool_use",
            f"{message}.tool_calls.0.tool_call.id": "tu1",
            f"{message}.tool_calls.0.tool_call.function.name": "look",
            f"{message}.tool_calls.0.tool_call.function.arguments": '{"q": 1}',
        }
    )
    assert got.tool_calls == (ToolCall(id="tu1", name="look", arguments='{"q": 1}'),)
    assert said(got.output) == [("assistant", "Let me look")]


def test_a_tool_span_that_holds_only_a_result_keeps_it() -> None:
    got = call({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": "shipped"}, name="")
    assert [tool.result for tool in got.tool_calls] == ["shipped"]


def test_openinference_retriever_reranker_and_tool() -> None:
    retriever = call(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "refunds?",
            "retrieval.documents.0.document.content": "five days",
            "retrieval.documents.0.document.id": "d1",
            "retrieval.documents.0.document.score": 0.9,
            "retrieval.documents.0.document.metadata": json.dumps({"labels": ["public", "kb"]}),
            "retrieval.documents.1.document.content": "ten days",
            "retrieval.documents.1.document.metadata": json.dumps({"source": "old.md"}),
            "output.value": "[...]",
        }
    )
    assert said(retriever.input) == [("user", "refunds?")]
    assert retriever.output == ()
    assert retriever.documents == (
        Document(id="d1", text="five days", score=0.9, labels=("public", "kb")),
        Document(id="old.md", text="ten days"),
    )
    reranker = call(
        {
            "openinference.span.kind": "RERANKER",
            "reranker.query": "q",
            "reranker.input_documents.0.document.content": "b",
            "reranker.output_documents.0.document.content": "a",
        }
    )
    assert (said(reranker.input), reranker.documents) == ([("user", "q")], (Document(text="a"),))
    tool = call(
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "lookup",
            "tool.parameters": '{"type": "object"}',
            "input.value": '{"id": 7}',
            "input.mime_type": "application/json",
            "output.value": "found",
        }
    )
    assert tool.tool_calls == (ToolCall(name="lookup", arguments='{"id": 7}', result="found"),)
    assert (tool.input, tool.output) == ((), ())


def test_openinference_langchain_chain_with_serialised_messages() -> None:
    def lc(name: str, **kwargs: Any) -> dict[str, Any]:
        return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": kwargs}

    given = {"messages": [[lc("SystemMessage", content="rules"), lc("HumanMessage", content="Hi", type="human")]]}
    got = {
        "generations": [
            [
                {
                    "text": "",
                    "message": lc(
                        "AIMessage",
                        content="",
                        type="ai",
                        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "t1", "type": "tool_call"}],
                    ),
                }
            ]
        ]
    }
    span = call(
        {
            "openinference.span.kind": "CHAIN",
            "input.value": json.dumps(given),
            "output.value": json.dumps(got),
            "metadata": json.dumps({"thread_id": "th-1", "user_id": "u-2", "prompt_version": "7"}),
        }
    )
    assert said(span.input) == [("system", "rules"), ("user", "Hi")]
    assert span.tool_calls == (ToolCall(id="t1", name="f", arguments='{"x":1}'),)
    assert (span.session_id, span.user.id, span.release.prompt_version) == ("th-1", "u-2", "7")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("just text", [("user", "just text")]),
        ('{"input": "a question"}', [("user", "a question")]),
        ('{"a": 1, "b": "two"}', [("user", '{"a": 1, "b": "two"}')]),
        ("[1, 2]", [("user", "[1, 2]")]),
        ("{broken", [("user", "{broken")]),
        (json.dumps({"messages": [{"role": "user", "content": "q"}]}), [("user", "q")]),
        (
            json.dumps({"model": "m", "system": "s", "messages": [{"role": "user", "content": "q"}]}),
            [("system", "s"), ("user", "q")],
        ),
        (json.dumps({"contents": [{"role": "user", "parts": [{"text": "q"}]}]}), [("user", "q")]),
    ],
)
def test_whole_bodies_in_input_value(given: str, expected: list[tuple[str, str]]) -> None:
    assert said(call({"openinference.span.kind": "LLM", "input.value": given}).input) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"choices": [{"message": {"role": "assistant", "content": "a"}}]}, ["a"]),
        ({"choices": [{"text": "a"}, {"text": "b"}]}, ["a", "b"]),
        (
            {"role": "assistant", "type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "end"},
            ["a"],
        ),
        ({"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP"}]}, ["a"]),
        ({"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}}, ["a"]),
        (
            {
                "object": "response",
                "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}],
            },
            ["a"],
        ),
        ({"generations": [[{"text": "a", "type": "Generation"}]]}, ["a"]),
        ({"output": "a"}, ["a"]),
    ],
)
def test_whole_bodies_in_output_value(body: dict[str, Any], expected: list[str]) -> None:
    got = call({"openinference.span.kind": "LLM", "output.value": json.dumps(body)})
    assert [(message.role, message.text) for message in got.output] == [("assistant", text) for text in expected]


def test_openllmetry_flattened_prompts() -> None:
    got = call(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "Anthropic",
            "gen_ai.request.model": "claude",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "rules",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": json.dumps(
                [
                    {"type": "text", "text": "see"},
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/p.png"}},
                ]
            ),
            "gen_ai.prompt.2.role": "assistant",
            "gen_ai.prompt.2.tool_calls.0.id": "t1",
            "gen_ai.prompt.2.tool_calls.0.name": "f",
            "gen_ai.prompt.2.tool_calls.0.arguments": '{"x":1}',
            "gen_ai.prompt.3.role": "tool",
            "gen_ai.prompt.3.tool_call_id": "t1",
            "gen_ai.prompt.3.content": "result",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "done",
            "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.prompt.name": "p",
            "llm.usage.total_tokens": 12,
            "traceloop.association.properties.user_id": "u",
            "traceloop.association.properties.session_id": "s",
            "traceloop.association.properties.tenant": "acme",
        }
    )
    assert said(got.input) == [("system", "rules"), ("user", "see"), ("user", "[image: https://x.example/p.png]")]
    assert (said(got.output), got.finish_reasons) == ([("assistant", "done")], ("stop",))
    assert got.tool_calls == (ToolCall(id="t1", name="f", arguments='{"x":1}', result="result"),)
    assert (got.user.id, got.session_id, got.release.prompt_version) == ("u", "s", "p")
    assert got.attributes == {"llm.usage.total_tokens": 12, "traceloop.association.properties.tenant": "acme"}


def test_traceloop_entities() -> None:
    workflow = call(
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.input": json.dumps({"args": ["What is up?"], "kwargs": {}}),
            "traceloop.entity.output": '"all well"',
        }
    )
    assert (said(workflow.input), said(workflow.output)) == ([("user", "What is up?")], [("assistant", "all well")])
    tool = call(
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "lookup",
            "traceloop.entity.input": json.dumps({"inputs": {"id": 7}}),
            "traceloop.entity.output": json.dumps({"output": "found"}),
        },
        name="lookup.tool",
    )
    (made,) = tool.tool_calls
    assert (made.name, made.arguments, made.result) == ("lookup", '{"id":7}', "found")


def test_vector_database_results_as_events() -> None:
    got = call(
        {"db.system": "chroma", "db.operation": "query", "db.collection.name": "kb"},
        events=[
            (
                "db.query.result",
                {"db.query.result.id": "d1", "db.query.result.document": "text", "db.query.result.score": 0.5},
            )
        ],
    )
    assert (got.kind, got.documents) == (CallKind.RETRIEVAL, (Document(id="d1", text="text", score=0.5),))
    assert got.release.retrieval == "chroma/kb"


def test_vercel_ai_sdk() -> None:
    got = call(
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "gpt-4o",
            "ai.model.provider": "openai.chat",
            "ai.prompt.messages": json.dumps(
                [
                    {"role": "system", "content": "rules"},
                    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                    {
                        "role": "assistant",
                        "content": [{"type": "tool-call", "toolCallId": "t0", "toolName": "f", "args": {"x": 1}}],
                    },
                    {
                        "role": "tool",
                        "content": [{"type": "tool-result", "toolCallId": "t0", "toolName": "f", "result": {"ok": 1}}],
                    },
                ]
            ),
            "ai.response.text": "Yo",
            "ai.response.toolCalls": json.dumps(
                [{"toolCallType": "function", "toolCallId": "t1", "toolName": "g", "args": '{"y":2}'}]
            ),
            "ai.response.finishReason": "tool-calls",
            "ai.usage.promptTokens": 3,
            "ai.usage.completionTokens": 4,
            "ai.telemetry.metadata.userId": "u",
            "ai.telemetry.metadata.sessionId": "s",
            "ai.telemetry.functionId": "greet",
        }
    )
    assert (got.kind, got.model, got.provider) == (CallKind.LLM, "gpt-4o", "openai.chat")
    assert (said(got.input), said(got.output)) == ([("system", "rules"), ("user", "Hi")], [("assistant", "Yo")])
    assert got.tool_calls == (
        ToolCall(id="t0", name="f", arguments='{"x":1}', result='{"ok":1}'),
        ToolCall(id="t1", name="g", arguments='{"y":2}'),
    )
    assert (got.finish_reasons, got.usage) == (("tool-calls",), Usage(input_tokens=3, output_tokens=4))
    assert (got.user.id, got.session_id) == ("u", "s")
    assert got.attributes == {"ai.telemetry.functionId": "greet"}
    outer = call(
        {
            "ai.operationId": "ai.generateText",
            "ai.prompt": json.dumps({"system": "s", "prompt": "p"}),
            "ai.response.text": "a",
        }
    )
    assert (said(outer.input), said(outer.output)) == ([("system", "s"), ("user", "p")], [("assistant", "a")])
    tool = call(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "f",
            "ai.toolCall.id": "t",
            "ai.toolCall.args": "{}",
            "ai.toolCall.result": '"r"',
        }
    )
    assert tool.tool_calls == (ToolCall(id="t", name="f", arguments="{}", result='"r"'),)


def test_pydantic_ai_and_langfuse() -> None:
    run = [
        {"role": "user", "parts": [{"type": "text", "content": "q"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "a"}]},
    ]
    agent = call({"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": json.dumps(run)})
    assert (said(agent.input), said(agent.output)) == ([("user", "q")], [("assistant", "a")])
    fuse = call(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.input": json.dumps([{"role": "user", "content": "q"}]),
            "langfuse.observation.output": "a",
            "langfuse.user.id": "u",
        }
    )
    assert (fuse.kind, said(fuse.input), said(fuse.output)) == (CallKind.LLM, [("user", "q")], [("assistant", "a")])
    assert fuse.user.id == "u"


def test_mcp_tool_call() -> None:
    got = call(
        {
            "mcp.method.name": "tools/call",
            "gen_ai.tool.name": "read_file",
            "gen_ai.tool.call.arguments": {"path": "/a"},
            "gen_ai.tool.call.result": json.dumps({"content": [{"type": "text", "text": "x"}]}),
            "mcp.session.id": "m1",
        }
    )
    (tool,) = got.tool_calls
    assert (tool.name, tool.arguments) == ("read_file", '{"path":"/a"}')
    assert got.session_id == "m1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": {"role": "user", "parts": [{"text": "Hi"}]}}, [("user", "Hi")]),  # Vertex AI
        ({"content": [{"text": "Hi"}]}, [("user", "Hi")]),  # Bedrock
        ("Hi", [("user", "Hi")]),
        ('{"content": "Hi"}', [("user", "Hi")]),  # Azure sends JSON text
        ({"content": ["Hi", "there"]}, [("user", "Hi"), ("user", "there")]),
    ],
)
def test_bodies_of_user_message_events(body: Any, expected: list[tuple[str, str]]) -> None:
    (event,) = events({"name": "gen_ai.user.message", "body": body})
    assert said(event.input) == expected


def test_gemini_choice_event() -> None:
    body = {
        "index": 0,
        "finish_reason": "STOP",
        "content": {"role": "model", "parts": [{"text": "a"}, {"functionCall": {"name": "f", "args": {"x": 1}}}]},
    }
    (event,) = events({"name": "gen_ai.choice", "body": body})
    assert (said(event.output), event.finish_reasons) == ([("assistant", "a")], ("STOP",))
    assert event.tool_calls == (ToolCall(name="f", arguments='{"x":1}'),)


def test_an_application_own_log_lines_are_not_content() -> None:
    assert events({"body": "GET / 200"}, {"name": "user.clicked", "body": {"content": "no"}}) == ()


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"service.name": "bot"}, "bot"),
        ({"service.name": "unknown_service:python", "openinference.project.name": "proj"}, "proj"),
        ({"service.name": "unknown_service"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_system_names(resource: dict[str, Any], expected: str) -> None:
    (got,) = traces(trace_request({}, resource=resource)).calls
    assert got.system == expected


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ({"status": 2, "message": "boom"}, "boom"),
        ({"status": 2}, "error"),
        ({"status": 2, "attributes": {"error.type": "timeout"}}, "timeout"),
        ({"attributes": {"error.type": "timeout"}}, "timeout"),
        ({"status": 1, "events": [("exception", {"exception.type": "E", "exception.message": "handled"})]}, ""),
        ({"events": [("exception", {"exception.type": "E", "exception.message": "boom"})]}, "E: boom"),
        ({"status": 2, "message": "E: boom", "events": [("exception", {"exception.type": "a.E"})]}, "E: boom"),
    ],
)
def test_errors(span: dict[str, Any], expected: str) -> None:
    (got,) = traces(trace_request(span)).calls
    assert got.error == expected


def test_a_result_without_id_and_name_is_the_first_waiting_call_s() -> None:
    """As openinference-instrumentation-litellm 0.1.51 and Traceloop's google-generativeai 0.62.4 send them."""
    asked = [{"type": "tool_call", "id": "", "name": name, "arguments": {"n": name}} for name in "fg"]
    given = [{"type": "tool_call_response", "id": "", "response": text} for text in ("of f", "of g", "whose?")]
    parts = [{"role": "assistant", "parts": asked}, {"role": "user", "parts": given}]
    got = call({"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(parts)})
    assert [(tool.name, tool.result) for tool in got.tool_calls] == [("f", "of f"), ("g", "of g")]
    assert said(got.input) == [("tool", "whose?")]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]', "a\nb"),
        ('[{"json": {"ok": 1}}]', '{"ok":1}'),
        ('{"type": "json", "value": {"ok": 1}}', '{"ok":1}'),
        ('{"type": "tool", "data": {"content": "a", "type": "tool", "tool_call_id": "t"}}', "a"),
        (
            '{"output": {"lc": 1, "kwargs": {"content": "a", "type": "tool", "tool_call_id": ""}}, "kwargs": {"n": 1}}',
            "a",
        ),
        ('{"type": "circle", "r": 2}', '{"type": "circle", "r": 2}'),
        ('{"output": "a"}', '{"output": "a"}'),
        ('[{"type": "circle"}, 2]', '[{"type": "circle"}, 2]'),
        ('{"type": ', '{"type": '),
    ],
)
def test_a_tool_s_result_out_of_what_a_framework_put_around_it(sent: str, expected: str) -> None:
    parts = [
        {"type": "tool_call", "id": "t", "name": "f", "arguments": {}},
        {"type": "tool_call_response", "id": "t", "response": sent},
    ]
    got = call({"gen_ai.input.messages": json.dumps([{"role": "assistant", "parts": parts}])})
    assert [tool.result for tool in got.tool_calls] == [expected]


def test_a_thought_that_is_a_message_of_its_own() -> None:
    """As Traceloop's anthropic 0.40.14 sends it."""
    got = call(
        {
            "llm.request.type": "chat",
            "gen_ai.completion.0.role": "thinking",
            "gen_ai.completion.0.content": "hm",
            "gen_ai.completion.1.role": "assistant",
            "gen_ai.completion.1.content": "yes",
        }
    )
    assert got.output == (
        Message(role="assistant", text="hm", type="reasoning"),
        Message(role="assistant", text="yes"),
    )


def test_a_step_s_output_that_is_null_is_nothing_said() -> None:
    got = call({"langsmith.span.kind": "llm", "gen_ai.prompt": "hi", "gen_ai.completion": '{"output": null}'})
    assert (said(got.input), got.output) == ([("user", "hi")], ())


def test_a_state_s_last_message_is_its_answer_and_a_rendered_prompt_is_whole() -> None:
    asked, answered = {"type": "human", "content": "q"}, {"type": "ai", "content": "a"}
    for messages, expected in (
        ([asked, answered], [("assistant", "a")]),
        ([{"type": "system", "content": "s"}, asked], [("system", "s"), ("user", "q")]),
    ):
        got = call({"openinference.span.kind": "CHAIN", "output.value": json.dumps({"messages": messages})})
        assert said(got.output) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input": 34, "input_cache_read": 8, "output": 12, "output_reasoning": 5, "total": 59}, (42, 17, 8)),
        ({"input_tokens": 42, "output_tokens": 17, "input_token_details": {"cache_read": 8}}, (42, 17, 8)),
        ({"prompt_tokens": 42, "completion_tokens": 17, "prompt_tokens_details": {"cached_tokens": 0}}, (42, 17, 0)),
        ({"input": "many"}, (0, None, None)),
        ([1], (None, None, None)),
    ],
)
def test_usage_in_one_object(usage: Any, expected: tuple[int | None, ...]) -> None:
    got = call({"langfuse.observation.type": "generation", "langfuse.observation.usage_details": json.dumps(usage)})
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.cached_tokens) == expected


def test_a_stack_trace_in_the_status_is_no_part_of_the_error() -> None:
    got = call({}, status=2, message="E('boom')Traceback (most recent call last):\n  File x.py")
    assert got.error == "E('boom')"


def test_an_event_with_a_result_whose_call_came_in_another_names_the_call() -> None:
    asked, answered = events(
        {
            "name": "gen_ai.choice",
            "body": {"message": {"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]}},
        },
        {"name": "gen_ai.tool.message", "body": {"id": "t", "content": "done"}},
    )
    assert asked.tool_calls == (ToolCall(id="t", name="f", arguments="{}"),)
    assert (answered.tool_calls, answered.input) == ((ToolCall(id="t", result="done"),), ())


def test_spring_ai() -> None:
    """Names of Spring AI 1.x; the older of its prompts come as a list of texts."""
    client = call(
        {
            "spring.ai.kind": "chat_client",
            "gen_ai.operation.name": "framework",
            "gen_ai.system": "spring_ai",
            "spring.ai.chat.client.conversation.id": "c1",
            "gen_ai.prompt": '["Be brief.", "Where is my order?"]',
        }
    )
    assert (client.kind, client.session_id) == (CallKind.CHAIN, "c1")
    assert said(client.input) == [("user", "Be brief."), ("user", "Where is my order?")]
    tool = call(
        {
            "spring.ai.kind": "tool_call",
            "gen_ai.operation.name": "framework",
            "spring.ai.tool.definition.name": "lookUp",
            "spring.ai.tool.call.id": "t1",
            "spring.ai.tool.call.arguments": '{"id": 7}',
            "spring.ai.tool.call.result": '"shipped"',
        }
    )
    assert tool.tool_calls == (ToolCall(id="t1", name="lookUp", arguments='{"id": 7}', result='"shipped"'),)
    store = call(
        {
            "spring.ai.kind": "vector_store",
            "db.system": "pg_vector",
            "db.vector.query.content": "refunds",
            "db.vector.query.response.documents": '["five days", "ten days"]',
        }
    )
    assert (store.kind, said(store.input)) == (CallKind.RETRIEVAL, [("user", "refunds")])
    assert store.documents == (Document(text="five days"), Document(text="ten days"))


def test_azure_ai_events_named_as_attributes() -> None:
    """Names of azure-ai-projects 2.10.0 and azure-ai-agents 1.1.0."""

    def told(role: str, text: str) -> dict[str, str]:
        return {"gen_ai.event.content": json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])}

    got = call(
        {"gen_ai.operation.name": "chat", "gen_ai.thread.id": "th1"},
        events=[
            ("gen_ai.system.instructions", {"gen_ai.event.content": json.dumps([{"type": "text", "content": "s"}])}),
            ("gen_ai.input.messages", told("user", "q")),
            ("gen_ai.output.messages", told("assistant", "a")),
        ],
    )
    assert (said(got.input), said(got.output)) == ([("system", "s"), ("user", "q")], [("assistant", "a")])
    assert (got.session_id, "events" in got.attributes) == ("th1", False)
