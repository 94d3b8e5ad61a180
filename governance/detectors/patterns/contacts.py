"""Telephone numbers and addresses of machines.

Each check takes the text and a place (code points, end exclusive). A number with too few or too many digits for its
country is still a telephone number here: mistyped and made-up ones are hidden like the others (decision 0131).
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from governance.detectors.patterns import columns
from governance.detectors.patterns.context import DATE, digits_of, of_a_thing, stands_alone


def phone(text: str, start: int, end: int) -> bool:
    """A telephone number by its count of digits (ITU-T E.164: at most 15).

    It is no date, no range of years, no piece of a number, and not called the number of a thing.
    """
    value = text[start:end]
    number, _, _ = value.partition("x")
    digits = digits_of(number, 0, len(number))
    if not 7 <= len(digits) <= 15 or len(set(digits)) <= 2 or not stands_alone(text, start, end):
        return False
    if value[0] != "+" and of_a_thing(text, start):
        return False
    if _ZIP.fullmatch(value) and text[max(0, start - 3) : start].strip(" ,").isupper():
        return False
    return not DATE.fullmatch(value)


_ZIP = re.compile(r"\d{5}-\d{4}")
"""With a state before it, a US postcode."""
_MONEY = re.compile(
    r"(?i)^\s?(?:€|\$|£|%|eur|usd|gbp|chf|pln|kr|euros?|dollars?|pounds?|km|kg|units?|people|users?|rows?)"
)


def phone_in_groups(text: str, start: int, end: int) -> bool:
    """Groups of three digits as in telephone numbers; no sum of money, no count of things."""
    before = text[max(0, start - 4) : start].rstrip()
    return before[-1:] not in ("€", "$", "£") and not _MONEY.search(text[end : end + 8]) and phone(text, start, end)


def phone_in_column(text: str, start: int, end: int) -> bool:
    """A telephone number by itself in a cell of a column that is called one, whatever the cells beside it hold."""
    cell = columns.phone_cell(text, start, end)
    return cell is not None and phone(text[cell[0] : cell[1]], start - cell[0], end - cell[0])


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
