"""Checks that a regex cannot make: check digits, entropy, what stands around. By name, for the packs' `validate`.

Each takes the text and the place (code points, end exclusive) and says whether the place is what the rule is after.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from ipaddress import ip_address

from governance.detectors.patterns import columns, identifiers
from governance.detectors.patterns.identifiers import digits_of, letters_of, luhn_holds, of_a_thing, stands_alone

Validator = Callable[[str, int, int], bool]


def alone(text: str, start: int, end: int) -> bool:
    return stands_alone(text, start, end)


def card(text: str, start: int, end: int) -> bool:
    """A payment card number: 12 to 19 digits, not all alike, Luhn, and not called the number of an order."""
    digits = digits_of(text, start, end)
    return (
        12 <= len(digits) <= 19
        and len(set(digits)) > 1
        and stands_alone(text, start, end)
        and luhn_holds(digits)
        and not of_a_thing(text, start)
    )


_BETWEEN = re.compile(r"\D+")


def split_card(text: str, start: int, end: int) -> bool:
    """A payment card number whose groups stand in cells, in lines or in a name: all parted alike, but for one end of a
    line. Not four numbers of a table: no further group stands beside them, nor such groups, without their check digit,
    in the line before or after."""
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
        if found is not None and not luhn_holds(digits_of(line, *found.span())):
            return False
    return card(text, start, end)


# Lengths by country, from the SWIFT IBAN registry.
_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in re.findall(
        r"\w+",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 "
        "QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 ",
    )
}


def iban(text: str, start: int, end: int) -> bool:
    """ISO 13616: the country's length, and 1 modulo 97 (ISO 7064)."""
    value = letters_of(text, start, end)
    if len(value) != _IBAN_LENGTHS.get(value[:2], 0):
        return False
    return int("".join(str(int(character, 36)) for character in value[4:] + value[:4])) % 97 == 1


def iban_length(text: str, start: int, end: int) -> bool:
    """An IBAN by country and length whose check digits are wrong: mistyped, or made up."""
    value = letters_of(text, start, end)
    if len(value) != _IBAN_LENGTHS.get(value[:2], 0) or not text[start : start + 2].isupper():
        return False
    return stands_alone(text, start, end) and not iban(text, start, end)


def ssn(text: str, start: int, end: int) -> bool:
    """A US social security number that can have been issued: no area 000, 666, 9xx, no group 00, no serial 0000."""
    value = "".join(map(str, digits_of(text, start, end)))
    area, group, serial = value[:3], value[3:5], value[5:]
    return (
        stands_alone(text, start, end)
        and area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
    )


def nhs(text: str, start: int, end: int) -> bool:
    """UK NHS number: modulus 11 over the first nine digits."""
    digits = digits_of(text, start, end)
    if len(digits) != 10 or len(set(digits)) == 1 or not stands_alone(text, start, end):
        return False
    check = 11 - sum(digit * (10 - position) for position, digit in enumerate(digits[:9])) % 11
    return check != 10 and digits[9] == check % 11


def steuer_id(text: str, start: int, end: int) -> bool:
    """German Steuer-Identifikationsnummer: ISO 7064 MOD 11,10; one digit of the first ten twice or thrice."""
    digits = digits_of(text, start, end)
    if len(digits) != 11 or digits[0] == 0 or not stands_alone(text, start, end) or of_a_thing(text, start):
        return False
    counts = sorted(Counter(digits[:10]).values(), reverse=True)
    if counts[0] not in (2, 3) or counts[1] > 1:
        return False
    product = 10
    for digit in digits[:10]:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return digits[10] == (11 - product) % 10


