"""Spans and log records as plain values, whatever wire they came on: what the conventions read.

An attribute value is None, bool, int, float, str, list or dict; bytes are base64 text, NaN and infinities are text.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Attributes = dict[str, Any]


class SpanEvent(NamedTuple):
    name: str
    time: int
    attributes: Attributes


class Origin(NamedTuple):
    """The resource and the instrumentation scope of a run of records."""

    resource: Attributes
    scope: str
    scope_version: str


class SpanRecord(NamedTuple):
    """Ids are lower-case hex as they came (perhaps of a wrong length); times are nanoseconds since 1970."""

    origin: Origin
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    start: int
    end: int
    attributes: Attributes
    events: list[SpanEvent]
    status: int
    status_message: str


class LogRecord(NamedTuple):
    origin: Origin
    trace_id: str
    span_id: str
    time: int
    event_name: str
    body: Any
    attributes: Attributes


STATUS_OK = 1
STATUS_ERROR = 2
