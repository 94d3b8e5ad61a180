"""Redaction: what the console shows instead of personal data and secrets. presidio-anonymizer does the replacing.

Every occurrence of a found text is replaced, also where the detector saw only one of them, so that a secret said twice
is hidden twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import re2

from governance.detectors.runner import spans_of
from governance.detectors.views import encodable
from governance.domain.findings import Finding

if TYPE_CHECKING:
    from presidio_anonymizer import AnonymizerEngine

HIDDEN = ("pii", "secret")
"""Categories of findings whose text must not be shown."""

_WORDS = {
    "api_key": "API key",
    "device_id": "device number",
    "driver_license": "driving licence number",
    "email": "e-mail address",
    "health_number": "health number",
    "iban": "bank account",
    "ip_address": "IP address",
    "mac_address": "MAC address",
    "national_id": "national identity number",
    "passport": "passport number",
    "payment_card": "card number",
    "phone": "phone number",
    "ssn": "social security number",
    "tax_id": "tax number",
    "token": "access token",
}
"""What a label is called where the label itself, with spaces for underscores, does not read well."""
_UNNAMED = {"pii": "personal data", "secret": "secret key"}
_SHORTEST_REPEAT = 4
_LONGEST_PATTERN = 1_024
_PATTERN_AT_ONCE = 16_384
_SPANS_AT_ONCE = 64
_MEMORY = 64 << 20


class Redactor:
    """Holds no text; safe to share among threads."""

    def redact(self, text: str, findings: Sequence[Finding]) -> str:
        """`text` with each hidden span replaced by what it is, in brackets: "[e-mail address]".

        Spans that overlap or touch become one, named after the longest. Offsets are code points of `text`.
        """
        spans = [
            (max(0, start), min(len(text), end), word_for(finding))
            for finding in findings
            if finding.category in HIDDEN
            for start, end in spans_of(finding)
            if start < min(len(text), end)
        ]
        if not spans:
            return text
        merged = _merged([*spans, *_repeats(text, _merged(spans), spans)])
        # The engine copies the text it is given for each place in it: a few places at a time keep that linear.
        pieces: list[str] = []
        copied = 0
        for first in range(0, len(merged), _SPANS_AT_ONCE):
            some = merged[first : first + _SPANS_AT_ONCE]
            start, end = some[0][0], some[-1][1]
            pieces.append(text[copied:start])
            pieces.append(self._replace(text[start:end], [(a - start, b - start, word) for a, b, word in some]))
            copied = end
        return "".join([*pieces, text[copied:]])

    def _replace(self, text: str, spans: Sequence[tuple[int, int, str]]) -> str:
        from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

        # An entity type for each place: the engine chooses operators by type, and would make one of two places of the
        # same type that only white space parts. `privacy.alignment` finds places again, so each must stay one.
        types = [f"{number} {word}" for number, (_, _, word) in enumerate(spans)]
        operators = {
            type_: OperatorConfig("replace", {"new_value": f"[{word}]"})
            for type_, (_, _, word) in zip(types, spans, strict=True)
        }
        results = [
            RecognizerResult(type_, start, end, 1.0) for type_, (start, end, _) in zip(types, spans, strict=True)
        ]
        redacted: str = self._engine.anonymize(text, results, operators).text
        return redacted

    @cached_property
    def _engine(self) -> AnonymizerEngine:
        from presidio_anonymizer import AnonymizerEngine

        return AnonymizerEngine()  # type: ignore[no-untyped-call]


def word_for(finding: Finding) -> str:
    """What is said in place of the text."""
    label = finding.label or _UNNAMED.get(finding.category, finding.category)
    return _WORDS.get(label, label.replace("_", " "))


def _repeats(
    text: str, hidden: Sequence[tuple[int, int, str]], spans: Sequence[tuple[int, int, str]]
) -> list[tuple[int, int, str]]:
    """Further places where the texts of `spans` stand, outside of what is `hidden`; of texts that overlap the first."""
    words: dict[str, str] = {}
    for start, end, word in spans:
        if end - start >= _SHORTEST_REPEAT:
            words.setdefault(text[start:end], word)
    pieces: list[str] = []
    at = 0
    for start, end, _ in hidden:
        pieces += text[at:start], "\0" * (end - start)
        at = end
    rest = encodable("".join([*pieces, text[at:]]))
    found: list[tuple[int, int, str]] = []
    waiting: list[str] = []
    size = 0
    # The longest first: RE2 prefers the alternative that stands first, as Perl does.
    for known in sorted(words, key=len, reverse=True):
        if len(known) > _LONGEST_PATTERN:
            found += _plainly(rest, known, words[known])
            continue
        waiting.append(known)
        size += len(known)
        if size > _PATTERN_AT_ONCE:
            found += _at_once(rest, waiting, words)
            waiting, size = [], 0
    return found + _at_once(rest, waiting, words)


def _plainly(text: str, known: str, word: str) -> Iterator[tuple[int, int, str]]:
    at = text.find(encodable(known))
    while at >= 0:
        yield at, at + len(known), word
        at = text.find(encodable(known), at + len(known))


def _at_once(text: str, known: Sequence[str], words: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """One pass for thousands of texts: a search for each takes seconds in a long text."""
    if not known:
        return []
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    by_form = {encodable(one): words[one] for one in known}
    pattern = re2.compile("|".join(map(re2.escape, by_form)), options)
    return [(*match.span(), by_form[match.group()]) for match in pattern.finditer(text)]


def _merged(spans: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    merged: list[tuple[int, int, str]] = []
    longest = 0
    for start, end, word in sorted(spans):
        if merged and start <= merged[-1][1]:
            before = merged[-1]
            if end - start > longest:
                longest, name = end - start, word
            else:
                name = before[2]
            merged[-1] = (before[0], max(before[1], end), name)
        else:
            merged.append((start, end, word))
            longest = end - start
    return merged
