"""What stands in place of what was found: replaced, masked, hashed or encrypted, and of none of them a way back for
those without the key."""

from __future__ import annotations

import base64
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.detectors.interface import DetectorUse
from governance.detectors.registry import build
from governance.domain.content import Content, ContentKind
from governance.domain.decisions import Operator
from governance.domain.findings import Finding
from governance.errors import Misconfigured, Tampered
from governance.privacy.keys import KeyRing
from governance.privacy.redaction import Redactor

KEYS = KeyRing(os.urandom(32))
REDACTOR = Redactor(lambda: KEYS)
RUNNER = build([DetectorUse(name="pii"), DetectorUse(name="secrets")])
TEXT = "Card 4111 1111 1111 1111 and jane.doe@example.com, password = 'Xk9#mQ2pLzz'"


def findings(text: str) -> tuple[Finding, ...]:
    return RUNNER.examine(Content(kind=ContentKind.MESSAGE, text=text)).findings


def redacted(text: str, record: str = "call-1", **operators: Operator) -> str:
    return REDACTOR.redact(text, findings(text), operators, record)


def test_each_label_has_its_operator_and_the_rest_is_replaced() -> None:
    said = redacted(TEXT, payment_card="mask", email="hash")
    assert said.startswith("Card ***************1111 and [e-mail address ")
    assert re.search(r"\[e-mail address [0-9a-f]{16}\], password = '\[password\]'$", said)


def test_a_category_stands_for_its_labels() -> None:
    assert redacted(TEXT, pii="mask") == "Card ***************1111 and ****************.com, password = '[password]'"


def test_of_a_short_text_and_of_a_secret_nothing_is_shown() -> None:
    assert redacted("CVV: 123", card_security_code="mask") == "CVV: ***"
    assert redacted(TEXT, secret="mask").endswith("password = '[password]'")


def test_equal_texts_have_equal_hashes_and_only_under_one_key() -> None:
    one, other = redacted("jane@example.com", email="hash"), redacted("jane@example.com", "call-2", email="hash")
    assert one == other
    elsewhere = Redactor(lambda: KeyRing(os.urandom(32)))
    text = "jane@example.com"
    assert elsewhere.redact(text, findings(text), {"email": "hash"}) != one


def test_what_is_encrypted_opens_for_its_record_only() -> None:
    said = redacted(TEXT, pii="encrypt")
    assert "4111" not in said
    assert REDACTOR.restore(said, "call-1") == redacted(TEXT)[:0] + TEXT.replace("Xk9#mQ2pLzz", "[password]")
    with pytest.raises(Tampered):
        REDACTOR.restore(said, "call-2")
    with pytest.raises(Tampered):
        Redactor(lambda: KeyRing(os.urandom(32))).restore(said, "call-1")


def test_a_changed_byte_is_noticed_wherever_it_is() -> None:
    said = redacted("jane@example.com", email="encrypt")
    start = said.index("enc:") + 4
    sealed = bytearray(base64.urlsafe_b64decode(said[start:-1]))
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(Tampered):
            REDACTOR.restore(f"{said[:start]}{base64.urlsafe_b64encode(changed).decode()}]", "call-1")


def test_of_places_that_become_one_the_least_is_shown() -> None:
    text = "abcdefghijklmnopqrst"
    two = [
        Finding(detector="d", category="pii", label="phone", rule="r", score=1.0, start=0, end=15),
        Finding(detector="d", category="pii", label="email", rule="r", score=1.0, start=10, end=20),
    ]
    assert REDACTOR.redact(text, two, {"phone": "mask", "email": "replace"}) == "[phone number]"


def test_without_keys_nothing_is_shown_in_place_of_a_hash() -> None:
    with pytest.raises(Misconfigured):
        Redactor().redact("jane@example.com", findings("jane@example.com"), {"email": "hash"})


SENSITIVE = ["4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "219-09-9999", "+44 20 7946 0958"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(SENSITIVE), st.sampled_from(["", " ", "-", ".", "/", " - "])), min_size=1, max_size=8
    ),
    st.sampled_from(["replace", "hash", "encrypt"]),
)
def test_no_number_survives_with_other_signs_between(pieces: list[tuple[str, str]], operator: Operator) -> None:
    """Once found, a number is hidden however it is grouped elsewhere in the text."""
    written = [sign.join(part for part in re.split(r"[ -]", number)) for number, sign in pieces]
    text = " ; ".join([*(number for number, _ in pieces), *written])
    said = redacted(text, pii=operator)
    bare = re.sub(r"\[[^\]]*\]", "\0", said)
    bare = re.sub(r"[\s./-]", "", bare)
    for number, _ in pieces:
        assert re.sub(r"[ +-]", "", number) not in bare
    if operator == "encrypt":
        assert REDACTOR.restore(said, "call-1") == text


@pytest.mark.parametrize("operator", ["mask", "hash", "encrypt"])
def test_ten_thousand_places_take_linear_time(operator: Operator) -> None:
    text = " ".join(f"user{number}@example.com" for number in range(3_000))
    assert "@" not in redacted(text, email=operator)