def nir(text: str, start: int, end: int) -> bool:
    """French numéro de sécurité sociale: key 97 - number mod 97; Corsica's 2A and 2B count as 19 and 18."""
    value = letters_of(text, start, end)
    if len(value) != 15 or not stands_alone(text, start, end):
        return False
    number = value[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and value[13:].isdigit() and 97 - int(number) % 97 == int(value[13:])


def dni(text: str, start: int, end: int) -> bool:
    """Spanish DNI and NIE: the letter is the number modulo 23; X, Y, Z count as 0, 1, 2."""
    value = letters_of(text, start, end)
    number = str("XYZ".index(value[0])) + value[1:-1] if value[0] in "XYZ" else value[:-1]
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


_CF_ODD_VALUES = "1 0 5 7 9 13 15 17 19 21 1 0 5 7 9 13 15 17 19 21 2 4 18 20 11 3 6 8 12 14 16 10 22 25 24 23"
_CF_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", map(int, _CF_ODD_VALUES.split()), strict=True))


def codice_fiscale(text: str, start: int, end: int) -> bool:
    """Italian codice fiscale: check letter (D.M. 23/12/1976)."""
    value = letters_of(text, start, end)
    if len(value) != 16:
        return False
    total = sum(
        _CF_ODD[character] if position % 2 == 0 else (int(character) if character.isdigit() else ord(character) - 65)
        for position, character in enumerate(value[:15])
    )
    return value[15] == chr(65 + total % 26)


def pesel(text: str, start: int, end: int) -> bool:
    """Polish PESEL: weights 1, 3, 7, 9, and a date of birth in its first six digits."""
    digits = digits_of(text, start, end)
    if len(digits) != 11 or not stands_alone(text, start, end) or of_a_thing(text, start):
        return False
    month, day = (digits[2] * 10 + digits[3]) % 20, digits[4] * 10 + digits[5]
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    check = -sum(digit * weight for digit, weight in zip(digits, weights, strict=False)) % 10
    return 1 <= month <= 12 and 1 <= day <= 31 and digits[10] == check


def bsn(text: str, start: int, end: int) -> bool:
    """Dutch burgerservicenummer: the eleven test."""
    digits = digits_of(text, start, end)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return (
        len(digits) == 9
        and len(set(digits)) > 1
        and sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 11 == 0
    )


def cpf(text: str, start: int, end: int) -> bool:
    """Brazilian CPF: two check digits modulo 11."""
    digits = digits_of(text, start, end)
    if len(digits) != 11 or len(set(digits)) == 1 or not stands_alone(text, start, end):
        return False
    for length in (9, 10):
        total = sum(digit * (length + 1 - position) for position, digit in enumerate(digits[:length]))
        if total * 10 % 11 % 10 != digits[length]:
            return False
    return True


def aba(text: str, start: int, end: int) -> bool:
    """US routing number: weights 3, 7, 1."""
    digits = digits_of(text, start, end)
    return len(digits) == 9 and sum(d * w for d, w in zip(digits, (3, 7, 1) * 3, strict=True)) % 10 == 0 and any(digits)


def mrz(text: str, start: int, end: int) -> bool:
    """Second line of a passport's machine-readable zone: check digit of the number (ICAO 9303-4)."""
    value = text[start:end]
    weights = (7, 3, 1)
    total = sum(
        (0 if character == "<" else int(character, 36)) * weights[position % 3]
        for position, character in enumerate(value[:9])
    )
    return value[9].isdigit() and total % 10 == int(value[9])


_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?\d.*|[0-3]?\d[-./][01]?\d[-./](?:19|20)\d\d.*|"
    r"(?:19|20)\d\d[-–/ ](?:19|20)\d\d.*"
)


def phone(text: str, start: int, end: int) -> bool:
    """A telephone number by its count of digits (ITU-T E.164: at most 15), not a date, a range of years, a piece, or
    what is called the number of a thing."""
    value = text[start:end]
    number, _, _ = value.partition("x")
    digits = digits_of(number, 0, len(number))
    if not 7 <= len(digits) <= 15 or len(set(digits)) <= 2 or not stands_alone(text, start, end):
        return False
    if value[0] != "+" and of_a_thing(text, start):
        return False
    if _ZIP.fullmatch(value) and text[max(0, start - 3) : start].strip(" ,").isupper():
        return False
    return not _DATE.fullmatch(value)


_ZIP = re.compile(r"\d{5}-\d{4}")
"""With a state before it, a US postcode."""
_MONEY = re.compile(
    r"(?i)^\s?(?:€|\$|£|%|eur|usd|gbp|chf|pln|kr|euros?|dollars?|pounds?|km|kg|units?|people|users?|rows?)"
)


def phone_in_groups(text: str, start: int, end: int) -> bool:
    """Groups of three digits as telephone numbers have, and no sum of money or count of things."""
    before = text[max(0, start - 4) : start].rstrip()
    return before[-1:] not in ("€", "$", "£") and not _MONEY.search(text[end : end + 8]) and phone(text, start, end)


