"""Builds OTLP requests in both encodings from plain values, and reads the stored bodies."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from governance.domain.calls import Call, ContentEvent, Message
from governance.ingest.batch import Batch
from governance.ingest.otlp import decode_logs, decode_traces

BODIES = Path(__file__).parent / "bodies"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
LIMIT = 20 * 2**20
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
START = 1_795_424_818_000_000_000


def value(item: Any) -> AnyValue:
    out = AnyValue()
    if isinstance(item, bool):
        out.bool_value = item
    elif isinstance(item, int):
        out.int_value = item
    elif isinstance(item, float):
        out.double_value = item
    elif isinstance(item, str):
        out.string_value = item
    elif isinstance(item, bytes):
        out.bytes_value = item
    elif isinstance(item, list):
        out.array_value.SetInParent()
        out.array_value.values.extend(value(each) for each in item)
    elif isinstance(item, dict):
        out.kvlist_value.SetInParent()
        out.kvlist_value.values.extend(pairs(item))
    return out


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(item)) for key, item in attributes.items()]


def trace_request(
    *spans: dict[str, Any], resource: dict[str, Any] | None = None, scope: str = ""
) -> ExportTraceServiceRequest:
    """Each span: attributes, and optionally name, trace_id, span_id, start, end, status, message, events."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": "app"} if resource is None else resource))
    inner = group.scope_spans.add()
    inner.scope.name = scope
    for i, given in enumerate(spans):
        span = inner.spans.add(
            name=given.get("name", "step"),
            trace_id=given.get("trace_id", bytes.fromhex(TRACE)),
            span_id=given.get("span_id", (int(SPAN, 16) + i).to_bytes(8, "big")),
            parent_span_id=given.get("parent_span_id", b""),
            start_time_unix_nano=given.get("start", START),
            end_time_unix_nano=given.get("end", START + 1_500_000_000),
        )
        span.attributes.extend(pairs(given.get("attributes", {})))
        span.status.code = given.get("status", 0)
        span.status.message = given.get("message", "")
        for name, attributes in given.get("events", ()):
            event = span.events.add(name=name, time_unix_nano=START + 1_000_000)
            event.attributes.extend(pairs(attributes))
    return request


def log_request(*records: dict[str, Any]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(pairs({"service.name": "app"}))
    inner = group.scope_logs.add()
    for given in records:
        record = inner.log_records.add(
            event_name=given.get("name", ""),
            trace_id=given.get("trace_id", bytes.fromhex(TRACE)),
            span_id=given.get("span_id", bytes.fromhex(SPAN)),
            time_unix_nano=given.get("time", START),
        )
        if "body" in given:
            record.body.CopyFrom(value(given["body"]))
        record.attributes.extend(pairs(given.get("attributes", {})))
    return request


def as_json(request: Any) -> bytes:
    """OTLP/JSON: what protobuf's own JSON is, but ids in hex."""
    document = MessageToDict(request)

    def hexed(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: base64.b64decode(item).hex() if key in ("traceId", "spanId", "parentSpanId") else hexed(item)
                for key, item in node.items()
            }
        return [hexed(item) for item in node] if isinstance(node, list) else node

    return json.dumps(hexed(document)).encode()


def traces(request: ExportTraceServiceRequest) -> Batch:
    return decode_traces(request.SerializeToString(), PROTOBUF, limit=LIMIT)


def call(attributes: dict[str, Any], **span: Any) -> Call:
    """The call of one span with these attributes."""
    (only,) = traces(trace_request({"attributes": attributes, **span})).calls
    return only


def events(*records: dict[str, Any]) -> tuple[ContentEvent, ...]:
    return decode_logs(log_request(*records).SerializeToString(), PROTOBUF, limit=LIMIT).content_events


def stored(name: str) -> tuple[bytes, str, str]:
    """A stored body, its content type and its content encoding."""
    headers = json.loads((BODIES / f"{name}.headers.json").read_text())["headers"]
    lower = {key.lower(): item for key, item in headers.items()}
    return (BODIES / f"{name}.bin").read_bytes(), lower["content-type"], lower.get("content-encoding", "")


def calls_of(name: str) -> list[Call]:
    batch = decode_traces(*stored(f"{name}.traces.01"), limit=LIMIT)
    assert (batch.rejected, batch.problems) == (0, ())
    return list(batch.calls)


def said(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def told(batch: Batch) -> str:
    """All that a body's calls and content events say, as text that a person can check: ids, times and attributes
    aside."""
    lines: list[str] = []
    items: list[Call | ContentEvent] = [*batch.calls, *batch.content_events]
    for item in items:
        if isinstance(item, Call):
            usage = item.usage
            spent = (("in", usage.input_tokens), ("out", usage.output_tokens), ("cached", usage.cached_tokens))
            facts = [
                *(item.kind, item.model, item.provider),
                " ".join(f"{name}={count}" for name, count in spent if count is not None),
                f"session={item.session_id[:12]}" if item.session_id else "",
                f"user={item.user.id}" if item.user.id else "",
                f"prompt={item.release.prompt_version}" if item.release.prompt_version else "",
                "with tools" if item.release.tools else "",
                f"error={item.error}" if item.error else "",
                "" if item.content_captured else "nothing captured",
            ]
        else:
            facts = ["event"]
        facts.extend(item.finish_reasons)
        lines.append(f"{item.name}: {' | '.join(fact for fact in facts if fact)}")
        for direction, messages in (("in", item.input), ("out", item.output)):
            for message in messages:
                type = "" if message.type == "text" else f" ({message.type})"
                lines.append(f"  {direction} {message.role}{type}: {message.text!r}")
        for tool in item.tool_calls:
            lines.append(f"  tool {tool.name} [{tool.id}] {tool.arguments!r} -> {tool.result!r}")
        for document in item.documents:
            lines.append(f"  document [{document.id}] {document.text!r} score={document.score}")
    return "\n".join(lines) + "\n"
