"""Texts as the models read them: lower-case code points, plain letters, single spaces, and where each comes from.

Several texts are read in one go, one behind the other, because arrays cost more to begin with than to go through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from governance.detectors import views

_SIZE = 0x20000
"""Code points that have an entry of their own in the tables; those above (tags, private use) are read as a symbol."""
_OTHER = 0x1FFFF

SPACE, WORD, SINGLE, MARK = 1, 2, 4, 8
"""What a code point is: white space, part of a word, a word by itself (CJK), the end of a sentence."""
_SPECIAL, _LATIN, _ALIKE = 16, 32, 64
"""Not one to one (the text goes through `views.normalised` first); a Latin letter; a letter of a script with Latin
look-alikes: side by side they also call for `views.normalised`."""

_SEPARATOR = "\0"
"""Between texts. In a text it is special, and gone once the text is normalised."""
_IDEOGRAPHS = ((0x3040, 0xA000), (0xAC00, 0xD7B0), (0xF900, 0xFB00))
_EVERYDAY = {0xDF: "s", 0xE6: "e", 0xC6: "e", 0x153: "e", 0x152: "e", 0x2026: "."}
"""Letters that ordinary texts are full of, read as one where exact spelling would make two or three."""
_LONGER = "".join(chr(one) for one in views.EXPAND if one not in _EVERYDAY)
_NOT_ONE = re.compile(f"[{views.INVISIBLE}{views.CONTROL}{views.COMBINING}{_LONGER}]")


def _tables() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    points = np.arange(_SIZE, dtype=np.uint32)
    kinds = np.zeros(_SIZE, dtype=np.uint8)
    for first, last in _IDEOGRAPHS:
        kinds[first:last] = SINGLE | WORD
    # Of the higher planes only what folds to a plain letter is read as one; other scripts there are symbols.
    for point in (*range(0x3040), *range(0xA000, 0xAC00), *range(0xFB00, 0x10000), *sorted(views.FOLD)):
        plain = _EVERYDAY.get(point) or views.FOLD.get(point, chr(point))
        lower = plain.lower()
        shown = lower if len(lower) == 1 else plain
        points[point] = ord(shown)
        if shown.isspace():
            points[point] = 0x20
            kinds[point] |= SPACE
        elif shown.isalnum():
            kinds[point] |= WORD
        if chr(point) in ".!?\u2026\u3002\uff01\uff1f\u061f\u0964":
            kinds[point] |= MARK
        if _NOT_ONE.match(chr(point)):
            kinds[point] |= _SPECIAL
        if "a" <= shown <= "z":
            kinds[point] |= _LATIN
        elif 0x370 <= point < 0x590 and shown.isalpha():
            kinds[point] |= _ALIKE
    kinds[_OTHER] = _SPECIAL
    kinds[ord(_SEPARATOR)] = _SPECIAL
    return points, kinds


_POINTS, _KINDS = _tables()
_ASCII_POINTS, _ASCII_KINDS = _POINTS[:128].copy(), _KINDS[:128].copy()

_LEET = np.zeros(128, dtype=np.uint32)
for _written, _read in zip("013457@$!", "oieastasi", strict=True):
    _LEET[ord(_written)] = ord(_read)


@dataclass(frozen=True, slots=True)
class Reading:
    """`t` texts of together `n` code points (separators included), and per code point what it is and where it stands.

    `points`, `kinds` and `newline` have shape (n,); the last says that a line of the original ends at, or in the white
    space of, this code point. `begins` and `ends` (t,): the half-open range of each text.
    """

    points: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]
    newline: npt.NDArray[np.bool_]
    begins: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    kept: npt.NDArray[np.intp] | None
    raw_begins: Sequence[int]
    views: Sequence[views.View | None]

    def place(self, text: int, start: int, end: int) -> tuple[int, int]:
        """Where a non-empty range of the reading stands in that text's original; code points, end exclusive."""
        first, last = (start, end - 1) if self.kept is None else (int(self.kept[start]), int(self.kept[end - 1]))
        first, last = first - self.raw_begins[text], last + 1 - self.raw_begins[text]
        view = self.views[text]
        return (first, last) if view is None else view.original(first, last)


def read(texts: Sequence[str]) -> Reading:
    """The texts (one or more) as the models read them. Linear in them; never fails, whatever they are."""
    seen: list[views.View | None] = [None] * len(texts)
    raw, points, kinds = _looked_up(texts)
    if _uneven(kinds, len(texts) - 1):
        for number, text in enumerate(texts):
            if len(texts) == 1 or _uneven(_looked_up((text,))[2], 0):
                seen[number] = views.normalised(views.encodable(text))
        texts = [text if view is None else view.text for text, view in zip(texts, seen, strict=True)]
        raw, points, kinds = _looked_up(texts)
    begins, at = [], 0
    for text in texts:
        begins.append(at)
        at += len(text) + 1
    newline = (raw == 0x0A) | (raw == 0x0D)
    _undo_leet(points, kinds)
    # Runs of white space are one space; a line that ends in the run still ends.
    space = (kinds & SPACE).astype(bool)
    again = space[1:] & space[:-1]
    kept = None
    starts = np.array(begins, dtype=np.intp)
    if again.any():
        kept = np.concatenate(([True], ~again))[: len(points)].nonzero()[0]
        newline = np.logical_or.reduceat(newline, kept)
        points, kinds = points[kept], kinds[kept]
        starts = kept.searchsorted(starts)
    ends = np.append(starts[1:] - 1, len(points))
    return Reading(
        points=points,
        kinds=kinds,
        newline=newline,
        begins=starts,
        ends=ends,
        kept=kept,
        raw_begins=begins,
        views=seen,
    )


def _looked_up(
    texts: Sequence[str],
) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """The texts behind each other: as they are, as they are read, and what each code point is."""
    text = texts[0] if len(texts) == 1 else _SEPARATOR.join(texts)
    raw: npt.NDArray[np.unsignedinteger]
    if text.isascii():
        raw = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
        return raw, _ASCII_POINTS.take(raw), _ASCII_KINDS.take(raw)
    raw = np.minimum(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32), np.uint32(_OTHER))
    return raw, _POINTS.take(raw), _KINDS.take(raw)


def _uneven(kinds: npt.NDArray[np.uint8], separators: int) -> bool:
    """Whether code points are to be dropped, joined or spelled out, or a word mixes scripts that look alike."""
    if np.count_nonzero(kinds & _SPECIAL) > separators:
        return True
    alike = (kinds & _ALIKE).astype(bool)
    if not alike.any():
        return False
    latin = (kinds & _LATIN).astype(bool)
    return bool((latin[1:] & alike[:-1]).any() or (latin[:-1] & alike[1:]).any())


def _undo_leet(points: npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8]) -> None:
    """Digits and symbols between letters become, in place, the letters they imitate ("1gn0re" is then "1gnore")."""
    written = _LEET.take(points, mode="clip")
    at = written[1:-1].nonzero()[0] + 1
    if not len(at):
        return
    letter = (points >= 0x61) & (points <= 0x7A)
    # Up to two imitations in a row ("pa$$word").
    before = letter[at - 1] | ((written[at - 1] > 0) & letter[np.maximum(at - 2, 0)])
    after = letter[at + 1] | ((written[at + 1] > 0) & letter[np.minimum(at + 2, len(points) - 1)])
    at = at[before & after]
    points[at] = written[at]
    kinds[at] = WORD
