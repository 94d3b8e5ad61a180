"""Compares names and capitalised words of an answer with those of the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.detectors.grounding.claims import Answer, Claim, Given, Status
from governance.detectors.grounding.passages import Passage, speaks
from governance.detectors.grounding.sources import Place, Sources
from governance.detectors.grounding.vocabulary import FUNCTION_WORDS, MONTHS, NOT_NAMES

_UPPER = "A-ZÀ-ÖØ-Þ"
_PART = rf"[{_UPPER}][\w'’-]{{0,40}}"
_NAME = re.compile(rf"{_PART}(?:(?:[ ](?:of|the|de|du|der|von|van|del|da|and|&)){{0,2}}[ ]{_PART}){{0,5}}")
_TOKEN = re.compile(r"[^\W_]+")
_PARTICLES = frozenset(("of", "the", "de", "du", "der", "von", "van", "del", "da", "and", "s"))
_COMPARED = 100
_LIKELY = 400
"""Names of the sources that a misspelt one is compared with."""
_ENGLISH = FUNCTION_WORDS["en"]


def judged(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    """A claim for each name; none where every noun has a capital (German) or nothing has (unspaced scripts)."""
    if answer.language == "de" or not answer.comparable(sources):
        return
    compared = 0
    for sentence in answer.sentences:
        if answer.is_code(sentence.start) or _is_heading(answer.text, sentence):
            continue
        opening = speaks(answer.text, sentence)
        for match in _NAME.finditer(answer.text, opening, sentence.end):
            start, end = match.span()
            if start and (answer.text[start - 1].isalnum() or answer.text[start - 1] in "_/.@#"):
                continue
            first = start == opening or answer.text[start - 1] in '“"«(:'
            tokens = [(token[0], start + token.start()) for token in _TOKEN.finditer(match[0])]
            while tokens and not tokens[-1][0][0].isupper():  # "AI-driven"
                tokens.pop()
            while tokens and tokens[0][0].lower() in (NOT_NAMES if first else _ENGLISH | MONTHS.keys() | _PARTICLES):
                tokens.pop(0)
            while tokens and tokens[-1][0].lower() in _PARTICLES:
                tokens.pop()
            if not tokens or (len(tokens) == 1 and len(tokens[0][0]) < 3):
                continue
            start, end = tokens[0][1], tokens[-1][1] + len(tokens[-1][0])
            said = [token.lower() for token, _ in tokens if token.lower() not in _PARTICLES and len(token) > 1]
            missing = [token for token in said if not _known(token, sources)]
            if not said:
                continue
            alone = first and len(tokens) == 1
            if not missing and (alone or not answer.states_supported):
                continue
            if not missing:
                place = sources.names.get(said[-1]) or sources.names.get(said[0])
                if place is not None:
                    yield _claim("name-in-sources", Status.SUPPORTED, 1.0, start, end, place)
                continue
            missing = [token for token in missing if not _known(token, given())]
            if not missing:
                continue
            compared += 1
            rival = _misspelt(missing, sources) if compared <= _COMPARED else None
            if rival is not None and not alone:
                yield _claim("name-differs", Status.CONTRADICTED, 0.8, start, end, rival)
            elif len(missing) == len(said) or len(said) == 2:
                sure = 0.3 if alone and len(sentence.words) > 3 else 0.65 if len(said) > 1 else 0.5
                yield _claim("name-not-in-sources", Status.NOT_IN_CONTEXT, sure, start, end, None)


def _claim(rule: str, status: Status, score: float, start: int, end: int, place: Place | None) -> Claim:
    return Claim(label="name", rule=rule, status=status, score=score, start=start, end=end, place=place)


def _is_heading(text: str, sentence: Passage) -> bool:
    """Whether it is a title, not a claim: a line of its own without an end mark, most words capitalised."""
    line = text[sentence.start : sentence.end].strip()
    if not line or line[-1] in ".!?" or len(sentence.words) > 12 or len(sentence.words) < 2:
        return False
    capitals = sum(word[:1].isupper() for word in line.split())
    return line.startswith("#") or (capitals >= 0.6 * len(sentence.words) and "\n" in text)


def _known(token: str, sources: Sources) -> bool:
    words = sources.words
    return (
        token in words
        or (token.endswith("s") and token[:-1] in words)
        or f"{token}s" in words
        or (len(token) > 5 and token[:-2] in words)
    )


def _misspelt(missing: list[str], sources: Sources) -> Place | None:
    """A name in the sources with the same beginning and end as the missing one, which differs within."""
    for token in missing:
        if len(token) < 7:
            continue
        for known, place in list(sources.names.items())[:_LIKELY]:
            if abs(len(known) - len(token)) > 3 or known == token:
                continue
            shorter = min(len(known), len(token))
            prefix = next((at for at in range(shorter) if known[at] != token[at]), shorter)
            suffix = next((at for at in range(shorter) if known[-1 - at] != token[-1 - at]), shorter)
            if prefix >= 2 and prefix + suffix >= 0.7 * shorter and prefix < len(token) - 2:
                return place
    return None
