"""Official numbers and telephone numbers against python-stdnum and phonenumbers.

Checks that ask python-stdnum accept what it accepts. Checks of our own accept at least that, and the tests name what
they accept beyond it and why. phonenumbers knows the numbering plans of 245 regions; its example numbers are found.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import date, timedelta

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import bitcoin, iban
from stdnum.be import nn
from stdnum.ca import sin
from stdnum.cn import ric
from stdnum.dk import cpr
from stdnum.fi import hetu
from stdnum.ie import pps
from stdnum.iso7064 import mod_97_10
from stdnum.kr import rrn
from stdnum.no import fodselsnummer
from stdnum.se import personnummer
from stdnum.us import ssn
from stdnum.za import idnr

from governance.detectors.patterns import PatternDetector
from governance.detectors.patterns.packs import load_pack
from governance.detectors.patterns.payments import iban_length
from governance.detectors.patterns.validators import VALIDATORS
from governance.domain.content import Content, ContentKind

PHONES = PatternDetector.of(["pii"])
COUNTRIES = [a + b for a in string.ascii_uppercase for b in string.ascii_uppercase if iban_length(a + b)]


def valid(name: str, number: str) -> bool:
    return VALIDATORS[name](number, 0, len(number))


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


DAYS = st.dates(date(1901, 1, 1), date(2025, 12, 31))


@st.composite
def numbers(draw: st.DrawFn, form: str, rest: int) -> str:
    """A day in the form of `strftime`, and further digits."""
    return draw(DAYS).strftime(form) + draw(digits(rest))


OUR_OWN: dict[str, tuple[Callable[[str], bool], st.SearchStrategy[str]]] = {
    "be_number": (nn.is_valid, numbers("%y%m%d", 3).map(lambda body: f"{body}{97 - int(body) % 97:02}")),
    "cpr": (cpr.is_valid, numbers("%d%m%y", 4)),
    "kr_number": (rrn.is_valid, numbers("%y%m%d", 6).map(lambda body: body + rrn.calc_check_digit(body))),
    "no_number": (
        fodselsnummer.is_valid,
        numbers("%d%m%y", 3)
        .map(lambda body: body + fodselsnummer.calc_check_digit1(body))
        .map(lambda body: body + fodselsnummer.calc_check_digit2(body)),
    ),
    "pps": (pps.is_valid, st.tuples(digits(7), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVW")).map("".join)),
    "se_number": (personnummer.is_valid, numbers("%y%m%d", 4)),
    "ssn": (ssn.is_valid, digits(9)),
    "za_id": (
        idnr.is_valid,
        # Those of the years 15 to 19 may be Unix times in milliseconds.
        numbers("%y%m%d", 7).filter(lambda number: not "15" <= number[:2] <= "19"),
    ),
}


@pytest.mark.parametrize("name", sorted(OUR_OWN))
@given(data=st.data())
def test_what_python_stdnum_accepts_is_accepted(name: str, data: st.DataObject) -> None:
    accepts, drawn = OUR_OWN[name]
    number = data.draw(drawn)
    if accepts(number):
        assert valid(name, number)


@given(st.sampled_from(COUNTRIES), st.text("0123456789", min_size=31, max_size=31), st.booleans())
def test_an_iban_is_what_python_stdnum_takes_for_one(country: str, characters: str, right: bool) -> None:
    account = characters[: iban_length(country) - 4]
    check = mod_97_10.calc_check_digits(account + country) if right else "00"
    number = f"{country}{check}{account}"
    assert valid("iban", number) is iban.is_valid(number, check_country=False)
    assert valid("iban_shaped", number) is not valid("iban", number)


def test_the_pack_knows_every_country_of_the_registry() -> None:
    rules = {rule.id: rule.regex for rule in load_pack("pii").rules if rule.id.startswith("iban")}
    assert len(COUNTRIES) > 85
    for name, regex in rules.items():
        for country in COUNTRIES:
            assert f"{country}|" in regex or f"{country})" in regex, (name, country)
            text = f"{country}00{'0' * (iban_length(country) - 4)}"
            found = PHONES.examine(Content(kind=ContentKind.MESSAGE, text=f"to {text} from"))
            assert any(finding.label == "iban" for finding in found), text


@pytest.mark.parametrize(
    ("name", "number", "theirs", "why"),
    [
        ("se_number", "701063-2391", personnummer.is_valid, "a coordination number: 60 is added to the day"),
        ("za_id", "8001015009285", idnr.is_valid, "a refugee's: 2 stands for the citizenship"),
        ("kr_number", "201115-1234567", rrn.is_valid, "since October 2020 the last digit is random"),
        ("pps", "1234567AC", pps.is_valid, "second letters go on after B"),
        ("luhn", "046454286", sin.is_valid, "the published example of a SIN"),
        ("ssn", "078-05-1120", ssn.is_valid, "printed on sample cards, and typed by people ever since"),
        (
            "bech32",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            bitcoin.is_valid,
            "Taproot has another constant (test vector of BIP 350)",
        ),
    ],
)
def test_we_accept_more_than_python_stdnum(name: str, number: str, theirs: Callable[[str], bool], why: str) -> None:
    assert valid(name, number), why
    assert not theirs(number)


def test_a_temporary_finnish_number_is_one_too() -> None:
    temporary = next(
        number
        for letter in "0123456789ABCDEFHJKLMNPRSTUVWXY"
        if hetu.is_valid(number := f"010190-900{letter}", allow_temporary=True)
    )
    assert valid("hetu", temporary)
    assert not hetu.is_valid(temporary)


def test_a_district_that_python_stdnum_cannot_read_is_no_error() -> None:
    number = "12725819551011916X"
    with pytest.raises(KeyError):
        ric.is_valid(number)
    assert valid("cn_id", number)


@pytest.mark.parametrize(
    ("name", "number", "why"),
    [
        ("abn", "00984626403", "begins with 0"),
        ("codice_fiscale", "PDTLHV45M35X203W", "born on a 35th"),
        ("cuit", "72-21727607-2", "72 is no type of taxpayer"),
        ("curp", "TXEV070324H03FTLU4", "03 is no state"),
        ("nif", "028735331", "begins with 0"),
        ("no_number", "58095059617", "no century has these individual numbers"),
        ("partita_iva", "50155945608", "594 is no tax office"),
        ("pesel", "64443185506", "born on 31 April"),
        ("cnp", "5130505697198", "69 is no county"),
        ("rodne_cislo", "650201/687", "nine digits ended in 1953"),
        ("snils", "000-000-000 00", "one digit fills a form"),
        ("nhs", "111 111 1111", "one digit fills a form"),
        ("verhoeff", "2222 2222 2222", "one digit fills a form"),
    ],
)
def test_what_was_never_issued_is_refused(name: str, number: str, why: str) -> None:
    assert not valid(name, number), why


@pytest.mark.parametrize("before", ["+", "+1 ", "+992 ", "+44-"])
def test_a_social_security_number_follows_no_country_code(before: str) -> None:
    text = f"{before}372-12-3456"
    assert not VALIDATORS["ssn"](text, len(before), len(text))
    assert valid("ssn", "372-12-3456")


def test_a_birth_number_from_before_1985_may_end_in_0_for_10() -> None:
    # 780123354 is 10 modulo 11, which was written as 0 until 1985.
    assert 780123354 % 11 == 10
    assert valid("rodne_cislo", "780123/3540")


def test_no_check_depends_on_the_day() -> None:
    tomorrow = date.today() + timedelta(days=1)  # noqa: DTZ011 - python-stdnum asks for the local day
    number = f"{tomorrow:%d%m%y}-4000"
    assert not cpr.is_valid(number)
    assert valid("cpr", number)


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
SHORT = 7
"""Digits of a national number, below which one is not told from other numbers."""


def phone_covers(text: str, number: str) -> bool:
    start = text.index(number)
    skipped = 1 if number[0] in "+(" else 0
    return any(
        finding.label == "phone" and finding.start <= start + skipped and finding.end >= start + len(number)
        for finding in PHONES.examine(Content(kind=ContentKind.MESSAGE, text=text))
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (phonenumbers.PhoneNumberFormat.INTERNATIONAL, "I am at {} today."),
        (phonenumbers.PhoneNumberFormat.E164, "I am at {} today."),
        (phonenumbers.PhoneNumberFormat.NATIONAL, "Phone: {}"),
        (phonenumbers.PhoneNumberFormat.NATIONAL, '{{"mobile": "{}"}}'),
    ],
)
def test_the_example_numbers_of_every_region_are_found(form: int, text: str) -> None:
    missed = []
    seen = 0
    for region in REGIONS:
        for kind in KINDS:
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            number = phonenumbers.format_number(example, form)
            national = form == phonenumbers.PhoneNumberFormat.NATIONAL
            if national and sum(map(str.isdigit, number)) < SHORT:
                continue
            seen += 1
            if not phone_covers(text.format(number), number):
                missed.append((region, number))
    assert seen > 400
    # 372 12 3456 has the form of a US social security number, and is hidden as one.
    assert missed == ([("TJ", "372 12 3456")] if national else [])
