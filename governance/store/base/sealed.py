"""Redacted texts at rest: sealed under the key of their conversation, and gone with it."""

from __future__ import annotations

from typing import Any

from governance.errors import Tampered
from governance.privacy.keys import ContentKey, KeyRing

UNREADABLE = "[this text does not open with its key: it was changed in the database]"


def examination_of(subject: int, detector_set: str) -> bytes:
    """What the redacted text of an examination is bound to."""
    return b"redacted:%d:%s" % (subject, detector_set.encode())


def excerpt_of(case: int) -> bytes:
    """What the excerpt of a case is bound to."""
    return b"excerpt:%d" % case


def seal(key: ContentKey, text: str, bound_to: bytes) -> bytes:
    return key.seal(text.encode("utf-8", "surrogatepass"), bound_to)


def opened(key: ContentKey, sealed: bytes, bound_to: bytes) -> str:
    """The text, or words that say that it was changed: a page shows the rest all the same."""
    try:
        return key.open(sealed, bound_to).decode("utf-8", "surrogatepass")
    except Tampered:
        return UNREADABLE


def excerpt(keyring: KeyRing | None, row: Any) -> str:
    """The excerpt of a case, of a row with `id`, `excerpt`, `excerpt_sealed` and `wrapped_key`; "" where there is none
    or it was erased, and without a key ring."""
    if row.excerpt_sealed is None or row.wrapped_key is None or keyring is None:
        return str(row.excerpt)  # of an earlier version, not sealed yet
    return opened(keyring.unwrap(bytes(row.wrapped_key)), bytes(row.excerpt_sealed), excerpt_of(row.id))
