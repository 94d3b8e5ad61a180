"""Compares numbers, dates and identifiers of an answer with those of the sources."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from governance.detectors.grounding.claims import Answer, Claim, Given, Status
from governance.detectors.grounding.figures import Figure, FigureKind, figures, spelled
from governance.detectors.grounding.passages import Passage
from governance.detectors.grounding.sources import Place, SourceFigure, Sources, surroundings
from governance.detectors.grounding.vocabulary import DERIVING

_COMPARED = 200
"""Unsupported figures of an answer that are compared by context; those beyond are stated as not in context."""
_STATED = 1_000
"""Unsupported figures of an answer that are stated one by one: the rest, in one claim that reaches over them."""
_OPERANDS = 24
"""Distinct values of the sources, at most, among which sums, differences, products and shares are tried."""


def judged(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    """A claim for each figure of the answer that asserts something: no list numbers, code or citations."""
    unsupported = 0
    for figure in chain(figures(answer.text), spelled(answer.text, answer.words)):
        if _says_nothing(answer, figure):
            continue
        place = supporting(figure, sources)
        label = "date" if figure.kind is FigureKind.DATE else "number"
        kind = "identifier" if figure.kind is FigureKind.IDENTIFIER else label
        if place is not None:
            yield _claim(label, f"{kind}-in-sources", Status.SUPPORTED, 1.0, figure, place)
            continue
        if figure.kind is FigureKind.NUMBER and (place := _within(answer, figure, sources)) is not None:
            yield _claim(label, f"{kind}-in-range", Status.SUPPORTED, 0.8, figure, place)
            continue
        if supporting(figure, given()) is not None:
            continue
        unsupported += 1
        if unsupported > _STATED:
            rest = Figure(kind=figure.kind, start=figure.start, end=len(answer.text))
            yield _claim(label, f"{kind}-not-in-sources", Status.NOT_IN_CONTEXT, 0.9, rest, None)
            return
        sure = _weight(answer, figure)
        if unsupported <= _COMPARED:
            if (place := _derived(answer, figure, sources)) is not None:
                yield _claim(label, f"{kind}-derived", Status.NOT_IN_CONTEXT, min(sure, 0.4), figure, place)
                continue
            rival, alike = _rival(answer, figure, sources)
            if rival is not None and alike >= 0.34:
                score = round(min(sure, 0.5 + 0.5 * alike), 3)
                yield _claim(label, f"{kind}-differs", Status.CONTRADICTED, score, figure, rival.place)
                continue
        yield _claim(label, f"{kind}-not-in-sources", Status.NOT_IN_CONTEXT, sure, figure, None)


def _claim(label: str, rule: str, status: Status, score: float, figure: Figure, place: Place | None) -> Claim:
    return Claim(label=label, rule=rule, status=status, score=score, start=figure.start, end=figure.end, place=place)


def _says_nothing(answer: Answer, figure: Figure) -> bool:
    """Whether the figure asserts nothing: the number of a list or a citation, or part of code."""
    text, start, end = answer.text, figure.start, figure.end
    if figure.kind is FigureKind.NUMBER and not figure.dimension and end - start <= 3:
        line = text.rfind("\n", max(0, start - 12), start) + 1
        before = text[line if line else max(0, start - 12) : start]
        opens = (line > 0 or start <= 12) and not before.strip(" \t(#*_-")
        if opens and text[end : end + 1] in (".", ")", ":") and text[end + 1 : end + 2] in (" ", "\t", "*"):
            return True
    if text[max(0, start - 1) : start] in ("[", "【") or (text[start - 2 : start] == "[^" and start >= 2):
        return True
    if "[" in text[max(0, start - 12) : start] and "]" not in text[max(0, start - 12) : start]:
        closing = text[end : end + 12]
        if "]" in closing and not any(character.isalpha() for character in closing.partition("]")[0]):
            return True
    return answer.is_code(start) or "://" in text[max(0, start - 80) : start].rpartition(" ")[2]


def supporting(figure: Figure, sources: Sources) -> Place | None:
    """Where the sources say the same: in another unit or form, rounded, or in words. None where they do not."""
    match figure.kind:
        case FigureKind.IDENTIFIER:
            found = sources.identifiers.get(figure.key)
            return found.place if found is not None else _written(figure.key, sources)
        case FigureKind.DATE:
            return _dated(figure, sources) or _written(figure.key, sources)
        case _:
            return _numbered(figure, sources) or _written(figure.key, sources)


def _written(key: str, sources: Sources) -> Place | None:
    """An identifier that the sources write with other separators, or as part of a longer one."""
    if len(key) < 4:
        return None
    for known, found in islice(sources.identifiers.items(), 2_000):
        if key in known or (len(known) >= 6 and known in key):
            return found.place
    return None


def _dated(figure: Figure, sources: Sources) -> Place | None:
    dates = sources.dates
    for year, month, day in figure.dates:
        found = dates.get((year, month, day))
        if found is not None:
            return found.place
        # Said in full where the source says day and month here and the year elsewhere.
        if year and day and (0, month, day) in dates and (year, 0, 0) in dates:
            source = dates[0, month, day]
            if all(known[0] in (0, year) for known in source.figure.dates):
                return source.place
    if figure.values and (found_numbers := sources.numbers.get(figure.values[0])):
        return found_numbers[0].place
    return None


def _numbered(figure: Figure, sources: Sources) -> Place | None:
    for value in figure.values:
        for found in sources.numbers.get(value, ()):
            if _same_dimension(figure, found.figure):
                return found.place
    for count in figure.counts if figure.dimension else ():
        for found in sources.numbers.get(count, ()):
            if not found.figure.dimension:  # the unit was not read: it stands elsewhere, or in a table's head
                return found.place
    return _rounded(figure, sources)


def _same_dimension(one: Figure, other: Figure) -> bool:
    return one.dimension == other.dimension or not one.dimension or not other.dimension


def _rounded(figure: Figure, sources: Sources) -> Place | None:
    """A value of the sources of which the figure is the rounding: two digits at least, and fewer than the source's."""
    value = figure.values[-1] if figure.dimension else figure.values[0]
    if figure.digits < 2 or value == 0 or figure.ordinal or not figure.coarse:
        return None
    unit = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - figure.digits)
    tolerance = unit * 0.5000001
    for near in sources.near(value, tolerance):
        for found in sources.numbers[near]:
            if found.figure.digits > figure.digits and _same_dimension(figure, found.figure):
                return found.place
    return None


