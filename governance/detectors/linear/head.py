"""Heads: the weights of one question each, asked of every stretch of a text, and what an answer means as a probability.

Several heads are asked in one go: their weights lie in one number, so that one look-up and one sum serve them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from governance.detectors.linear.features import Features
from governance.detectors.linear.windows import ALONE, Windows

_Integers = npt.NDArray[np.integer]


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

    def odds(self, features: Features, windows: Windows) -> npt.NDArray[np.float64]:
        """Log odds of each stretch, shape (m,). Linear in the texts: sums over stretches are differences of sums."""
        sums = _by_segment(features, self.characters, self.words, self.classes)
        return _odds(sums, windows, np.array(self.scales)[:, None]) + self.intercept

    def decide(self, odds: npt.NDArray[np.float64], windows: Windows) -> npt.NDArray[np.float64]:
        """The log odds of each text from those of its stretches, shape (t,)."""
        return _decide(odds, windows, np.array([*self.handicaps, 0.0]))

    def probability(self, odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Calibrated, between 0 and 1; same shape."""
        return _probability(odds, self.slope, self.offset)


class Heads:
    """Up to three heads that are asked together; what each says is what it says alone, to the last bit.

    A weight of the first is in the lowest `_LANE` bits of an int64, those of the others above it. Sums over a segment,
    200 code points at most, stay below 2 ** 20 (of classes, the most: 200 words * 27 features * 127), so that no lane
    runs into the next.
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        if len(heads) > 63 // _LANE:
            raise ValueError(f"more than {63 // _LANE} heads at once")
        self.heads = tuple(heads)
        self._characters = _packed([one.characters for one in heads])
        self._words = _packed([one.words for one in heads])
        self._classes = _packed([one.classes for one in heads])
        self._shifts = (np.arange(len(heads)) * _LANE)[:, None, None]
        self._bias = sum(_HALF << lane * _LANE for lane in range(len(heads)))
        self._scales = np.array([one.scales for one in heads]).reshape(-1, 3, 1)

        def column(values: Sequence[float]) -> npt.NDArray[np.float64]:
            return np.array(values, dtype=np.float64)[:, None]

        self._intercepts = column([one.intercept for one in heads])
        self._handicaps = np.array([(*one.handicaps, 0.0) for one in heads]).reshape(-1, 3)
        self._slopes, self._offsets = column([one.slope for one in heads]), column([one.offset for one in heads])

    def odds(self, features: Features, windows: Windows) -> npt.NDArray[np.float64]:
        """Log odds of each stretch by each head, shape (heads, m)."""
        packed = _by_segment(features, self._characters, self._words, self._classes)
        sums = ((packed + self._bias) >> self._shifts & _MASK) - _HALF
        return _odds(sums, windows, self._scales) + self._intercepts

    def probabilities(self, odds: npt.NDArray[np.float64], windows: Windows) -> npt.NDArray[np.float64]:
        """The calibrated score of each text by each head, shape (heads, t)."""
        return _probability(_decide(odds, windows, self._handicaps), self._slopes, self._offsets)


_LANE = 21
_HALF, _MASK = 1 << _LANE - 1, (1 << _LANE) - 1


def _packed(weights: Sequence[npt.NDArray[np.int8]]) -> npt.NDArray[np.int64]:
    packed = np.zeros(len(weights[0]) if weights else 0, dtype=np.int64)
    for lane, one in enumerate(weights):
        packed += one.astype(np.int64) << lane * _LANE
    return packed


def _by_segment(features: Features, characters: _Integers, words: _Integers, classes: _Integers) -> _Integers:
    """Sums of the weights in each segment, by kind; shape (3, s)."""
    _, words_from, classes_from = features.bases
    each = np.zeros(features.total + 1, dtype=np.int64)
    grams = characters.take(features.characters)
    grams.ravel()[features.torn] = 0
    grams.sum(axis=0, dtype=np.int64, out=each[1 : 1 + words_from])
    words.take(features.words).sum(axis=0, dtype=np.int64, out=each[1 + words_from : 1 + classes_from])
    each[1 + classes_from :] = classes.take(features.classes)
    each.cumsum(out=each)
    sums: _Integers = each.take(features.ends) - each.take(features.starts)
    return sums


def _odds(sums: _Integers, windows: Windows, scales: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of sums (..., 3, s) by segment, what they say of each stretch: (..., m)."""
    upto = np.zeros((*sums.shape[:-1], sums.shape[-1] + 1), dtype=np.int64)
    sums.cumsum(axis=-1, out=upto[..., 1:])
    stretches = (upto.take(windows.last, axis=-1) - upto.take(windows.first, axis=-1)) * windows.scales
    # Not a matrix product: that rounds as the shapes have it, and a text would depend on those beside it.
    odds: npt.NDArray[np.float64] = (stretches * scales).sum(axis=-2)
    return odds


def _decide(
    odds: npt.NDArray[np.float64], windows: Windows, handicaps: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The whole or the best stretch, less their handicaps (..., 3), which are by role."""
    decided: npt.NDArray[np.float64] = np.maximum.reduceat(
        odds - handicaps.take(windows.role, axis=-1), windows.wholes, axis=-1
    )
    return decided


def _probability(
    odds: npt.NDArray[np.float64], slope: float | npt.NDArray[np.float64], offset: float | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    calibrated = np.minimum(np.maximum(slope * odds + offset, -30.0), 30.0)
    result: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-calibrated))
    return result


def telling(odds: npt.NDArray[np.float64], windows: Windows, text: int) -> int:
    """The number of the stretch of a text that says most; of a text of one segment that is the whole."""
    whole = int(windows.wholes[text])
    if windows.role[whole] == ALONE:
        return whole
    own = odds[whole + 1 :][windows.text[whole + 1 :] == text]
    return whole + 1 + int(own.argmax())


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
