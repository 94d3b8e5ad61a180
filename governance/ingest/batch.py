"""What one body or one part of a file decodes to."""

from __future__ import annotations

from dataclasses import dataclass

from governance.domain.calls import Call, ContentEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Calls and content events in the order they were sent.

    `rejected` counts the spans, log records or lines that could not be taken; `problems` says why, at most
    `MAX_PROBLEMS` distinct sentences. Both go into an OTLP partial success (OTLP 1.x, "Partial Success").
    """

    calls: tuple[Call, ...] = ()
    content_events: tuple[ContentEvent, ...] = ()
    rejected: int = 0
    problems: tuple[str, ...] = ()


MAX_PROBLEMS = 20
