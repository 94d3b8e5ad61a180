"""OTLP protobuf to records. The walk is hot: one pass, no reflection beyond WhichOneof."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from governance.errors import BadInput
from governance.ingest.records import Attributes, LogRecord, Origin, SpanEvent, SpanRecord


def spans(data: bytes) -> Iterator[SpanRecord]:
    """Every span of an ExportTraceServiceRequest, in order. BadInput when it is none."""
    request = _parsed(ExportTraceServiceRequest(), data, "ExportTraceServiceRequest")
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            origin = Origin(resource, scope_spans.scope.name, scope_spans.scope.version)
            for span in scope_spans.spans:
                events = span.events
                status = span.status
                yield SpanRecord(
                    origin,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    [SpanEvent(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in events] if events else [],
                    status.code,
                    status.message,
                )


def logs(data: bytes) -> Iterator[LogRecord]:
    """Every log record of an ExportLogsServiceRequest, in order. BadInput when it is none."""
    request = _parsed(ExportLogsServiceRequest(), data, "ExportLogsServiceRequest")
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            origin = Origin(resource, scope_logs.scope.name, scope_logs.scope.version)
            for record in scope_logs.log_records:
                yield LogRecord(
                    origin,
                    record.trace_id.hex(),
                    record.span_id.hex(),
                    record.time_unix_nano or record.observed_time_unix_nano,
                    record.event_name,
                    _value(record.body),
                    _attributes(record.attributes),
                )


def _parsed(message: Any, data: bytes, name: str) -> Any:
    try:
        message.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise BadInput(
            f"The body is no {name} in protobuf ({error}).", advice="Check the Content-Type and the exporter."
        ) from None
    return message


def _attributes(pairs: Any) -> Attributes:
    """The last value of a repeated key wins, as in OTLP/JSON."""
    out: Attributes = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            out[pair.key] = value.string_value
        elif kind == "int_value":
            out[pair.key] = value.int_value
        else:
            out[pair.key] = _value(value)
    return out


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "double_value":
        return finite(value.double_value)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode("ascii")
    return getattr(value, kind)


def finite(number: float) -> float | str:
    """JSON has no NaN and no infinities: their names, as OTLP/JSON writes them."""
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
