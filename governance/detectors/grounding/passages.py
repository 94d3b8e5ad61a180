"""Sentences of a text and the words that carry their meaning."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from governance.detectors.grounding.vocabulary import FUNCTION_WORDS

_BREAK = re.compile(r"[.!?…。！？\n]+")
_CLOSING = "\"'”’»)]*_"
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ABBREVIATED = frozenset(
    (
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "no",
        "nr",
        "vs",
        "e.g",
        "i.e",
        "etc",
        "inc",
        "ltd",
        "co",
        "art",
        "sec",
        "z.b",
    )
)
_ALL_FUNCTION_WORDS = frozenset().union(*FUNCTION_WORDS.values())
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_MARKERS = " \t\r\n-*•·>#|\"'“”„«»‘’()[]_`"
_LIST_NUMBER = re.compile(r"[ \t]{0,12}(?:\(?\d{1,3}[.):]|[*•-])[ \t]")


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence, line or list item, `[start, end)` in code points; its words in lower case, and their stems."""

    start: int
    end: int
    words: tuple[str, ...]
    stems: frozenset[str]


def passages(text: str) -> Iterator[Passage]:
    """All sentences of the text that have a word, in order. Linear in the text."""
    start, length = 0, len(text)
    for match in _BREAK.finditer(text):
        end = match.end()
        mark = text[end - 1]
        if mark not in "\n。！？":
            while end < length and end - match.end() < 4 and text[end] in _CLOSING:
                end += 1
            if end < length and not text[end].isspace():
                # "end.Next" is two sentences that lost their space, "e.g", "3.5" and "www.example.com" are none.
                if not (match[0] == "." and text[end].isupper() and text[end - 2 : end - 1].islower()):
                    continue
            elif match[0] == "." and _abbreviates(text, start, match.start()):
                continue
        yield from _passage(text, start, end)
        start = end
    yield from _passage(text, start, length)


def _passage(text: str, start: int, end: int) -> Iterator[Passage]:
    said = text[start:end]
    words = tuple(_WORD.findall(said.lower()))
    if words:
        start = end - len(said.lstrip())
        yield Passage(start, end, words, stems(words))


def _abbreviates(text: str, start: int, dot: int) -> bool:
    before = text[max(start, dot - 5) : dot].lower().split()
    return bool(before) and (before[-1].lstrip("(") in _ABBREVIATED or (len(before[-1]) == 1 and before[-1].isalpha()))


def stems(words: Sequence[str]) -> frozenset[str]:
    """The words that carry meaning, cut so that forms of one word are the same."""
    return frozenset(map(meaning, words)) - _NOTHING


@functools.lru_cache(maxsize=32_768)
def meaning(word: str) -> str:
    """The stem of a word that carries meaning, or ""."""
    return "" if word in _ALL_FUNCTION_WORDS or len(word) < 3 or word.isdigit() else stem(word)


_NOTHING = frozenset(("",))


def stem(word: str) -> str:
    return word[:6].rstrip("s") if len(word) > 3 else word


def language(words: Sequence[str]) -> str:
    """The language of the words by their function words: "en", "de" ..., or "" where it does not show."""
    seen = frozenset(words[:400])
    counts = {name: len(known & seen) for name, known in FUNCTION_WORDS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= max(3, len(seen) // 12) else ""


def speaks(text: str, passage: Passage) -> int:
    """Where the passage's first word begins, past list markers and quotation marks."""
    start = passage.start
    if number := _LIST_NUMBER.match(text, start, start + 20):
        start = number.end()
    while start < passage.end and text[start] in _MARKERS:
        start += 1
    return start


def code_blocks(text: str) -> list[tuple[int, int]]:
    """Places of fenced code (CommonMark), in order; an open fence reaches to the end."""
    fences = [match.start() for match in _FENCE.finditer(text)] if "```" in text or "~~~" in text else []
    return [
        (fence, fences[number + 1] + 3 if number + 1 < len(fences) else len(text))
        for number, fence in enumerate(fences)
        if number % 2 == 0
    ]