_MORE = re.compile(
    r"(?:more than|over|above|at least|greater than|exceed(?:s|ing|ed)?|mehr als|über|mindestens|plus de|au moins"
    r"|más de|al menos|più di|oltre)\s+$"
)
_LESS = re.compile(
    r"(?:less than|fewer than|under|below|at most|no more than|nearly|almost|weniger als|unter|höchstens|moins de"
    r"|menos de|meno di)\s+$"
)
_FAR = 3.0


def _within(answer: Answer, figure: Figure, sources: Sources) -> Place | None:
    """A value of the sources that keeps to what the answer says of it: "more than 1,000" where a source has 1,234.
    A bound of the source's own is no value: "at least 500" is not "at least 800"."""
    before = answer.text[max(0, figure.start - 24) : figure.start].lower()
    more, less = _MORE.search(before), _LESS.search(before)
    if (more is None and less is None) or not figure.values or figure.values[0] <= 0:
        return None
    value = figure.values[0]
    low, high = (value, value * _FAR) if more is not None else (value / _FAR, value)
    here = surroundings(answer.text, figure.start, figure.end)
    for found, there in sources.rivals(figure):
        other = found.figure
        alike = other.word[:5] == figure.word[:5] or not here.isdisjoint(there)
        if other.values and low <= other.values[0] <= high and alike:
            ahead = sources.texts[found.source][max(0, other.start - 24) : other.start].lower()
            if not _MORE.search(ahead) and not _LESS.search(ahead):
                return found.place
    return None


