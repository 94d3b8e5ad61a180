"""Content at rest: AES-256-GCM under a key per conversation, wrapped by one key-encryption key (RFC 3394).

The associated data binds a ciphertext to its record, so that it cannot be moved to another. Erasing a wrapped key
makes all that it sealed unreadable, and the audit log's commitments with it unguessable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from governance.errors import Misconfigured, Tampered


class ContentKey:
    """One conversation's key: seals its content, and makes the keyed digests by which repeated content is known."""

    __slots__ = ("_aead", "_hasher", "_openings")

    def __init__(self, secret: bytes) -> None:
        """`secret` is 32 random bytes; the keys for sealing, digests and commitments are derived from it apart."""
        self._aead = AESGCM(hmac.digest(secret, b"seal", "sha256"))
        self._hasher = hashlib.blake2b(digest_size=32, key=hmac.digest(secret, b"digest", "sha256"))
        self._openings = hmac.digest(secret, b"commit", "sha256")

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """12 bytes of nonce, then ciphertext and tag."""
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, plain, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Raises `Tampered` unless these bytes were sealed with this key for this record."""
        try:
            return self._aead.decrypt(sealed[:12], sealed[12:], bound_to)
        except (InvalidTag, ValueError):
            raise Tampered("Stored content does not open with its key: it was changed or moved.") from None

    def digest(self, plain: bytes) -> bytes:
        """Keyed BLAKE2b (RFC 7693), 32 bytes: tells equal content of this conversation, and tells others nothing."""
        hasher = self._hasher.copy()
        hasher.update(plain)
        return hasher.digest()

    def opening(self, label: str) -> bytes:
        """What opens the audit log's commitment with this label (`audit.commitment.opening`), 32 bytes."""
        return hmac.digest(self._openings, label.encode(), "sha256")


PURPOSES = (b"report", b"receipt", b"redaction", b"redaction-seal", b"search", b"subject")
"""What keyed digests are made for. Each has a secret of its own, which stays the same when the key-encryption key is
rotated: what was digested before must be found again."""


class KeyRing:
    """Makes, wraps and unwraps content keys with the key-encryption key (32 bytes)."""

    def __init__(
        self,
        key_encryption_key: bytes,
        *,
        old: bytes | None = None,
        stored: Callable[[bytes], bytes | None] = lambda _purpose: None,
        again: Callable[[], tuple[bytes, bytes | None]] | None = None,
    ) -> None:
        """`old` is the key-encryption key before a rotation: it still opens what has not been wrapped anew. `stored`
        gives the wrapped secret of a purpose, None where no rotation has stored one. `again` reads both keys anew: a
        process that runs while its keys' files are rotated learns of it by a key that neither opens."""
        if {len(key_encryption_key), len(old or key_encryption_key)} != {32}:
            raise Misconfigured("The key-encryption key must be 32 bytes.", advice="See docs/operations.md.")
        self._kek = key_encryption_key
        self._old = None if old == key_encryption_key else old
        self._stored = stored
        self._again = again
        self._secrets: dict[bytes, bytes] = {}

    @property
    def rotating(self) -> bool:
        """Whether an old key-encryption key is at hand beside the new one."""
        return self._old is not None

    def create(self) -> tuple[ContentKey, bytes]:
        """A new key, and its wrapped form to be stored."""
        secret = os.urandom(32)
        return ContentKey(secret), aes_key_wrap(self._kek, secret)

    def unwrap(self, wrapped: bytes) -> ContentKey:
        """Raises `Misconfigured` when the key-encryption key is not the one that wrapped it."""
        return ContentKey(self._unwrap(wrapped)[0])

    def rewrap(self, wrapped: bytes) -> bytes | None:
        """The same key, wrapped by the new key-encryption key; None where it is already. Raises as `unwrap`."""
        secret, new = self._unwrap(wrapped)
        return None if new else aes_key_wrap(self._kek, secret)

    def digest(self, purpose: bytes, plain: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes, under a key for this purpose alone: not to be guessed back."""
        return hmac.digest(self._secret(purpose), plain, "sha256")

    def wrapped_by_old(self) -> bytes:
        """32 random bytes under the old key: who cannot open them lacks it."""
        assert self._old is not None, "asked for in a rotation only"
        return aes_key_wrap(self._old, os.urandom(32))

    def wrapped_secret(self, purpose: bytes) -> bytes:
        """The secret of a purpose, wrapped, to be stored before the key that it was derived from goes."""
        return aes_key_wrap(self._kek, self._secret(purpose))

    def _secret(self, purpose: bytes) -> bytes:
        if purpose not in self._secrets:
            wrapped = self._stored(purpose)
            self._secrets[purpose] = (
                self._unwrap(wrapped)[0]
                if wrapped is not None
                else hmac.digest(self._old or self._kek, b"digest:" + purpose, "sha256")
            )
        return self._secrets[purpose]

    def _unwrap(self, wrapped: bytes) -> tuple[bytes, bool]:
        """A secret, and whether it is wrapped by the new key."""
        found = self._try(wrapped)
        if found is None and self._again is not None:
            kek, old = self._again()
            if (kek, old) != (self._kek, self._old):
                self._kek, self._old = kek, None if old == kek else old
                found = self._try(wrapped)
        if found is not None:
            return found
        raise Misconfigured(
            "The key-encryption key does not fit this database.",
            advice="Restore the key that was used when the data was written (GOVERNANCE_KEY_ENCRYPTION_KEY).",
        )

    def _try(self, wrapped: bytes) -> tuple[bytes, bool] | None:
        for key in (self._kek, self._old):
            if key is not None:
                try:
                    return aes_key_unwrap(key, wrapped), key is self._kek
                except (InvalidUnwrap, ValueError):
                    continue
        return None


def secret_of(name: str, given: str, file: Path) -> bytes:
    """32 secret bytes: from a setting (base64), else from a file, which is made with mode 0600 when absent.

    Raises `Misconfigured` that names `name` and never shows the value.
    """
    there = given_secret(name, given, file)
    if there is not None:
        return there
    secret = os.urandom(32)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(base64.b64encode(secret) + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(draft, file)  # appears whole or not at all, and never over another
        finally:
            draft.unlink()
    except FileExistsError:  # another process made it just now
        return _decode(str(file), file.read_text("ascii").strip())
    except OSError as error:
        raise Misconfigured(f"{file} cannot be made: {error.strerror}.", advice="Check the data directory.") from None
    return secret


def _decode(name: str, text: str) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != 32:
        raise Misconfigured(f"{name} must be 32 bytes in base64.")
    return secret


def given_secret(name: str, given: str, file: Path) -> bytes | None:
    """32 secret bytes from a setting (base64), else from a file; None where there is neither."""
    if given:
        return _decode(name, given)
    try:
        return _decode(str(file), file.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise Misconfigured(f"{file} cannot be read.", advice="Check its owner and mode (0600).") from None


def replace_secret(file: Path, old: Path) -> None:
    """Makes a new secret in `file`, and keeps the one before in `old`. Whenever it is killed, the secret that was is in
    one of the files; begun anew, it goes on. Raises `Misconfigured`."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if not old.exists():
            os.link(file, old)
            _sync(file.parent)
        if file.read_bytes() != old.read_bytes():
            return
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(base64.b64encode(os.urandom(32)) + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(file)
        _sync(file.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Misconfigured(f"{file} cannot be replaced: {error.strerror}.", advice="Nothing was lost.") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
