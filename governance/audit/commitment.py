"""Keyed commitments: what a leaf says of a text without telling it, and without a hash that can be guessed back.

A row has a random secret (its salt; for calls, a key derived from the conversation's). From it and a label each text
gets an opening of its own, and the leaf carries HMAC-SHA-256 of the text under that opening. Whoever is shown text and
opening can check the leaf; an opening tells nothing about other texts of the row. Once the secret is erased the leaf
tells nothing about the text.
"""

from __future__ import annotations

import hmac
import os

from governance.audit.leaf import whole_text

SALT_SIZE = 16


def new_salt() -> bytes:
    """A secret for one row."""
    return os.urandom(SALT_SIZE)


def opening(secret: bytes, label: str) -> bytes:
    """The 32 bytes that open the commitment to the text with this label, for example `verdict.note`."""
    return hmac.digest(secret, label.encode(), "sha256")


def commitment(opening: bytes, text: str | bytes) -> str:
    """HMAC-SHA-256 of the text's UTF-8 under its opening, 64 hex digits. Lone surrogates count as U+FFFD, as in a
    leaf."""
    return hmac.digest(opening, text if isinstance(text, bytes) else _bytes(text), "sha256").hex()


def opens(opening: bytes, text: str | bytes, committed: str) -> bool:
    """Whether the commitment was made of this text."""
    return hmac.compare_digest(commitment(opening, text), committed)


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return whole_text(text).encode()
