"""OTLP/JSON to records (OTLP 1.x, "JSON Protobuf Encoding"): ids in hex, 64-bit integers as numbers or text, enums as
numbers or names, lowerCamelCase, unknown fields ignored, null as absent."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from governance.errors import BadInput, TooLarge
from governance.ingest.records import Attributes, LogRecord, Origin, SpanEvent, SpanRecord
from governance.ingest.text import MAX_CONTAINERS, why_no_json
from governance.ingest.wire_protobuf import finite

MAX_DEPTH = 100
_STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_INTEGER = re.compile(r"-?[0-9]{1,20}\Z")
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|Infinity)\Z")
_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object of a body. Objects and lists are counted first: each costs memory that its bytes do not show."""
    if data.count(b"{") + data.count(b"[") > MAX_CONTAINERS:
        raise TooLarge(
            f"The JSON body has more than {MAX_CONTAINERS} objects and lists.", advice="Send smaller batches."
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"The body is not JSON ({why_no_json(error)}).", advice="Check the Content-Type and the exporter."
        ) from None
    if not isinstance(document, dict):
        raise BadInput("The body is not a JSON object.", advice='OTLP/JSON starts with {"resourceSpans": ...}.')
    return document


def spans(document: dict[str, Any]) -> Iterator[SpanRecord]:
    """Every span of an ExportTraceServiceRequest. BadInput says where a value has the wrong type."""
    for origin, at, span in _records(document, "resourceSpans", "scopeSpans", "spans"):
        status = _object(span.get("status"), f"{at}.status")
        yield SpanRecord(
            origin,
            _id(span.get("traceId"), f"{at}.traceId"),
            _id(span.get("spanId"), f"{at}.spanId"),
            _id(span.get("parentSpanId"), f"{at}.parentSpanId"),
            _text(span.get("name"), f"{at}.name"),
            _nanoseconds(span.get("startTimeUnixNano"), f"{at}.startTimeUnixNano"),
            _nanoseconds(span.get("endTimeUnixNano"), f"{at}.endTimeUnixNano"),
            _attributes(span.get("attributes"), f"{at}.attributes"),
            [
                SpanEvent(
                    _text(event.get("name"), f"{at}.events[{i}].name"),
                    _nanoseconds(event.get("timeUnixNano"), f"{at}.events[{i}].timeUnixNano"),
                    _attributes(event.get("attributes"), f"{at}.events[{i}].attributes"),
                )
                for i, event in enumerate(_objects(span.get("events"), f"{at}.events"))
            ],
            _status(status.get("code"), f"{at}.status.code"),
            _text(status.get("message"), f"{at}.status.message"),
        )


def logs(document: dict[str, Any]) -> Iterator[LogRecord]:
    """Every log record of an ExportLogsServiceRequest."""
    for origin, at, record in _records(document, "resourceLogs", "scopeLogs", "logRecords"):
        time = _nanoseconds(record.get("timeUnixNano"), f"{at}.timeUnixNano")
        observed = _nanoseconds(record.get("observedTimeUnixNano"), f"{at}.observedTimeUnixNano")
        body = record.get("body")
        yield LogRecord(
            origin,
            _id(record.get("traceId"), f"{at}.traceId"),
            _id(record.get("spanId"), f"{at}.spanId"),
            time or observed,
            _text(record.get("eventName"), f"{at}.eventName"),
            None if body is None else _value(body, f"{at}.body", 0),
            _attributes(record.get("attributes"), f"{at}.attributes"),
        )


