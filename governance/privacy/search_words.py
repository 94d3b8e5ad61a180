"""The words by which texts are found, as keyed tokens: nobody without the key can read a word in the index."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from governance.privacy.keys import KeyRing

LONGEST = 100_000
"""Code points of a text that are made findable."""
_WORD = re.compile(r"[^\W_]+")
_ASCII = bytes(one if chr(one).isalnum() and one < 128 else 32 for one in range(256))
"""Turns all but ASCII letters and digits into blanks: splitting at them is many times faster than a pattern."""
_TOKEN_BYTES = 5
_REMEMBERED = 100_000


class SearchWords:
    """Turns texts into tokens, the same for words that differ in case or accents only. Safe to share among threads."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._key: bytes | None = None
        self._tokens: dict[bytes, str] = {}

    def of(self, text: str) -> list[str]:
        """The tokens of a text's distinct words, in the order in which they come first: 10 hex digits each."""
        tokens = self._tokens
        if len(tokens) > _REMEMBERED:
            tokens = self._tokens = {}
        words = dict.fromkeys(_words(text[:LONGEST]))
        return [tokens.get(word) or tokens.setdefault(word, self._make(word)) for word in words]

    def _make(self, word: bytes) -> str:
        if self._key is None:
            self._key = self._keyring.digest(b"search", b"")
        return hashlib.blake2b(word, digest_size=_TOKEN_BYTES, key=self._key).hexdigest()


def _words(text: str) -> list[bytes]:
    folded = text.casefold()
    if folded.isascii():
        return folded.encode("ascii").translate(_ASCII).split()
    plain = "".join(one for one in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(one))
    return [word.encode("utf-8", "surrogatepass") for word in _WORD.findall(plain)]
