"""Check digits against numbers published by those who issue them, and against every number one digit away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detectors.patterns.validators import VALIDATORS

VALID = {
    "card": ["4111111111111111", "5555 5555 5555 4444", "378282246310005", "6011-1111-1111-1117"],
    "iban": ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947",
             "MT84MALT011000012345MTLCAST001S"],
    "nhs": ["943 476 5919", "9434765919"],
    "steuer_id": ["86095742719", "47036892816"],
    "nir": ["255081416802538"],
    "dni": ["12345678Z", "X1234567L"],
    "codice_fiscale": ["RSSMRA85T10A562S"],
    "pesel": ["44051401359"],
    "bsn": ["111222333"],
    "cpf": ["529.982.247-25"],
    "aba": ["021000021"],
    "mrz": ["L898902C36UTO7408122F1204159ZE184226B<<<<<10"],
    "ssn": ["078-05-1120", "219-09-9999"],
    "abn": ["51 824 753 556"],
    "afm": ["094259216"],
    "ahv": ["756.9217.0769.85"],
    "base58_check": ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"],
    "be_number": ["85.07.30-033.28"],
    "bech32": ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"],
    "clabe": ["032180000118359719"],
    "cn_id": ["11010519491231002X"],
    "cnp": ["1960715123454"],
    "cnpj": ["11.222.333/0001-81"],
    "cpr": ["070761-4285"],
    "cuit": ["20-12345678-6"],
    "curp": ["HEGG560427MVZRRL04"],
    "dea": ["AB1234563"],
    "egn": ["7523169263"],
    "ein": ["12-3456789"],
    "hetu": ["131052-308T"],
    "hkid": ["A123456(3)"],
    "inn": ["500100732259", "7707083893"],
    "jp_number": ["123456789000"],
    "kr_number": ["900101-1234567"],
    "luhn": ["046 454 286"],
    "mac": ["00:1B:44:11:3A:B7"],
    "nif": ["123456789"],
    "no_number": ["01019068427"],
    "npi": ["1234567893"],
    "nric": ["S1234567D", "M1234567K"],
    "partita_iva": ["07643520567"],
    "pps": ["1234567T"],
    "rfc": ["GODE561231GR8"],
    "rodne_cislo": ["736028/5163"],
    "rut": ["12.345.678-5"],
    "se_number": ["811218-9876"],
    "snils": ["112-233-445 95"],
    "svnr": ["1237 010180"],
    "tckn": ["10000000146"],
    "tfn": ["123456782"],
    "th_id": ["1-2345-67890-12-1"],
    "tw_id": ["A123456789"],
    "verhoeff": ["2341 2341 2346"],
    "vin": ["1HGCM82633A004352"],
    "za_id": ["8001015009087"],
}  # fmt: skip
# Of these a digit may be another and the number still be one: some of their weights share a factor with the modulus,
# two remainders have one check digit, or there is none.
UNPROTECTED = {
    "afm", "cnp", "cnpj", "cpr", "curp", "dea", "egn", "ein", "inn", "jp_number", "kr_number", "mac", "mrz", "nif",
    "rfc", "snils", "ssn", "th_id", "tw_id",
}  # fmt: skip
DIGIT_PROTECTED = sorted(set(VALID) - UNPROTECTED)


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, all_ in VALID.items() for number in all_])
def test_published_numbers_are_valid(name: str, number: str) -> None:
    assert VALIDATORS[name](number, 0, len(number))
    text = f"see {number} there"
    assert VALIDATORS[name](text, 4, 4 + len(number))


@given(st.sampled_from(DIGIT_PROTECTED), st.data())
def test_one_wrong_digit_is_noticed(name: str, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(VALID[name]))
    places = [place for place, character in enumerate(number) if character.isdigit()]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != number[place]]))
    wrong = number[:place] + digit + number[place + 1 :]
    assert not VALIDATORS[name](wrong, 0, len(wrong))


@given(st.sampled_from(sorted(VALIDATORS)), st.text(max_size=60), st.data())
def test_no_validator_raises_on_a_place_that_its_rule_could_give(name: str, text: str, data: st.DataObject) -> None:
    shaped = data.draw(st.sampled_from([number for all_ in VALID.values() for number in all_]))
    whole = text + shaped + text
    if name in VALID:
        shaped = data.draw(st.sampled_from(VALID[name]))
        whole = text + shaped + text
    assert VALIDATORS[name](whole, len(text), len(text) + len(shaped)) in (True, False)


@pytest.mark.parametrize("number", ["000-12-3456", "666-12-3456", "987-65-4321", "123-00-4567", "123-45-0000"])
def test_numbers_that_were_never_issued_are_no_ssn(number: str) -> None:
    assert not VALIDATORS["ssn"](number, 0, len(number))


@pytest.mark.parametrize(
    "value",
    ["changeme", "your_password", "${DB_PASSWORD}", "xxxxxxxx", "<token>", "get_secret", "aaaaaaaa"],
)
def test_placeholders_are_no_secrets(value: str) -> None:
    assert not VALIDATORS["secret_value"](value, 0, len(value))
