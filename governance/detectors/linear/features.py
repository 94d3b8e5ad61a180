"""What the models look at: hashed character 2- to 5-grams, words and word pairs, and which classes of words follow
each other. All of it in arrays with a place in the texts, so that any stretch of them is scored by subtracting sums.

What is said of a text does not depend on the texts that it is read with.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt
import yaml

from governance.detectors.linear.reading import MARK, SINGLE, WORD, Reading

CHARACTERS, WORDS = 1 << 18, 1 << 17
"""Room for hashes of characters' n-grams, and of words and word pairs."""
CLASSES = 64
"""Room for classes of words; class 0 is none."""
PAIRS = CLASSES * CLASSES
REACH = 6
"""Words between which two classes count as a pair."""
SEGMENT = 200
"""Longest segment in code points; longer sentences and lines are cut into even parts."""
START = 63
"""The class that stands for the beginning of a segment."""

_MULTIPLIER = np.uint32(0x9E3779B1)
_PRIME = 0x100000001B3
_INVERSE = pow(_PRIME, -1, 1 << 64)
_SHIFT, _WORD_SHIFT = np.uint32(32 - 18), np.uint32(32 - 17)
_SHORTEST, _LONGEST = 3, 10
"""Lengths of stems; longer ones are cut, shorter ones are words."""
_SEEDS = [np.uint32(0x85EBCA6B * (n + 1) & 0xFFFFFFFF) for n in range(8)]


@dataclass(frozen=True, slots=True)
class Features:
    """Of a reading of `n` code points with `t` texts, `w` words and `s` segments.

    `text_starts` and `text_ends` (t,): half-open ranges of code points. `characters` (4, n): hashes of the 2-, 3-, 4-
    and 5-grams that begin at each code point, also of those that do not end in the same text (see `torn`). `words`
    (2, w): hashes of each word, and of it with the word before (or with the beginning of its segment). `classes` (c,):
    a class alone is its number, a pair is first * 64 + second; `class_at` (c,): the word it begins with, never
    decreasing. `starts` and `ends` (s,): the segments, half-open ranges of code points; `first` (t + 1,): the first
    segment of each text, and how many there are. `word_starts` and `word_ends` (s,): their words.
    """

    length: int
    text_starts: npt.NDArray[np.intp]
    text_ends: npt.NDArray[np.intp]
    characters: npt.NDArray[np.uint32]
    words: npt.NDArray[np.uint32]
    classes: npt.NDArray[np.intp]
    class_at: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    first: npt.NDArray[np.intp]
    word_starts: npt.NDArray[np.intp]
    word_ends: npt.NDArray[np.intp]

    def has_words(self, text: int) -> bool:
        """Whether there is a word in the text of that number."""
        return bool(self.word_starts[self.first[text]] < self.word_ends[self.first[text + 1] - 1])


@functools.cache
def _powers(size: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Powers of the prime and of its inverse modulo 2^64, shape (size,)."""
    up, down = np.full(size, _PRIME, dtype=np.uint64), np.full(size, _INVERSE, dtype=np.uint64)
    up[0] = down[0] = 1
    return np.cumprod(up, dtype=np.uint64), np.cumprod(down, dtype=np.uint64)


def _power(length: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    return _powers(max(4096, 1 << length.bit_length()))


def word_hash(word: str) -> int:
    """The hash of a word: what `features` computes of all words at once."""
    total = 0
    for i, character in enumerate(word):
        total += ord(character) * pow(_PRIME, i, 1 << 64)
    return total % (1 << 64)


@functools.cache
def word_classes() -> tuple[str, ...]:
    """Names of the classes of words; class `i` is the one at `i - 1`."""
    return tuple(_lexicon())


@functools.cache
def lexicon_digest() -> str:
    """SHA-256 over the classes of words, in hex: what features depend on beside the code."""
    return hashlib.sha256(resources.files(__package__).joinpath("words.yaml").read_bytes()).hexdigest()


@functools.cache
def _lexicon() -> dict[str, list[str]]:
    text = resources.files(__package__).joinpath("words.yaml").read_text(encoding="utf-8")
    return {name: str(words).split() for name, words in yaml.safe_load(text).items()}


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Entries by slot, no two in one slot (slot = hash * multiplier >> shift): the hash and its two classes, 0 none."""

    multiplier: np.uint64
    entry: npt.NDArray[np.uint16]
    hashes: npt.NDArray[np.uint64]
    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]


