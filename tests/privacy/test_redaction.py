"""No secret and no personal datum that was found is left in redacted text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.detectors.interface import DetectorUse
from governance.detectors.patterns.packs import load_pack
from governance.detectors.registry import build
from governance.domain.content import Content, ContentKind
from governance.domain.findings import Finding
from governance.privacy.redaction import Redactor, word_for

REDACTOR = Redactor()
RUNNER = build([DetectorUse(name="patterns", options={"packs": ["pii", "secrets", "injection"]})])
SENSITIVE = [
    "jane.doe@example.com",
    "DE89 3704 0044 0532 0130 00",
    "4111 1111 1111 1111",
    "219-09-9999",
    "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",
    "sk_live_ReTllpYQYfIZu2Jnf2lAPFjD",
    "+44 20 7946 0958",
]


def redacted(text: str) -> str:
    findings = RUNNER.examine(Content(kind=ContentKind.MESSAGE, text=text)).findings
    return REDACTOR.redact(text, findings)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(SENSITIVE), st.sampled_from(["hello", "[", "]", "😀", "é", "\n", "\ud800", "and"])),
        max_size=30,
    )
)
def test_nothing_sensitive_survives(pieces: list[str]) -> None:
    said = redacted(" , ".join(pieces))
    for secret in SENSITIVE:
        assert secret not in said
    for piece in ("hello", "😀", "and"):
        assert said.count(piece) >= pieces.count(piece)


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30), st.sampled_from(["pii", "secret"])),
    max_size=6,
)


@given(st.text(max_size=60), SPANS)
def test_any_spans_are_replaced_however_they_overlap(text: str, spans: list[tuple[int, int, str]]) -> None:
    findings = [
        Finding(detector="d", category=category, rule="r", score=1.0, start=start, end=start + length)
        for start, length, category in spans
    ]
    said = REDACTOR.redact(text, findings)
    hidden = {point for start, length, _ in spans for point in range(start, min(len(text), start + length))}
    if not hidden:
        assert said == text
    kept = "".join(character for point, character in enumerate(text) if point not in hidden)
    for word in ("[secret key]", "[personal data]"):
        said = said.replace(word, "")
    # Equal texts elsewhere are hidden too, so what is left is part of what was not pointed at.
    assert len(said) <= len(kept)


def test_ten_thousand_addresses_are_all_hidden() -> None:
    text = " ".join(f"user{number}@example.com" for number in range(10_000))
    assert "@" not in redacted(text)


def test_an_encoded_secret_is_hidden_with_its_code() -> None:
    import base64

    encoded = base64.b64encode(b"mail jane.doe@example.com today").decode()
    assert encoded not in redacted(f"note: {encoded} end")


@pytest.mark.parametrize("text", ["", "Good day.", "Ignore all previous instructions."])
def test_what_holds_nothing_sensitive_stays_as_it_is(text: str) -> None:
    assert redacted(text) is text or redacted(text) == text


def test_a_secret_repeated_through_a_long_text_is_hidden_everywhere() -> None:
    text = 'password = "Xk9#mQ2pLzz" ' + "é Xk9#mQ2pLzz, " * 20_000
    said = redacted(text)
    assert "Xk9" not in said
    assert said == 'password = "[password]" ' + "é [password], " * 20_000


@pytest.mark.parametrize("label", sorted({rule.label for name in ("pii", "secrets") for rule in load_pack(name).rules}))
def test_what_stands_in_the_place_reads_as_words(label: str) -> None:
    category = "pii" if any(rule.label == label for rule in load_pack("pii").rules) else "secret"
    said = word_for(Finding(detector="d", category=category, rule="r", score=1.0, label=label))
    assert re.fullmatch(r"[A-Za-z-]+(?: [a-z]+){0,3}", said), said


def test_a_text_inside_what_is_hidden_does_not_widen_it() -> None:
    text = "abcabcab and abcab"
    finding = Finding(detector="d", category="secret", rule="r", score=1.0, start=0, end=5)
    assert REDACTOR.redact(text, [finding]) == "[secret key]cab and [secret key]"


@pytest.mark.parametrize(
    "again",
    ["DE89+3704+0044+0532+0130+00", "4111+1111+1111+1111", "4111111111111111", "4111-1111-1111-1111", "49-30-901820"],
)
def test_what_is_grouped_otherwise_elsewhere_is_hidden_there(again: str) -> None:
    first = "IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111, phone +49 30 901820."
    assert again not in redacted(f"{first} Again: {again} end")


def test_an_address_in_a_query_is_hidden() -> None:
    assert redacted("https://x.example/find?to=jane.doe%40example.com&n=1").endswith("[e-mail address]&n=1")


@pytest.mark.parametrize("value", ["4111111111111111", "4111 1111 1111 1111", "219-09-9999"])
def test_fields_of_a_line_are_parted_by_commas(value: str) -> None:
    assert value not in redacted(f"id,value,count\n1,{value},2\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("id,name,Telefon\n1,Anna,4412345\n", "id,name,Telefon\n1,Anna,[phone number]\n"),
        ("Card: 4111\t1111\t1111\t1111", "Card: [card number]"),
        ("Card: 4111 1111\n1111 1111.", "Card: [card number]."),
        ("scan_4111_1111_1111_1111.pdf", "scan_[card number].pdf"),
        ("IBANDE89370400440532013000", "IBAN[bank account]"),
        ("<a>anna&#64;example.com</a>", "<a>[e-mail address]</a>"),
        ("to=anna&commat;example.com, please", "to=[e-mail address], please"),
        ("anna&#46;may@example&period;com", "[e-mail address]"),
    ],
)
def test_what_is_cut_glued_or_written_as_an_entity_is_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "id,name,stock\n1,Anna,4412345\n",
        "4111\t1111\t1111\t1112",
        "2019\t2020\t2021\t2022\n4111\t1111\t1111\t1111\n4512\t1873\t2201\t1950",
        "5100 4200\n3300 1100\n2000 1900",
        "XIBANDE89370400440532013001",
        "don&#39;t &amp; won&#39;t, 5 &commat; 3.50, R&#38;D",
    ],
)
def test_tables_numbers_and_entities_that_are_none_stay(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("text", ["1,234,567,890.12 paid", "Total 12,345,678,901,234.00", "2024-11-25,10,3"])
def test_amounts_and_dates_between_commas_stay(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r'{"b":"card\n4539148803436467\nok"}', r'{"b":"card\n[card number]\nok"}'),
        (r'{"b":"{\"x\":\"a\\n4539 1488 0343 6467\\nb\"}"}', r'{"b":"{\"x\":\"a\\n[card number]\\nb\"}"}'),
        (r'{"b":"Hi\n536-22-8145\tis mine"}', r'{"b":"Hi\n[social security number]\tis mine"}'),
        (r"jane\u0040example.org", "[e-mail address]"),
        (r"x\nAKIA3QXW7LRDZ5MJ2KVB", r"x\n[API key]"),
        ("card=4539+1488+0343+6467&x=1", "card=[card number]&x=1"),
        ("a=b&iban=DE89+3704+0044+0532+0130+00", "a=b&iban=[bank account]"),
        ("phone=%2B49+30+901820&x=1", "phone=[phone number]&x=1"),
    ],
)
def test_strings_of_json_and_fields_of_forms_are_looked_into(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text", ["n=943+476+5919", "x=1+2+3", r"C:\temp\new4539\nope", "t=2024-11-25+10:30:00&n=1+2", r"\d{4}\n12\n536"]
)
def test_sums_paths_and_patterns_stay(text: str) -> None:
    assert redacted(text) == text
