"""Indexes what was retrieved for an answer, once: its figures, words, sentences and shingles."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from heapq import nlargest
from itertools import chain

from governance.detectors.grounding.figures import Figure, FigureKind, figures, spelled
from governance.detectors.grounding.passages import Passage, language, passages, stems
from governance.detectors.patterns.shingles import Words
from governance.domain.content import Part

_PLACES_A_VALUE = 8
_RIVALS = 48
"""Figures of one kind and dimension that are looked at as what a claim should have been."""
_SENTENCES_A_WORD = 24
"""A word that is in more sentences tells them not apart; bounds what comparing costs."""
_WORD = re.compile(r"[^\W_]+")
_CAPITALISED = re.compile(r"[A-ZÀ-ÖØ-Þ][\w'’-]+")
_CLAUSE = re.compile(r"[.!?;\n。！？](?=\s|$)")
_BEFORE, _AFTER = 90, 70


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source says something: the source's number among the sources, and code points in it."""

    source: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SourceFigure:
    """A figure of a source."""

    source: int
    figure: Figure

    @property
    def place(self) -> Place:
        return Place(self.source, self.figure.start, self.figure.end)


class Sources:
    """The texts of `parts`, in order. Everything is made when it is first asked for, linear in the texts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.texts = tuple(part.content.text for part in parts)
        self._surroundings: dict[Place, frozenset[str]] = {}

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word, in lower case."""
        words = set(chain.from_iterable(sentence.words for _, sentence in self.sentences))
        for word in [word for word in words if not word.isalnum()]:  # "client's"
            words.update(_WORD.findall(word))
        return frozenset(words)

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset().union(*(sentence.stems for _, sentence in self.sentences))

    @cached_property
    def language(self) -> str:
        return language([word for _, sentence in self.sentences[:60] for word in sentence.words])

    @cached_property
    def names(self) -> dict[str, Place]:
        """Words with a capital, lower case, where they are first said."""
        found: dict[str, Place] = {}
        for source, text in enumerate(self.texts):
            for match in _CAPITALISED.finditer(text):
                found.setdefault(match[0].lower(), Place(source, match.start(), match.end()))
        return found

    @cached_property
    def figures(self) -> tuple[SourceFigure, ...]:
        """Figures of all sources, in digits and in words."""
        return tuple(
            SourceFigure(source, figure) for source, text in enumerate(self.texts) for figure in _figures(text)
        )

    @cached_property
    def _rivals(self) -> dict[tuple[FigureKind, str, bool], list[SourceFigure]]:
        index: dict[tuple[FigureKind, str, bool], list[SourceFigure]] = {}
        for found in self.figures:
            alike = index.setdefault((found.figure.kind, found.figure.dimension, found.figure.ordinal), [])
            if len(alike) < _RIVALS:
                alike.append(found)
        return index

    def rivals(self, figure: Figure) -> list[tuple[SourceFigure, frozenset[str]]]:
        """Figures of its kind and dimension, the first ones, each with the stems of the words around it."""
        return [
            (found, self._around(found))
            for found in self._rivals.get((figure.kind, figure.dimension, figure.ordinal), ())
        ]

    def _around(self, found: SourceFigure) -> frozenset[str]:
        known = self._surroundings.get(found.place)
        if known is None:
            place = found.place
            known = self._surroundings[place] = surroundings(self.texts[place.source], place.start, place.end)
        return known

    @cached_property
    def numbers(self) -> dict[float, list[SourceFigure]]:
        """Numbers and years by each of their readings."""
        index: dict[float, list[SourceFigure]] = defaultdict(list)
        for found in self.figures:
            for value in found.figure.values:
                if len(index[value]) < _PLACES_A_VALUE:
                    index[value].append(found)
        return dict(index)

    @cached_property
    def sorted_values(self) -> list[float]:
        return sorted(self.numbers)

    @cached_property
    def identifiers(self) -> dict[str, SourceFigure]:
        return {
            found.figure.key: found for found in reversed(self.figures) if found.figure.kind is FigureKind.IDENTIFIER
        }

    @cached_property
    def dates(self) -> dict[tuple[int, int, int], SourceFigure]:
        """Dates by what may be said of them: in full, without the year, the month, the year alone."""
        index: dict[tuple[int, int, int], SourceFigure] = {}
        for found in self.figures:
            for year, month, day in found.figure.dates:
                for known in ((year, month, day), (0, month, day), (year, month, 0), (year, 0, 0)):
                    if any(known):
                        index.setdefault(known, found)
        return index

    def near(self, value: float, tolerance: float) -> list[float]:
        """Values of the sources within the tolerance; at most a few."""
        first = bisect_left(self.sorted_values, value - tolerance)
        last = bisect_right(self.sorted_values, value + tolerance)
        return self.sorted_values[first : min(last, first + _PLACES_A_VALUE)]

    @cached_property
    def sentences(self) -> tuple[tuple[int, Passage], ...]:
        return tuple((source, passage) for source, text in enumerate(self.texts) for passage in _passages(text))

    @cached_property
    def _sentences_of(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for number, (_, sentence) in enumerate(self.sentences):
            for stem in sentence.stems:
                listed = index.get(stem)
                if listed is None:
                    index[stem] = [number]
                elif len(listed) < _SENTENCES_A_WORD:
                    listed.append(number)
        return index

    def alike(self, wanted: frozenset[str], most: int = 3) -> list[tuple[int, int]]:
        """The sentences that share most with these stems, as (shared stems, sentence), best first."""
        listed = (self._sentences_of.get(one, ()) for one in wanted)
        counts = Counter(chain.from_iterable(listed))
        best = nlargest(most, ((shared, -number) for number, shared in counts.items()))
        return [(shared, -number) for shared, number in best]

    @cached_property
    def shingled(self) -> tuple[Words, ...]:
        return tuple(Words.of(text) for text in self.texts)


_REMEMBERED, _LONGEST_REMEMBERED = 128, 16_384
"""The same few documents are retrieved again and again: what is in them is read once."""


def _passages(text: str) -> tuple[Passage, ...]:
    return _known_passages(text) if len(text) <= _LONGEST_REMEMBERED else tuple(passages(text))


def _figures(text: str) -> tuple[Figure, ...]:
    return _known_figures(text) if len(text) <= _LONGEST_REMEMBERED else _all_figures(text)


def _all_figures(text: str) -> tuple[Figure, ...]:
    words = {word for passage in _passages(text) for word in passage.words}
    return (*figures(text), *spelled(text, words))


@lru_cache(maxsize=_REMEMBERED)
def _known_passages(text: str) -> tuple[Passage, ...]:
    return tuple(passages(text))


@lru_cache(maxsize=_REMEMBERED)
def _known_figures(text: str) -> tuple[Figure, ...]:
    return _all_figures(text)


def surroundings(text: str, start: int, end: int) -> frozenset[str]:
    """The stems of the words around a place, within its clause."""
    before = text[max(0, start - _BEFORE) : start]
    after = text[end : end + _AFTER]
    last = None
    for last in _CLAUSE.finditer(before):  # noqa: B007
        pass
    if last is not None:
        before = before[last.end() :]
    if first := _CLAUSE.search(after):
        after = after[: first.start()]
    return stems(_WORD.findall(f"{before} {after}".lower()))