_SLOTS = 18
_LENGTHS = np.array([1 << 20, *range(_LONGEST, _SHORTEST - 1, -1)], dtype=np.intp)
"""How much of a word is looked up: all of it, then stems, longest first. Each has a salt of its own."""
_SALTS = np.arange(len(_LENGTHS), dtype=np.uint64) * np.uint64(0xD6E8FEB86659FD93)


@functools.cache
def _lookup() -> _Lookup:
    found: dict[int, list[int]] = {}
    for number, words in enumerate(_lexicon().values(), start=1):
        for word in words:
            stem = word.removesuffix("*")
            whole = stem == word or len(stem) < _SHORTEST
            stem = stem if whole else stem[:_LONGEST]
            length = 1 << 20 if whole else len(stem)
            salt = int(_SALTS[_LENGTHS.tolist().index(length)])
            numbers = found.setdefault((word_hash(stem) + salt) % (1 << 64), [])
            if number not in numbers:
                numbers.append(number)
    hashes = np.array([0, *found], dtype=np.uint64)
    multiplier = next(one for one in range(_INVERSE, _INVERSE + 100_000, 2) if _apart(hashes[1:], np.uint64(one)))
    entry = np.zeros(1 << _SLOTS, dtype=np.uint16)
    entry[_slot(hashes[1:], np.uint64(multiplier))] = np.arange(1, len(hashes))
    return _Lookup(
        multiplier=np.uint64(multiplier),
        entry=entry,
        hashes=hashes,
        first=np.array([0, *(numbers[0] for numbers in found.values())], dtype=np.intp),
        second=np.array([0, *((*numbers, 0)[1] for numbers in found.values())], dtype=np.intp),
    )


def _slot(hashes: npt.NDArray[np.uint64], multiplier: np.uint64) -> npt.NDArray[np.uint64]:
    return (hashes * multiplier) >> np.uint64(64 - _SLOTS)


def _apart(hashes: npt.NDArray[np.uint64], multiplier: np.uint64) -> bool:
    return len(np.unique(_slot(hashes, multiplier))) == len(hashes)


