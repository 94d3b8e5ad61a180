"""OTLP/HTTP bodies (OTLP 1.x: protobuf or JSON, gzip) to batches, and the answers a receiver gives."""

from __future__ import annotations

import json
from collections.abc import Iterable

from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from governance.domain.calls import Call, ContentEvent
from governance.errors import BadInput, TooLarge
from governance.ingest import wire_json, wire_protobuf
from governance.ingest.batch import Batch, Problems
from governance.ingest.body import Media, media_of, unpacked
from governance.ingest.interpret import Source, call_of, event_name, event_of, is_content_event, problem_of_ids
from governance.ingest.records import LogRecord, SpanRecord
from governance.ingest.text import clipped, storable

MAX_PARTS = 500_000


def decode_traces(body: bytes, content_type: str, content_encoding: str = "", *, limit: int, system: str = "") -> Batch:
    """An ExportTraceServiceRequest. `limit` is in bytes, after decompression. `system`, when given (an API key bound
    to a system), is the system of every call. BadInput when undecodable, TooLarge over the limit."""
    data, media = _opened(body, content_type, content_encoding, limit)
    if not data:
        return Batch()
    return traces(
        wire_protobuf.spans(data) if media is Media.PROTOBUF else wire_json.spans(wire_json.parsed(data)), system
    )


def decode_logs(body: bytes, content_type: str, content_encoding: str = "", *, limit: int, system: str = "") -> Batch:
    """An ExportLogsServiceRequest: content events of gen_ai.* log records. As `decode_traces`. Other log records are
    an application's own log: accepted, and not kept."""
    data, media = _opened(body, content_type, content_encoding, limit)
    if not data:
        return Batch()
    return logs(wire_protobuf.logs(data) if media is Media.PROTOBUF else wire_json.logs(wire_json.parsed(data)), system)


def traces(spans: Iterable[SpanRecord], system: str) -> Batch:
    """The calls of span records; a span that cannot be identified is rejected, with the reason."""
    calls: list[Call] = []
    parts = 0
    problems = Problems()
    source: Source | None = None
    origin = None
    for index, span in enumerate(spans):
        if problem := problem_of_ids(span.trace_id, span.span_id):
            problems.add(f"Span {index} ({clipped(storable(span.name), 60)!r}) {problem}.")
            continue
        if source is None or span.origin is not origin:
            origin = span.origin
            source = Source(origin, system)
        call = call_of(span, source)
        parts = _within(parts, call)
        calls.append(call)
    return Batch(calls=tuple(calls), rejected=problems.count, problems=problems.sentences)


def logs(records: Iterable[LogRecord], system: str) -> Batch:
    """The content events of log records; one that no span can be found for is rejected, with the reason."""
    events: list[ContentEvent] = []
    parts = 0
    problems = Problems()
    source: Source | None = None
    origin = None
    for index, record in enumerate(records):
        if not is_content_event(record):
            continue
        if problem := problem_of_ids(record.trace_id, record.span_id):
            problems.add(f"Log record {index} ({clipped(storable(event_name(record)), 60)!r}) {problem}.")
            continue
        if source is None or record.origin is not origin:
            origin = record.origin
            source = Source(origin, system)
        if (event := event_of(record, source)) is not None:
            parts = _within(parts, event)
            events.append(event)
    return Batch(content_events=tuple(events), rejected=problems.count, problems=problems.sentences)


def _within(parts: int, more: Call | ContentEvent) -> int:
    """The parts so far and these. TooLarge beyond what a body may hold: each takes more memory than its bytes show."""
    parts += len(more.input) + len(more.output) + len(more.documents) + len(more.tool_calls)
    if parts > MAX_PARTS:
        raise TooLarge(
            f"The body has more than {MAX_PARTS} messages, documents and tool calls.", advice="Send smaller batches."
        )
    return parts


def _opened(body: bytes, content_type: str, content_encoding: str, limit: int) -> tuple[bytes, Media]:
    media = media_of(content_type)
    if media is None:
        raise BadInput(
            f"Content-Type {clipped(storable(content_type), 60)!r} is not understood.",
            advice="Send application/x-protobuf or application/json.",
        )
    return unpacked(body, content_encoding, limit=limit), media


def empty_response(content_type: str) -> tuple[bytes, str]:
    """Body and content type of a full success, in the encoding of the request."""
    return (b"{}", Media.JSON.value) if media_of(content_type) is Media.JSON else (b"", Media.PROTOBUF.value)


def partial_success(kind: str, rejected: int, message: str, content_type: str) -> tuple[bytes, str]:
    """Body and content type of a partial success; `kind` is "traces" or "logs"."""
    message = storable(message)
    if media_of(content_type) is Media.JSON:
        name = "rejectedSpans" if kind == "traces" else "rejectedLogRecords"
        document = {"partialSuccess": {name: str(rejected), "errorMessage": message}}
        return json.dumps(document).encode(), Media.JSON.value
    if kind == "traces":
        traces_response = ExportTraceServiceResponse()
        traces_response.partial_success.rejected_spans = rejected
        traces_response.partial_success.error_message = message
        return traces_response.SerializeToString(), Media.PROTOBUF.value
    logs_response = ExportLogsServiceResponse()
    logs_response.partial_success.rejected_log_records = rejected
    logs_response.partial_success.error_message = message
    return logs_response.SerializeToString(), Media.PROTOBUF.value


def error_status(code: int, message: str, content_type: str) -> tuple[bytes, str]:
    """Body and content type of an error: a `google.rpc.Status` with a code of `google.rpc.Code`."""
    status = Status(code=code, message=storable(message))
    if media_of(content_type) is Media.JSON:
        return MessageToJson(status, indent=None).encode(), Media.JSON.value
    return status.SerializeToString(), Media.PROTOBUF.value
