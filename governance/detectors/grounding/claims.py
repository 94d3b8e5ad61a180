"""A claim of an answer, and what the sources say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from governance.detectors.grounding.passages import Passage, code_blocks, language, passages
from governance.detectors.grounding.sources import Place, Sources


class Status(StrEnum):
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_IN_CONTEXT = "not_in_context"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What an answer claims at `[start, end)` (code points), and what was found out.

    `label` is number, date, name, quotation, citation or sentence; `rule` how it was judged; `score` how sure that is,
    0 to 1; `place` where the source says it, or says otherwise; None where no source speaks of it.
    """

    label: str
    rule: str
    status: Status
    score: float
    start: int
    end: int
    place: Place | None = None


class Answer:
    """The text of an answer, cut into sentences once."""

    def __init__(self, text: str, *, documents: int = 0, states_supported: bool = True) -> None:
        self.text = text
        self.documents = documents
        """Retrieved documents: what a citation may number."""
        self.states_supported = states_supported
        """Whether the places of supported claims are wanted: where they are not, finding them is saved."""
        self.code = code_blocks(text)

    @cached_property
    def sentences(self) -> tuple[Passage, ...]:
        return tuple(passages(self.text))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word, in lower case."""
        return frozenset(word for sentence in self.sentences for word in sentence.words)

    @cached_property
    def language(self) -> str:
        return language([word for sentence in self.sentences[:60] for word in sentence.words])

    def is_code(self, start: int) -> bool:
        return any(begin <= start < end for begin, end in self.code[:64])

    def comparable(self, sources: Sources) -> bool:
        """Whether words can be compared: the answer is not known to be in another language than the sources."""
        return not self.language or not sources.language or self.language == sources.language


Given = Callable[[], Sources]
"""What the conversation itself says (prompts, system prompt, history): no source, but the answer did not invent it."""
