"""Measures how much two texts overlap, by shingles: runs of three normalised words, so that small edits do not hide a
copy.

Shingling: A. Broder, "On the resemblance and containment of documents" (1997). Everything is linear in both texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from governance.detectors.patterns.views import View, encodable, normalised

SIZE = 3
"""Words a shingle."""
GAP = 2
"""So many words may be changed, left out or put in between two repeated places of one run."""
_OPEN_RUNS = 4

# A character of a script that is written without spaces is a word of its own.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_ASCII_WORD = re.compile("[a-z0-9]+")
_UNSPACED_ONE = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")


_Shingle = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A text's words as they are compared: lower case, accents and invisible characters gone, look-alikes folded.

    `at` gives the place of words `[first, last]` in the original, in code points, end exclusive.
    """

    words: Sequence[str]
    view: View
    places: list[tuple[int, int]] = field(default_factory=list)
    shingles: dict[_Shingle, int] = field(default_factory=dict)
    """Of each distinct shingle the first place; made when the text is first a source."""

    @classmethod
    def of(cls, text: str) -> Words:
        if text.isascii():
            view = View(name="plain", text=text.lower())
            return cls(words=_ASCII_WORD.findall(view.text), view=view)
        plain = normalised(encodable(text))
        lowered = plain.text.lower()
        if len(lowered) != len(plain.text):  # a few letters have lower-case forms of two code points
            lowered = "".join(low if len(low := one.lower()) == 1 else one for one in plain.text)
        view = View(name=plain.name, text=lowered, starts=plain.starts, ends=plain.ends, parent=plain.parent)
        return cls(words=_WORD.findall(lowered), view=view)

    def at(self, first: int, last: int) -> tuple[int, int]:
        if not self.places:  # offsets are wanted of what was found only, which is rare
            pattern = _ASCII_WORD if self.view.starts is None else _WORD
            self.places.extend(match.span() for match in pattern.finditer(self.view.text))
        return self.view.original(self.places[first][0], self.places[last][1])

    def weight(self, first: int, last: int) -> float:
        """Counts the words `[first, last]`; a character of an unspaced script is half a word."""
        return sum(0.5 if _UNSPACED_ONE.fullmatch(word) else 1.0 for word in self.words[first : last + 1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """What one text repeats of another.

    `share`: of the source's distinct shingles, how many are repeated, 0 to 1; `repeated` counts them. `run`: words
    of the longest stretch that follows the source, up to `GAP` words changed at a time not counted. `first` and `last`
    are its words in the text, `source_first` and `source_last` in the source.
    """

    share: float
    repeated: int
    run: float
    first: int
    last: int
    source_first: int
    source_last: int


@dataclass(slots=True)
class _Run:
    first: int
    last: int
    source_first: int
    source_last: int
    skipped: list[int] = field(default_factory=list)


def overlap(text: Words, source: Words) -> Overlap | None:
    """What `text` repeats of `source`; None when that is no shingle, or one of them has fewer words than a shingle."""
    said, places = _shingles(text.words), source.shingles
    if not places:
        written = _shingles(source.words)
        # From the end, so that of equal shingles the first one's place stays.
        places.update(zip(reversed(written), range(len(written) - 1, -1, -1), strict=True))
    hits = [(at, shingle) for at, shingle in enumerate(said) if shingle in places]
    if not hits:
        return None
    best: _Run | None = None
    longest = 0.0
    for run in _runs(hits, source.words, places):
        if run.last - run.first + 1 > longest:
            long = text.weight(run.first, run.last) - len(run.skipped)
            if long > longest:
                best, longest = run, long
    assert best is not None
    repeated = len({shingle for _, shingle in hits})
    return Overlap(
        share=repeated / len(places),
        repeated=repeated,
        run=longest,
        first=best.first,
        last=best.last,
        source_first=best.source_first,
        source_last=best.source_last,
    )


def _shingles(words: Sequence[str]) -> list[_Shingle]:
    return list(zip(words, islice(words, 1, None), islice(words, 2, None), strict=False))


def _runs(hits: Sequence[tuple[int, _Shingle]], written: Sequence[str], places: dict[_Shingle, int]) -> list[_Run]:
    """Stretches of the text that follow the source: each match continues a run that it fits, or begins one."""
    runs: list[_Run] = []
    open_runs: list[_Run] = []
    for at, shingle in hits:
        # A run stays open while at most `GAP` words lie between its end and this shingle.
        open_runs = [run for run in open_runs if at - (run.last - SIZE + 1) <= SIZE + GAP]
        for run in open_runs:
            step = at - (run.last - SIZE + 1)
            # Where the source should have it, if the text still follows: a word put in or left out shifts it by one.
            there = _near(shingle, run.source_last - SIZE + 1 + step, written)
            if there is not None and there >= run.source_first:
                run.skipped.extend(range(run.last + 1, at))
                run.last, run.source_last = at + SIZE - 1, there + SIZE - 1
                break
        else:
            there = places[shingle]
            run = _Run(first=at, last=at + SIZE - 1, source_first=there, source_last=there + SIZE - 1)
            runs.append(run)
            open_runs = [*open_runs, run][-_OPEN_RUNS:]
    return runs


def _near(shingle: _Shingle, expected: int, written: Sequence[str]) -> int | None:
    for shift in (0, 1, -1, 2, -2):
        at = expected + shift
        if at >= 0 and (*written[at : at + SIZE],) == shingle:
            return at
    return None
