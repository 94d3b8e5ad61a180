"""An event's exact bytes: a subset of JSON in which the canonical form of RFC 8785 is what any writer of compact JSON
gives, once the keys are in order.

Keys are ASCII, numbers are integers within +-(2**53 - 1), and there are no floats; `docs/audit.md` lists what each
kind of event carries. A verifier hashes the stored bytes and never writes them again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from governance.domain.events import Event
from governance.errors import BadInput

VERSION = 2
LARGEST = 2**53 - 1

_MEMBERS = {
    1: frozenset(("actor", "at", "data", "kind", "subject", "system", "v")),
    2: frozenset(("actor", "at", "data", "kind", "late", "n", "subject", "system", "v")),
}
# Integers beyond 2**53 - 1 have sixteen digits or more.
_LONG_NUMBER = re.compile(rb"[:,\[]-?[0-9]{16}")


def _refuse(number: str) -> float:
    raise ValueError(f"{number} is no integer")


_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_AFTER_NUMBER = b',"subject":"'


def leaf_bytes(event: Event, n: int, late: int = 0) -> bytes:
    """The leaf of `event`, UTF-8 JSON `{actor, at, data, kind, late, n, subject, system, v}`.

    `n` and `late` are what `streams.Streams.take` gives. Lone surrogates, which UTF-8 has no bytes for, become U+FFFD:
    an event must never be lost over a broken text. Raises `BadInput` for floats, integers beyond 2**53 - 1, keys that
    are not ASCII, and times without a zone.
    """
    return _written(
        {
            "actor": event.actor,
            "at": _moment(event.at),
            "data": _ordered(event.data if type(event.data) is dict else dict(event.data), "data"),
            "kind": event.kind.value,
            "late": late,
            "n": n,
            "subject": event.subject,
            "system": event.system,
            "v": VERSION,
        }
    )


def unnumbered_bytes(event: Event) -> bytes:
    """A leaf that waits for its place: all of `leaf_bytes` but for `late` and `n`. Raises as `leaf_bytes`."""
    return _written(
        {
            "actor": event.actor,
            "at": _moment(event.at),
            "data": _ordered(event.data if type(event.data) is dict else dict(event.data), "data"),
            "kind": event.kind.value,
            "subject": event.subject,
            "system": event.system,
            "v": VERSION,
        }
    )


def numbered(waiting: bytes, n: int, late: int) -> bytes:
    """Completes a leaf of `unnumbered_bytes`; the result is what `leaf_bytes` would have given.

    Within a JSON string a quotation mark follows a backslash, so the last `,"subject":"` is the leaf's own member.
    Raises `BadInput` where there is none.
    """
    at = waiting.rfind(_AFTER_NUMBER)
    if at < 0 or not waiting.endswith(b"}"):
        raise BadInput("A leaf that waits for its place was changed.")
    return b'%s,"late":%d,"n":%d%s%d}' % (waiting[:at], late, n, waiting[at:-2], VERSION)


def canonical(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON (RFC 8785) of a value of the subset; raises `BadInput` for any other."""
    return _written(_ordered(value, ""))


def _written(value: Any) -> bytes:
    """JSON of a value whose keys are in order."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        pass
    try:
        # Two halves that meet are one character; those without a partner are replaced.
        return to_json(_whole(value))
    except (PydanticSerializationError, RecursionError):
        raise BadInput("Event data is nested too deeply.") from None


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, for example 2026-11-23T09:40:00.000000Z."""
    if at.tzinfo is not UTC:
        if at.tzinfo is None:
            raise BadInput("An event's time has no zone.")
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:-6] + "Z"


_moment = lru_cache(maxsize=16)(moment)  # what is committed together happened at one time


def parse(leaf: bytes) -> dict[str, Any]:
    """Reads a leaf; raises `BadInput` unless it is an object with the members of `leaf_bytes`, in canonical form."""
    try:
        if leaf.isascii() and not _LONG_NUMBER.search(leaf):
            # What is written anew by the standard library, keys in order, is canonical where there are no floats.
            value: Any = _DECODER.decode(leaf.decode())
            again = _ENCODER.encode(value).encode()
        else:
            value = json.loads(leaf)
            again = canonical(value) if isinstance(value, dict) else b""
    except (ValueError, RecursionError):
        raise BadInput("A leaf is not JSON.") from None
    if not isinstance(value, dict) or again != leaf:
        raise BadInput("A leaf is not in canonical form.")
    version = value.get("v")
    if type(version) is not int or version not in _MEMBERS:
        raise BadInput("A leaf is of another version.")
    if value.keys() != _MEMBERS[version] or not isinstance(value["data"], dict):
        raise BadInput("A leaf has other members than its version has.")
    if not all(isinstance(value[key], str) for key in ("actor", "at", "kind", "subject", "system")):
        raise BadInput("One of actor, at, kind, subject and system of a leaf is not text.")
    if version > 1 and not all(type(value[key]) is int and value[key] >= 0 for key in ("late", "n")):
        raise BadInput("One of late and n of a leaf is not a number from 0 on.")
    return value


def _ordered(value: object, where: str) -> Any:
    """The value with the keys of its objects in order. Raises `BadInput` for what the subset does not allow."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, dict):
        try:
            ascii = "".join(value).isascii()
        except TypeError:
            ascii = False
        if not ascii:
            raise BadInput(f"Event data has a key that is not ASCII text at {where or 'the top'}.")
        out = {}
        for key in sorted(value):
            inner = value[key]
            kind = type(inner)
            if kind is str or kind is bool or (kind is int and -LARGEST <= inner <= LARGEST):
                out[key] = inner  # nearly all there is: no call for each
            else:
                out[key] = _ordered(inner, f"{where}.{key}" if where else key)
        return out
    if isinstance(value, (list, tuple)):
        return [_ordered(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
    if isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise BadInput(f"Event data has an integer beyond 2**53 - 1 at {where}.")
        return int(value)
    if isinstance(value, float):
        raise BadInput(f"Event data has a float at {where}.", advice="Scale it to an integer.")
    if not isinstance(value, str):
        raise BadInput(f"Event data has a {kind.__name__} at {where}.")
    return str(value)


def whole_text(text: str) -> str:
    """The text as UTF-8 can have it: two surrogates that meet are one character, and others become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(inner) for inner in value]
    return value
