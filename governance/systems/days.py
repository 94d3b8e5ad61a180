"""A system's figures of a day."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """One system's figures of one day; `day` counts days since 1970 in UTC."""

    system: str
    day: int
    calls: int
    flagged: int
    failed: int
    uncaptured: int
    input_tokens: int
    output_tokens: int
