"""`classifier`: small linear models over a text's n-grams and the order of its kinds of words.

Three heads. `direct` looks at what users write, `indirect` at documents and tools' results only (a user may ask for
things that nobody should plant in a document), `toxicity` at what users and models say. Each says how sure it is of the
whole text or of its most telling stretch, and where that is. Trained by `benchmarks/train_*.py`; how good they are is
in docs/detectors.md, what they are made of in docs/models.md.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.detectors.interface import (
    Detector,
    DetectorDescription,
    DetectorKind,
    OptionDescription,
    Options,
    Surroundings,
    merged,
    version_of,
    words,
)
from governance.detectors.linear.features import features, lexicon_digest
from governance.detectors.linear.head import Head, Heads, telling
from governance.detectors.linear.reading import read
from governance.detectors.linear.weights import BadWeights, Weights, load, packaged
from governance.detectors.linear.windows import windows
from governance.detectors.patterns import views
from governance.domain.content import Content, ContentKind
from governance.domain.findings import Finding

NAME = "classifier"
VERSION = "1"
"""Raised whenever the same weights could say something else; weights and word classes are covered by digests."""

LOWEST = 0.25
"""Scores below are not stated: nearly every text has one."""
WINDOW, OVERLAP = 65_536, 1_024
"""A longer text is read in overlapping pieces, so that memory is bounded; code points."""
AT_ONCE = 20_000
"""Texts are read together up to so many code points: more would not stay in the processor's caches."""

HEADS = {"direct": "injection", "indirect": "injection", "toxicity": "toxicity"}
"""The file of each head's weights."""
_RULES = {"direct": "instruction-of-a-user", "indirect": "planted-instruction", "toxicity": "toxic-language"}
_OTHERS = frozenset({"system", "developer", "assistant", "model", "ai", "tool", "function"})
_TOOLS = frozenset({"tool", "function"})

CLASSIFIER = DetectorDescription(
    name=NAME,
    version=VERSION,
    offline=True,
    finds="What reads like an instruction against the application's own, and toxic language, by small linear models.",
    categories=("injection", "toxicity"),
    scope="content",
    options=(
        OptionDescription(
            name="heads",
            kind="strings",
            description="direct: in prompts; indirect: in documents and tool results; toxicity: in messages.",
            choices=tuple(HEADS),
            required=True,
        ),
    ),
    selector="heads",
)


def heads_for(content: Content) -> tuple[str, ...]:
    """The heads that look at such a content item."""
    if content.kind is not ContentKind.MESSAGE:
        return ("indirect",) if content.kind in (ContentKind.DOCUMENT, ContentKind.TOOL_RESULT) else ()
    role = content.role.lower()
    if role in _TOOLS:
        return ("indirect",)
    if role in ("system", "developer"):
        return ()
    return ("toxicity",) if role in _OTHERS else ("direct", "toxicity")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A text, or a part of one, and which heads examine it. `number` is its content's; `offset` is where it begins in
    that content.
    """

    number: int
    offset: int
    text: str
    heads: tuple[str, ...]


class ClassifierDetector:
    """The heads over contents. Safe to share between threads."""

    name = NAME

    def __init__(self, heads: Mapping[str, Head], digests: Mapping[str, str]) -> None:
        self._heads = dict(heads)
        self._asked = Heads(list(self._heads.values()))
        self._digests = dict(digests)
        self.units: Mapping[str, str] = {
            name: version_of(VERSION, digests[name], lexicon_digest(), name) for name in sorted(heads)
        }
        self.version = version_of(VERSION, sorted(self.units.items()))

    @classmethod
    def of(cls, names: Sequence[str], folder: Path | None = None) -> ClassifierDetector:
        """The detector with these heads, from this installation's weights or those of a folder. Raises `BadWeights`."""
        heads, digests = {}, {}
        for name in names:
            path = packaged(HEADS[name]) if folder is None else folder / packaged(HEADS[name]).name
            weights = _loaded(path) if folder is None else load(path)
            if name not in weights.heads:
                raise BadWeights(f"{path.name} has no head {name!r}.")
            heads[name], digests[name] = weights.heads[name], weights.digest
        return cls(heads, digests)

    def part(self, units: frozenset[str]) -> Detector:
        """The detector for some of the heads."""
        return ClassifierDetector({name: head for name, head in self._heads.items() if name in units}, self._digests)

    def examine(self, content: Content) -> Sequence[Finding]:
        """At most one finding a head, `pack` naming it. Time and memory grow linearly with the text."""
        return self.examine_many((content,))[0]

    def examine_many(self, contents: Sequence[Content]) -> list[Sequence[Finding]]:
        """As `examine` of each content item, several at once: the same findings in a third of the time."""
        found: list[Sequence[Finding]] = [()] * len(contents)
        for pieces in self._batches(contents):
            for piece, finding in self._examine(pieces):
                known = {one.pack: one for one in found[piece.number]}
                if finding.pack not in known or finding.score > known[finding.pack].score:
                    found[piece.number] = tuple(one for _, one in sorted((known | {finding.pack: finding}).items()))
        return found

    def _batches(self, contents: Sequence[Content]) -> Iterator[list[_Piece]]:
        """The texts in pieces, as many as are read at once."""
        pieces: list[_Piece] = []
        for number, content in enumerate(contents):
            group = heads_for(content)
            if content.text and not self._heads.keys().isdisjoint(group):
                if len(content.text) <= WINDOW:
                    pieces.append(_Piece(number, 0, content.text, group))
                else:
                    parts = views.windows(content.text, WINDOW, OVERLAP)
                    pieces.extend(_Piece(number, offset, part, group) for offset, part in parts)
        batch: list[_Piece] = []
        size = 0
        for piece in pieces:
            if batch and size + len(piece.text) > AT_ONCE:
                yield batch
                batch, size = [], 0
            batch.append(piece)
            size += len(piece.text)
        if batch:
            yield batch

    def _examine(self, pieces: Sequence[_Piece]) -> Iterator[tuple[_Piece, Finding]]:
        reading = read([piece.text for piece in pieces])
        found = features(reading)
        stretches = windows(found)
        odds = self._asked.odds(found, stretches)
        scores = self._asked.probabilities(odds, stretches).tolist()
        for name, by_head, said in zip(self._heads, odds, scores, strict=True):
            for number, piece in enumerate(pieces):
                if said[number] >= LOWEST and name in piece.heads and found.has_words(number):
                    best = telling(by_head, stretches, number)
                    place = reading.place(number, int(stretches.froms[0, best]), int(stretches.tos[0, best]))
                    yield piece, _finding(name, said[number], piece.offset, place)


def _finding(head: str, score: float, offset: int, place: tuple[int, int]) -> Finding:
    return Finding(
        detector=NAME,
        category="toxicity" if head == "toxicity" else "injection",
        rule=_RULES[head],
        pack=head,
        score=round(score, 4),
        start=offset + place[0],
        end=offset + place[1],
    )


@functools.cache
def _loaded(path: Path) -> Weights:
    return load(path)


def _build(requests: Sequence[Options], _: Surroundings) -> ClassifierDetector:
    return ClassifierDetector.of(words(merged(requests), "heads"))


KIND = DetectorKind(describe=lambda: CLASSIFIER, build=_build)
