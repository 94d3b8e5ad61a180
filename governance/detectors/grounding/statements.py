"""Compares sentences of an answer with sentences of the sources: missing, denied, or reversed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from governance.detectors.grounding.claims import Answer, Claim, Given, Status
from governance.detectors.grounding.passages import Passage, meaning, stem
from governance.detectors.grounding.sources import Place, Sources
from governance.detectors.grounding.vocabulary import NEGATIONS, NO_REAL_NEGATION, OFFERS, antonyms

_COMPARED = 1_000
"""Sentences of an answer that are compared; of those beyond nothing is said."""
_SCOPE = 5
"""Words after a negation that it is about."""
_NEXT = frozenset(
    (
        *("can", "could", "is", "are", "was", "were", "will", "would", "may", "might", "must", "shall", "should"),
        *("has", "have", "had", "do", "does", "did", "but"),
    )
)
"""Words with which something else begins that the negation before is not about."""


def judged(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    """A claim for each sentence that states something and is long enough to tell; none across languages.

    That a sentence is not in the sources has 0.65 at most: other words for the same thing look alike.
    """
    if not answer.comparable(sources):
        return
    for count, sentence in enumerate(answer.sentences):
        if count >= _COMPARED:
            return
        if _states_nothing(answer, sentence):
            continue
        alike = sources.alike(sentence.stems)
        best_shared, best = alike[0] if alike else (0, -1)
        place = _place(sources, best) if best >= 0 else None
        size = len(sentence.stems)
        if best_shared == size and sentence.words == sources.sentences[best][1].words:
            yield _claim("sentence-in-sources", Status.SUPPORTED, 1.0, sentence, place)
            continue
        if (turned := _turned(sentence, sources, alike)) is not None:
            rule, score, place = turned
            yield _claim(rule, Status.CONTRADICTED, score, sentence, place)
            continue
        known = len(sentence.stems & sources.stems) / size
        if known >= 0.5 and best_shared >= 0.34 * size:
            yield _claim("sentence-in-sources", Status.SUPPORTED, round(known, 3), sentence, place)
            continue
        with_given = len(sentence.stems & (sources.stems | given().stems)) / size
        score = round(max(0.0, 0.65 - 0.8 * with_given) * min(1.0, size / 6), 3)
        if score >= 0.2 and answer.language and answer.language == sources.language:
            yield _claim("sentence-not-in-sources", Status.NOT_IN_CONTEXT, score, sentence, None)


def _claim(rule: str, status: Status, score: float, sentence: Passage, place: Place | None) -> Claim:
    return Claim(
        label="sentence", rule=rule, status=status, score=score, start=sentence.start, end=sentence.end, place=place
    )


def _states_nothing(answer: Answer, sentence: Passage) -> bool:
    """Whether the sentence asserts nothing: a question, an offer, a remark about the answer itself, a heading, code."""
    if len(sentence.stems) < 4 or answer.is_code(sentence.start):
        return True
    if answer.text[sentence.start : sentence.end].rstrip().endswith(("?", "？", ":")):
        return True
    if sentence.words[0] in OFFERS:
        return True
    return sentence.words[0] in ("i", "i'm", "i'll", "i've", "we", "if", "you", "ich", "je", "wenn", "si")


def _place(sources: Sources, number: int) -> Place:
    source, sentence = sources.sentences[number]
    return Place(source, sentence.start, sentence.end)


def _turned(sentence: Passage, sources: Sources, alike: list[tuple[int, int]]) -> tuple[str, float, Place] | None:
    """Whether one of the most similar sentences of the sources says the opposite: by a negation, or by an opposite
    word.
    """
    denials = list(_negations(sentence.words))
    for shared, number in alike:
        source, other = sources.sentences[number]
        ratio = shared / max(1, min(len(sentence.stems), len(other.stems)))
        place = Place(source, other.start, other.end)
        if shared < 3:
            break
        there = list(_negations(other.words))
        for scope in denials:
            if len(scope) >= 2 and scope <= other.stems and not _among(scope, [*there, _denied(sources, number)]):
                return "negation-added", round(min(0.9, 0.45 + 0.45 * ratio), 3), place
        for scope in there:
            if len(scope) >= 2 and ratio >= 0.5 and scope <= sentence.stems and not _among(scope, denials):
                return "negation-dropped", round(min(0.9, 0.4 + 0.45 * ratio), 3), place
        if ratio < 0.4:
            continue
        here = frozenset(sentence.words)
        for word in sorted(here & antonyms().keys()):
            for opposite in sorted(antonyms()[word].intersection(other.words)):
                if word in other.words or opposite in here or stem(word) in sources.stems:
                    continue
                if _neighbours(sentence.words, word) & _neighbours(other.words, opposite):
                    return "opposite-word", round(min(0.9, 0.5 + 0.4 * ratio), 3), place
    return None


def _denied(sources: Sources, number: int) -> frozenset[str]:
    """Stems that are denied by the sentences around a sentence of the sources."""
    denied: set[str] = set()
    for near in range(max(0, number - 1), min(len(sources.sentences), number + 2)):
        for scope in _negations(sources.sentences[near][1].words):
            denied |= scope
    return frozenset(denied)


def _among(scope: frozenset[str], others: Sequence[frozenset[str]]) -> bool:
    """Whether one of the others denies much of the same."""
    return any(2 * len(scope & other) >= len(scope) for other in others)


def _negations(words: tuple[str, ...]) -> Iterator[frozenset[str]]:
    """What each negation of the sentence is about: the stems of the words after it."""
    if NEGATIONS.isdisjoint(words):
        return
    for at, word in enumerate(words):
        if word in NEGATIONS:
            after = words[at + 1 : at + 2]
            if after and after[0] in NO_REAL_NEGATION:
                continue
            scope: set[str] = set()
            for one in words[at + 1 : at + 1 + _SCOPE]:
                if scope and (one in _NEXT or one in NEGATIONS):
                    break
                scope.add(meaning(one))
                scope.discard("")
            yield frozenset(scope)


def _neighbours(words: tuple[str, ...], word: str) -> frozenset[str]:
    at = words.index(word)
    return frozenset(stem(one) for one in (*words[max(0, at - 4) : at], *words[at + 1 : at + 5]) if len(one) > 3)
