"""Converts values of any type into texts, numbers and ids that every database can store.

PostgreSQL text refuses NUL, and UTF-8 refuses lone surrogates; both become U+FFFD, one code point for one, so that
offsets into a text stay what they were. Everything here is total: no value of any type raises.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import pydantic_core

REPLACEMENT = "\ufffd"
_SURROGATES = dict.fromkeys(range(55296, 57344), REPLACEMENT)
_OPENING = frozenset("[{")
_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
MAX_INTEGER = 2**53 - 1
MAX_CONTAINERS = 1_500_000
MAX_TEXTS = 1_000


def storable(text: str) -> str:
    """The text with NUL and lone surrogates as U+FFFD; its length in code points never changes."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.translate(_SURROGATES)
    return text


def clipped(text: str, length: int) -> str:
    """At most `length` code points, the last one an ellipsis where something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


def identity(value: Any, length: int) -> str:
    """A storable id of at most `length` code points; a longer one ends in a digest, so that ids stay distinct."""
    if value is None:
        return ""
    text = (value if type(value) is str else as_text(value)).strip()
    if not text.isascii() or "\0" in text:
        text = storable(text)
    if len(text) <= length:
        return text
    return f"{text[: length - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def label(value: Any, length: int) -> str:
    """A storable short text such as a name or a model."""
    if value is None:
        return ""
    if type(value) is str and len(value) <= length and value.isascii() and "\0" not in value:
        return value.strip()
    return clipped(storable(as_text(value)).strip(), length)


def as_text(value: Any) -> str:
    """A string as it is, nothing as "", anything else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return as_json(value)


def as_json(value: Any) -> str:
    """Compact JSON, in the order of the keys as sent. Deeper than Python can walk: its shape only."""
    try:
        return _encode(value)
    except (RecursionError, ValueError, TypeError):
        return f"[{type(value).__name__} that cannot be written as JSON]"


def from_json(text: str) -> Any:
    """The JSON value, or None when it is none; also when it has so many objects and lists that it would take many times
    the memory of its text."""
    if len(text) > MAX_CONTAINERS and text.count("{") + text.count("[") > MAX_CONTAINERS:
        return None
    try:
        return pydantic_core.from_json(text, cache_strings="keys")  # four times as fast; no content in a cache
    except (ValueError, TypeError):  # also lone surrogates and deep nesting, which the standard library reads
        pass
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return None


def why_no_json(error: ValueError | RecursionError) -> str:
    """The error of `json.loads`, in words for the sender of the text."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return str(error)
    return "a number has too many digits"  # the interpreter's own words name its own functions


def structure(value: Any) -> Any:
    """A list or object: as it is, or out of the JSON text it was sent as. Otherwise the value unchanged."""
    if isinstance(value, str) and (value[:1] in _OPENING or (value[:1].isspace() and value.lstrip()[:1] in _OPENING)):
        parsed = from_json(value)
        if parsed is not None:
            return parsed
    return value


def unquoted(value: Any) -> Any:
    """A text out of the JSON string it was sent as; anything else unchanged."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        inner = from_json(value)
        if isinstance(inner, str):
            return inner
    return value


def as_integer(value: Any) -> int | None:
    """A count: not negative, at most 2**53 - 1; also from a whole float or digits. Anything else is None."""
    if type(value) is int:
        return value if 0 <= value <= MAX_INTEGER else None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip()
        if not (value.isascii() and value.isdigit() and len(value) <= 16):
            return None
        value = int(value)
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    if isinstance(value, int) and 0 <= value <= MAX_INTEGER:
        return value
    return None


def as_number(value: Any) -> float | None:
    """A finite number, also from its text; else None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float, str)):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None
    return None


def as_texts(value: Any) -> tuple[str, ...]:
    """A list of at most `MAX_TEXTS` texts, also from a JSON list or one text."""
    value = structure(value)
    if isinstance(value, (list, tuple)):
        return tuple([text for item in value[:MAX_TEXTS] if (text := storable(as_text(item)))])
    text = storable(as_text(value))
    return (text,) if text else ()
