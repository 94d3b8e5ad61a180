"""Pages bounded in bytes: a list ends early, with `next`, before it grows too large to hold or to send."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

PAGE_BYTES = 8 * 2**20
_FIRST = 4

Document = dict[str, Any]


def fill(ids: Sequence[int], read: Callable[[Sequence[int]], Sequence[Document]]) -> tuple[list[bytes], int]:
    """The documents of the first of `ids` as JSON, up to `PAGE_BYTES` together, and how many ids they stand for.

    At least one id is done: a document larger than the bound is given alone, whole. `read` may leave out ids. It is
    asked for a few at first and then for as many as should fit, so no more than some of the largest are held at once,
    and each is read at most once in two.
    """
    items: list[bytes] = []
    size = done = 0
    ask = _FIRST
    while done < len(ids):
        chunk = ids[done : done + ask]
        found = {document["id"]: document for document in read(chunk)}
        for number in chunk:
            document = found.get(str(number))
            text = b"" if document is None else _dumped(document)
            if text and items and size + len(text) > PAGE_BYTES:
                return items, done
            if text:
                items.append(text)
                size += len(text) + 1
            done += 1
        mean = max(1, size // max(1, done))
        ask = max(1, min(2 * ask, (PAGE_BYTES - size) // mean + 1))
    return items, done


def page(items: Sequence[bytes], following: str | None) -> bytes:
    """The page as JSON, from documents that are JSON already."""
    return b'{"items":[' + b",".join(items) + b'],"next":' + _dumped(following) + b"}"


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
