"""Redaction: what the console shows instead of personal data and secrets. presidio-anonymizer does the replacing.

Every occurrence of a found text is replaced, also where the detector saw only one of them, so that a secret said twice
is hidden twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, get_args

import re2

from governance.detectors.patterns.views import encodable
from governance.detectors.runner import spans_of
from governance.domain.decisions import Operator
from governance.domain.findings import Finding
from governance.errors import Misconfigured
from governance.privacy.keys import KeyRing

if TYPE_CHECKING:
    from presidio_anonymizer import AnonymizerEngine, DeanonymizeEngine
    from presidio_anonymizer.entities import OperatorConfig

Operators: TypeAlias = Mapping[str, Operator]
"""By label ("iban") or category ("pii")."""

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
_ENCRYPTED = re.compile(r"\[[^\[\]\n]{1,60} enc:[A-Za-z0-9_=-]{36,}\]")
_LEAST_SHOWN: tuple[Operator, ...] = get_args(Operator)
_SHORTEST_SHOWN = 12
"""Of a masked text that is shorter nothing is shown, of others the last four characters."""
_SHORTEST_REPEAT = 4
_SHORTEST_LOOSE = 8
_BETWEEN = re.compile(r"[\s._/+-]")
_LONGEST_PATTERN = 1_024
_PATTERN_AT_ONCE = 16_384
_SPANS_AT_ONCE = 64
_MEMORY = 64 << 20


_Mark: TypeAlias = tuple[str, Operator]
"""What is said in place of a text, and how."""
_Span: TypeAlias = tuple[int, int, _Mark]

REPLACE: Operators = {}
"""Everything is replaced by what it is."""


class Redactor:
    """Redacts and restores texts. Holds no text; safe to share among threads. `keys` are needed by `hash` and
    `encrypt`.
    """

    def __init__(self, keys: Callable[[], KeyRing] | None = None) -> None:
        self._keys = keys

    def redact(self, text: str, findings: Sequence[Finding], operators: Operators = REPLACE, record: str = "") -> str:
        """`text` with each hidden span replaced by what it is, in brackets: "[e-mail address]".

        Spans that overlap or touch become one, named after the longest. Offsets are code points of `text`.
        `operators` say by label, or by category, what else than `replace` happens; of places that become one the
        operator that shows least counts. `encrypt` binds to `record`. Raises `Misconfigured` where one needs keys
        and there are none.
        """
        spans = [
            (max(0, start), min(len(text), end), (word_for(finding), _operator(finding, operators)))
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
            pieces.append(self._replace(text[start:end], [(a - start, b - start, mark) for a, b, mark in some], record))
            copied = end
        return "".join([*pieces, text[copied:]])

    def restore(self, text: str, record: str) -> str:
        """`text` with its encrypted places opened. Raises `Tampered` when one was changed, or is of another record."""
        from presidio_anonymizer.entities import OperatorConfig, OperatorResult

        from governance.privacy.operators import OPEN

        places = list(_ENCRYPTED.finditer(text))
        if not places:
            return text
        results = [OperatorResult(*match.span(), "place", "", OPEN) for match in places]
        opener = OperatorConfig(OPEN, {"keys": self._ring(), "record": record.encode()})
        restored: str = self._opener.deanonymize(text, results, {"DEFAULT": opener}).text
        return restored

    def _replace(self, text: str, spans: Sequence[_Span], record: str) -> str:
        from presidio_anonymizer.entities import RecognizerResult

        # An entity type for each place: the engine chooses operators by type, and would make one of two places of the
        # same type that only white space parts. `privacy.alignment` finds places again, so each must stay one.
        types = [f"{number} {word}" for number, (_, _, (word, _)) in enumerate(spans)]
        operators = {
            type_: self._config(mark, end - start, record)
            for type_, (start, end, mark) in zip(types, spans, strict=True)
        }
        results = [
            RecognizerResult(type_, start, end, 1.0) for type_, (start, end, _) in zip(types, spans, strict=True)
        ]
        redacted: str = self._engine.anonymize(text, results, operators).text
        return redacted

    def _config(self, mark: _Mark, length: int, record: str) -> OperatorConfig:
        from presidio_anonymizer.entities import OperatorConfig

        from governance.privacy.operators import HASH, SEAL

        word, operator = mark
        match operator:
            case "hash":
                return OperatorConfig(HASH, {"keys": self._ring(), "word": word})
            case "encrypt":
                return OperatorConfig(SEAL, {"keys": self._ring(), "word": word, "record": record.encode()})
            case "mask":
                hidden = length - (4 if length >= _SHORTEST_SHOWN else 0)
                return OperatorConfig("mask", {"masking_char": "*", "chars_to_mask": hidden, "from_end": False})
            case _:
                return OperatorConfig("replace", {"new_value": f"[{word}]"})

    def _ring(self) -> KeyRing:
        if self._keys is None:
            raise Misconfigured("Redaction by hash or encryption needs the key-encryption key.")
        return self._keys()

    @cached_property
    def _engine(self) -> AnonymizerEngine:
        from presidio_anonymizer import AnonymizerEngine

        from governance.privacy.operators import KeyedHash, Seal

        engine = AnonymizerEngine()  # type: ignore[no-untyped-call]
        engine.add_anonymizer(KeyedHash)
        engine.add_anonymizer(Seal)
        return engine

    @cached_property
    def _opener(self) -> DeanonymizeEngine:
        from presidio_anonymizer import DeanonymizeEngine

        from governance.privacy.operators import Open

        engine = DeanonymizeEngine()  # type: ignore[no-untyped-call]
        engine.add_deanonymizer(Open)
        return engine


def _operator(finding: Finding, operators: Operators) -> Operator:
    """The operator for a finding. A secret is never masked: its last characters are part of it."""
    chosen = operators.get(finding.label) or operators.get(finding.category) or "replace"
    return "replace" if chosen == "mask" and finding.category == "secret" else chosen


def word_for(finding: Finding) -> str:
    """The words that replace the text."""
    label = finding.label or _UNNAMED.get(finding.category, finding.category)
    return _WORDS.get(label, label.replace("_", " "))


def _repeats(text: str, hidden: Sequence[_Span], spans: Sequence[_Span]) -> list[_Span]:
    """Further places where the texts of `spans` stand, outside of what is `hidden`; of texts that overlap the first.

    A long number is also found with other signs between its digits.
    """
    marks: dict[str, _Mark] = {}
    for start, end, mark in spans:
        if end - start >= _SHORTEST_REPEAT:
            marks.setdefault(text[start:end], mark)
    pieces: list[str] = []
    at = 0
    for start, end, _ in hidden:
        pieces += text[at:start], "\0" * (end - start)
        at = end
    rest = encodable("".join([*pieces, text[at:]]))
    found: list[_Span] = []
    waiting: list[str] = []
    size = 0
    # The longest first: RE2 prefers the alternative that stands first, as Perl does.
    for known in sorted(marks, key=len, reverse=True):
        if len(known) > _LONGEST_PATTERN:
            found += _plainly(rest, known, marks[known])
            continue
        waiting.append(known)
        size += len(known)
        if size > _PATTERN_AT_ONCE:
            found += _at_once(rest, waiting, marks)
            waiting, size = [], 0
    return found + _at_once(rest, waiting, marks)


def _plainly(text: str, known: str, mark: _Mark) -> Iterator[_Span]:
    at = text.find(encodable(known))
    while at >= 0:
        yield at, at + len(known), mark
        at = text.find(encodable(known), at + len(known))


def _bare(text: str) -> str:
    return _BETWEEN.sub("", text)


def _loosely(text: str) -> str:
    """A pattern of the text; for a number, also with other separators between its characters."""
    bare = _bare(text)
    if len(bare) < _SHORTEST_LOOSE or not bare.isalnum() or sum(map(str.isdigit, bare)) < len(bare) / 2:
        return str(re2.escape(text))
    sign = r"\+?" if text.startswith("+") else ""
    return sign + r"[\s._/+-]{0,3}".join(map(re2.escape, bare))


def _at_once(text: str, known: Sequence[str], marks: Mapping[str, _Mark]) -> list[_Span]:
    """One pass for thousands of texts: searching for each one takes seconds in a long text."""
    if not known:
        return []
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    by_form: dict[str, _Mark] = {}
    for one in known:
        form = encodable(one)
        by_form[form] = marks[one]
        by_form.setdefault(_bare(form), marks[one])
    pattern = re2.compile("|".join(_loosely(encodable(one)) for one in known), options)
    return [
        (*match.span(), by_form.get(match.group()) or by_form[_bare(match.group())]) for match in pattern.finditer(text)
    ]


def _merged(spans: Sequence[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    longest = 0
    for start, end, (word, operator) in sorted(spans):
        if merged and start <= merged[-1][1]:
            first, last, (name, before) = merged[-1]
            if end - start > longest:
                longest, name = end - start, word
            merged[-1] = (first, max(last, end), (name, min(operator, before, key=_LEAST_SHOWN.index)))
        else:
            merged.append((start, end, (word, operator)))
            longest = end - start
    return merged
