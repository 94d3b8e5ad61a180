"""Conversations as the OTLP/HTTP bodies that instrumented applications send: three conventions, all of them in use.

- `genai`: OpenTelemetry `gen_ai.*`, messages as a JSON string on the span (semantic conventions 1.37 and later);
- `openinference`: flattened `llm.*` and `retrieval.*` attributes (OpenInference semantic conventions);
- `legacy`: `gen_ai.system` on spans, content only in log events (semantic conventions 1.30).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from governance.demo.script import Conversation, Turn

CONTENT_TYPE = "application/x-protobuf"
CONVERSATIONS_A_BODY = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """One request: `path` is /v1/traces or /v1/logs, `content` a protobuf message of `calls` spans."""

    path: str
    content: bytes
    calls: int


def bodies(conversations: Iterable[Conversation]) -> Iterator[Body]:
    """The requests of these conversations, each of one release of one system."""
    releases: dict[tuple[str, str], list[Conversation]] = {}
    for conversation in conversations:
        releases.setdefault((conversation.system, conversation.version), []).append(conversation)
    for held in releases.values():
        for some in _chunks(held, CONVERSATIONS_A_BODY):
            yield from _requests(some)


def _chunks(items: Sequence[Conversation], size: int) -> Iterator[Sequence[Conversation]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _requests(conversations: Sequence[Conversation]) -> Iterator[Body]:
    first = conversations[0]
    writer = _CONVENTIONS[first.convention]()
    for conversation in conversations:
        history: list[Turn] = []
        for turn in conversation.turns:
            writer.turn(conversation, turn, history)
            history.append(turn)
    resource = _attributes(
        {
            "service.name": first.system,
            "service.version": first.version,
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "deployment.environment.name": "production",
        }
    )
    traces = ExportTraceServiceRequest()
    group = traces.resource_spans.add()
    group.resource.attributes.extend(resource)
    scope = group.scope_spans.add(spans=writer.spans)
    scope.scope.name = writer.scope
    yield Body(path="/v1/traces", content=traces.SerializeToString(), calls=len(writer.spans))
    if writer.logs:
        logs = ExportLogsServiceRequest()
        records = logs.resource_logs.add()
        records.resource.attributes.extend(resource)
        records.scope_logs.add(log_records=writer.logs).scope.name = writer.scope
        yield Body(path="/v1/logs", content=logs.SerializeToString(), calls=0)


class _GenAI:
    """Agent, retrieval, tool and chat spans with `gen_ai.*` attributes, content on the span."""

    scope = "opentelemetry.util.genai"

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.logs: list[LogRecord] = []

    def turn(self, held: Conversation, turn: Turn, history: Sequence[Turn]) -> None:
        clock = _Clock(turn)
        who = {"gen_ai.conversation.id": held.id, "user.id": held.user_id, "user.roles": [held.role]}
        agent = {**who, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": held.system}
        root = self._span(turn, "agent", f"invoke_agent {held.system}", 1, clock.whole(), agent)
        if turn.sources:
            found = [
                {"id": source.id, "score": source.score, "content": source.text, "metadata": {"labels": source.labels}}
                for source in turn.sources
            ]
            retrieval = {
                **who,
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": "help-pages",
                "gen_ai.retrieval.documents": _json(found),
            }
            self._span(turn, "retrieval", "retrieval help-pages", 3, clock.next(0.18), retrieval, root)
        for index, tool in enumerate(turn.tools):
            use = {
                **who,
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool.name,
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": tool.id,
                "gen_ai.tool.call.arguments": tool.arguments,
                "gen_ai.tool.call.result": tool.result,
            }
            self._span(turn, f"tool {index}", f"execute_tool {tool.name}", 1, clock.next(0.3), use, root)
        said = [{"role": "system", "parts": [_text(held.prompt)]}]
        for past in history:
            said.append({"role": "user", "parts": [_text(past.question)]})
            said.append({"role": "assistant", "parts": [_text(past.answer)]})
        said.append({"role": "user", "parts": [_text(turn.question)]})
        for tool in turn.tools:
            asked = {"type": "tool_call", "id": tool.id, "name": tool.name, "arguments": json.loads(tool.arguments)}
            answered = {"type": "tool_call_response", "id": tool.id, "response": tool.result}
            said.append({"role": "assistant", "parts": [asked]})
            said.append({"role": "tool", "parts": [answered]})
        answer = [{"role": "assistant", "parts": [_text(turn.answer)], "finish_reason": "stop"}]
        chat = {
            **who,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": held.provider,
            "gen_ai.request.model": held.model,
            "gen_ai.response.model": held.model,
            "gen_ai.response.id": "chatcmpl-" + _hex(turn, "response")[:24],
            "gen_ai.request.temperature": 0.2,
            "gen_ai.output.type": "json" if turn.json_wanted else "text",
            "gen_ai.prompt.name": held.prompt_version.split("@")[0],
            "gen_ai.prompt.version": held.prompt_version.split("@")[1],
            "gen_ai.usage.input_tokens": _tokens(_json(said)),
            "gen_ai.usage.output_tokens": _tokens(turn.answer),
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.input.messages": _json(said),
            "gen_ai.output.messages": _json(answer),
        }
        self._span(turn, "chat", f"chat {held.model}", 3, clock.rest(), chat, root)

    def _span(
        self,
        turn: Turn,
        part: str,
        name: str,
        kind: int,
        times: tuple[datetime, datetime],
        attributes: Mapping[str, object],
        parent: bytes = b"",
        error: str = "",
    ) -> bytes:
        span_id = bytes.fromhex(_hex(turn, part)[:16])
        span = Span(
            trace_id=turn.trace_id,
            span_id=span_id,
            parent_span_id=parent,
            name=name,
            kind=kind,  # type: ignore[arg-type]  # SPAN_KIND_INTERNAL is 1, SPAN_KIND_CLIENT 3
            start_time_unix_nano=_nanoseconds(times[0]),
            end_time_unix_nano=_nanoseconds(times[1]),
            attributes=_attributes(attributes),
        )
        if error:
            span.status.code = 2  # type: ignore[assignment]  # STATUS_CODE_ERROR
            span.status.message = error
            span.attributes.extend(_attributes({"error.type": error}))
        self.spans.append(span)
        return span_id


class _OpenInference(_GenAI):
    """Chain, retriever and LLM spans with flattened attributes."""

    scope = "openinference.instrumentation.anthropic"

    def turn(self, held: Conversation, turn: Turn, history: Sequence[Turn]) -> None:
        clock = _Clock(turn)
        who = {
            "session.id": held.id,
            "user.id": held.user_id,
            "metadata": _json({"user_role": held.role, "prompt_version": held.prompt_version}),
        }
        chain = {**who, "openinference.span.kind": "CHAIN", "input.value": turn.question, "output.value": turn.answer}
        root = self._span(turn, "chain", "answer_question", 1, clock.whole(), chain)
        if turn.sources:
            retrieval: dict[str, object] = {**who, "openinference.span.kind": "RETRIEVER", "input.value": turn.question}
            for index, source in enumerate(turn.sources):
                start = f"retrieval.documents.{index}.document."
                retrieval[start + "id"] = source.id
                retrieval[start + "content"] = source.text
                retrieval[start + "score"] = source.score
                retrieval[start + "metadata"] = _json({"labels": source.labels})
            self._span(turn, "retrieval", "search_handbook", 1, clock.next(0.2), retrieval, root)
        said = [("system", held.prompt)]
        for past in history:
            said += [("user", past.question), ("assistant", past.answer)]
        said.append(("user", turn.question))
        llm: dict[str, object] = {
            **who,
            "openinference.span.kind": "LLM",
            "llm.model_name": held.model,
            "llm.provider": held.provider,
            "llm.system": held.provider,
            "llm.invocation_parameters": _json({"model": held.model, "max_tokens": 800, "temperature": 0}),
            "llm.prompt_template.version": held.prompt_version,
            "llm.token_count.prompt": _tokens(str(said)),
            "llm.token_count.completion": _tokens(turn.answer),
            "llm.token_count.total": _tokens(str(said)) + _tokens(turn.answer),
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": turn.answer,
        }
        for index, (role, words) in enumerate(said):
            llm[f"llm.input_messages.{index}.message.role"] = role
            llm[f"llm.input_messages.{index}.message.content"] = words
        self._span(turn, "llm", "Messages", 3, clock.rest(), llm, root)


class _Legacy(_GenAI):
    """An agent's loop: one chat span a step, what was said only in log events."""

    scope = "opentelemetry.instrumentation.openai_v2"

    def turn(self, held: Conversation, turn: Turn, history: Sequence[Turn]) -> None:
        clock = _Clock(turn)
        who = {"session.id": held.id, "user.id": held.user_id, "user.roles": [held.role]}
        root = self._span(turn, "task", "agent task", 1, clock.whole(), who, error=turn.error)
        said: list[tuple[str, dict[str, object]]] = [("system", {"content": held.prompt})]
        for past in history:
            said += [("user", {"content": past.question}), ("assistant", {"content": past.answer})]
        said.append(("user", {"content": turn.question}))
        for index, tool in enumerate(turn.tools):
            function = {"name": tool.name, "arguments": tool.arguments}
            asks: dict[str, object] = {"tool_calls": [{"id": tool.id, "type": "function", "function": function}]}
            self._step(held, turn, index, clock.next(0.5), who, root, said, asks, "tool_calls")
            said += [("assistant", asks), ("tool", {"id": tool.id, "content": tool.result})]
        answer: dict[str, object] = {"content": turn.answer}
        self._step(held, turn, len(turn.tools), clock.rest(), who, root, said, answer, "stop", error=turn.error)

    def _step(
        self,
        held: Conversation,
        turn: Turn,
        index: int,
        times: tuple[datetime, datetime],
        who: Mapping[str, object],
        root: bytes,
        said: Sequence[tuple[str, dict[str, object]]],
        answer: dict[str, object],
        finish: str,
        error: str = "",
    ) -> None:
        chat: dict[str, object] = {
            **who,
            "gen_ai.system": held.provider,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": held.model,
            "gen_ai.openai.request.response_format": "json_object" if turn.json_wanted else "text",
            "gen_ai.prompt.version": held.prompt_version,
        }
        if not error:
            chat |= {
                "gen_ai.response.model": held.model,
                "gen_ai.response.id": "chatcmpl-" + _hex(turn, f"response {index}")[:24],
                "gen_ai.response.finish_reasons": [finish],
                "gen_ai.usage.input_tokens": _tokens(str(said)),
                "gen_ai.usage.output_tokens": _tokens(str(answer)),
            }
        span_id = self._span(turn, f"chat {index}", f"chat {held.model}", 3, times, chat, root, error)
        for place, (role, body) in enumerate(said):
            at = times[0] + timedelta(microseconds=place)
            self._event(turn, span_id, at, f"gen_ai.{role}.message", held.provider, body)
        if not error:
            choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **answer}}
            self._event(turn, span_id, times[1], "gen_ai.choice", held.provider, choice)

    def _event(
        self, turn: Turn, span_id: bytes, at: datetime, name: str, provider: str, body: Mapping[str, object]
    ) -> None:
        self.logs.append(
            LogRecord(
                time_unix_nano=_nanoseconds(at),
                observed_time_unix_nano=_nanoseconds(at),
                event_name=name,
                trace_id=turn.trace_id,
                span_id=span_id,
                attributes=_attributes({"gen_ai.system": provider, "event.name": name}),
                body=_value(body),
            )
        )


