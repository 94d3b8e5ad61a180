"""Shares with how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

_Z = 1.959964
"""Of the normal distribution, for 95%."""

LEAST_VERDICTS = 10
"""Fewer verdicts than these say nothing about how often a policy is right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """`hits` of `of`, with the interval that holds the true share in 95 of 100 cases; all None where `of` is 0."""

    hits: int
    of: int
    value: float | None
    low: float | None
    high: float | None

    def document(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "hits": self.hits, "of": self.of}


def share(hits: int, of: int) -> Share:
    """A share with its 95% score interval (E. B. Wilson, 1927), which holds for few cases and near 0 and 1 too."""
    if not of:
        return Share(hits=hits, of=of, value=None, low=None, high=None)
    part = hits / of
    middle = (part + _Z * _Z / (2 * of)) / (1 + _Z * _Z / of)
    half = _Z * sqrt(part * (1 - part) / of + _Z * _Z / (4 * of * of)) / (1 + _Z * _Z / of)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(hits=hits, of=of, value=round(part, 6), low=round(low, 6), high=round(high, 6))


def percent(value: float) -> str:
    """A share as people read it: "3.1%", "0.04%", "2%"."""
    digits = 0 if value in (0, 1) else 1 if value >= 0.01 else 2
    text = f"{100 * value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"