def _records(
    document: dict[str, Any], resources: str, scopes: str, records: str
) -> Iterator[tuple[Origin, str, dict[str, Any]]]:
    for i, resource in enumerate(_objects(document.get(resources), resources)):
        at = f"{resources}[{i}]"
        description = _object(resource.get("resource"), f"{at}.resource")
        attributes = _attributes(description.get("attributes"), f"{at}.resource.attributes")
        for j, group in enumerate(_objects(resource.get(scopes), f"{at}.{scopes}")):
            inside = f"{at}.{scopes}[{j}]"
            scope = _object(group.get("scope"), f"{inside}.scope")
            origin = Origin(
                attributes,
                _text(scope.get("name"), f"{inside}.scope.name"),
                _text(scope.get("version"), f"{inside}.scope.version"),
            )
            for k, record in enumerate(_objects(group.get(records), f"{inside}.{records}")):
                yield origin, f"{inside}.{records}[{k}]", record


def _wrong(at: str, needed: str) -> BadInput:
    return BadInput(f"{at}: {needed} is needed.", advice="See the OTLP specification, JSON Protobuf Encoding.")


def _objects(value: Any, at: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(at, "a list")
    return [_object(item, f"{at}[{i}]") for i, item in enumerate(value)]


def _object(value: Any, at: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(at, "an object")
    return value


def _text(value: Any, at: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(at, "a text")
    return value


def _id(value: Any, at: str) -> str:
    """Lower-case; whether it is hex of the right length is for the reader of the record to say, span by span."""
    return _text(value, at).lower()


def _integer(value: Any, at: str, allowed: range) -> int:
    if (isinstance(value, str) and _INTEGER.match(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise _wrong(at, "a 64-bit integer, as a number or as text,")
    return value


def _nanoseconds(value: Any, at: str) -> int:
    return 0 if value is None else _integer(value, at, _UINT64)


def _status(value: Any, at: str) -> int:
    if value is None:
        return 0
    if isinstance(value, str) and value in _STATUS:
        return _STATUS[value]
    return _integer(value, at, range(-(2**31), 2**31))


def _attributes(value: Any, at: str, depth: int = 0) -> Attributes:
    out: Attributes = {}
    for i, pair in enumerate(_objects(value, at)):
        inner = pair.get("value")
        out[_text(pair.get("key"), f"{at}[{i}].key")] = (
            None if inner is None else _value(inner, f"{at}[{i}].value", depth)
        )
    return out


def _value(value: Any, at: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadInput(f"{at}: nested more than {MAX_DEPTH} deep.", advice="Send flatter attributes.")
    value = _object(value, at)
    found = [
        read(inner, f"{at}.{name}", depth) for name, read in _MEMBERS.items() if (inner := value.get(name)) is not None
    ]
    return found[0] if found else None


def _flag(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(at, "true or false")
    return value


def _array(value: Any, at: str, depth: int) -> list[Any]:
    items = _objects(_object(value, at).get("values"), f"{at}.values")
    return [_value(item, f"{at}.values[{i}]", depth + 1) for i, item in enumerate(items)]


def _pairs(value: Any, at: str, depth: int) -> Attributes:
    return _attributes(_object(value, at).get("values"), f"{at}.values", depth + 1)


def _bytes(value: Any, at: str) -> str:
    try:
        raw = base64.b64decode(_text(value, at).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(at, "base64") from None
    return base64.b64encode(raw).decode("ascii")


def _double(value: Any, at: str) -> float | str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong(at, "a number")
    if isinstance(value, str) and not _NUMBER.match(value):
        raise _wrong(at, "a number")
    try:
        return finite(float(value))
    except (ValueError, OverflowError):
        raise _wrong(at, "a number") from None


# The members of an AnyValue. One is to be there; of several the first counts, and all must be well-formed.
_MEMBERS: dict[str, Callable[[Any, str, int], Any]] = {
    "stringValue": lambda value, at, _: _text(value, at),
    "intValue": lambda value, at, _: _integer(value, at, _INT64),
    "boolValue": lambda value, at, _: _flag(value, at),
    "doubleValue": lambda value, at, _: _double(value, at),
    "arrayValue": _array,
    "kvlistValue": _pairs,
    "bytesValue": lambda value, at, _: _bytes(value, at),
}