def phone_in_column(text: str, start: int, end: int) -> bool:
    """A telephone number by itself in a cell of a column that is called one, whatever the cells beside it hold."""
    cell = columns.phone_cell(text, start, end)
    return cell is not None and phone(text[cell[0] : cell[1]], start - cell[0], end - cell[0])


def account_number(text: str, start: int, end: int) -> bool:
    """The number of a bank account: no date, and not all digits alike."""
    value = text[start:end]
    return len(set(value)) > 2 and stands_alone(text, start, end) and not _DATE.fullmatch(value)


_VERSION = re.compile(
    r"(?i)(?:(?:version|ver\.?|\bv|release|build|firmware|driver|revision|rev|assembly|section|chapter|clause|oid)"
    r"[\"']?[ :=]*|[a-z]/|==|>=|<=|~=|\^|§ ?)$"
)


def address(text: str, start: int, end: int) -> bool:
    """An IP address that names a machine: not unspecified or loopback, and no version or number of a section."""
    value = text[start:end]
    try:
        parsed = ip_address(value)
    except ValueError:
        return False
    if parsed.is_unspecified or parsed.is_loopback or _VERSION.search(text[max(0, start - 14) : start]):
        return False
    if ":" in value:
        # `dead::beef` may be, `ab::cd` is a name in C++; a fingerprint goes on.
        around = text[start - 1 : start] + text[end : end + 1] if start else text[end : end + 1]
        if ":" in around or not any(map(str.isdigit, value)):
            return False
    elif re.match(r"/(?:[12]?\d|3[0-2])\b", text[end : end + 4]):
        return stands_alone(text[:end], start, end)
    return stands_alone(text, start, end)


def mac(text: str, start: int, end: int) -> bool:
    """A hardware address, not the beginning of a longer fingerprint; one without letters needs its usual colons."""
    value = text[start:end].lower()
    digits = set(value) - set(":-.")
    if len(digits) < 3 or not stands_alone(text, start, end):
        return False
    if not any(map(str.isalpha, value)) and ":" not in value:
        return False
    return text[end : end + 1] not in (":", "-") and (not start or text[start - 1] not in ":-")


def birth_date(text: str, start: int, end: int) -> bool:
    """A day that exists, in one of the usual orders, or one with a month's name."""
    numbers = [int(number) for number in re.findall(r"\d+", text[start:end])]
    if len(numbers) < 3:
        return True
    orders = ((0, 1, 2), (2, 1, 0), (2, 0, 1))
    for year, month, day in orders:
        try:
            date(numbers[year] + (1900 if numbers[year] < 100 else 0), numbers[month], numbers[day])
        except (ValueError, OverflowError):
            continue
        return True
    return False


def _entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


