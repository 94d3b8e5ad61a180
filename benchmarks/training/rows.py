"""Stretches of texts as sparse rows: what the product computes of a stretch by sums, written out for an optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from governance.detectors.linear.features import CHARACTERS, PAIRS, WORDS, Features
from governance.detectors.linear.windows import Windows

SIZE = CHARACTERS + WORDS + PAIRS
"""Weights of a head: characters, then words, then classes."""


@dataclass(slots=True)
class Rows:
    """Sparse rows in the making: feature numbers, their values, where each row begins, its label and its weight."""

    index: list[npt.NDArray[np.int32]] = field(default_factory=list)
    value: list[npt.NDArray[np.float32]] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    label: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)

    def add(self, features: Features, windows: Windows, number: int, label: float, weight: float) -> None:
        """The stretch of that number as a row; nothing of one that has no features."""
        index, value = row(features, windows, number)
        if not len(index):
            return
        self.index.append(index)
        self.value.append(value)
        self.length.append(len(index))
        self.label.append(label)
        self.weight.append(weight)

    def evened(self) -> Rows:
        """The same rows, weights scaled to a mean of one."""
        mean = sum(self.weight) / len(self.weight)
        return replace(self, weight=[one / mean for one in self.weight])

    def __len__(self) -> int:
        return len(self.label)


def row(features: Features, windows: Windows, number: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Feature numbers and values of a stretch of a text that was read alone: each kind scaled by one over the square
    root of its count."""
    froms, tos = windows.froms[:, number], windows.tos[:, number]
    (start, end), (first, last), (begin, stop) = (
        (int(froms[kind]) - base, int(tos[kind]) - base) for kind, base in enumerate(windows.bases)
    )
    length = features.length
    grams = [features.characters[n, start : min(end, length - 1 - n)] for n in range(4) if length > n + 1]
    characters = np.concatenate(grams or [np.zeros(0, np.uint32)])
    words = features.words[:, first:last].ravel()
    classes = features.classes[begin:stop]
    index = np.concatenate(
        (
            characters.astype(np.int32),
            words.astype(np.int32) + CHARACTERS,
            classes.astype(np.int32) + CHARACTERS + WORDS,
        )
    )
    value = np.concatenate(
        (
            np.full(len(characters), 1 / np.sqrt(max(1, end - start)), dtype=np.float32),
            np.full(len(words), 1 / np.sqrt(max(1, last - first)), dtype=np.float32),
            np.full(len(classes), 1 / np.sqrt(max(1, stop - begin)), dtype=np.float32),
        )
    )
    return index, value
