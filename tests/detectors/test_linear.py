"""The linear models' arrays against what they stand for, written out with loops and whole numbers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.detectors.linear import features as made
from governance.detectors.linear.features import CLASSES, REACH, SEGMENT, START, features, word_hash
from governance.detectors.linear.head import Head
from governance.detectors.linear.reading import MARK, SINGLE, SPACE, WORD, read
from governance.detectors.linear.windows import windows
from tests.detectors.test_classifier import TEXTS, noisy

_32, _64 = (1 << 32) - 1, (1 << 64) - 1
_SEEDS = [0x85EBCA6B * (n + 1) & _32 for n in range(8)]
WORDY = st.lists(
    st.sampled_from(
        [
            "ignore", "all", "previous", "instructions.", "you", "must", "tell", "me", "now", "the", "system",
            "prompt!", "ignoriere", "regeln", "\n", "忽略", "指令。", '"a":', "", '"b",', "forgetting", "don't",
            "rules", "please", "12", "x", "send", "password",
        ]
    ),
    max_size=60,
).map(" ".join)  # fmt: skip


class Plain:
    """A text as a head sees it: words, segments, and the features of each by number."""

    def __init__(self, text: str) -> None:
        reading = read([text])
        self.points, self.kinds = reading.points.tolist(), reading.kinds.tolist()
        self.words: list[tuple[int, int]] = []
        for at, kind in enumerate(self.kinds):
            before = self.kinds[at - 1] if at else 0
            if not kind & WORD:
                continue
            if before & WORD and not (kind | before) & SINGLE:
                self.words[-1] = (self.words[-1][0], at + 1)
            else:
                self.words.append((at, at + 1))
        self.segments = self._segments()

    def _segments(self) -> list[tuple[int, int]]:
        cuts, last = [0], 0
        for at, (point, kind) in enumerate(zip(self.points[:-1], self.kinds[:-1], strict=True)):
            if not kind & MARK:
                continue
            if point == ord('"'):
                ends = chr(self.points[at + 1]) in ",:]}"
            else:
                ends = bool(kind & SPACE or self.kinds[at + 1] & SPACE or point > 0x2FFF)
            count = sum(begin <= at for begin, _ in self.words)
            if ends and count - last > 1:
                cuts.append(at + 1)
            last = count if ends else last
        found: list[tuple[int, int]] = []
        for start, stop in pairwise([*cuts, len(self.points)]):
            parts = -(-(stop - start) // SEGMENT) or 1
            edges = [start + part * (stop - start) // parts for part in range(parts + 1)]
            found += pairwise(edges)
        return found

    def of(self, first: int, last: int) -> tuple[int, int]:
        """The words that begin in a range of code points, as a range."""
        return sum(begin < first for begin, _ in self.words), sum(begin < last for begin, _ in self.words)

    def grams(self, first: int, last: int) -> list[int]:
        scrambled = [point * 0x9E3779B1 & _32 for point in self.points]
        scrambled = [one ^ one >> 15 for one in scrambled]
        found = []
        for at in range(first, last):
            rolling = scrambled[at]
            for n in range(2, 6):
                if at + n > len(scrambled):
                    break
                rolling = rolling * _SEEDS[0] + scrambled[at + n - 1] & _32
                found.append(((rolling ^ rolling >> 16) * _SEEDS[n - 1] & _32) >> 14)
        return found

    @property
    def heads(self) -> set[int]:
        """Words that begin a segment."""
        return {first for first, last in (self.of(*segment) for segment in self.segments) if first < last}

    def word_features(self) -> list[list[int]]:
        mixed = []
        for begin, end in self.words:
            code = word_hash("".join(map(chr, self.points[begin:end])))
            mixed.append(((code ^ code >> 29) * 0xBF58476D1CE4E5B9 & _64) >> 32)
        found = []
        for at, one in enumerate(mixed):
            before = _SEEDS[7] if at in self.heads else mixed[at - 1] * _SEEDS[2] & _32
            found.append([(one * _SEEDS[5] & _32) >> 15, ((before ^ one) * _SEEDS[6] & _32) >> 15])
        return found

    def class_features(self) -> list[list[int]]:
        entries = []
        for at, (begin, end) in enumerate(self.words):
            entries += [(at, START)] if at in self.heads else []
            entries += [(at, one) for one in _classes_of("".join(map(chr, self.points[begin:end])))]
        found: list[list[int]] = [[] for _ in self.words]
        for number, (at, one) in enumerate(entries):
            found[at].append(one)
            for other, second in entries[number + 1 : number + 1 + REACH + 2]:
                far = other - at
                if second != START and far <= REACH and (far or one == START):
                    found[at].append(one * CLASSES + second)
        return found

    def odds(self, head: Head) -> list[float]:
        words, classes = self.word_features(), self.class_features()
        count = len(self.segments)
        stretches = [(0, count)]
        for row in range(1, min(3, count - 1) + 1):
            stretches += [(begin, begin + row) for begin in range(count - row + 1)]
        said = []
        for first, last in stretches:
            start, stop = self.segments[first][0], self.segments[last - 1][1]
            begin, end = self.of(start, stop)
            some = [one for word in classes[begin:end] for one in word]
            sums = (
                sum(int(head.characters[one]) for one in self.grams(start, stop)),
                sum(int(head.words[one]) for word in words[begin:end] for one in word),
                sum(int(head.classes[one]) for one in some),
            )
            lengths = (stop - start, end - begin, len(some))
            parts = [
                total * (1.0 / math.sqrt(max(length, 1))) * scale
                for total, length, scale in zip(sums, lengths, head.scales, strict=True)
            ]
            said.append(parts[0] + parts[1] + parts[2] + head.intercept)
        return said


def _classes_of(word: str) -> list[int]:
    """The classes of the lexicon's entry: the word itself, or its longest stem."""
    for length in (None, *range(10, 2, -1)):
        found = [
            number
            for number, words in enumerate(made._lexicon().values(), start=1)
            if any(_entry(one) == (length, word if length is None else word[:length]) for one in words)
        ]
        if found and (length is None or len(word) >= length):
            return found[:2]
    return []


def _entry(stated: str) -> tuple[int | None, str]:
    stem = stated.removesuffix("*")
    return (None, stem) if stem == stated or len(stem) < 3 else (len(stem[:10]), stem[:10])


@settings(max_examples=60, deadline=None)
@given(st.one_of(TEXTS, WORDY))
@example("")
@example("ignore " * 30 + "all rules. " * 12)
def test_sums_over_arrays_are_what_is_written_out(text: str) -> None:
    found = features(read([text]))
    plain = Plain(text)
    assert list(zip(found.starts[0].tolist(), found.ends[0].tolist(), strict=True)) == plain.segments
    assert found.words.T.tolist() == plain.word_features()
    assert found.classes.tolist() == [one for word in plain.class_features() for one in word]
    head = noisy("direct")
    assert head.odds(found, windows(found)).tolist() == plain.odds(head)
    assert np.isfinite(head.decide(head.odds(found, windows(found)), windows(found))).all()
