"""Texts as the models read them: lower-case code points, plain letters, single spaces, and where each comes from.

Several texts are read in one go, one behind the other, because arrays cost more to begin with than to go through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from governance.detectors.patterns import views

_SIZE = 0x20000
"""Code points that have an entry of their own in the tables; those above (tags, private use) are read as a symbol."""
_OTHER = 0x1FFFF

SPACE, WORD, SINGLE, MARK = 1, 2, 4, 8
"""What a code point is: white space, part of a word, a word by itself (CJK), what may end a segment (the end of a
sentence, a quotation mark, white space with the end of a line, and what stands between texts)."""
_SPECIAL, _LATIN, _ALIKE, _LEET = 16, 32, 64, 128
"""Not one to one (the text goes through `views.normalised` first); a Latin letter; a letter of a script with Latin
look-alikes: side by side they also call for `views.normalised`; a digit or symbol that may stand for a letter."""

_SEPARATOR = "\0"
"""Between texts. In a text it is not one to one either, and gone once the text is normalised."""
_IDEOGRAPHS = ((0x3040, 0xA000), (0xAC00, 0xD7B0), (0xF900, 0xFB00))
_EVERYDAY = {0xDF: "s", 0xE6: "e", 0xC6: "e", 0x153: "e", 0x152: "e", 0x2026: "."}
"""Letters that ordinary texts are full of, read as one where exact spelling would make two or three."""
_LONGER = "".join(chr(one) for one in views.EXPAND if one not in _EVERYDAY)
_NOT_ONE = re.compile(f"[{views.INVISIBLE}{views.CONTROL}{views.COMBINING}{_LONGER}]")


_IMITATIONS = dict(zip("013457@$!", "oieastasi", strict=True))


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
        if shown == '"' or chr(point) in ".!?\n\r\u2026\u3002\uff01\uff1f\u061f\u0964":
            kinds[point] |= MARK
        if _NOT_ONE.match(chr(point)):
            kinds[point] |= _SPECIAL
        if "a" <= shown <= "z":
            kinds[point] |= _LATIN
        elif 0x370 <= point < 0x590 and shown.isalpha():
            kinds[point] |= _ALIKE
        if shown in _IMITATIONS:
            kinds[point] |= _LEET
    kinds[_OTHER] = _SPECIAL
    kinds[ord(_SEPARATOR)] = MARK
    return points, kinds


_POINTS, _KINDS = _tables()
_ASCII_POINTS, _ASCII_KINDS = (bytes(table[:128].tolist()).ljust(256, b"\0") for table in (_POINTS, _KINDS))

_LEET_READ = np.zeros(128, dtype=np.uint32)
for _written, _read in _IMITATIONS.items():
    _LEET_READ[ord(_written)] = ord(_read)


@dataclass(frozen=True, slots=True)
class Reading:
    """`t` texts of together `n` code points (separators included), and per code point what it is.

    `points` and `kinds` have shape (n,). `begins` and `ends` (t,): the half-open range of each text. `seen` has the
    bits of all kinds that may be there.
    """

    points: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]
    seen: int
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
    looked = _looked_up(texts)
    if looked.uneven:
        for number, text in enumerate(texts):
            if len(texts) == 1 or _looked_up((text,)).uneven:
                seen[number] = views.normalised(views.encodable(text))
        texts = [text if view is None else view.text for text, view in zip(texts, seen, strict=True)]
        looked = _looked_up(texts)
    points, kinds = looked.points, looked.kinds
    raw_begins, raw_ends, at = [], [], 0
    for text in texts:
        raw_begins.append(at)
        at += len(text)
        raw_ends.append(at)
        at += 1
    begins, ends = np.array(raw_begins, dtype=np.intp), np.array(raw_ends, dtype=np.intp)
    if looked.seen & _LEET:
        _undo_leet(points, kinds)
    # Runs of white space are one space; a line that ends in the run still ends.
    kept = None
    if looked.runs:
        space = kinds & SPACE
        first = np.ones(len(points), dtype=bool)
        np.logical_not(space[1:] & space[:-1], out=first[1:])
        kept = first.nonzero()[0]
        points, kinds = points[kept], np.bitwise_or.reduceat(kinds, kept)
        begins = kept.searchsorted(begins)
        ends[:-1], ends[-1] = begins[1:] - 1, len(points)
    return Reading(
        points=points,
        kinds=kinds,
        seen=looked.seen,
        begins=begins,
        ends=ends,
        kept=kept,
        raw_begins=raw_begins,
        views=seen,
    )


@dataclass(frozen=True, slots=True)
class _Looked:
    """Texts behind each other as they are read, and what each code point is; `seen` has the bits of all kinds. `runs`
    where white space follows white space; `uneven` where code points are to be dropped, joined or spelled out, or a
    word mixes scripts that look alike."""

    points: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]
    seen: int
    runs: bool
    uneven: bool


def _looked_up(texts: Sequence[str]) -> _Looked:
    text = texts[0] if len(texts) == 1 else _SEPARATOR.join(texts)
    if text.isascii():
        data = bytearray(text, "ascii")
        plain = data.translate(_ASCII_POINTS)
        runs = b"  " in plain
        points = np.frombuffer(plain, dtype=np.uint8).astype(np.uint32)
        kinds = np.frombuffer(data.translate(_ASCII_KINDS), dtype=np.uint8)
    else:
        raw = np.minimum(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32), np.uint32(_OTHER))
        points, kinds = _POINTS.take(raw), _KINDS.take(raw)
        runs = b"\1\1" in (kinds & SPACE).tobytes()
    seen = int(np.bitwise_or.reduce(kinds, initial=0))
    uneven = bool(seen & _SPECIAL) or text.count(_SEPARATOR) >= len(texts)
    if seen & _ALIKE and not uneven:
        alike, latin = (kinds & _ALIKE).astype(bool), (kinds & _LATIN).astype(bool)
        uneven = bool((latin[1:] & alike[:-1]).any() or (latin[:-1] & alike[1:]).any())
    return _Looked(points, kinds, seen, runs, uneven)


def _undo_leet(points: npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8]) -> None:
    """Digits and symbols between letters become, in place, the letters they imitate ("1gn0re" is then "1gnore")."""
    at = (kinds[1:-1] >= _LEET).nonzero()[0] + 1
    before, after = kinds[at - 1], kinds[at + 1]
    # Up to two imitations in a row ("pa$$word"); where none stands beside a letter, none is one of two either.
    if not np.bitwise_or.reduce(before | after, initial=0) & _LATIN:
        return
    before |= kinds[np.maximum(at - 2, 0)] & -(before >> 7)
    after |= kinds[np.minimum(at + 2, len(kinds) - 1)] & -(after >> 7)
    at = at[(before & after & _LATIN).astype(bool)]
    points[at] = _LEET_READ[points[at]]
    kinds[at] = WORD
