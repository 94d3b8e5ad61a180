"""Stretches of texts that are scored: each whole text, and one to three segments in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from governance.detectors.linear.features import Features

IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Windows:
    """`m` stretches of `t` texts: each whole text first, then single segments, then two and three in a row. A text of
    `k` segments has no stretches of `k` or more in a row beside the whole.

    `text` (m,): the number of its text. `froms` and `tos` (3, m): half-open ranges of code points, of words and of
    class features, counted on (`n` code points, then `w` words, then classes: `bases` says where each kind begins).
    `scales` (3, m): one over the square root of each length.
    """

    texts: int
    text: npt.NDArray[np.intp]
    froms: npt.NDArray[np.intp]
    tos: npt.NDArray[np.intp]
    bases: tuple[int, int, int]
    scales: npt.NDArray[np.float64]


def windows(features: Features) -> Windows:
    """The stretches of all texts."""
    first = features.first
    texts, total = len(first) - 1, len(features.starts)
    segments = first[1:] - first[:-1]
    most = int(segments.max())
    begin, last, owner = [first[:-1]], [first[1:] - 1], [np.arange(texts)]
    if most > 1:
        of = np.repeat(owner[0], segments)
        number = np.arange(total)
        for row in range(min(IN_A_ROW, most - 1)):
            # From each segment from which so many in a row are in the text, and less than all of it.
            fits = ((number + row < first[1:][of]) & (segments[of] > row + 1)).nonzero()[0]
            begin.append(fits)
            last.append(fits + row)
            owner.append(of[fits])
    starts, stops = np.concatenate(begin), np.concatenate(last)
    bases = (0, features.length, features.length + features.words.shape[1])
    below = np.array((features.starts, features.word_starts, features.class_at.searchsorted(features.word_starts)))
    above = np.array((features.ends, features.word_ends, features.class_at.searchsorted(features.word_ends)))
    froms, tos = below.take(starts, axis=1), above.take(stops, axis=1)
    shift = np.array(bases)[:, None]
    return Windows(
        texts=texts,
        text=np.concatenate(owner),
        froms=froms + shift,
        tos=tos + shift,
        bases=bases,
        scales=1.0 / np.sqrt(np.maximum(tos - froms, 1)),
    )
