"""What the OTLP receiver reads of a body (OTLP 1.x, "JSON Protobuf Encoding"), as JSON Schema for the API's document.

It holds what `ingest.wire_json` holds: the fields that are read and their types. Other fields of OTLP are allowed and
not read. A span without usable ids is no error of the request: it is counted in the answer's `partialSuccess`.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(*schemas: Schema) -> Schema:
    """Null is the same as absent."""
    return {"anyOf": [*schemas, {"type": "null"}]}


def _object(description: str, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties}


def _list(name: str) -> Schema:
    return _or_null({"type": "array", "items": _or_null(_ref(name))})


def _up_to(largest: int) -> str:
    """A regular expression for the digits of 0 to `largest`."""
    digits = str(largest)
    below = [
        f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if digit != "0"
    ]
    return f"([0-9]{{1,{len(digits) - 1}}}|{'|'.join(below)}|{digits})"


_TEXT = {"type": ["string", "null"]}
_INT64 = _or_null(
    {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    {"type": "string", "pattern": f"^-?{_up_to(2**63 - 1)}$"},
)
_NANOSECONDS = _or_null(
    {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
    {"type": "string", "pattern": f"^{_up_to(2**64 - 1)}$"},
)
_DOUBLE = _or_null(
    {"type": "number"},
    {"type": "string", "pattern": "^-?([0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|Infinity)$"},
)
_BASE64 = {
    "type": ["string", "null"],
    "pattern": "^([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?$",
}
_STATUS_CODE = _or_null(
    {"enum": ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]},
    {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    {"type": "string", "pattern": f"^-?{_up_to(2**31 - 1)}$"},
)


def _partial_success(rejected: str) -> Schema:
    return _object(
        "Absent where everything was taken.",
        **{rejected: {"type": "string", "pattern": "^[0-9]+$"}, "errorMessage": {"type": "string"}},
    )


SCHEMAS: dict[str, Schema] = {
    "ExportTraceServiceRequest": _object(
        "Spans, by the resource and the scope that they come from.", resourceSpans=_list("ResourceSpans")
    ),
    "ResourceSpans": _object(
        "Spans of one resource.", resource=_or_null(_ref("Resource")), scopeSpans=_list("ScopeSpans")
    ),
    "ScopeSpans": _object(
        "Spans of one instrumentation.", scope=_or_null(_ref("InstrumentationScope")), spans=_list("Span")
    ),
    "Span": _object(
        "One step of a trace. `gen_ai.*` and OpenInference attributes say what was asked and answered.",
        traceId={**_TEXT, "description": "32 hex digits. A span without is rejected."},
        spanId={**_TEXT, "description": "16 hex digits. A span without is rejected."},
        parentSpanId=_TEXT,
        name=_TEXT,
        startTimeUnixNano=_NANOSECONDS,
        endTimeUnixNano=_NANOSECONDS,
        attributes=_list("KeyValue"),
        events=_list("SpanEvent"),
        status=_or_null(_ref("SpanStatus")),
    ),
    "SpanEvent": _object(
        "Something that happened in a span.", name=_TEXT, timeUnixNano=_NANOSECONDS, attributes=_list("KeyValue")
    ),
    "SpanStatus": _object("How the step ended.", code=_STATUS_CODE, message=_TEXT),
    "ExportLogsServiceRequest": _object(
        "Log records, by the resource and the scope that they come from.", resourceLogs=_list("ResourceLogs")
    ),
    "ResourceLogs": _object(
        "Log records of one resource.", resource=_or_null(_ref("Resource")), scopeLogs=_list("ScopeLogs")
    ),
    "ScopeLogs": _object(
        "Log records of one instrumentation.",
        scope=_or_null(_ref("InstrumentationScope")),
        logRecords=_list("LogRecord"),
    ),
    "LogRecord": _object(
        "Content of a call, where its event name begins with `gen_ai.`; other records are accepted and not kept.",
        traceId=_TEXT,
        spanId=_TEXT,
        timeUnixNano=_NANOSECONDS,
        observedTimeUnixNano=_NANOSECONDS,
        eventName=_TEXT,
        body=_or_null(_ref("AnyValue")),
        attributes=_list("KeyValue"),
    ),
    "Resource": _object("What sends; `service.name` is its system.", attributes=_list("KeyValue")),
    "InstrumentationScope": _object("Which library made the records.", name=_TEXT, version=_TEXT),
    "KeyValue": _object("An attribute.", key=_TEXT, value=_or_null(_ref("AnyValue"))),
    "AnyValue": _object(
        "A value, by its type; at most 100 deep. Of several members the first counts.",
        stringValue=_TEXT,
        intValue=_INT64,
        boolValue={"type": ["boolean", "null"]},
        doubleValue=_DOUBLE,
        arrayValue=_or_null(_object("A list.", values=_list("AnyValue"))),
        kvlistValue=_or_null(_object("Named values.", values=_list("KeyValue"))),
        bytesValue=_BASE64,
    ),
    "ExportTraceServiceResponse": _object(
        "What was taken is committed.", partialSuccess=_partial_success("rejectedSpans")
    ),
    "ExportLogsServiceResponse": _object(
        "What was taken is committed.", partialSuccess=_partial_success("rejectedLogRecords")
    ),
    "Status": {
        **_object(
            "An error, as google.rpc.Status.",
            code={"type": "integer", "description": "google.rpc.Code"},
            message={"type": "string", "description": "What is wrong, and what to do about it."},
        ),
        "required": ["code", "message"],
    },
}


def media(message: str) -> dict[str, Any]:
    """A message of OTLP in both of its formats."""
    return {
        "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
        "application/json": {"schema": _ref(message)},
    }
