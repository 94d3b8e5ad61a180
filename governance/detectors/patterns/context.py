"""What stands around a place in a text, and the digits and letters in it.

Places are given as start and end in code points, end exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

Check: TypeAlias = Callable[[str, int, int], bool]
"""A check of a place in a text: text, start, end."""


DATE = re.compile(
    r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?\d.*|[0-3]?\d[-./][01]?\d[-./](?:19|20)\d\d.*|"
    r"(?:19|20)\d\d[-–/ ](?:19|20)\d\d.*"
)
"""A date, or a range of years: no telephone or account number."""


_NOT_DIGIT = re.compile(r"[^0-9]")
_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]")


def digits_of(text: str, start: int, end: int) -> str:
    """The ASCII digits of a place, without what separates them."""
    return _NOT_DIGIT.sub("", text[start:end])


def letters_of(text: str, start: int, end: int) -> str:
    """The ASCII digits and letters of a place, in upper case."""
    return _NOT_ALNUM.sub("", text[start:end]).upper()


_TOO_LONG_FOR_AMOUNTS = 12
"""Digits from which on a number is no amount of money."""


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether the place is no piece of a longer number or word. RE2 has no look-around, so it is checked here."""
    before = text[start - 1 : start] if start else ""
    after = text[end : end + 1]
    if before.isalnum() or after.isalnum():
        return False
    # In 1.234.567 or 12-3456-7 a further group of digits follows or leads. Where the value cannot be an amount (it is
    # too long, or contains hyphens), a comma separates fields of a line instead.
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
"""Words right before a number that call it the number of a thing."""


def of_a_thing(text: str, start: int) -> bool:
    """Whether the words right before call it the number of an order, a version, a page ..."""
    return bool(_OF_A_THING.search(text[max(0, start - 30) : start]))


def personal(text: str, start: int, end: int) -> bool:
    """Whether the place stands alone and is not called the number of a thing."""
    return stands_alone(text, start, end) and not of_a_thing(text, start)