def _derived(answer: Answer, figure: Figure, sources: Sources) -> Place | None:
    """Whether the number is a sum, difference, product or share of two that the sources give. Of small round numbers
    that would be chance: such a number must be exact, or the answer must say that it was worked out."""
    if figure.kind is not FigureKind.NUMBER or figure.ordinal:
        return None
    exact = figure.digits >= 3 or (figure.digits == 2 and figure.coarse and figure.counts[0] >= 1_000)
    if not exact and not _worked_out(answer, figure):
        return None
    values = sources.sorted_values
    if not 2 <= len(values) <= _OPERANDS:
        return None
    target = figure.values[0]
    tolerance = max(abs(target) * 10.0 ** (-max(figure.digits, 3)) * 5, 1e-9)
    for position, one in enumerate(values):
        for other in values[position:]:
            results = [one + other, other - one, one * other]
            if one <= 100:  # a share, a discount, a surcharge
                results += [other * one / 100, other * (100 - one) / 100, other * (100 + one) / 100]
            if figure.dimension in ("percent", "") and one and other:
                shares = (one / other, other / one, (other - one) / one, (other - one) / other)
                results += [100 * share for share in shares]
            if any(abs(result - target) <= tolerance for result in results):
                return sources.numbers[one][0].place
    return None


def _worked_out(answer: Answer, figure: Figure) -> bool:
    before = answer.text[max(0, figure.start - 40) : figure.start].rpartition("\n")[2].lower()
    after = answer.text[figure.end : figure.end + 3]
    if any(word.strip(".,:;()~*") in DERIVING for word in before.split()[-4:]):
        return True
    return not _OPERATORS.isdisjoint((*before[-3:], *after))


_OPERATORS = frozenset("=×≈~+/*")


def _weight(answer: Answer, figure: Figure) -> float:
    """How much an unsupported figure counts: exact figures are claims, small counts often are not."""
    if figure.kind is FigureKind.IDENTIFIER:
        return 0.9 if any(character.isdigit() for character in figure.key) and len(figure.key) >= 4 else 0.6
    if figure.kind is FigureKind.DATE:
        sure = 0.9 if any(month for _, month, _ in figure.dates) else 0.85
    elif figure.spelled:
        sure = 0.7 if figure.dimension or figure.values[0] >= 1_000 else 0.35
    elif figure.ordinal:
        sure = 0.6 if figure.word else 0.4
    elif figure.dimension:
        sure = 0.9 if figure.digits >= 2 or figure.dimension not in ("time", "months", "clock") else 0.8
    elif figure.digits >= 3 or figure.values[0] >= 1_000:
        sure = 0.9
    elif figure.values[0] > 12:
        sure = 0.75
    else:
        sure = 0.35
    return round(sure * 0.7 if _worked_out(answer, figure) else sure, 3)


def _rival(answer: Answer, figure: Figure, sources: Sources) -> tuple[SourceFigure | None, float]:
    """The figure of the sources whose context is most like the claim's, and how alike they are, 0 to 1."""
    here = surroundings(answer.text, figure.start, figure.end)
    if len(here) < 2:
        return None, 0.0
    best, alike = None, 0.0
    for found, there in sources.rivals(figure):
        other = found.figure
        if figure.kind is FigureKind.DATE and _precision(figure) != _precision(other):
            continue
        shared = len(here & there)
        same_word = bool(figure.word) and figure.word[:5] == other.word[:5]
        if shared < 2 and not (shared == 1 and same_word):
            continue
        score = min(1.0, (shared + (1 if same_word else 0)) / max(3, min(len(here), len(there))))
        if score > alike:
            best, alike = found, score
    return best, alike


def _precision(figure: Figure) -> tuple[bool, bool]:
    return (any(month for _, month, _ in figure.dates), any(day for _, _, day in figure.dates))


def sentence_at(sentences: Sequence[Passage], start: int) -> Passage | None:
    """The sentence in which a place lies."""
    number = bisect_right(sentences, start, key=lambda passage: passage.start) - 1
    return sentences[number] if number >= 0 and start < sentences[number].end else None
