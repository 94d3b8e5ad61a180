"""Finds where places of an original text are in its redacted form, without the original.

`Redactor.redact` replaces what findings point at, and every further occurrence of the same text. The findings are
known, the further occurrences are not: they are found again by their words in brackets, and their length by what the
known places say. What does not fit together is said so, and never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from governance.detectors.runner import spans_of
from governance.domain.findings import Finding
from governance.privacy.redaction import HIDDEN, word_for

_MOST_STEPS = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Replacement:
    """A span of the original text (code points, end exclusive) and its replacement in the redacted text."""

    start: int
    end: int
    text: str


def replacements(redacted: str, findings: Sequence[Finding]) -> tuple[Replacement, ...] | None:
    """What was replaced, in order; None when the redacted text does not fit the findings."""
    known = _merged(findings)
    if not known:
        return ()
    lengths: dict[str, list[int]] = {}
    for one in known:
        if one.end - one.start not in lengths.setdefault(one.text, []):
            lengths[one.text].append(one.end - one.start)
    return _Search(redacted, known, lengths).run()


class _Search:
    """Depth first over the places in brackets; a wrong length shows at the next known place."""

    def __init__(self, redacted: str, known: Sequence[Replacement], lengths: dict[str, list[int]]) -> None:
        self._redacted = redacted
        self._known = known
        self._lengths = lengths
        self._steps = 0

    def run(self) -> tuple[Replacement, ...] | None:
        waiting: list[tuple[int, int, int, tuple[Replacement, ...]]] = [(0, 0, 0, ())]
        while waiting and self._steps < _MOST_STEPS:
            self._steps += 1
            at, shift, index, found = waiting.pop()
            place = self._next(at)
            if place is None:
                if index == len(self._known):
                    return found
                continue
            here, text = place
            original = here - shift
            due = self._known[index] if index < len(self._known) else None
            after = here + len(text)
            if due is not None and original > due.start:
                continue
            if due is not None and original == due.start and text == due.text:
                shift += len(text) - (due.end - due.start)
                waiting.append((after, shift, index + 1, (*found, due)))
                continue
            # Words in brackets that the original had itself, then a further occurrence: tried last first.
            waiting.append((after, shift, index, found))
            for length in reversed(self._lengths[text]):
                if due is None or original + length <= due.start:
                    again = Replacement(start=original, end=original + length, text=text)
                    waiting.append((after, shift + len(text) - length, index, (*found, again)))
        return None

    def _next(self, at: int) -> tuple[int, str] | None:
        places = [(self._redacted.find(text, at), text) for text in self._lengths]
        return min(((here, text) for here, text in places if here >= 0), default=None)


def _merged(findings: Sequence[Finding]) -> list[Replacement]:
    """The spans that the findings name, as `Redactor` merges them: what overlaps or touches is one, named after the
    longest."""
    spans = sorted(
        (start, end, f"[{word_for(finding)}]")
        for finding in findings
        if finding.category in HIDDEN
        for start, end in spans_of(finding)
        if start < end
    )
    merged: list[Replacement] = []
    longest = 0
    for start, end, text in spans:
        if merged and start <= merged[-1].end:
            before = merged[-1]
            name = text if end - start > longest else before.text
            longest = max(longest, end - start)
            merged[-1] = Replacement(start=before.start, end=max(before.end, end), text=name)
        else:
            merged.append(Replacement(start=start, end=end, text=text))
            longest = end - start
    return merged
