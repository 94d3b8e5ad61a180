"""Signed notes (C2SP signed-note, Ed25519) and checkpoints in them (C2SP tlog-checkpoint).

A note is text ending in a newline, an empty line, and signature lines `— <key name> <base64 of key id and signature>`.
A checkpoint's text is the log's origin, its size and its root in base64, a line each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from governance.audit.merkle import HASH_SIZE
from governance.errors import BadInput, Tampered

_ED25519 = b"\x01"
_LARGEST_NOTE = 1_000_000


def key_id(name: str, public: bytes) -> bytes:
    """SHA-256(name || newline || 0x01 || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A log's public key and name. `public` is 32 bytes."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)

    @classmethod
    def parse(cls, text: str, *, name: str = "") -> Verifier:
        """Reads a key: `<name>+<hex key id>+<base64 of 0x01 and the key>`, or a PEM public key, which needs `name`.

        Raises `BadInput`.
        """
        text = text.strip()
        if text.startswith("-----BEGIN"):
            return cls(name, _from_pem(text))
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise BadInput("This is not a key of a log.", advice="Give the line or the PEM that the log's owner gave.")
        try:
            encoded = base64.b64decode(parts[2], validate=True)
        except (binascii.Error, ValueError):
            raise BadInput("The key is not base64.") from None
        if encoded[:1] != _ED25519 or len(encoded) != 33:
            raise BadInput("The key is not an Ed25519 key.")
        verifier = cls(parts[0], encoded[1:])
        if key_id(verifier.name, verifier.public).hex() != parts[1]:
            raise BadInput("The key does not fit its own key id: it was copied with a mistake.")
        return verifier

    def __str__(self) -> str:
        encoded = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.public)

    @property
    def pem(self) -> str:
        """The key as openssl reads it (SubjectPublicKeyInfo)."""
        return (
            Ed25519PublicKey.from_public_bytes(self.public)
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def open(self, note: str) -> str:
        """The text of a note that this key signed; other keys' signatures are passed over, as the format wants.

        Raises `Tampered` when there is no signature of this key, or one that does not hold.
        """
        text, signatures = split(note)
        signed = False
        for name, identity, signature in signatures:
            if name != self.name or identity != self.key_id:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
            except InvalidSignature:
                raise Tampered(f"The signature of {self.name} is not valid.") from None
            signed = True
        if not signed:
            raise Tampered(f"The note is not signed by {self.name} with key {self.key_id.hex()}.")
        return text


class Signer:
    """Signs notes as `name`, the log's origin."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = name
        self._key = key
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.verifier = Verifier(name, public)
        self._key_id = self.verifier.key_id

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Signer:
        """`seed` is the 32 bytes of an Ed25519 private key (RFC 8032)."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, text: str) -> str:
        """The signed note of `text`, which must end in a newline and hold no other control character."""
        _check_text(text)
        signature = self._key_id + self._key.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log states of itself: `origin` is its name, `size` the number of its leaves, `root` 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Reads a checkpoint's text; further lines are passed over. Raises `BadInput`."""
        lines = text.split("\n")
        if len(lines) < 4 or not all(lines[:-1]) or lines[-1]:
            raise BadInput("This is not a checkpoint: it needs an origin, a size and a root.")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdigit()) or len(size) > 16 or str(int(size)) != size:
            raise BadInput("The checkpoint's size is not a number.")
        return cls(origin, int(size), decode_hash(root))

    @classmethod
    def open(cls, note: str, verifier: Verifier) -> Checkpoint:
        """Reads a signed checkpoint of this log. Raises `Tampered` or `BadInput`."""
        checkpoint = cls.parse(verifier.open(note))
        if checkpoint.origin != verifier.name:
            raise Tampered(f"The checkpoint is of {checkpoint.origin}, not of {verifier.name}.")
        return checkpoint


def split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text, and its signatures as (name, key id, signature), unverified. Raises `BadInput`."""
    if len(note) > _LARGEST_NOTE:
        raise BadInput("The note is too long.")
    text, middle, rest = note.rpartition("\n\n")
    text += "\n"
    if not middle or not rest.endswith("\n"):
        raise BadInput("This is not a signed note.")
    _check_text(text)
    signatures = []
    for line in rest[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—":
            raise BadInput("The note has a malformed signature line.")
        _check_name(parts[1])
        raw = decode(parts[2])
        if len(raw) < 5:
            raise BadInput("The note has a signature that is too short.")
        signatures.append((parts[1], raw[:4], raw[4:]))
    return text, signatures


def decode(text: str) -> bytes:
    """Base64 (RFC 4648 §4) in its one canonical form. Raises `BadInput`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("Not base64.") from None
    if base64.b64encode(raw).decode() != text:
        raise BadInput("Not base64 in its canonical form.")
    return raw


def decode_hash(text: str) -> bytes:
    """A hash of 32 bytes in base64. Raises `BadInput`."""
    raw = decode(text)
    if len(raw) != HASH_SIZE:
        raise BadInput("A hash is not 32 bytes long.")
    return raw


def _from_pem(text: str) -> bytes:
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, TypeError):
        raise BadInput("The PEM contains no public key.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput("The key is not an Ed25519 key.")
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or ord(character) < 32 for character in name):
        raise BadInput("A log's name must not be empty or contain spaces or plus signs.")


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(ord(character) < 32 and character != "\n" for character in text):
        raise BadInput("A note's text must end in a newline and contain no control characters.")
