"""Right and wrong answers, and what follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Ratios are NaN where nothing was there to be answered. `seconds` is what all of it took."""

    hit: int = 0
    missed: int = 0
    false: int = 0
    passed: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, answers: Iterable[tuple[bool, bool]], *, seconds: float = 0.0) -> Counts:
        """From pairs of what a text is and what was said of it."""
        counts = Counter(answers)
        return cls(
            hit=counts[True, True],
            missed=counts[True, False],
            false=counts[False, True],
            passed=counts[False, False],
            seconds=seconds,
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            hit=self.hit + other.hit,
            missed=self.missed + other.missed,
            false=self.false + other.false,
            passed=self.passed + other.passed,
            seconds=self.seconds + other.seconds,
        )

    @property
    def there(self) -> int:
        return self.hit + self.missed

    @property
    def harmless(self) -> int:
        return self.false + self.passed

    @property
    def recall(self) -> float:
        return ratio(self.hit, self.there)

    @property
    def precision(self) -> float:
        return ratio(self.hit, self.hit + self.false)

    @property
    def f1(self) -> float:
        return ratio(2 * self.hit, 2 * self.hit + self.missed + self.false) if self.there else float("nan")

    @property
    def false_share(self) -> float:
        """The share of harmless texts that were said to be something."""
        return ratio(self.false, self.harmless)

    @property
    def milliseconds(self) -> float:
        """A text."""
        return 1_000 * ratio(self.seconds, self.there + self.harmless)


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.1f} %"


def figure(share: float) -> str:
    return "–" if share != share else f"{share:.3f}"


def milliseconds(value: float) -> str:
    return "–" if value != value else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table, its first column to the left, the others to the right."""
    columns = list(head)
    lines = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
