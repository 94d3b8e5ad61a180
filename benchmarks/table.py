"""What a benchmark gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure. `measured` and `limit` are in `unit`; `limit` is what the machine does without us, in the same run,
    or None where nothing compares. `goal` says what is promised, in words; `met` whether it was, None where nothing is.
    """

    what: str
    measured: float
    unit: str
    limit: float | None = None
    limit_is: str = ""
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """`notes` say what was measured and how, in whole sentences."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def number(value: float) -> str:
    """A figure as people read it: three digits that count, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