_CONVENTIONS = {"genai": _GenAI, "openinference": _OpenInference, "legacy": _Legacy}


class _Clock:
    """Steps of a turn, one after another: each takes its share, the last one what is left."""

    def __init__(self, turn: Turn) -> None:
        self._start = turn.at
        self._end = turn.at + timedelta(seconds=turn.seconds)
        self._now = turn.at + timedelta(milliseconds=4)

    def whole(self) -> tuple[datetime, datetime]:
        return self._start, self._end

    def next(self, seconds: float) -> tuple[datetime, datetime]:
        """A step of `seconds`, or of half of what is left."""
        start = self._now
        self._now += min(timedelta(seconds=seconds), (self._end - start) / 2)
        return start, self._now

    def rest(self) -> tuple[datetime, datetime]:
        return self._now, self._end


def _text(words: str) -> dict[str, object]:
    return {"type": "text", "content": words}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tokens(text: str) -> int:
    """About four characters a token."""
    return len(text) // 4


def _hex(turn: Turn, part: str) -> str:
    return hashlib.sha256(turn.trace_id + part.encode()).hexdigest()


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000


def _attributes(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, Mapping):
        return AnyValue(kvlist_value=KeyValueList(values=_attributes(value)))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
    return AnyValue(string_value=str(value))
