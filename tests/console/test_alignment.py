"""Evidence is found again in redacted text, whatever was replaced around it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.findings import Finding
from governance.privacy.alignment import Replacement, replacements
from governance.privacy.redaction import Redactor

REDACTOR = Redactor()
SECRETS = {"iban": "DE89370400440532013000", "email": "jane.doe@example.com", "phone": "+49 30 1234567"}


def finding(text: str, label: str, start: int) -> Finding:
    return Finding(
        detector="patterns",
        category="pii",
        rule=label,
        label=label,
        score=1.0,
        start=start,
        end=start + len(SECRETS[label]),
    )


@given(
    st.lists(st.one_of(st.sampled_from(sorted(SECRETS)), st.text("ab cé😀[]", min_size=1, max_size=8)), max_size=12),
    st.data(),
)
def test_what_stays_is_found_at_its_place(pieces: list[str], data: st.DataObject) -> None:
    text, findings, seen = "", [], set()
    for piece in pieces:
        if piece in SECRETS:
            # A detector may see only the first of several equal texts.
            if piece not in seen or data.draw(st.booleans()):
                findings.append(finding(text, piece, len(text)))
            seen.add(piece)
            text += SECRETS[piece] + " "
        else:
            text += piece + "|"
    redacted = REDACTOR.redact(text, findings)
    found = replacements(redacted, findings)
    assert found is not None
    built, at = "", 0
    for one in found:
        built += text[at : one.start] + one.text
        at = one.end
    assert built + text[at:] == redacted


def test_without_findings_nothing_is_replaced() -> None:
    assert replacements("plain [bank account]", []) == ()


def test_a_text_that_does_not_fit_is_said_so() -> None:
    assert replacements("nothing here", [finding("", "iban", 3)]) is None


def test_overlapping_findings_are_one_place_named_after_the_longest() -> None:
    text = "to DE89370400440532013000 now"
    part = Finding(detector="p", category="pii", rule="x", label="phone", score=0.5, start=5, end=10)
    both = [finding(text, "iban", 3), part]
    assert replacements(REDACTOR.redact(text, both), both) == (Replacement(start=3, end=25, text="[bank account]"),)
