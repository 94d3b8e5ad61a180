"""Check digits of official numbers, account numbers and addresses of money, by name, for the packs' `validate`.

Like `validators`, each takes the text and the place (code points, end exclusive). Sources are the issuers' own rules,
named with each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date

_NOT_DIGIT = re.compile(r"[^0-9]")
_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]")


def digits_of(text: str, start: int, end: int) -> list[int]:
    return [int(character) for character in _NOT_DIGIT.sub("", text[start:end])]


def letters_of(text: str, start: int, end: int) -> str:
    return _NOT_ALNUM.sub("", text[start:end]).upper()


_TOO_LONG_FOR_AMOUNTS = 12


def stands_alone(text: str, start: int, end: int) -> bool:
    """Not a piece of a longer number: RE2 has no look-around."""
    before = text[start - 1 : start] if start else ""
    after = text[end : end + 1]
    if before.isalnum() or after.isalnum():
        return False
    # 1.234.567 or 12-3456-7: a further group of digits follows or leads. A comma before or after what is no amount,
    # for it is too long or holds hyphens, parts the fields of a line.
    value = text[start:end]
    joins = "-./" if "-" in value or sum(map(str.isdigit, value)) >= _TOO_LONG_FOR_AMOUNTS else "-.,/"
    if after in joins and text[end + 1 : end + 2].isdigit() and after:
        return False
    return not (before in joins and before and start > 1 and text[start - 2].isdigit())


_OF_A_THING = re.compile(
    r"(?i)(?:^|[^a-z])(?:article|part|item|product|model|sku|order|invoice|ticket|case|serial|reference|ref|tracking|"
    r"shipment|transaction|trace|request|batch|lot|issn|isbn|ean|gtin|upc|asin|doi|arxiv|version|build|revision|"
    r"commit|room|id|pages?|flight|meter|timestamp|epoch|artikel|bestell\w*|rechnung\w*|commande|facture|pedido|factura|"
    r"ordine|fattura|zip|zip ?code|postcode|postal ?code|plz)"
    r"(?:[ _-]?(?:number|num|no|nr|id|code)\.?)?[\"'*_ :=#>|(-]{0,6}$"
)
"""What says that a number is of a thing, right before it."""


def of_a_thing(text: str, start: int) -> bool:
    """Whether a number is called one of an order, a version, a page ... right before it."""
    return bool(_OF_A_THING.search(text[max(0, start - 30) : start]))


def personal(text: str, start: int, end: int) -> bool:
    """Stands alone and is not called the number of a thing."""
    return stands_alone(text, start, end) and not of_a_thing(text, start)


def milliseconds(digits: Sequence[int]) -> bool:
    """A Unix time in milliseconds, of 2017 to 2033."""
    return len(digits) == 13 and digits[0] == 1 and 5 <= digits[1] <= 9


def luhn_holds(digits: Sequence[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if position % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


_D5 = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
       "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_P8 = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")


def verhoeff_holds(digits: Sequence[int]) -> bool:
    """The dihedral check of J. Verhoeff (1969)."""
    check = 0
    for position, digit in enumerate(reversed(digits)):
        check = int(_D5[check][int(_P8[position % 8][digit])])
    return check == 0


def weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def _day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _short_day(two: int, month: int, day: int) -> bool:
    """A day of either century: 29 February needs one that leaps."""
    return _day(1900 + two, month, day) or _day(2000 + two, month, day)


def luhn(text: str, start: int, end: int) -> bool:
    """Any number whose last digit is its Luhn check digit, standing alone."""
    digits = digits_of(text, start, end)
    return len(set(digits)) > 1 and stands_alone(text, start, end) and luhn_holds(digits)


def verhoeff(text: str, start: int, end: int) -> bool:
    """Any number whose last digit is its Verhoeff check digit, standing alone."""
    digits = digits_of(text, start, end)
    return len(set(digits)) > 1 and stands_alone(text, start, end) and verhoeff_holds(digits)


def mod97(text: str, start: int, end: int) -> bool:
    """ISO 7064 MOD 97-10 over letters and digits as they stand: 1 modulo 97."""
    value = letters_of(text, start, end)
    return bool(value) and int("".join(str(int(character, 36)) for character in value)) % 97 == 1


_NO_PREFIX = frozenset({0, 7, 8, 9, 17, 18, 19, 28, 29, 49, 69, 70, 78, 79, 89, 96, 97})


def ein(text: str, start: int, end: int) -> bool:
    """US employer identification number: a prefix that the IRS has not assigned is none."""
    prefix = int(text[start : start + 2])
    return stands_alone(text, start, end) and prefix not in (
        0,
        7,
        8,
        9,
        17,
        18,
        19,
        28,
        29,
        49,
        69,
        70,
        78,
        79,
        89,
        96,
        97,
    )


def npi(text: str, start: int, end: int) -> bool:
    """US national provider identifier: Luhn with 80840 before it (45 CFR 162.406)."""
    digits = digits_of(text, start, end)
    return stands_alone(text, start, end) and luhn_holds([8, 0, 8, 4, 0, *digits])


def dea(text: str, start: int, end: int) -> bool:
    """US DEA registration: digits 1, 3, 5 and twice 2, 4, 6 end in digit 7."""
    digits = digits_of(text[:end], end - 7, end)
    return len(digits) == 7 and (sum(digits[0:5:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def tfn(text: str, start: int, end: int) -> bool:
    """Australian tax file number."""
    digits = digits_of(text, start, end)
    return len(digits) == 9 and any(digits) and weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def abn(text: str, start: int, end: int) -> bool:
    """Australian business number: modulo 89, one taken from the first digit."""
    digits = digits_of(text, start, end)
    if len(digits) != 11:
        return False
    return weighted([digits[0] - 1, *digits[1:]], (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) % 89 == 0


def nric(text: str, start: int, end: int) -> bool:
    """Singapore NRIC and FIN: a letter over seven weighted digits, by series."""
    value = letters_of(text, start, end)
    total = weighted([int(character) for character in value[1:8]], (2, 7, 6, 5, 4, 3, 2))
    series = value[0]
    if series in "TG":
        total += 4
    elif series == "M":
        total += 3
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
    return letters[series][total % 11] == value[-1]


def hkid(text: str, start: int, end: int) -> bool:
    """Hong Kong identity card: weights 9 to 1, a space before a single letter counts 36."""
    value = letters_of(text, start, end)
    body, check = value[:-1], value[-1]
    letters = body[:-6].rjust(2)
    numbers = [36 if character == " " else ord(character) - 55 for character in letters]
    total = weighted([*numbers, *map(int, body[-6:])], (9, 8, 7, 6, 5, 4, 3, 2))
    return (total + (10 if check == "A" else int(check))) % 11 == 0


_TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"


def tw_id(text: str, start: int, end: int) -> bool:
    """Taiwanese national identification number."""
    value = letters_of(text, start, end)
    number = _TW_LETTERS.index(value[0]) + 10
    digits = [number // 10, number % 10, *map(int, value[1:])]
    return weighted(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def cn_id(text: str, start: int, end: int) -> bool:
    """Chinese resident identity number (GB 11643): date of birth, ISO 7064 MOD 11-2."""
    value = letters_of(text, start, end)
    if len(value) != 18 or not stands_alone(text, start, end):
        return False
    if not _day(int(value[6:10]), int(value[10:12]), int(value[12:14])):
        return False
    total = weighted([int(character) for character in value[:17]], [2 ** (17 - at) % 11 for at in range(17)])
    return "10X98765432"[total % 11] == value[17]


def jp_number(text: str, start: int, end: int) -> bool:
    """Japanese individual number."""
    digits = digits_of(text, start, end)
    if len(digits) != 12:
        return False
    rest = weighted(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return digits[11] == (0 if rest <= 1 else 11 - rest)


def kr_number(text: str, start: int, end: int) -> bool:
    """Korean resident registration number: a date of birth (numbers since 2020 have no check digit)."""
    digits = digits_of(text, start, end)
    if not personal(text, start, end):
        return False
    return _short_day(digits[0] * 10 + digits[1], digits[2] * 10 + digits[3], digits[4] * 10 + digits[5])


def th_id(text: str, start: int, end: int) -> bool:
    """Thai citizen number."""
    digits = digits_of(text, start, end)
    return len(digits) == 13 and (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == digits[12]


def cnpj(text: str, start: int, end: int) -> bool:
    """Brazilian CNPJ: two check digits modulo 11."""
    digits = digits_of(text, start, end)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    for length in (12, 13):
        rest = weighted(digits[:length], weights[13 - length :]) % 11
        if digits[length] != (0 if rest < 2 else 11 - rest):
            return False
    return len(digits) == 14 and any(digits)


_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"


def curp(text: str, start: int, end: int) -> bool:
    """Mexican CURP: a date of birth, a check digit over the other 17."""
    value = text[start:end].upper()
    if not _short_day(int(value[4:6]), int(value[6:8]), int(value[8:10])):
        return False
    total = sum(_CURP.index(character) * (18 - at) for at, character in enumerate(value[:17]))
    return value[17] == str(-total % 10)


def rfc(text: str, start: int, end: int) -> bool:
    """Mexican RFC of a person: four letters, then a date of birth."""
    value = letters_of(text, start, end)
    return _short_day(int(value[4:6]), int(value[6:8]), int(value[8:10]))


def clabe(text: str, start: int, end: int) -> bool:
    """Mexican CLABE: weights 3, 7, 1, each product modulo 10."""
    digits = digits_of(text, start, end)
    if len(digits) != 18:
        return False
    total = sum(digit * weight % 10 for digit, weight in zip(digits[:17], (3, 7, 1) * 6, strict=False))
    return digits[17] == -total % 10


def cuit(text: str, start: int, end: int) -> bool:
    """Argentine CUIT and CUIL."""
    digits = digits_of(text, start, end)
    return len(digits) == 11 and weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def rut(text: str, start: int, end: int) -> bool:
    """Chilean RUT: weights 2 to 7 from the right, K for 10."""
    value = letters_of(text, start, end)
    total = sum(int(digit) * (2 + at % 6) for at, digit in enumerate(reversed(value[:-1])))
    return "0K987654321"[total % 11] == value[-1] and stands_alone(text, start, end)


def svnr(text: str, start: int, end: int) -> bool:
    """Austrian Sozialversicherungsnummer."""
    digits = digits_of(text, start, end)
    if len(digits) != 10:
        return False
    check = weighted(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return digits[3] == check and digits[0] > 0


def be_number(text: str, start: int, end: int) -> bool:
    """Belgian rijksregisternummer: 97 - number mod 97; a 2 is put before it for those born since 2000."""
    value = "".join(map(str, digits_of(text, start, end)))
    return len(value) == 11 and int(value[9:]) in (97 - int(value[:9]) % 97, 97 - int("2" + value[:9]) % 97)


def ahv(text: str, start: int, end: int) -> bool:
    """Swiss AHV number: the check digit of an EAN-13."""
    digits = digits_of(text, start, end)
    return len(digits) == 13 and weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def se_number(text: str, start: int, end: int) -> bool:
    """Swedish personnummer and samordningsnummer (day + 60): Luhn over the last ten digits."""
    digits = digits_of(text, start, end)[-10:]
    day = digits[4] * 10 + digits[5]
    if not _short_day(digits[0] * 10 + digits[1], digits[2] * 10 + digits[3], day - 60 if day > 60 else day):
        return False
    return luhn_holds(digits) and personal(text, start, end)


def no_number(text: str, start: int, end: int) -> bool:
    """Norwegian fødselsnummer and D-number (day + 40): two check digits modulo 11."""
    digits = digits_of(text, start, end)
    day = digits[0] * 10 + digits[1]
    if not _short_day(digits[4] * 10 + digits[5], digits[2] * 10 + digits[3], day - 40 if day > 40 else day):
        return False
    first = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return first == 0 and second == 0 and personal(text, start, end)


def cpr(text: str, start: int, end: int) -> bool:
    """Danish CPR number: a date of birth (numbers since 2007 have no check digit)."""
    digits = digits_of(text, start, end)
    if not personal(text, start, end):
        return False
    return _short_day(digits[4] * 10 + digits[5], digits[2] * 10 + digits[3], digits[0] * 10 + digits[1])


def hetu(text: str, start: int, end: int) -> bool:
    """Finnish henkilötunnus: the number modulo 31."""
    value = text[start:end].upper()
    if not _short_day(int(value[4:6]), int(value[2:4]), int(value[0:2])):
        return False
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(value[0:6] + value[7:10]) % 31] == value[10]


def nif(text: str, start: int, end: int) -> bool:
    """Portuguese NIF: weights 9 to 2, modulo 11."""
    digits = digits_of(text, start, end)
    rest = weighted(digits[:8], range(9, 1, -1)) % 11
    return len(digits) == 9 and digits[8] == (0 if rest < 2 else 11 - rest)


def afm(text: str, start: int, end: int) -> bool:
    """Greek AFM: powers of two, modulo 11."""
    digits = digits_of(text, start, end)
    return (
        len(digits) == 9 and any(digits) and weighted(digits, [2**at for at in range(8, 0, -1)]) % 11 % 10 == digits[8]
    )


def cnp(text: str, start: int, end: int) -> bool:
    """Romanian CNP: a date of birth, modulo 11."""
    digits = digits_of(text, start, end)
    if not _short_day(digits[1] * 10 + digits[2], digits[3] * 10 + digits[4], digits[5] * 10 + digits[6]):
        return False
    rest = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return digits[12] == (1 if rest == 10 else rest) and personal(text, start, end)


def rodne_cislo(text: str, start: int, end: int) -> bool:
    """Czech and Slovak rodné číslo: month + 50 for women (+ 20, + 70 since 2004), divisible by 11."""
    digits = digits_of(text, start, end)
    month = (digits[2] * 10 + digits[3]) % 50 % 20
    if not _short_day(digits[0] * 10 + digits[1], month, digits[4] * 10 + digits[5]):
        return False
    value = int("".join(map(str, digits)))
    return personal(text, start, end) and (len(digits) == 9 or value % 11 == 0)


def egn(text: str, start: int, end: int) -> bool:
    """Bulgarian EGN: month + 20 or + 40 by century, modulo 11."""
    digits = digits_of(text, start, end)
    month = (digits[2] * 10 + digits[3]) % 20
    if not _short_day(digits[0] * 10 + digits[1], month, digits[4] * 10 + digits[5]):
        return False
    return weighted(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == digits[9]


def tckn(text: str, start: int, end: int) -> bool:
    """Turkish T.C. kimlik numarası: two check digits."""
    digits = digits_of(text, start, end)
    if len(digits) != 11 or digits[0] == 0 or not personal(text, start, end):
        return False
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def za_id(text: str, start: int, end: int) -> bool:
    """South African identity number: a date of birth, citizenship, Luhn."""
    digits = digits_of(text, start, end)
    if not _short_day(digits[0] * 10 + digits[1], digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]):
        return False
    return digits[10] in (0, 1, 2) and luhn_holds(digits) and personal(text, start, end) and not milliseconds(digits)


def pps(text: str, start: int, end: int) -> bool:
    """Irish PPS number: weights 8 to 2, a second letter counts ninefold, modulo 23."""
    value = letters_of(text, start, end)
    total = weighted([int(character) for character in value[:7]], range(8, 1, -1))
    if len(value) == 9 and value[8] != "W":
        total += 9 * (ord(value[8]) - 64)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == value[7]


def partita_iva(text: str, start: int, end: int) -> bool:
    """Italian partita IVA: Luhn."""
    digits = digits_of(text, start, end)
    return len(digits) == 11 and any(digits) and luhn_holds(digits)


def snils(text: str, start: int, end: int) -> bool:
    """Russian SNILS: weights 9 to 1, modulo 101."""
    digits = digits_of(text, start, end)
    return len(digits) == 11 and weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == digits[9] * 10 + digits[10]


def inn(text: str, start: int, end: int) -> bool:
    """Russian INN of a person (12 digits) or a firm (10)."""
    digits = digits_of(text, start, end)
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    if len(digits) == 10:
        return weighted(digits[:9], weights[2:]) % 11 % 10 == digits[9]
    if len(digits) != 12:
        return False
    return (
        weighted(digits[:10], weights[1:]) % 11 % 10 == digits[10]
        and weighted(digits[:11], weights) % 11 % 10 == digits[11]
    )


_VIN = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8,
                                                      9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))  # fmt: skip


def vin(text: str, start: int, end: int) -> bool:
    """Vehicle identification number with the check digit of 49 CFR 565 (North America, China); digits and letters."""
    value = text[start:end].upper()
    if value.isdigit() or value.isalpha() or not stands_alone(text, start, end):
        return False
    total = weighted([_VIN[character] for character in value], (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2))
    return value[8] == "0123456789X"[total % 11]


_BASE58 = {letter: at for at, letter in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}


def base58_check(text: str, start: int, end: int) -> bool:
    """Bitcoin, Litecoin, Dogecoin, Tron addresses: four bytes of a double SHA-256 end them."""
    number = 0
    for character in text[start:end]:
        value = _BASE58.get(character)
        if value is None:
            return False
        number = number * 58 + value
    if number >= 1 << 200:
        return False
    data = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


_BECH32 = {letter: at for at, letter in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}


def bech32(text: str, start: int, end: int) -> bool:
    """Segregated-witness and similar addresses (BIP 173, BIP 350)."""
    value = text[start:end].lower()
    prefix, _, rest = value.rpartition("1")
    check = 1
    symbols = [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]
    for character in rest:
        if character not in _BECH32:
            return False
        symbols.append(_BECH32[character])
    for symbol in symbols:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)


def ean(text: str, start: int, end: int) -> bool:
    """The check digit of EAN, GTIN and GLN: weights 3 and 1 from the right."""
    digits = digits_of(text, start, end)
    return len(set(digits)) > 1 and sum(d * (3 if at % 2 else 1) for at, d in enumerate(reversed(digits))) % 10 == 0


def mod11(text: str, start: int, end: int) -> bool:
    """Weights 2, 3, 4 ... from the right before the last digit, which makes the sum divisible by 11; X counts as 10."""
    value = letters_of(text, start, end)
    if not value[:-1].isdigit() or not (value[-1:].isdigit() or value[-1:] == "X"):
        return False
    total = sum(int(digit) * (2 + at) for at, digit in enumerate(reversed(value[:-1])))
    return (total + (10 if value[-1] == "X" else int(value[-1]))) % 11 == 0
