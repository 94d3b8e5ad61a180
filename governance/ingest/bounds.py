"""Bounds the attributes that no field represents, as JSON-compatible values."""

from __future__ import annotations

import math
from typing import Any

from governance.ingest.records import Attributes
from governance.ingest.text import as_json, clipped, storable

MAX_ATTRIBUTES = 256
MAX_KEY = 200
MAX_VALUE = 8_192
MAX_TOTAL = 65_536
_DEPTH = 8


def bounded(attributes: Attributes) -> dict[str, object]:
    """The attributes in the order sent: at most `MAX_ATTRIBUTES`, a value's text at most `MAX_VALUE` code points, all
    together about `MAX_TOTAL`. What is left out is counted under `governance.attributes_left_out`."""
    out: dict[str, object] = {}
    room = MAX_TOTAL
    left_out = 0
    for key, value in attributes.items():
        if type(value) is str:
            text = value if value.isascii() and "\0" not in value else storable(value)
            if len(text) > MAX_VALUE:
                text = clipped(text, MAX_VALUE)
            size = len(text)
            kept: object = text
        elif (
            (type(value) is float and math.isfinite(value))
            or type(value) is int
            or type(value) is bool
            or value is None
        ):
            kept, size = value, 8
        else:
            kept = _kept(value, _DEPTH)
            text = as_json(kept)
            size = len(text)
            if size > MAX_VALUE:
                kept, size = clipped(text, MAX_VALUE), MAX_VALUE
        size += len(key)
        if size > room or len(out) >= MAX_ATTRIBUTES:
            left_out += 1
            continue
        room -= size
        if len(key) > MAX_KEY or not key.isascii() or "\0" in key:
            key = clipped(storable(key), MAX_KEY)
        out[key] = kept
    if left_out:
        out["governance.attributes_left_out"] = left_out
    return out


def _kept(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clipped(storable(value), MAX_VALUE)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == 0:
        return clipped(storable(as_json(value)), 200)
    if isinstance(value, dict):
        return {
            clipped(storable(str(key)), MAX_KEY): _kept(item, depth - 1)
            for key, item in list(value.items())[:MAX_ATTRIBUTES]
        }
    if isinstance(value, (list, tuple)):
        return [_kept(item, depth - 1) for item in value[:1000]]
    return clipped(storable(str(value)), 200)
