"""What scores mean: set by how many ordinary texts of sources that a model never saw reach them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.training.sources import Text
from governance.detectors.linear.head import Head

FLAG, SURE = 0.5, 0.9


@dataclass(slots=True)
class Scores:
    """Log odds of texts by source and label."""

    odds: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, text: Text, odds: float) -> None:
        self.odds[text.source, text.label].append(odds)


def calibrated(head: Head, scores: Scores, ordinary: Sequence[str], *, flag: float, sure: float) -> Head:
    """The head calibrated so that these shares of ordinary texts (mean over sources) reach 0.5 and 0.9."""
    groups = [np.array(scores.odds[source, 0]) for source in ordinary if scores.odds.get((source, 0))]
    if not groups:
        return head
    half, high = _reached(groups, flag), _reached(groups, sure)
    slope = np.log(SURE / (1 - SURE)) / max(high - half, 0.25)
    return replace(head, slope=float(slope), offset=float(-slope * half))


def _reached(groups: Sequence[np.ndarray], share: float) -> float:
    """The lowest log odds that at most that share of the texts reaches, each source counting the same."""
    for at in np.linspace(-8.0, 12.0, 2001):
        if np.mean([np.mean(group >= at) for group in groups]) <= share:
            return float(at)
    return 12.0


def table(head: Head, scores: Scores) -> str:
    """Per source: how many attacks and ordinary texts there are, and what share of them reaches 0.5 and 0.9."""
    lines = ["| source left out | attacks | found at 0.5 | at 0.9 | ordinary | flagged at 0.5 | at 0.9 |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for source in sorted({source for source, _ in scores.odds}):
        cells = []
        for label in (1, 0):
            odds = scores.odds.get((source, label), [])
            reached = head.probability(np.array(odds))
            cells.append(f"{len(odds):,}")
            cells.extend(f"{np.mean(reached >= at):.1%}" if odds else "–" for at in (FLAG, SURE))
        lines.append(f"| {source} | {' | '.join(cells)} |")
    return "\n".join(lines)
