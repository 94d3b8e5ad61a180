"""The words by which texts are found, as keyed tokens: nobody without the key can read a word in the index."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

from governance.privacy.keys import KeyRing

LONGEST = 100_000
"""Code points of a text that are made findable."""
_WORD = re.compile(r"[^\W_]+")
_TOKEN_BYTES = 5
_REMEMBERED = 50_000


class SearchWords:
    """Turns texts into tokens, the same for words that differ in case or accents only. Safe to share among threads."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._key: bytes | None = None
        self._token = lru_cache(maxsize=_REMEMBERED)(self._make)

    def of(self, text: str) -> list[str]:
        """The tokens of a text's distinct words, in the order in which they come first: 10 hex digits each."""
        return [self._token(word) for word in dict.fromkeys(_WORD.findall(_folded(text[:LONGEST])))]

    def _make(self, word: str) -> str:
        if self._key is None:
            self._key = self._keyring.digest(b"search", b"")
        return hashlib.blake2b(
            word.encode("utf-8", "surrogatepass"), digest_size=_TOKEN_BYTES, key=self._key
        ).hexdigest()


def _folded(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    return "".join(one for one in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(one))
