"""Official numbers of persons, firms and vehicles, by their check digits and dates of birth.

Each check takes the text and a place (code points, end exclusive). Most ask python-stdnum, which follows the issuers'
rules; `_issued` adds what must stand around the number. Some are our own, each for a reason that
tests/detectors/test_official_numbers.py holds:

- python-stdnum has none: `dea`, `hkid`, `mrz`, `npi`, `nric`, `tw_id`, `vin`.
- It asks what day it is, and findings must not depend on that: `be_number`, `cpr`, `no_number`, `se_number`, `za_id`.
- It refuses numbers that are in use: `cn_id` (districts that are not in its list, for some of which it raises),
  `kr_number` (since October 2020 there is no check digit), `pps` (second letters after B), `se_number` (coordination
  numbers), `za_id` (refugees).
- It refuses published examples, which people put into texts in place of their own: `ssn`, and `luhn` for Canada's SIN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from stdnum import ean as gtin
from stdnum import luhn as luhns
from stdnum import verhoeff as verhoeffs
from stdnum.ar import cuit as ar_cuit
from stdnum.at import vnr
from stdnum.au import abn as au_abn
from stdnum.au import tfn as au_tfn
from stdnum.bg import egn as bg_egn
from stdnum.br import cnpj as br_cnpj
from stdnum.br import cpf as br_cpf
from stdnum.ch import ssn as ch_ssn
from stdnum.cl import rut as cl_rut
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr as dk_cpr
from stdnum.es import dni as es_dni
from stdnum.es import nie as es_nie
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu as fi_hetu
from stdnum.fr import nir as fr_nir
from stdnum.gb import nhs as gb_nhs
from stdnum.gr import vat as gr_vat
from stdnum.ie import vat as ie_vat
from stdnum.iso7064 import mod_11_2, mod_97_10
from stdnum.it import codicefiscale, iva
from stdnum.jp import in_ as jp_in
from stdnum.mx import curp as mx_curp
from stdnum.mx import rfc as mx_rfc
from stdnum.my import nric as my_nric
from stdnum.nl import bsn as nl_bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel as pl_pesel
from stdnum.pt import nif as pt_nif
from stdnum.ro import cnp as ro_cnp
from stdnum.ru import inn as ru_inn
from stdnum.th import pin
from stdnum.tr import tckimlik
from stdnum.us import ein as us_ein

from governance.detectors.patterns.context import Check, digits_of, letters_of, personal, stands_alone


def _issued(is_valid: Callable[[str], bool], around: Check | None = None) -> Check:
    """A check of a number by its issuer's rule, given its letters and digits alone.

    `around` looks at the place in its text. A number of one digit only (000000000) fills a form; some of these are
    right by their check digits.
    """

    def check(text: str, start: int, end: int) -> bool:
        value = letters_of(text, start, end)
        return len(set(value)) > 1 and is_valid(value) and (around is None or around(text, start, end))

    return check


def _either(*checks: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda value: any(check(value) for check in checks)


ISSUED: Final[dict[str, Check]] = {
    "abn": _issued(au_abn.is_valid),
    "afm": _issued(gr_vat.is_valid),
    "ahv": _issued(ch_ssn.is_valid),
    "bsn": _issued(nl_bsn.is_valid),
    "cnp": _issued(ro_cnp.is_valid, personal),
    "cnpj": _issued(br_cnpj.is_valid),
    "codice_fiscale": _issued(codicefiscale.is_valid),
    "cpf": _issued(br_cpf.is_valid, stands_alone),
    "cuit": _issued(ar_cuit.is_valid),
    "curp": _issued(mx_curp.is_valid),
    "dni": _issued(_either(es_dni.is_valid, es_nie.is_valid)),
    "egn": _issued(bg_egn.is_valid),
    "ein": _issued(us_ein.is_valid, stands_alone),
    "inn": _issued(ru_inn.is_valid),
    "jp_number": _issued(jp_in.is_valid),
    "luhn": _issued(luhns.is_valid, stands_alone),
    "my_number": _issued(my_nric.is_valid, personal),
    "nhs": _issued(gb_nhs.is_valid, stands_alone),
    "nif": _issued(pt_nif.is_valid),
    "nir": _issued(fr_nir.is_valid, stands_alone),
    "partita_iva": _issued(iva.is_valid),
    "pesel": _issued(pl_pesel.is_valid, personal),
    "rfc": _issued(mx_rfc.is_valid),
    "rodne_cislo": _issued(rc.is_valid, personal),
    "rut": _issued(cl_rut.is_valid, stands_alone),
    "steuer_id": _issued(idnr.is_valid, personal),
    "svnr": _issued(vnr.is_valid),
    "tckn": _issued(tckimlik.is_valid, personal),
    "tfn": _issued(au_tfn.is_valid),
    "th_id": _issued(pin.is_valid),
    "verhoeff": _issued(verhoeffs.is_valid, stands_alone),
}
"""Checks by python-stdnum, by name."""


def weighted(value: str, weights: Sequence[int]) -> int:
    """The sum of digits times weights."""
    return sum(int(digit) * weight for digit, weight in zip(value, weights, strict=False))


def _date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _short_date(two: str, month: int, day: int) -> bool:
    """Whether there is such a day, in 1900 to 1999 or 2000 to 2099: 29 February needs a leap year."""
    return _date(1900 + int(two), month, day) or _date(2000 + int(two), month, day)


def mod97(text: str, start: int, end: int) -> bool:
    """Any letters and digits that are 1 modulo 97 (ISO 7064 MOD 97-10)."""
    return mod_97_10.is_valid(letters_of(text, start, end))


def mod11(text: str, start: int, end: int) -> bool:
    """Weights 2, 3, 4 ... from the right before the last digit, which makes the sum divisible by 11; X counts as 10."""
    value = letters_of(text, start, end)
    if not value[:-1].isdigit() or not (value[-1:].isdigit() or value[-1:] == "X"):
        return False
    total = weighted(value[-2::-1], range(2, len(value) + 1))
    return (total + (10 if value[-1] == "X" else int(value[-1]))) % 11 == 0


def ean(text: str, start: int, end: int) -> bool:
    """The check digit of EAN, GTIN, GLN and SSCC, of any length: weights 3 and 1 from the right."""
    digits = digits_of(text, start, end)
    return len(set(digits)) > 1 and gtin.calc_check_digit(digits[:-1]) == digits[-1]


_COUNTRY_CODE = re.compile(r"\+\d{0,3}[ ().-]{0,2}$")


def ssn(text: str, start: int, end: int) -> bool:
    """A US social security number that can have been issued: no area 000, 666, 9xx, no group 00, no serial 0000.

    After a plus sign or a country code it is a telephone number.
    """
    value = digits_of(text, start, end)
    area, group, serial = value[:3], value[3:5], value[5:]
    return (
        stands_alone(text, start, end)
        and not _COUNTRY_CODE.search(text[max(0, start - 6) : start])
        and area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
    )


def npi(text: str, start: int, end: int) -> bool:
    """US national provider identifier: Luhn with 80840 before it (45 CFR 162.406)."""
    return stands_alone(text, start, end) and luhns.is_valid("80840" + digits_of(text, start, end))


def dea(text: str, start: int, end: int) -> bool:
    """US DEA registration: digits 1, 3, 5 and twice 2, 4, 6 end in digit 7."""
    digits = digits_of(text[:end], end - 7, end)
    return len(digits) == 7 and weighted(digits, (1, 2, 1, 2, 1, 2)) % 10 == int(digits[6])


_NRIC = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
_NRIC_OFFSET = {"T": 4, "G": 4, "M": 3}


def nric(text: str, start: int, end: int) -> bool:
    """Singapore NRIC and FIN: a letter over seven weighted digits, by series."""
    value = letters_of(text, start, end)
    series = value[0]
    total = weighted(value[1:8], (2, 7, 6, 5, 4, 3, 2)) + _NRIC_OFFSET.get(series, 0)
    return _NRIC[series][total % 11] == value[-1]


def hkid(text: str, start: int, end: int) -> bool:
    """Hong Kong identity card: weights 9 to 1, a space before a single letter counts 36."""
    value = letters_of(text, start, end)
    body, check = value[:-1], value[-1]
    first, second = (36 if letter == " " else ord(letter) - 55 for letter in body[:-6].rjust(2))
    total = 9 * first + 8 * second + weighted(body[-6:], (7, 6, 5, 4, 3, 2))
    return (total + (10 if check == "A" else int(check))) % 11 == 0


_TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


def tw_id(text: str, start: int, end: int) -> bool:
    """Taiwanese national identification number: its letter stands for 10 to 35."""
    value = letters_of(text, start, end)
    digits = f"{_TW_LETTERS.index(value[0]) + 10}{value[1:]}"
    return weighted(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def cn_id(text: str, start: int, end: int) -> bool:
    """Chinese resident identity number (GB 11643): a date of birth, ISO 7064 MOD 11-2."""
    value = letters_of(text, start, end)
    if len(value) != 18 or not stands_alone(text, start, end):
        return False
    return _date(int(value[6:10]), int(value[10:12]), int(value[12:14])) and mod_11_2.is_valid(value)


def kr_number(text: str, start: int, end: int) -> bool:
    """Korean resident registration number: a date of birth (numbers since 2020 have no check digit)."""
    digits = digits_of(text, start, end)
    return personal(text, start, end) and _short_date(digits[:2], int(digits[2:4]), int(digits[4:6]))


def be_number(text: str, start: int, end: int) -> bool:
    """Belgian rijksregisternummer: 97 - number mod 97; a 2 is put before it for those born since 2000."""
    value = digits_of(text, start, end)
    return len(value) == 11 and int(value[9:]) in (97 - int(value[:9]) % 97, 97 - int("2" + value[:9]) % 97)


def se_number(text: str, start: int, end: int) -> bool:
    """Swedish personnummer and samordningsnummer (day + 60): Luhn over the last ten digits."""
    digits = digits_of(text, start, end)[-10:]
    day = int(digits[4:6])
    if not _short_date(digits[:2], int(digits[2:4]), day - 60 if day > 60 else day):
        return False
    return luhns.is_valid(digits) and personal(text, start, end)


def _born(birth_date: Callable[[str], date], digits: str) -> bool:
    """Whether python-stdnum finds a date of birth in the number, whatever day it is today."""
    try:
        birth_date(digits)
    except ValidationError:
        return False
    return True


def no_number(text: str, start: int, end: int) -> bool:
    """Norwegian fødselsnummer, D-number (day + 40) and H-number (month + 40): two check digits modulo 11."""
    digits = digits_of(text, start, end)
    return (
        len(digits) == 11
        and digits[9] == fodselsnummer.calc_check_digit1(digits)
        and digits[10] == fodselsnummer.calc_check_digit2(digits)
        and _born(fodselsnummer.get_birth_date, digits)
        and personal(text, start, end)
    )


def cpr(text: str, start: int, end: int) -> bool:
    """Danish CPR number: a date of birth (numbers since 2007 have no check digit)."""
    digits = digits_of(text, start, end)
    return len(digits) == 10 and _born(dk_cpr.get_birth_date, digits) and personal(text, start, end)


def hetu(text: str, start: int, end: int) -> bool:
    """Finnish henkilötunnus, temporary ones (900 to 999) included."""
    return fi_hetu.is_valid(text[start:end], allow_temporary=True)


def pps(text: str, start: int, end: int) -> bool:
    """Irish PPS number: the check letter covers a second letter, but for the old W."""
    value = letters_of(text, start, end)
    if len(value) not in (8, 9):
        return False
    second = value[8:] if value[8:] != "W" else ""
    return value[7] == ie_vat.calc_check_digit(value[:7] + second)


def _milliseconds(digits: str) -> bool:
    """Whether it may be a Unix time in milliseconds, of 2017 to 2033."""
    return len(digits) == 13 and digits[0] == "1" and digits[1] in "56789"


def za_id(text: str, start: int, end: int) -> bool:
    """South African identity number: a date of birth, citizen, resident or refugee, Luhn."""
    digits = digits_of(text, start, end)
    if not _short_date(digits[:2], int(digits[2:4]), int(digits[4:6])):
        return False
    return digits[10] in "012" and luhns.is_valid(digits) and personal(text, start, end) and not _milliseconds(digits)


def snils(text: str, start: int, end: int) -> bool:
    """Russian SNILS: weights 9 to 1, modulo 101."""
    digits = digits_of(text, start, end)
    return (
        len(digits) == 11
        and len(set(digits)) > 1
        and weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == int(digits[9:])
    )


def mrz(text: str, start: int, end: int) -> bool:
    """Second line of a passport's machine-readable zone: check digit of the number (ICAO 9303-4)."""
    value = text[start:end]
    numbers = [0 if character == "<" else int(character, 36) for character in value[:9]]
    total = sum(number * weight for number, weight in zip(numbers, (7, 3, 1) * 3, strict=False))
    return value[9].isdigit() and total % 10 == int(value[9])


_VIN = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", "123456781234579234567890123456789", strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin(text: str, start: int, end: int) -> bool:
    """Vehicle identification number with the check digit of 49 CFR 565 (North America, China); digits and letters."""
    value = text[start:end].upper()
    if value.isdigit() or value.isalpha() or not stands_alone(text, start, end):
        return False
    return value[8] == "0123456789X"[weighted("".join(_VIN[letter] for letter in value), _VIN_WEIGHTS) % 11]


def birth_date(text: str, start: int, end: int) -> bool:
    """A day that exists, in one of the usual orders, or one with a month's name."""
    numbers = [int(number) for number in re.findall(r"\d+", text[start:end])]
    if len(numbers) < 3:
        return True
    for year, month, day in ((0, 1, 2), (2, 1, 0), (2, 0, 1)):
        try:
            date(numbers[year] + (1900 if numbers[year] < 100 else 0), numbers[month], numbers[day])
        except (ValueError, OverflowError):
            continue
        return True
    return False
