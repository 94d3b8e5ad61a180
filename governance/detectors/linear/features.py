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

from governance.detectors.linear.reading import MARK, SINGLE, SPACE, WORD, Reading

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

_MULTIPLIER = np.array(0x9E3779B1, dtype=np.uint32)
_PRIME = 0x100000001B3
_INVERSE = pow(_PRIME, -1, 1 << 64)
_SHIFT, _WORD_SHIFT, _15, _16 = (np.array(number, dtype=np.uint32) for number in (32 - 18, 32 - 17, 15, 16))
_SHORTEST, _LONGEST = 3, 10
"""Lengths of stems; longer ones are cut, shorter ones are words."""
_SEEDS = [np.array(0x85EBCA6B * (n + 1) & 0xFFFFFFFF, dtype=np.uint32) for n in range(8)]
"""Constants are arrays without dimensions: numpy would make one of a number at each use."""


@dataclass(frozen=True, slots=True)
class Features:
    """Of a reading of `n` code points with `t` texts, `w` words and `s` segments.

    `characters` (4, n): hashes of the 2-, 3-, 4- and 5-grams that begin at each code point, also of those that do not
    end in the same text: `torn` says where these stand, row by row. `words` (2, w): hashes of each word, and of it
    with the word before (or with the beginning of its segment). `classes` (c,): a class alone is its number, a pair is
    first * 64 + second; in order of the words they begin with.

    `first` (t + 1 long): the first segment of each text, and how many there are. `starts` and `ends` (3, s): the
    segments, half-open ranges of code points, of words, and of classes, counted on: `n` code points, then `w` words,
    then classes (`bases` says where each begins, `total` where all end).
    """

    characters: npt.NDArray[np.uint32]
    torn: npt.NDArray[np.intp]
    words: npt.NDArray[np.uint32]
    classes: npt.NDArray[np.intp]
    first: list[int]
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]

    @property
    def length(self) -> int:
        return int(self.characters.shape[1])

    @property
    def bases(self) -> tuple[int, int, int]:
        return 0, self.length, self.length + self.words.shape[1]

    @property
    def total(self) -> int:
        return self.bases[2] + len(self.classes)

    def has_words(self, text: int) -> bool:
        """Whether there is a word in the text of that number."""
        return bool(self.starts[1, self.first[text]] < self.ends[1, self.first[text + 1] - 1])


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
    """Entries by slot, no two in one slot (slot = hash * multiplier >> shift): the hash, and eight bytes, of which the
    third and fourth are its two classes (0 is none)."""

    multiplier: np.uint64
    entry: npt.NDArray[np.uint16]
    hashes: npt.NDArray[np.uint64]
    classes: npt.NDArray[np.uint64]


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
    classes = np.zeros((len(hashes), 8), dtype=np.uint8)
    for at, numbers in enumerate(found.values(), start=1):
        classes[at, 2 : 2 + len(numbers[:2])] = numbers[:2]
    return _Lookup(
        multiplier=np.uint64(multiplier),
        entry=entry,
        hashes=hashes,
        classes=classes.view(np.uint64).ravel(),
    )


def _slot(hashes: npt.NDArray[np.uint64], multiplier: np.uint64) -> npt.NDArray[np.uint64]:
    return (hashes * multiplier) >> np.uint64(64 - _SLOTS)


def _apart(hashes: npt.NDArray[np.uint64], multiplier: np.uint64) -> bool:
    return len(np.unique(_slot(hashes, multiplier))) == len(hashes)


def features(reading: Reading) -> Features:
    """All features of a reading. Time and memory linear in its length."""
    points = reading.points
    length = len(points)
    edges = _words(reading)
    begins = edges[0]
    count = len(begins)
    # Every word's hash from one running sum of points times powers: the difference of the sums at the word's two edges,
    # times the inverse power of where it begins, is the same wherever the word stands. All modulo 2^64, where an odd
    # prime has an inverse.
    up, down = _power(length + 1)
    sums = np.zeros(length + 1, dtype=np.uint64)
    (points * up[:length]).cumsum(out=sums[1:])
    at_edges = sums[edges]
    unshift = down[begins]
    hashes = (at_edges[1] - at_edges[0]) * unshift
    cuts, stops, first = _segments(reading, begins)
    starts, ends = np.empty((3, len(cuts)), dtype=np.intp), np.empty((3, len(cuts)), dtype=np.intp)
    starts[0], ends[0] = cuts, stops
    # Of words, and of classes, a segment's end where the next begins.
    bounds = np.empty(len(cuts) + 1, dtype=np.intp)
    bounds[:-1], bounds[-1] = begins.searchsorted(cuts), count
    np.add(bounds[:-1], length, out=starts[1])
    np.add(bounds[1:], length, out=ends[1])
    # The first word of each segment has no neighbour before it: a seed stands in its place, so that pairs stay within.
    heads = bounds[:-1][bounds[:-1] < bounds[1:]]
    mixed = ((hashes ^ (hashes >> _29)) * _MIXER >> _32).astype(np.uint32)
    words = np.empty((2, count), dtype=np.uint32)
    words[0], before = mixed, words[1]
    np.multiply(mixed[:-1], _SEEDS[2], out=before[1:])
    before[heads] = _SEEDS[7]
    before ^= mixed
    words *= _WORD_MIX
    words >>= _WORD_SHIFT
    entries = _entries(sums, unshift, edges, hashes)
    upto = begins.searchsorted(reading.ends) if len(reading.ends) > 1 else None
    classes, class_bounds = _classes(entries, heads, upto, bounds)
    class_bounds += length + count
    starts[2], ends[2] = class_bounds[:-1], class_bounds[1:]
    return Features(
        characters=_characters(points),
        torn=_torn(reading.ends, length),
        words=words,
        classes=classes,
        first=first,
        starts=starts,
        ends=ends,
    )