_PLACEHOLDER = re.compile(
    r"(?i)^(?:[x*.#_-]+|your[_ -]?.*|my[_ -]?(?:password|secret|token|key)|.*(?:example|placeholder|changeme|"
    r"change[_-]me|redacted|dummy|sample|x{5,}|\*{4,}|\.{3}|"
    r"insert|replace|123456789).*|<.*>|.?\$\(.*|\$.*|#?\{.*|%[a-z({].*|@@?[a-z_]+@?|enc[(\[].*|(?:vault|ref|secret|ssm|"
    r"arn|op|kms|file|env|https?|s3|gs)[:!].*|none|null|nil|true|false|undefined|empty|default|"
    r"(?:password|passwort|passwd|secret|token|key|string|str|test|user|admin|foo|bar|bool(?:ean)?)\d{0,3}|todo|fixme|n/a|"
    r"os\.environ.*|process\.env.*|getenv.*|env\..*|self\..*|this\..*|config\..*|settings\..*|request\..*|"
    r"args\..*|fake.*|mock.*|"
    r"(?:get|load|read|fetch|generate|create|hash|verify|check|set|reset|forgot|show|hide|no|is|has|use)_\w+)$"
)
_NAME_IN_CODE = re.compile(
    r"^(?:[a-z_][a-zA-Z_]*(?:\.[a-zA-Z_]\w*)+|[a-z]{3,}(?:[A-Z][a-z]{2,})+|[A-Z][a-z]{2,}(?:[A-Z][a-z]{2,})+|[A-Za-z]+(?:[_:.-][A-Za-z]+)+|"
    r"[A-Z_]{4,}|/?[\w.@-]+(?:/[\w.@-]+)*/?\.[a-z]{2,4}|~?/[\w./-]*|\.{1,2}/.*|[a-z]+(?:/[a-z_.-]+)+)$"
)
"""An attribute, an identifier, words with hyphens, a path: what stands there instead of a secret."""
_ABOUT_A_SECRET = re.compile(
    r"(?:[_.-]|(?<=[a-z])(?=[A-Z])|(?i:password|passwd|secret|token|key|pwd))"
    r"(?i:ur[il]|endpoint|path|file(?:name)?|dir|folder|name|header|field|type|len(?:gth)?|min|max|policy|"
    r"algorithm|algo|alg|method|expir\w*|ttl|prefix|suffix|format|hint|label|regex|pattern|ref|count|size|limit|rounds|"
    r"timeout|provider|class|column|param|version|status|scope|issuer|kid|arn|placeholder|message|error|title|"
    r"description|manager|service|store|strength|valid\w*)[\"'`\])]{0,3}\s{0,3}(?:=>|:=|={1,3}|!=|:|,|\|)[^\n,]{0,24}$"
)
_HASH_OR_PUBLIC = re.compile(
    r"(?i)(?:public|publishable|primary|foreign|cache|sort|partition|host|object|idempotency|translation|i18n|commit|"
    r"check|index|group|row|column|unique|composite|surrogate|natural|display|style|css|react|map|dict|json|hot|short)"
    r"[_-]?(?:key|token|sum)s?[\"'`\])]{0,3}\s{0,3}(?:=>|:=|={1,3}|!=|:|,|\|)[^\n]{0,24}$"
)


def secret_value(text: str, start: int, end: int) -> bool:
    """The value of an assignment to something called a password or key: no placeholder, no code, not too plain, and
    not of what is only about one (`password_url`)."""
    value = text[start:end].strip("\"'`")
    # The rules' values end before a bracket: `getpass.getpass()` is code.
    if text[end : end + 1] in ("(", "[") or "(" in value or value.endswith(("[", ";")):
        return False
    if len(value) < 6 or _PLACEHOLDER.match(value) or _NAME_IN_CODE.match(value):
        return False
    if start and _ABOUT_A_SECRET.search(text[max(0, start - 60) : start]):
        return False
    kinds = sum(any(map(kind, value)) for kind in (str.islower, str.isupper, str.isdigit)) + (not value.isalnum())
    return _entropy(value) >= 2.3 and (kinds >= 2 or len(value) >= 12)


def phrase_value(text: str, start: int, end: int) -> bool:
    """Several words as the value of a passphrase, with a digit or a sign: a sentence about passwords has none."""
    value = text[start:end]
    return (
        " " in value
        and any(map(str.isdigit, value))
        and not re.search(r"(?i)password|must|character|enter|your|digit|please|least", value)
    )


def random_assigned(text: str, start: int, end: int) -> bool:
    """The value of something that may be a secret (`token`, `..._key`, `salt`): only what looks like one."""
    value = text[start:end]
    if not secret_value(text, start, end) or _HASH_OR_PUBLIC.search(text[max(0, start - 60) : start]):
        return False
    name = text[max(0, start - 24) : start].lower()
    if "pass" in name or "pw" in name:
        return True
    if not any(map(str.isdigit, value)) and _entropy(value) < 3.9:
        return False
    return len(value) >= 14 and _entropy(value) >= (3.0 if re.fullmatch(r"[0-9a-fA-F-]+", value) else 3.3)


def option_value(text: str, start: int, end: int) -> bool:
    """The value of a command's option: what is not lower-case letters only, as the next word of a sentence is."""
    value = text[start:end].rstrip(".,:;!?")
    if value[1:].isalpha() and value[1:].islower():
        return False
    return ("/" not in value or (len(value) >= 30 and _entropy(value) > 4)) and secret_value(text, start, end)


def random_value(text: str, start: int, end: int) -> bool:
    """High entropy, as keys have: over 3.0 bits for hex, over 3.6 for other letters; no placeholder."""
    value = text[start:end].strip("\"'`")
    if _PLACEHOLDER.match(value) or not any(map(str.isdigit, value)):
        return False
    limit = 3.0 if re.fullmatch(r"[0-9a-fA-F-]+", value) else 3.6
    return _entropy(value) >= limit


