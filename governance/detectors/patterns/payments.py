"""Payment cards, bank accounts and addresses of wallets.

Each check takes the text and a place (code points, end exclusive).
"""

from __future__ import annotations

import functools
import hashlib
import re

from stdnum import bitcoin, luhn, numdb
from stdnum.iso7064 import mod_97_10
from stdnum.us import rtn

from governance.detectors.patterns.context import DATE, digits_of, letters_of, of_a_thing, stands_alone


def card(text: str, start: int, end: int) -> bool:
    """A payment card number: 12 to 19 digits, not all alike, Luhn, and not called the number of an order."""
    digits = digits_of(text, start, end)
    return (
        12 <= len(digits) <= 19
        and len(set(digits)) > 1
        and stands_alone(text, start, end)
        and luhn.is_valid(digits)
        and not of_a_thing(text, start)
    )


_BETWEEN = re.compile(r"\D+")


def split_card(text: str, start: int, end: int) -> bool:
    """A payment card number whose groups stand in cells, in lines or in a name.

    All separators are alike, except for one end of a line. It is not four numbers of a table: no further group stands
    beside them, and the line before or after has no such groups without their check digit.
    """
    signs = [sign.replace("\r", "") for sign in _BETWEEN.findall(text[start:end])]
    kinds = set(signs)
    whole = len(kinds) == 1
    if not whole:
        kinds = {sign for sign in signs if "\n" not in sign}
        if len(kinds) != 1 or len(signs) - sum(sign in kinds for sign in signs) > 1:
            return False
    (sign,) = kinds
    before = text[max(0, start - 200) : start].replace("\r", "")
    after = text[end : end + 200].replace("\r", "")
    if re.search(rf"\d{re.escape(sign)}$", before) or re.match(rf"{re.escape(sign)}\d", after):
        return False
    further = 3 if whole else 1  # groups in a line
    groups = re.compile(rf"\d{{4}}(?:{re.escape(sign)}\d{{4}}){{{further},}}")
    for line in (before.rpartition("\n")[0].rpartition("\n")[2], after.partition("\n")[2].partition("\n")[0]):
        found = groups.search(line)
        if found is not None and not luhn.is_valid(digits_of(line, *found.span())):
            return False
    return card(text, start, end)


_PART = re.compile(r"(\d+)!([nac])")
_LETTERS = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}


@functools.cache
def iban_structure(country: str) -> re.Pattern[str] | None:
    """What an IBAN of the country looks like, by the registry of ISO 13616; None where a country has none.

    Remembered by country: python-stdnum looks through its whole list each time, which takes 100 µs.
    """
    found = numdb.get("iban").info(country)
    structure = found[0][1].get("bban", "") if found else ""
    parts = [f"{_LETTERS[kind]}{{{count}}}" for count, kind in _PART.findall(structure)]
    return re.compile(f"{country}[0-9]{{2}}{''.join(parts)}") if parts else None


@functools.cache
def iban_length(country: str) -> int:
    """Characters of an IBAN of the country; 0 where a country has none."""
    structure = iban_structure(country)
    return 2 + sum(map(int, re.findall(r"\{(\d+)\}", structure.pattern))) if structure else 0


def iban(text: str, start: int, end: int) -> bool:
    """An IBAN of its country's structure, with right check digits (ISO 13616; ISO 7064 MOD 97-10).

    The check digits that some countries put into their own account numbers are not required.
    """
    value = letters_of(text, start, end)
    structure = iban_structure(value[:2])
    return structure is not None and bool(structure.fullmatch(value)) and mod_97_10.is_valid(value[4:] + value[:4])


def iban_shaped(text: str, start: int, end: int) -> bool:
    """An IBAN by country and length that is not valid: mistyped, or made up."""
    value = letters_of(text, start, end)
    if not text[start : start + 2].isupper() or len(value) != iban_length(value[:2]):
        return False
    return stands_alone(text, start, end) and not iban(text, start, end)


def aba(text: str, start: int, end: int) -> bool:
    """A US routing number."""
    digits = digits_of(text, start, end)
    return len(set(digits)) > 1 and rtn.is_valid(digits)


def clabe(text: str, start: int, end: int) -> bool:
    """A Mexican CLABE: 18 digits, weights 3, 7, 1, each product modulo 10."""
    digits = digits_of(text, start, end)
    if len(digits) != 18:
        return False
    total = sum(int(digit) * weight % 10 for digit, weight in zip(digits[:17], (3, 7, 1) * 6, strict=False))
    return int(digits[17]) == -total % 10


def account_number(text: str, start: int, end: int) -> bool:
    """The number of an account: of more than two different characters, standing alone, and no date."""
    value = text[start:end]
    return len(set(value)) > 2 and stands_alone(text, start, end) and not DATE.fullmatch(value)


_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{25,36}")


def base58_check(text: str, start: int, end: int) -> bool:
    """An address of Bitcoin, Litecoin, Dogecoin or Tron: its last four bytes are those of a double SHA-256."""
    value = text[start:end]
    if not _BASE58.fullmatch(value):
        return False
    data = bitcoin.b58decode(value)
    return len(data) == 25 and hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


_BECH32 = {letter: at for at, letter in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32M = 0x2BC830A3


def bech32(text: str, start: int, end: int) -> bool:
    """A segregated-witness or similar address (BIP 173), Taproot's included (BIP 350)."""
    prefix, _, rest = text[start:end].lower().rpartition("1")
    if not prefix or not rest or not _BECH32.keys() >= set(rest):
        return False
    # The prefix counts by the upper three bits of its letters, a zero, and their lower five.
    symbols = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    return bitcoin.bech32_checksum([*symbols, *(_BECH32[letter] for letter in rest)]) in (1, _BECH32M)


def wallet(text: str, start: int, end: int) -> bool:
    """A wallet's address by its look: digits and letters of both cases, or long hexadecimal; no plain number."""
    value = text[start:end]
    if len(set(value)) < 10 or not any(map(str.isdigit, value)):
        return False
    if value.startswith("0x"):
        return any(map(str.isalpha, value[2:]))
    return any(map(str.islower, value)) and any(map(str.isupper, value)) and stands_alone(text, start, end)
