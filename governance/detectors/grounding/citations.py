"""Judges citations and links of an answer: whether the sources contain what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from governance.detectors.grounding.claims import Answer, Claim, Given, Status
from governance.detectors.grounding.figures import FigureKind, figures
from governance.detectors.grounding.quantities import sentence_at, supporting
from governance.detectors.grounding.sources import Place, Sources
from governance.domain.content import PartKind

_BRACKETED = re.compile(r"[\[【]\^?([^\[\]【】\n]{1,80})[\]】](?!\()")
_SOURCE = r"(?:doc|document|source|ref|reference|chunk|passage|quelle|dokument|fuente)s?[.:]?\s{0,2}#?"
_NAMED = re.compile(rf"\((?:see |vgl\. |cf\. )?{_SOURCE}([\w.\-]{{1,60}})\)", re.IGNORECASE)
_NUMBERS = re.compile(r"\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,9}$")
_MARKED = re.compile(rf"{_SOURCE}([\w.\-]{{1,60}})$", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(?=[^\s]{0,60}\d)[A-Za-z][\w.]{0,30}(?:[-_/#][\w.]{1,30}){0,4}$")
_LINK = re.compile(r"https?://[^\s<>\"'“”\[\]{}|\\^`]{1,500}", re.IGNORECASE)
_CHECKED = 200


def judged(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    """A claim for each link, and for each citation that can be recognised."""
    for count, (start, end, named) in enumerate(_cited(answer.text)):
        if count >= _CHECKED:
            break
        if answer.is_code(start):
            continue
        yield from _judge(answer, sources, given, start, end, named)
    yield from _links(answer, sources, given)


def _cited(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _BRACKETED.finditer(text) if "[" in text or "【" in text else ():
        yield match.start(), match.end(), match[1].strip()
    for match in _NAMED.finditer(text):
        yield match.start(), match.end(), f"doc {match[1]}"


def _judge(answer: Answer, sources: Sources, given: Given, start: int, end: int, named: str) -> Iterator[Claim]:
    names = {part.content.name.lower(): number for number, part in enumerate(sources.parts) if part.content.name}
    if named.lower() in names:
        yield from _held(answer, sources, [names[named.lower()]], start, end)
        return
    numbered = named.partition("†")[0].partition(":")[0] if "†" in named else named
    if marked := _MARKED.match(numbered):
        numbered = marked[1]
        if numbered.lower() in names:
            yield from _held(answer, sources, [names[numbered.lower()]], start, end)
            return
    if _NUMBERS.match(numbered):
        if not answer.documents or f"[{numbered}]" in "".join(sources.texts) + "".join(given().texts):
            return  # of tools' results nobody says how many there are; the sources' own citations are theirs
        cited = [int(number) for number in re.findall(r"\d+", numbered)]
        if any(number > answer.documents for number in cited):
            yield _claim("citation-unknown", Status.NOT_IN_CONTEXT, 0.9, start, end, None)
        else:
            documents = [n for n, part in enumerate(sources.parts) if part.kind is PartKind.DOCUMENT]
            yield from _held(answer, sources, [documents[number - 1] for number in cited if number], start, end)
    elif _IDENTIFIER.match(numbered) and (marked or _shapes(names) & {_shape(numbered)}):
        words = numbered.lower()
        if not any(words in text.lower() for text in (*sources.texts, *given().texts)):
            yield _claim("citation-unknown", Status.NOT_IN_CONTEXT, 0.85, start, end, None)


def _held(answer: Answer, sources: Sources, cited: list[int], start: int, end: int) -> Iterator[Claim]:
    """The citation exists. Whether what it stands behind is in that source: its figures, which can be told."""
    if not cited:
        return
    place = Place(cited[0], 0, len(sources.texts[cited[0]]))
    # "... 30 days. [2]": a citation behind the full stop belongs to the sentence before it.
    sentence = sentence_at(answer.sentences, max(0, start - 3))
    if sentence is not None and len(sources.parts) > 1:
        text = answer.text[sentence.start : start]
        last = max(text.rfind("]", 0, max(0, len(text) - 2)), 0)  # only what stands after the citation before it
        only = [Sources([sources.parts[number]]) for number in cited]
        for figure in figures(text[last:]):
            if figure.kind is FigureKind.NUMBER and not (figure.dimension or figure.digits >= 3):
                continue
            elsewhere = supporting(figure, sources)
            if elsewhere is not None and all(supporting(figure, one) is None for one in only):
                yield _claim("cited-elsewhere", Status.CONTRADICTED, 0.6, start, end, elsewhere)
                return
    yield _claim("citation-in-sources", Status.SUPPORTED, 1.0, start, end, place)


def _links(answer: Answer, sources: Sources, given: Given) -> Iterator[Claim]:
    for count, match in enumerate(_LINK.finditer(answer.text)):
        if count >= _CHECKED:
            return
        link = match[0].rstrip(".,;:!?)*_")
        start, end = match.start(), match.start() + len(link)
        place = _holds(link, sources)
        if place is not None:
            yield _claim("link-in-sources", Status.SUPPORTED, 1.0, start, end, place)
        elif _holds(link, given()) is None:
            host = link.split("://", 1)[1].split("/", 1)[0].lower().removeprefix("www.")
            known = any(host in text.lower() for text in (*sources.texts, *given().texts))
            rule = "link-elsewhere-on-host" if known else "link-not-in-sources"
            yield _claim(rule, Status.NOT_IN_CONTEXT, 0.6 if known else 0.75, start, end, None)


def _holds(link: str, sources: Sources) -> Place | None:
    bare = link.split("://", 1)[1].rstrip("/").lower().removeprefix("www.")
    for number, (part, text) in enumerate(zip(sources.parts, sources.texts, strict=True)):
        at = text.lower().find(bare)
        if at >= 0:
            return Place(number, at, min(len(text), at + len(bare)))
        if bare in part.content.name.lower():
            return Place(number, 0, len(text))
    return None


def _claim(rule: str, status: Status, score: float, start: int, end: int, place: Place | None) -> Claim:
    return Claim(label="citation", rule=rule, status=status, score=score, start=start, end=end, place=place)


def _shapes(names: dict[str, int]) -> set[str]:
    return {_shape(name) for name in names if any(character.isdigit() for character in name)}


def _shape(name: str) -> str:
    """The form of a reference: runs of letters and digits, and what is between. "kb-12" and "KB-7" have one form."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", name.lower()))