def wallet(text: str, start: int, end: int) -> bool:
    """A wallet's address has digits and letters of both kinds, or is long hexadecimal; not a number, not a sequence."""
    value = text[start:end]
    if len(set(value)) < 10 or not any(map(str.isdigit, value)):
        return False
    if value.startswith("0x"):
        return any(map(str.isalpha, value[2:]))
    return any(map(str.islower, value)) and any(map(str.isupper, value)) and stands_alone(text, start, end)


def token_header(text: str, start: int, end: int) -> bool:
    """A JSON Web Token's first part decodes to a JSON object with an algorithm (RFC 7519)."""
    header = text[start:end].partition(".")[0]
    try:
        stated = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(stated, dict) and "alg" in stated


def no_example(text: str, start: int, end: int) -> bool:
    """No key that says that it is an example."""
    return "EXAMPLE" not in text[start:end].upper()


def not_repeated(text: str, start: int, end: int) -> bool:
    """Enough different characters that it is no `xxxx` of a manual, and no example that says that it is one."""
    value = text[start:end]
    return len(set(value[-16:])) >= 6 and "EXAMPLE" not in value.upper()


def password_in_url(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    return not _PLACEHOLDER.match(value) and value not in ("password", "pass", "pwd")


def not_flag(text: str, start: int, end: int) -> bool:
    """Tag characters outside of a flag (UTS #51: a black flag, up to 6 tags, a cancel tag)."""
    return not (start and text[start - 1] == "\U0001f3f4" and end - start <= 6)


def no_emoji(text: str, start: int, end: int) -> bool:
    """Zero-width characters that join no emoji and shape no letters (Arabic, Persian, Indic scripts need them)."""
    around = text[max(0, start - 2) : start] + text[end : end + 2]
    return not any(
        ord(character) >= 0x1F000
        or 0x2190 <= ord(character) <= 0x2BFF
        or 0x0590 <= ord(character) <= 0x0FFF
        or 0x1780 <= ord(character) <= 0x18AF
        for character in around
    )


_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")


def no_right_to_left(text: str, start: int, end: int) -> bool:
    """Direction marks where nothing near is written from right to left: they can only reorder what is shown."""
    return not _RIGHT_TO_LEFT.search(text[max(0, start - 200) : end + 200].replace("\ufeff", ""))


def mixed_script(text: str, start: int, end: int) -> bool:
    """A word of Latin letters with a few look-alikes of another alphabet among them, or the other way round."""
    word = text[start:end]
    latin = sum(character.isascii() for character in word)
    return latin >= 2 and len(word) - latin >= 1 and len(word) >= 4 and "-" not in word


def opaque(text: str, start: int, end: int) -> bool:
    """A long block that reads as nothing, and no embedded image."""
    before = text[max(0, start - 40) : start]
    value = text[start:end]
    return (
        "data:image" not in before and "data:font" not in before and _entropy(value[:2000]) >= 4.2 and " " not in value
    )


def _around(text: str, start: int, end: int, before: int, after: int) -> str:
    return text[max(0, start - before) : end + after].lower()


_WEAK_VERB = re.compile(
    r"(?:overrid|discard|skip|void|nullify|abandon|set aside|drop|cancel|erase|wipe)\w*", re.IGNORECASE
)
_WEAK_NOUN = re.compile(
    r"(?:orders|commands?|constraints?|training|context|assignments?|tasks?|configuration|protocols?)$",
    re.IGNORECASE,
)
_OURS, _YOURS = re.compile(r"\b(?:my|our)\b", re.IGNORECASE), re.compile(r"\byour?\b", re.IGNORECASE)
_FORBIDDEN = re.compile(
    r"(?:\bnot|n.t|\bnever|\bcannot|\bwithout|\bforbidden to|\bavoid|\bnobody may|\bno one may)\s+$", re.IGNORECASE
)


def not_business(text: str, start: int, end: int) -> bool:
    """No order that a customer cancels ("cancel my last orders", "override the default configuration") and nothing
    that a handbook forbids ("never skip safety protocols")."""
    said = text[start:end]
    if _FORBIDDEN.search(text[max(0, start - 16) : start]):
        return False
    if not _WEAK_NOUN.search(said):
        return True
    return bool(_YOURS.search(said)) if _WEAK_VERB.match(said) else not _OURS.search(said)


_SERVICE = re.compile(
    r"(?:now|on you (?:are|will)|forward,? you(?: will| are)?)\s+(?:be )?(?:able|connected|logged|signed|"
    r"ready|eligible|enrolled|subscribed|"
    r"verified|registered|free to|entitled|leaving|viewing|part of|a (?:member|customer|subscriber)|required|"
    r"charg(?:ed|ing)|asking|refusing|telling me|sending|blocking|protected|all set|in (?:the|a) queue|"
    r"receive|see|find|hear|need)|your new (?:role|job|task|goal|purpose|name|identity) (?:is|will be) (?:in|"
    r"at|with|to (?:lead|manage)|starting)|"
    r"hurt (?:you|me) to|die (?:of|from) (?:laugh|shame)|shoot (?:you|them|him|her) (?:an? )?(?:e-?mail|"
    r"message|text|note)|kill (?:it|time|the|two)"
)


def not_service_notice(text: str, start: int, end: int) -> bool:
    """Not what a service tells its customer: "you are now able to log in"."""
    return not _SERVICE.search(_around(text, start, end, 0, 30))


_DEFINITION = re.compile(
    r"what (?:is|are) (?:an? |the (?:concept|definition|meaning|purpose|role|use) of (?:an? |"
    r"the )?)?(?:typical )?(?:system|hidden|base|initial)"
)


def not_definition(text: str, start: int, end: int) -> bool:
    """Asks for the prompt itself, not for what prompts are."""
    hit = text[start:end].lower()
    return not _DEFINITION.match(hit) and not re.match(
        r"(?:write|give|show|tell)\b.{0,20}\b(?:example|me about|how|an? (?:good|effective))", hit
    )


def not_noun_phrase(text: str, start: int, end: int) -> bool:
    """ "the user", not "the user list" or "the customer service"."""
    return not re.match(
        r"[ -](?:list|service|data|base|names?|interface|id|guide|manual|experience|group|account|information)",
        text[end : end + 14].lower(),
    )


_MODEL = re.compile(
    r"\b(?:you|your|yourself|ai|a\.i\.|assistant|chat ?bot|chatgpt|gpt|model|llm|persona|character|role|"
    r"role-?play|pretend|act as|respond|"
    r"dan|answer|bot|jailb\w+|prompt|du|ki|ia|ii|tu|eres|sei|voce|actua|antworte)\b|\u4f60|\u60a8|ai|"
    r"\u3042\u306a\u305f|\u0442\u044b|\u0438\u0438|\u0438\u0433\u0440\u0430"
)


def about_model(text: str, start: int, end: int) -> bool:
    """Spoken to or of a model: a loan without restrictions is none of its business."""
    return bool(_MODEL.search(_around(text, start, end, 150, 60)))


_ASSISTANT = re.compile(
    r"\b(?:ki|ia|ai|dir|dich|du|deine?[mnrs]?|tu|te|ton|tes|ta|vous|votre|vos|t'as|as|sus?|tus?|ti|tua?|tuo|"
    r"tue|hai|ricevuto|"
    r"voce|seus?|suas?|lhe|leitet|antreibt|recue?s?|recib\w+|opera|operi|segu\w+|basas|construido)\b"
)


def about_assistant(text: str, start: int, end: int) -> bool:
    """Said to an assistant about itself: one of the words for you, your or AI in the same sentence."""
    return bool(_ASSISTANT.search(_around(text, start, end, 60, 60)))


def not_device(text: str, start: int, end: int) -> bool:
    """A mode of the model, not of a telephone, a browser or a game."""
    around = _around(text, start, end, 80, 80)
    return not re.search(
        r"\b(?:android|iphone|ios|windows|phone|browser|chrome|router|minecraft|game|tablet|kodi|roku|console|"
        r"linux|mac ?os|bios|grub|laptop)\b",
        around,
    )


def not_education(text: str, start: int, end: int) -> bool:
    return not re.search(
        r"education|curriculum|prevent|protect|abuse (?:report|survivor)|safeguard", _around(text, start, end, 60, 60)
    )


def not_report(text: str, start: int, end: int) -> bool:
    return not re.search(
        r"\b(?:report|prevent|detect|avoid|protect|recogni[sz]e|spot|against|victim|was|were|been|combat|anti)\b",
        text[start:end].lower(),
    )


def no_where(text: str, start: int, end: int) -> bool:
    """A DELETE or UPDATE of all rows: no condition, or one that is always true."""
    hit = text[start:end].lower()
    return "where" not in hit or bool(re.search(r"where\s+(?:1|true|'1)", hit))


_TOLD = re.compile(
    r"(?i)^(?:incorrect|wrong|required|correct|invalid|not|too|the|a|an|my|your|being|never|always|still|"
    r"expired|needed|missing|hidden|stored|"
    r"encrypted|protected|changed|reset|blocked|locked|forgotten|weak|strong|secure|important|different|sent|"
    r"case|accepted|rejected|empty|"
    r"falsch|abgelaufen|nicht|korrekt|richtig|incorrecta?|unique|optional|\w+ed|\w+ing)[.,!?;:]?$"
)


def told_value(text: str, start: int, end: int) -> bool:
    """A password told in a sentence, and not something said about one."""
    value = text[start:end].rstrip(".,!?;:")
    return not _TOLD.match(value) and secret_value(value, 0, len(value)) and not (value.isalpha() and value.islower())


_QUOTE_OPENS = re.compile(r"[\"'`“‘«„「『]\s?[^\"'`“”‘’«»\n]{0,40}$")
_QUOTE_CLOSES = re.compile(r"^[^\"'`“”‘’«»\n]{0,80}[\"'`”’»“」』]")
_SPOKEN_ABOUT = re.compile(
    r"\b(?:phrases?|sentences?|words?|strings?|wording|prompt.?injections?|jailbreaks?|attacks?|attackers?|"
    r"adversar\w+|hackers?|malicious|"
    r"e\.g\.|for example|such as|examples?|explain|what does|meaning|mean|means|called|known as|detect\w*|"
    r"classif\w+|block(?:ed|s|ing)?|filter\w*|"
    r"training|awareness|article|blog|paper|research\w*|why|angriffe?|beispiel|attaque|exemple|ataque|ejemplo|"
    r"attacco|esempio|exemplo)\b"
)


def mentioned(text: str, start: int, end: int) -> bool:
    """Stands in quotation marks, in a sentence about phrases, attacks or examples: spoken about, not said."""
    if not _QUOTE_OPENS.search(text[max(0, start - 60) : start]) or not _QUOTE_CLOSES.match(text[end : end + 120]):
        return False
    return bool(_SPOKEN_ABOUT.search(_around(text, start, start, 160, 0) + " " + text[end : end + 160].lower()))


VALIDATORS: Mapping[str, Validator] = {
    function.__name__: function
    for function in (
        aba, about_assistant, about_model, account_number, address, alone, birth_date, bsn, card, codice_fiscale, cpf,
        dni, iban, iban_length, mac, mixed_script, mrz, nhs, nir, no_emoji, no_right_to_left, no_where, no_example,
        not_business, not_definition, not_device, not_education, not_flag, not_noun_phrase, not_repeated,
        not_report,
        not_service_notice, opaque, option_value, password_in_url, pesel, phone, phone_in_column, phone_in_groups,
        phrase_value,
        random_assigned, random_value,
        secret_value, split_card, ssn, steuer_id, told_value, token_header, wallet,
        identifiers.abn, identifiers.afm, identifiers.ahv, identifiers.base58_check, identifiers.be_number,
        identifiers.bech32, identifiers.clabe, identifiers.cn_id, identifiers.cnp, identifiers.cnpj, identifiers.cpr,
        identifiers.cuit, identifiers.curp, identifiers.dea, identifiers.egn, identifiers.ein, identifiers.hetu,
        identifiers.hkid, identifiers.inn, identifiers.jp_number, identifiers.kr_number, identifiers.luhn,
        identifiers.nif, identifiers.no_number, identifiers.npi, identifiers.nric,
        identifiers.partita_iva, identifiers.pps, identifiers.rfc, identifiers.rodne_cislo, identifiers.rut,
        identifiers.se_number, identifiers.snils, identifiers.svnr, identifiers.tckn, identifiers.tfn,
        identifiers.th_id, identifiers.tw_id, identifiers.verhoeff, identifiers.vin, identifiers.za_id,
    )
}  # fmt: skip
