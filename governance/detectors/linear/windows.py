"""Stretches of texts that are scored: each whole text, and one to three segments in a row."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from governance.detectors.linear.features import Features

IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Windows:
    """`m` stretches of `t` texts, of one text after the other: the whole, then single segments, then two and three in a
    row. A text of `k` segments has no stretches of `k` or more in a row beside the whole.

    `wholes` (t,): the numbers of the whole texts. `text` (m,): the number of the text; `role` (m,): `STRETCH`, `WHOLE`,
    or `ALONE`, a whole without stretches. `first` and `last` (m,): half-open ranges of segments. `froms` and `tos`
    (3, m): half-open ranges of code points, of words and of class features, counted on as in `Features`. `scales`
    (3, m): one over the square root of each length.
    """

    wholes: npt.NDArray[np.intp]
    text: npt.NDArray[np.intp]
    role: npt.NDArray[np.intp]
    first: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]
    froms: npt.NDArray[np.intp]
    tos: npt.NDArray[np.intp]
    bases: tuple[int, int, int]
    scales: npt.NDArray[np.float64]


WHOLE, STRETCH, ALONE = 0, 1, 2


_Stretches = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]


@functools.lru_cache(maxsize=256)
def _usual(segments: int) -> _Stretches:
    """First segment, last segment (exclusive) and role of each stretch of a text of so many segments."""
    rows = range(1, min(IN_A_ROW, segments - 1) + 1)
    first = np.concatenate([[0], *(np.arange(segments - row + 1) for row in rows)]).astype(np.intp)
    sizes = np.repeat([segments, *rows], [1, *(segments - row + 1 for row in rows)])
    role = np.full(len(first), STRETCH)
    role[0] = WHOLE if segments > 1 else ALONE
    return first, first + sizes, role


def _stretches(segments: int) -> _Stretches:
    return _usual(segments) if segments < 256 else _usual.__wrapped__(segments)


def windows(features: Features) -> Windows:
    """The stretches of all texts."""
    first = features.first
    texts = [_stretches(end - begin) for begin, end in pairwise(first)]
    counts = [len(one[0]) for one in texts]
    begin, end, role = (np.concatenate(kind) for kind in zip(*texts, strict=True))
    text = np.arange(len(texts)).repeat(counts)
    if len(texts) > 1:
        before = np.array(first, dtype=np.intp)[text]
        begin += before
        end += before
    froms, tos = features.starts.take(begin, axis=1), features.ends.take(end - 1, axis=1)
    return Windows(
        wholes=np.array([0, *counts[:-1]], dtype=np.intp).cumsum(),
        text=text,
        role=role,
        first=begin,
        last=end,
        froms=froms,
        tos=tos,
        bases=features.bases,
        scales=1.0 / np.sqrt(np.maximum(tos - froms, 1)),
    )
