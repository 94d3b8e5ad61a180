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
