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


class Problems:
    """Counts what could not be taken and keeps the first distinct reasons."""

    __slots__ = ("_kept", "count")

    def __init__(self) -> None:
        self.count = 0
        self._kept: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        self.count += 1
        if len(self._kept) < MAX_PROBLEMS:
            self._kept.setdefault(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._kept)
