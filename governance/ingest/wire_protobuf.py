"""OTLP protobuf to records. The walk is hot: one pass, no reflection beyond WhichOneof."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as ProtobufLogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from governance.errors import BadInput, TooLarge
from governance.ingest.records import Attributes, LogRecord, Origin, SpanEvent, SpanRecord

MAX_RECORDS = 200_000
_LARGE = 1 << 16


def spans(data: bytes) -> Iterator[SpanRecord]:
    """Every span of an ExportTraceServiceRequest, in order. BadInput when it is none."""
    for origin, piece in _records(data, "ExportTraceServiceRequest"):
        span = _parsed(Span(), piece, "ExportTraceServiceRequest")
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
    for origin, piece in _records(data, "ExportLogsServiceRequest"):
        record = _parsed(ProtobufLogRecord(), piece, "ExportLogsServiceRequest")
        yield LogRecord(
            origin,
            record.trace_id.hex(),
            record.span_id.hex(),
            record.time_unix_nano or record.observed_time_unix_nano,
            record.event_name,
            _value(record.body),
            _attributes(record.attributes),
        )


def _records(data: bytes, name: str) -> Iterator[tuple[Origin, bytes]]:
    """Each record's own bytes, with its resource and scope. Both requests nest alike: resource 1 and scopes 2 in a
    group, scope 1 and records 2 in a scope. A message of two bytes takes a hundred in memory, so records are counted
    before any is parsed, and parsed one at a time."""
    count = 0
    groups: list[tuple[bytes, list[tuple[bytes, list[tuple[int, int]]]]]] = []
    for start, end in _fields(data, 0, len(data), name)[1]:
        group = _fields(data, start, end, name)
        scopes = []
        for inner_start, inner_end in group[2]:
            scope = _fields(data, inner_start, inner_end, name)
            count += len(scope[2]) + 1
            scopes.append((b"".join(data[a:b] for a, b in scope[1]), scope[2]))
            if count > MAX_RECORDS:
                raise _too_many()
        count += 1
        groups.append((b"".join(data[a:b] for a, b in group[1]), scopes))
    for described, scopes in groups:
        resource = _attributes(_parsed(Resource(), _modest(described), name).attributes)
        for named, records in scopes:
            scope_message = _parsed(InstrumentationScope(), _modest(named), name)
            origin = Origin(resource, scope_message.name, scope_message.version)
            for start, end in records:
                yield origin, _modest(data[start:end])


def _fields(data: bytes, at: int, end: int, name: str) -> dict[int, list[tuple[int, int]]]:
    """Where the length-delimited fields 1 and 2 of a message are (Protocol Buffers encoding); others are skipped."""
    found: dict[int, list[tuple[int, int]]] = {1: [], 2: []}
    seen = 0
    while at < end:
        seen += 1
        if seen > MAX_RECORDS:
            raise _too_many()
        tag, at = _varint(data, at, end, name)
        wire = tag & 7
        if wire == 2:
            size, at = _varint(data, at, end, name)
            if at + size > end:
                raise _broken(name, "cut off")
            if (number := tag >> 3) in found:
                found[number].append((at, at + size))
            at += size
        elif wire == 0:
            _, at = _varint(data, at, end, name)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise _broken(name, f"wire type {wire}")
    if at != end:
        raise _broken(name, "cut off")
    return found


def _varint(data: bytes, at: int, end: int, name: str) -> tuple[int, int]:
    number = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise _broken(name, "cut off" if at >= end else "a number is too long")


def _modest(piece: bytes) -> bytes:
    """A record that is large because of what it says, not because of how many empty values it has."""
    if (
        len(piece) > _LARGE
        and piece.count(b"\x0a\x00") + piece.count(b"\x12\x00") + piece.count(b"\x4a\x00") > MAX_RECORDS
    ):
        raise _too_many()
    return piece


def _too_many() -> TooLarge:
    return TooLarge(f"The body has more than {MAX_RECORDS} records or empty values.", advice="Send smaller batches.")


def _broken(name: str, reason: str) -> BadInput:
    return BadInput(f"The body is no {name} in protobuf ({reason}).", advice="Check the Content-Type and the exporter.")


def _parsed(message: Any, data: bytes, name: str) -> Any:
    try:
        message.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise _broken(name, str(error)) from None
    return message


def _attributes(pairs: Any) -> Attributes:
    """The last value of a repeated key wins, as in OTLP/JSON."""
    return {pair.key: (value := pair.value).string_value or value.int_value or _value(value) for pair in pairs}


def _value(value: Any) -> Any:
    """Any value; whoever calls asks for a text and a number first, because nearly all are and say so by themselves."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [item.string_value or _value(item) for item in value.array_value.values]
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