def features(reading: Reading) -> Features:
    """All features of a reading. Time and memory linear in its length."""
    points = reading.points
    length = len(points)
    begins, ends = _words(reading)
    up, down = _power(length + 1)
    sums = np.zeros(length + 1, dtype=np.uint64)
    (points * up[:length]).cumsum(out=sums[1:])
    unshift = down[begins]
    hashes = (sums[ends] - sums[begins]) * unshift
    cuts, stops, first = _segments(reading, begins)
    word_starts, word_ends = begins.searchsorted(cuts), begins.searchsorted(stops)
    heads = word_starts[word_starts < word_ends]
    mixed = ((hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(32)).astype(np.uint32)
    words = np.empty((2, len(mixed)), dtype=np.uint32)
    np.right_shift(mixed * _SEEDS[5], _WORD_SHIFT, out=words[0])
    before = mixed * _SEEDS[2]
    before[1:] = before[:-1].copy()
    before[heads] = _SEEDS[7]
    np.right_shift((before ^ mixed) * _SEEDS[6], _WORD_SHIFT, out=words[1])
    gap = None
    if len(first) > 2:
        # Far enough apart that no pair reaches from one text into the next.
        gap = np.repeat(np.arange(len(first) - 1) * (REACH + 1), np.diff(begins.searchsorted(reading.ends), prepend=0))
    classes, class_at = _classes(sums, unshift, begins, ends, hashes, heads, gap)
    return Features(
        length=length,
        text_starts=reading.begins,
        text_ends=reading.ends,
        characters=_characters(points),
        words=words,
        classes=classes,
        class_at=class_at,
        starts=cuts,
        ends=stops,
        first=first,
        word_starts=word_starts,
        word_ends=word_ends,
    )


def _characters(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    length = len(points)
    scrambled = np.zeros(length + 4, dtype=np.uint32)
    np.multiply(points, _MULTIPLIER, out=scrambled[:length])
    scrambled ^= scrambled >> np.uint32(15)
    found = np.empty((4, length), dtype=np.uint32)
    rolling = scrambled[:length].copy()
    for n in range(2, 6):
        rolling *= _SEEDS[0]
        rolling += scrambled[n - 1 : n - 1 + length]
        row = found[n - 2]
        np.right_shift(rolling, np.uint32(16), out=row)
        row ^= rolling
        row *= _SEEDS[n - 1]
        row >>= _SHIFT
    return found


_ROW, _BACK = np.array([(n - 2, back) for n in range(2, 6) for back in range(n)], dtype=np.intp).T


def torn(ends: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.intp]:
    """Where n-grams stand that do not lie within one text, in (4, width) row by row; `ends` are those of the texts."""
    at: npt.NDArray[np.intp] = np.minimum(np.maximum(ends[:, None] - _BACK, 0), width - 1) + _ROW * width
    return at.ravel()


def _words(reading: Reading) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where words begin and end: runs of letters and digits, and each ideograph."""
    word = np.zeros(len(reading.points) + 2, dtype=bool)
    np.not_equal(reading.kinds & WORD, 0, out=word[1:-1])
    single = (reading.kinds & SINGLE).astype(bool)
    if not single.any():
        at = (word[1:] != word[:-1]).nonzero()[0]
        return at[::2], at[1::2]
    alone = np.zeros(len(word), dtype=bool)
    alone[1:-1] = single
    # Between two code points of a word there is a cut when either is an ideograph.
    begin = word[1:-1] & (~word[:-2] | alone[1:-1] | alone[:-2])
    end = word[1:-1] & (~word[2:] | alone[1:-1] | alone[2:])
    return begin.nonzero()[0], end.nonzero()[0] + 1


def _segments(
    reading: Reading, begins: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Sentences, lines, values of JSON: where they begin and end, and the first of each text. Those of fewer than two
    words join the next, long ones are cut into even parts."""
    points, kinds = reading.points, reading.kinds
    texts = len(reading.begins)
    ends = reading.newline.copy()
    mark = (kinds & MARK).astype(bool)
    ends[:-1] |= mark[:-1] & ((points[1:] == 0x20) | (points[:-1] > 0x2FFF))
    quote = (points[:-1] == 0x22).nonzero()[0]
    if len(quote):
        ends[quote] |= _CLOSING[np.minimum(points[quote + 1], 127)]
    # A text ends where it ends, and the next begins after the separator.
    ends[-1:] = False
    if texts > 1:
        ends[reading.ends[:-1] - 1] = False
        ends[reading.begins[1:] - 1] = True
    at = ends.nonzero()[0] + 1
    count = begins.searchsorted(at)
    keep = np.ones(len(at), dtype=bool)
    if len(at):
        keep[0] = count[0] > 1
        keep[1:] = count[1:] - count[:-1] > 1
    first = np.zeros(texts + 1, dtype=np.intp)
    if texts > 1:
        between = at.searchsorted(reading.begins[1:])
        keep[between] = True
    starts = np.empty(int(np.count_nonzero(keep)) + 1, dtype=np.intp)
    starts[0] = 0
    starts[1:] = at[keep]
    stops = np.empty_like(starts)
    stops[:-1] = starts[1:]
    stops[-1] = len(points)
    if texts > 1:
        first[1:-1] = starts.searchsorted(reading.begins[1:])
        stops[first[1:-1] - 1] -= 1
    sizes = stops - starts
    if sizes.max() > SEGMENT:
        parts = np.maximum(-(-sizes // SEGMENT), 1)
        before = parts.cumsum() - parts
        first[:-1] = before[first[:-1]]
        number = np.arange(int(parts.sum())) - np.repeat(before, parts)
        each, sizes, starts, stops = (np.repeat(one, parts) for one in (parts, sizes, starts, stops))
        starts, stops = starts + number * sizes // each, starts + (number + 1) * sizes // each
    first[-1] = len(starts)
    return starts, stops, first


_CLOSING = np.zeros(128, dtype=bool)
_CLOSING[[ord(one) for one in ",:]}"]] = True
"""What ends a string of JSON, after its quotation mark."""

_UPPER, _LOWER = np.uint64(0xFFFFFFFFFFFFC000), np.uint64(0x3FFF)
_KNOWN: npt.NDArray[np.uint64] = np.full(1 << 14, _UPPER, dtype=np.uint64)
"""Words looked up lately, by the lower 14 bits of their hash: its upper 50 bits, and the number of their entry in the
lookup. Each is one number, so that threads may share it."""


def _entries(
    sums: npt.NDArray[np.uint64],
    unshift: npt.NDArray[np.uint64],
    begins: npt.NDArray[np.intp],
    ends: npt.NDArray[np.intp],
    hashes: npt.NDArray[np.uint64],
) -> npt.NDArray[np.intp]:
    """The number of each word's entry in the lookup, 0 for none; shape (w,)."""
    slots = (hashes & _LOWER).astype(np.intp)
    known = _KNOWN[slots]
    new = ((known ^ hashes) > _LOWER).nonzero()[0]
    if len(new):
        lookup = _lookup()
        begin = begins[new]
        upto = np.minimum(begin + _LENGTHS[:, None], ends[new])
        looked = (sums[upto] - sums[begin]) * unshift[new] + _SALTS[:, None]
        entries = lookup.entry[_slot(looked, lookup.multiplier)]
        entries[lookup.hashes[entries] != looked] = 0
        surest = entries[(entries != 0).argmax(axis=0), np.arange(len(new))]
        known[new] = (hashes[new] & _UPPER) | surest
        _KNOWN[slots[new]] = known[new]
    return (known & _LOWER).astype(np.intp)


def _classes(
    sums: npt.NDArray[np.uint64],
    unshift: npt.NDArray[np.uint64],
    begins: npt.NDArray[np.intp],
    ends: npt.NDArray[np.intp],
    hashes: npt.NDArray[np.uint64],
    heads: npt.NDArray[np.intp],
    gap: npt.NDArray[np.intp] | None,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Class features (a class alone, and ordered pairs of classes within `REACH` words) and the words they begin at."""
    if not len(begins):
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    lookup = _lookup()
    entries = _entries(sums, unshift, begins, ends, hashes)
    one = entries.nonzero()[0]
    found = entries[one]
    second = lookup.second[found]
    more = second.nonzero()[0]
    # The beginning of a segment stands before its first word.
    key = np.concatenate((heads * 4, one * 4 + 1, one[more] * 4 + 2))
    number = np.concatenate((np.full(len(heads), START, dtype=np.intp), lookup.first[found], second[more]))
    order = key.argsort()
    word, number = key[order] >> 2, number[order]
    place = word if gap is None else word + gap[word]
    steps = REACH + 2
    count = len(word)
    far = np.full(count + steps, 1 << 60, dtype=np.intp)
    far[:count] = place
    other = np.full(count + steps, START, dtype=np.intp)
    other[:count] = number
    after = np.arange(count)[:, None] + _STEPS
    second = other[after]
    distance = far[after] - place[:, None]
    pairs = number[:, None] * CLASSES + second
    pairs[:, 0] = number
    near = (distance <= REACH) & (second != START) & ((distance > 0) | (number == START)[:, None])
    near[:, 0] = True
    return pairs[near], np.repeat(word, near.sum(axis=1))


_STEPS = np.arange(REACH + 3)
