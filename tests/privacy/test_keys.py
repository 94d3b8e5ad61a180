"""Keyed digests are stored and compared for as long as the data is kept: they may never come out differently."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from governance.privacy.keys import ContentKey

SECRET = bytes(range(32))
KEY = ContentKey(SECRET)


@given(st.binary(max_size=300))
def test_a_digest_is_keyed_blake2b_however_many_came_before(plain: bytes) -> None:
    derived = hmac.digest(SECRET, b"digest", "sha256")
    assert KEY.digest(plain) == hashlib.blake2b(plain, digest_size=32, key=derived).digest()


def test_another_key_gives_another_digest() -> None:
    assert KEY.digest(b"the same") != ContentKey(bytes(32)).digest(b"the same")
