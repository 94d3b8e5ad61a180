"""Texts with their features, computed once for all models that are tried on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.training.logistic import Fit
from governance.detectors.linear.features import CHARACTERS, WORDS, Features, features
from governance.detectors.linear.head import Head, quantised
from governance.detectors.linear.reading import Reading, read
from governance.detectors.linear.windows import Windows, windows


@dataclass(frozen=True, slots=True)
class One:
    """A text as the models see it."""

    reading: Reading
    features: Features
    windows: Windows

    @property
    def words(self) -> int:
        return int(self.features.words.shape[1])

    @property
    def count(self) -> int:
        return len(self.windows.text)

    def places(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Where each stretch stands in the original (of a text that needs no normalising)."""
        kept = self.reading.kept
        if kept is None:
            return self.windows.froms[0], self.windows.tos[0]
        return kept[self.windows.froms[0]], kept[self.windows.tos[0] - 1] + 1


class Seen(dict[str, One]):
    """Texts by themselves."""

    def __missing__(self, text: str) -> One:
        reading = read([text])
        found = features(reading)
        self[text] = one = One(reading, found, windows(found))
        return one

    def value(self, head: Head, text: str) -> float:
        """The log odds that the head gives a text: of the whole, or of its most telling stretch."""
        one = self[text]
        return float(head.decide(head.odds(one.features, one.windows), one.windows)[0]) if one.words else -20.0


def head_of(name: str, fit: Fit, *, handicaps: tuple[float, float]) -> Head:
    """A head as the product has it, rounded to int8, not yet calibrated."""
    kinds = (fit.weights[:CHARACTERS], fit.weights[CHARACTERS : CHARACTERS + WORDS], fit.weights[CHARACTERS + WORDS :])
    return quantised(name, kinds, intercept=fit.intercept, handicaps=handicaps)
