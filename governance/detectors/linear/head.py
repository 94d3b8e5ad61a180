"""A head: the weights of one question, asked of every stretch of a text, and what the answer means as a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from governance.detectors.linear.features import Features, torn
from governance.detectors.linear.windows import Windows


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Weights as int8 with a scale a kind; `slope` and `offset` turn log odds into a calibrated score.

    `characters` (262144,), `words` (131072,), `classes` (4096,); `scales` are of characters, words, classes. The
    `handicaps` (of the whole text, of a stretch) are subtracted from log odds before the larger counts: of many
    stretches one is high, and of a long document the whole says little.
    """

    name: str
    characters: npt.NDArray[np.int8]
    words: npt.NDArray[np.int8]
    classes: npt.NDArray[np.int8]
    scales: tuple[float, float, float]
    intercept: float
    handicaps: tuple[float, float]
    slope: float
    offset: float

    @property
    def _scales(self) -> npt.NDArray[np.float64]:
        return np.array(self.scales)[:, None]

    def odds(
        self, features: Features, windows: Windows, texts: tuple[int, int] | None = None
    ) -> npt.NDArray[np.float64]:
        """Log odds of each stretch, shape (m,); of stretches that are not in `texts` (a half-open range) they say
        nothing. Linear in the texts: sums over stretches are differences of sums."""
        first, last = texts or (0, windows.texts)
        _, words_from, classes_from = windows.bases
        each = np.zeros(classes_from + len(features.classes) + 1, dtype=np.int16)
        begin, end = int(features.text_starts[first]), int(features.text_ends[last - 1])
        if begin < end:
            grams = self.characters.take(features.characters[:, begin:end])
            grams.ravel()[torn(features.text_ends[first:last] - begin, end - begin)] = 0
            grams.sum(axis=0, dtype=np.int16, out=each[1 + begin : 1 + end])
        begin, end = int(features.word_starts[features.first[first]]), int(features.word_ends[features.first[last] - 1])
        words = self.words.take(features.words[:, begin:end])
        words.sum(axis=0, dtype=np.int16, out=each[1 + words_from + begin : 1 + words_from + end])
        begin, end = features.class_at.searchsorted((begin, end)).tolist()
        each[1 + classes_from + begin : 1 + classes_from + end] = self.classes.take(features.classes[begin:end])
        sums = each.cumsum(dtype=np.int32)
        stretches = (sums.take(windows.tos) - sums.take(windows.froms)) * windows.scales
        # Not a matrix product: that rounds as the shapes have it, and a text would depend on those beside it.
        odds: npt.NDArray[np.float64] = (stretches * self._scales).sum(axis=0) + self.intercept
        return odds

    def decide(self, odds: npt.NDArray[np.float64], windows: Windows) -> npt.NDArray[np.float64]:
        """The log odds of each text from those of its stretches, shape (t,)."""
        texts = windows.texts
        whole = odds[:texts]
        if len(odds) == texts:
            return whole
        best = np.full(texts, -np.inf)
        np.maximum.at(best, windows.text[texts:], odds[texts:])
        return np.where(np.isinf(best), whole, np.maximum(whole - self.handicaps[0], best - self.handicaps[1]))

    def telling(self, odds: npt.NDArray[np.float64], windows: Windows, text: int) -> int:
        """The number of the stretch of a text that says most; of a text of one segment that is the whole."""
        own = (windows.text[windows.texts :] == text).nonzero()[0]
        return int(windows.texts + own[odds[windows.texts + own].argmax()]) if len(own) else text

    def probability(self, odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Calibrated, between 0 and 1; same shape."""
        calibrated = np.minimum(np.maximum(self.slope * odds + self.offset, -30.0), 30.0)
        result: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-calibrated))
        return result


def quantised(
    name: str,
    weights: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]],
    *,
    intercept: float,
    handicaps: tuple[float, float],
    slope: float = 1.0,
    offset: float = 0.0,
) -> Head:
    """A head of real weights: each kind is rounded to 255 steps over its range."""
    rounded = []
    scales = []
    for kind in weights:
        scale = float(np.abs(kind).max(initial=0.0)) / 127 or 1.0
        rounded.append(np.rint(kind / scale).astype(np.int8))
        scales.append(scale)
    return Head(
        name=name,
        characters=rounded[0],
        words=rounded[1],
        classes=rounded[2],
        scales=(scales[0], scales[1], scales[2]),
        intercept=intercept,
        handicaps=handicaps,
        slope=slope,
        offset=offset,
    )
