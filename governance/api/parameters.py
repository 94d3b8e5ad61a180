"""Query parameters: only those that a route has, each once; times in RFC 3339, whole numbers in digits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi.routing import APIRoute
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.requests import Request

from governance.api.problems import is_otlp
from governance.api.validation import Invalid

LARGEST = 2**53 - 1
_MOST = 20
_DIGITS = re.compile(r"[0-9]{1,16}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LOST_PLUS = re.compile(r".*T[\d:.]+ \d\d:\d\d", re.ASCII)


async def only_known(request: Request) -> None:
    """A dependency of every route. Raises `Invalid` for a query parameter that the route does not have, or has twice.

    OTLP is left out: collectors send what their users put into an address, and what they sent would be lost.
    """
    route = request.scope.get("route")
    if not request.url.query or not isinstance(route, APIRoute) or is_otlp(request):
        return
    known = {field.alias for field in route.dependant.query_params}
    given = request.query_params.multi_items()
    names = list(dict.fromkeys(name for name, _ in given))
    errors = [{"at": name[:80], "problem": _no_such(name, known)} for name in names if name not in known]
    errors += [
        {"at": name, "problem": "given more than once"}
        for name in names
        if name in known and sum(other == name for other, _ in given) > 1
    ]
    if errors:
        raise Invalid(errors[:_MOST])


def _no_such(name: str, known: set[str]) -> str:
    close = get_close_matches(name[:80], known, n=1)
    if close:
        return f"no such parameter; did you mean {close[0]}?"
    return f"no such parameter; there are {', '.join(sorted(known))}" if known else "this address takes no parameters"


def _whole(value: Any) -> Any:
    """A whole number, or one written in digits: no boolean, no sign, no `1_000`."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise ValueError("digits are needed")
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 7.0 is a whole number in JSON
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number is needed")  # noqa: TRY004 - pydantic lets a TypeError through
    return value


def _moment(value: Any) -> Any:
    """An aware datetime of RFC 3339 text."""
    text = str(value)
    if not _RFC_3339.fullmatch(text):
        if _LOST_PLUS.fullmatch(text):
            raise ValueError("not a time of RFC 3339: in an address, write + as %2B")
        raise ValueError("not a time of RFC 3339 with its offset, such as 2026-11-30T09:00:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None


def _digits_up_to(largest: int) -> str:
    """A pattern of JSON Schema for the digits of 0 to `largest`, with leading zeros up to its length."""
    digits = str(largest)
    below = [
        f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if digit != "0"
    ]
    return f"^([0-9]{{1,{len(digits) - 1}}}|{'|'.join(below)}|{digits})$"


Whole = BeforeValidator(_whole)
Number = Annotated[
    int,
    Field(ge=0, le=LARGEST),
    Whole,
    # Ids are strings in our answers, because 64-bit numbers are not safe in every JSON reader; both are taken.
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LARGEST},
                {"type": "string", "pattern": _digits_up_to(LARGEST)},
            ]
        }
    ),
]
Moment = Annotated[datetime, BeforeValidator(_moment)]


def refuse_empty_period(since: datetime | None, until: datetime | None) -> None:
    """Raises `Invalid` when nothing can lie between the two."""
    if since is not None and until is not None and since >= until:
        raise Invalid([{"at": "since", "problem": "not before until"}])
