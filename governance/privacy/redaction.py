"""Redaction: what the console shows instead of personal data and secrets. presidio-anonymizer does the replacing.

Every occurrence of a found text is replaced, also where the detector saw only one of them, so that a secret said twice
is hidden twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from governance.detectors.runner import spans_of
from governance.domain.findings import Finding

if TYPE_CHECKING:
    from presidio_anonymizer import AnonymizerEngine

HIDDEN = ("pii", "secret")
"""Categories of findings whose text must not be shown."""

_WORDS = {
    "email": "e-mail address",
    "phone": "phone number",
    "card": "card number",
    "credit_card": "card number",
    "iban": "bank account",
    "ssn": "social security number",
    "us_ssn": "social security number",
    "ip": "IP address",
    "ip_address": "IP address",
    "birth_date": "date of birth",
    "date_of_birth": "date of birth",
}
_SHORTEST_REPEAT = 4


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
        return self._replace(text, _merged([*spans, *_repeats(text, spans)]))

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

        return AnonymizerEngine()


def word_for(finding: Finding) -> str:
    """What is said in place of the text."""
    if finding.category == "secret":
        return "secret key"
    label = finding.label or "personal data"
    return _WORDS.get(label, label.replace("_", " "))


def _repeats(text: str, spans: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Further places where the hidden texts stand."""
    words: dict[str, str] = {}
    for start, end, word in spans:
        if end - start >= _SHORTEST_REPEAT:
            words.setdefault(text[start:end], word)
    found = []
    for hidden, word in words.items():
        at = text.find(hidden)
        while at >= 0:
            found.append((at, at + len(hidden), word))
            at = text.find(hidden, at + len(hidden))
    return found


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