_29, _32, _MIXER = (np.array(number, dtype=np.uint64) for number in (29, 32, 0xBF58476D1CE4E5B9))
_WORD_MIX = np.array([[_SEEDS[5]], [_SEEDS[6]]], dtype=np.uint32)


def _characters(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    length = len(points)
    scrambled = np.zeros(length + 4, dtype=np.uint32)
    np.multiply(points, _MULTIPLIER, out=scrambled[:length])
    scrambled ^= scrambled >> _15
    # Sums of n code points from those of n - 1; then all of them are mixed at once.
    rolling = np.empty((4, length), dtype=np.uint32)
    before = scrambled[:length]
    for n in range(2, 6):
        row = rolling[n - 2]
        np.multiply(before, _SEEDS[0], out=row)
        row += scrambled[n - 1 : n - 1 + length]
        before = row
    found = rolling >> _16
    found ^= rolling
    found *= _MIX
    found >>= _SHIFT
    return found


_MIX = np.array([[_SEEDS[n - 1]] for n in range(2, 6)], dtype=np.uint32)
_ROW, _BACK = np.array([(n - 2, back) for n in range(2, 6) for back in range(n)], dtype=np.intp).T


def _torn(ends: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.intp]:
    """Where n-grams stand that do not lie within one text, in (4, width) row by row; `ends` are those of the texts."""
    if not width:
        return np.zeros(0, dtype=np.intp)
    at: npt.NDArray[np.intp] = ends[:, None] - _BACK
    np.maximum(at, 0, out=at)
    np.minimum(at, width - 1, out=at)
    at += _ROW * width
    return at.ravel()


def _words(reading: Reading) -> npt.NDArray[np.intp]:
    """Where words begin and end, shape (2, w): runs of letters and digits, and each ideograph."""
    flags = np.zeros(len(reading.points) + 2, dtype=np.uint8)
    np.bitwise_and(reading.kinds, WORD, out=flags[1:-1])
    if not reading.seen & SINGLE:
        edges: npt.NDArray[np.intp] = (flags[1:] != flags[:-1]).nonzero()[0].reshape(-1, 2)
        return edges.T.copy()
    word = flags.astype(bool)
    alone = np.zeros(len(word), dtype=bool)
    alone[1:-1] = reading.kinds & SINGLE
    # Between two code points of a word there is a cut when either is an ideograph.
    begin = word[1:-1] & (~word[:-2] | alone[1:-1] | alone[:-2])
    end = word[1:-1] & (~word[2:] | alone[1:-1] | alone[2:])
    return np.array((begin.nonzero()[0], end.nonzero()[0] + 1))


def _segments(
    reading: Reading, begins: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], list[int]]:
    """Sentences, lines, values of JSON: where they begin and end, and the first of each text. Those of fewer than two
    words join the next, long ones are cut into even parts."""
    points, kinds = reading.points, reading.kinds
    length = len(points)
    starts: list[int] = []
    stops: list[int] = []
    first = [0]

    def close(stop: int) -> None:
        size = stop - begin
        if size <= SEGMENT:
            starts.append(begin)
            stops.append(stop)
            return
        parts = -(-size // SEGMENT)
        for part in range(parts):
            starts.append(begin + part * size // parts)
            stops.append(begin + (part + 1) * size // parts)

    # Few code points may end a segment: they are gone through one by one.
    at = (kinds & MARK).astype(bool).nonzero()[0]
    after = np.minimum(at + 1, length - 1)
    marks, following = points[at].tolist(), points[after].tolist()
    if marks and at[-1] == length - 1:
        following[-1] = 0
    spaced = ((kinds[at] | kinds[after]) & SPACE).tolist()
    counts = begins.searchsorted(after).tolist()
    begin = words = 0
    for place, mark, follows, space, count in zip(at.tolist(), marks, following, spaced, counts, strict=True):
        if not mark:  # between texts
            close(place)
            begin = place + 1
            first.append(len(starts))
        # Where a text ends, nothing more begins.
        elif not follows or not (follows in _CLOSING if mark == _QUOTE else space or mark > _IDEOGRAPHIC):
            continue
        elif count > words + 1:
            close(place + 1)
            begin = place + 1
        words = count
    close(length)
    first.append(len(starts))
    return np.array(starts, dtype=np.intp), np.array(stops, dtype=np.intp), first


_QUOTE, _IDEOGRAPHIC = 0x22, 0x2FFF
_CLOSING = frozenset(map(ord, ",:]}"))
"""What ends a string of JSON, after its quotation mark."""

_UPPER, _LOWER = (np.array(number, dtype=np.uint64) for number in (0xFFFFFFFFFFFFC000, 0x3FFF))
_KNOWN: npt.NDArray[np.uint64] = np.full(1 << 14, _UPPER, dtype=np.uint64)
"""Words looked up lately, by the lower 14 bits of their hash: its upper 50 bits, and the number of their entry in the
lookup. Each is one number, so that threads may share it."""


def _entries(
    sums: npt.NDArray[np.uint64],
    unshift: npt.NDArray[np.uint64],
    edges: npt.NDArray[np.intp],
    hashes: npt.NDArray[np.uint64],
) -> npt.NDArray[np.intp]:
    """The number of each word's entry in the lookup, 0 for none; shape (w,)."""
    slots = (hashes & _LOWER).view(np.int64)
    known = _KNOWN[slots]
    new = ((known ^ hashes) > _LOWER).nonzero()[0]
    if len(new):
        lookup = _lookup()
        begin, end = edges[:, new]
        upto = np.minimum(begin + _LENGTHS[:, None], end)
        looked = (sums[upto] - sums[begin]) * unshift[new] + _SALTS[:, None]
        entries = lookup.entry[_slot(looked, lookup.multiplier)]
        entries[lookup.hashes[entries] != looked] = 0
        surest = entries[(entries != 0).argmax(axis=0), np.arange(len(new))]
        known[new] = (hashes[new] & _UPPER) | surest
        _KNOWN[slots[new]] = known[new]
    return (known & _LOWER).view(np.int64)


def _classes(
    entries: npt.NDArray[np.intp],
    heads: npt.NDArray[np.intp],
    upto: npt.NDArray[np.intp] | None,
    bounds: npt.NDArray[np.intp],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Class features (a class alone, and ordered pairs of classes within `REACH` words), and where those of each
    segment begin and the last ends.

    `entries` (w,) are the words' in the lookup; words by number are given of segments (`bounds`, and `heads`, the first
    of each that has some) and of texts (`upto`, the first beyond; None where there is one text).
    """
    if not len(entries):
        return np.zeros(0, dtype=np.intp), np.zeros_like(bounds)
    # Eight places a word: the beginning of a segment at 0, the word's two classes at 2 and 3.
    places = _lookup().classes.take(entries)
    places[heads] |= _OPENING
    found = places.view(np.uint8)
    at = found.astype(bool).nonzero()[0]
    number = found[at].astype(np.intp)
    own = at
    if upto is not None:  # so far apart that no pair reaches from one text into the next
        own = at + (REACH + 1) * 8 * (upto * 8).searchsorted(at, side="right")
    # In one number: how far the second of a pair is from the first (less 2), then the class of the first, then that of
    # the second. What is too near (the classes of one word) is negative: larger than all when read without a sign.
    count = len(at)
    second = np.full(count + _NEXT, _FAR)
    shifted = own << 16
    np.add(shifted, number, out=second[:count])
    second[:count][number == START] = _FAR  # which is never the second
    shifted += 2 << 16
    pairs = _following(second, count) + ((number << 6) - shifted)[:, None]
    pairs[:, 0] = number
    flat = pairs.ravel()
    chosen = (flat.view(np.uint64) < _NEAR).nonzero()[0]
    return flat[chosen] & 0xFFFF, chosen.searchsorted(at.searchsorted(bounds * 8) * (_NEXT + 1))


_FAR = 1 << 60
_NEAR = np.array(REACH * 8 + 3 - 1 << 16, dtype=np.uint64)
_NEXT = REACH + 2
"""How many classes that follow one are looked at."""
_OPENING = np.array([START, 0, 0, 0, 0, 0, 0, 0], dtype=np.uint8).view(np.uint64)


def _following(values: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Each of the first `count` values and the `_NEXT` behind it; shape (count, _NEXT + 1)."""
    step = values.itemsize
    return np.ndarray((count, _NEXT + 1), np.intp, values, 0, (step, step))
