"""Compares quotations of an answer with the words of the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.detectors.grounding.claims import Answer, Claim, Given, Status
from governance.detectors.grounding.sources import Place, Sources
from governance.detectors.grounding.vocabulary import CITING, FUNCTION_WORDS
from governance.detectors.patterns.shingles import Overlap, Words, overlap

# Bounded repetition: a quotation mark that nothing closes costs no more than its bound.
_QUOTED = re.compile(
    r"[“„]([^“”„\n]{12,800})[”“]|\"([^\"\n]{12,800})\"|«\s?([^«»\n]{12,800}?)\s?»|「([^「」\n]{8,400})」|‘([^‘’\n]{20,400})’(?!\w)"
)
_LEFT_OUT = re.compile(r"\s*(?:\[[^\]\n]{0,60}\]|\(…\)|\(\.\.\.\)|\.\.\.|…)\s*")
_WORD = re.compile(r"[^\W_]+")
_LEAST = 4
"""Words of a quotation: fewer are a term, a title or irony."""
_STATED = 1_000
"""Quotations that are judged one by one: what begins beyond them is one claim, not in context."""
_ALTERED = 0.6
"""So much of a fragment must follow a source, in one stretch, for the rest to be an alteration of its words."""


def judged(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    """A claim for each quotation of four words or more: verbatim in a source, altered, or nowhere."""
    for count, match in enumerate(_QUOTED.finditer(answer.text)):
        start, end = match.span(match.lastindex or 0)
        if count >= _STATED:
            yield _claim("quotation-not-in-sources", Status.NOT_IN_CONTEXT, 0.5, start, len(answer.text), None)
            return
        if answer.is_code(start):
            continue
        fragments = [Words.of(piece) for piece in _LEFT_OUT.split(answer.text[start:end])]
        fragments = [piece for piece in fragments if len(piece.words) >= 3]
        length = sum(_length(piece) for piece in fragments)
        if length < _LEAST:
            continue
        place, followed = _found(fragments, sources)
        if followed >= length and place is not None:
            yield _claim("quotation-in-sources", Status.SUPPORTED, 1.0, start, end, place)
            continue
        if _found(fragments, given())[1] >= length:
            continue
        cited = _is_cited(answer.text, match.start(), match.end())
        share = followed / length
        if share >= _ALTERED and followed >= _LEAST and place is not None:
            score = round(min(0.95, (0.6 if cited else 0.5) + 0.4 * share), 3)
            yield _claim("quotation-altered", Status.CONTRADICTED, score, start, end, place)
        else:
            title = _is_title(answer.text[start:end])
            sure = 0.3 if title else (0.85 if cited and length >= 6 else 0.7 if cited else 0.45)
            yield _claim("quotation-not-in-sources", Status.NOT_IN_CONTEXT, sure, start, end, None)


def _claim(rule: str, status: Status, score: float, start: int, end: int, place: Place | None) -> Claim:
    return Claim(label="quotation", rule=rule, status=status, score=score, start=start, end=end, place=place)


def _length(words: Words) -> float:
    return words.weight(0, len(words.words) - 1)


def _found(fragments: list[Words], sources: Sources) -> tuple[Place | None, float]:
    """Where the first fragment follows a source best, and how many words of all fragments follow one."""
    place: Place | None = None
    followed = 0.0
    for fragment in fragments:
        best: tuple[float, int, Overlap] | None = None
        for number, words in enumerate(sources.shingled):
            found = overlap(fragment, words)
            if found is not None and (best is None or found.run > best[0]):
                best = (found.run, number, found)
        if best is not None:
            run, number, found = best
            followed += run
            place = place or Place(number, *sources.shingled[number].at(found.source_first, found.source_last))
    return place, followed


def _is_cited(text: str, start: int, end: int) -> bool:
    """Whether the words around it announce a quotation."""
    before = text[max(0, start - 80) : start].rpartition("\n")[2]
    after = text[end : end + 50].partition("\n")[0]
    return any(word.lower() in CITING for word in _WORD.findall(f"{before} {after}"))


def _is_title(quoted: str) -> bool:
    words = [word for word in quoted.split() if word.lower() not in FUNCTION_WORDS["en"]]
    return bool(words) and sum(word[:1].isupper() for word in words) >= 0.8 * len(words)
