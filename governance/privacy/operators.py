"""What presidio-anonymizer puts in place of a text, beside its own `replace` and `mask`: a keyed hash, and encryption
that notices what was changed or moved (its own `encrypt` is AES-CBC without authentication).
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from presidio_anonymizer.operators import Operator, OperatorType

from governance.errors import Tampered
from governance.privacy.keys import KeyRing

HASH, SEAL, OPEN = "keyed_hash", "seal", "open"
"""What each is called where it is asked for."""
_NONCE = 12


class KeyedHash(Operator):
    """`[card number 3f9a6c2e51d04b78]`: HMAC-SHA-256, 16 hex digits. Equal texts look equal, and nobody without the key
    can try texts out. Params: `keys` (KeyRing), `word`."""

    def operate(self, text: str = "", params: Any = None) -> str:
        digest = params["keys"].digest(b"redaction", text.encode("utf-8", "surrogatepass")).hex()[:16]
        return f"[{params['word']} {digest}]"

    def validate(self, params: Any = None) -> None:
        _needs(params, "keys", "word")

    def operator_name(self) -> str:
        return HASH

    def operator_type(self) -> OperatorType:
        return OperatorType.Anonymize


class Seal(Operator):
    """`[card number enc:...]`: AES-256-GCM bound to a record, base64url. Params: `keys`, `word`, `record` (bytes)."""

    def operate(self, text: str = "", params: Any = None) -> str:
        nonce = os.urandom(_NONCE)
        plain = text.encode("utf-8", "surrogatepass")
        sealed = nonce + AESGCM(key_of(params["keys"])).encrypt(nonce, plain, params["record"])
        return f"[{params['word']} enc:{base64.urlsafe_b64encode(sealed).decode()}]"

    def validate(self, params: Any = None) -> None:
        _needs(params, "keys", "word", "record")

    def operator_name(self) -> str:
        return SEAL

    def operator_type(self) -> OperatorType:
        return OperatorType.Anonymize


class Open(Operator):
    """The text that `Seal` took out. Params: `keys`, `record`. Raises `Tampered` unless it was sealed so."""

    def operate(self, text: str = "", params: Any = None) -> str:
        try:
            sealed = base64.urlsafe_b64decode(text[text.rindex("enc:") + 4 : -1])
            plain = AESGCM(key_of(params["keys"])).decrypt(sealed[:_NONCE], sealed[_NONCE:], params["record"])
        except (InvalidTag, ValueError, binascii.Error):
            raise Tampered("An encrypted place does not open: it was changed, or is of another record.") from None
        return plain.decode("utf-8", "surrogatepass")

    def validate(self, params: Any = None) -> None:
        _needs(params, "keys", "record")

    def operator_name(self) -> str:
        return OPEN

    def operator_type(self) -> OperatorType:
        return OperatorType.Deanonymize


def key_of(keys: KeyRing) -> bytes:
    """32 bytes that seal nothing but redacted places."""
    return keys.digest(b"redaction-seal", b"")


def _needs(params: Any, *names: str) -> None:
    if not params or any(name not in params for name in names):
        raise ValueError(f"the operator needs {', '.join(names)}")
