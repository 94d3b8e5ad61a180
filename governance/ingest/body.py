"""The body of an OTLP/HTTP request: its media type and its bytes after decompression, in bounded memory."""

from __future__ import annotations

import zlib
from enum import StrEnum

from governance.errors import BadInput, TooLarge

MAX_MEMBERS = 1000
_CHUNK = 1 << 16


class Media(StrEnum):
    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


_MEDIA = {
    "application/x-protobuf": Media.PROTOBUF,
    "application/protobuf": Media.PROTOBUF,
    "application/vnd.google.protobuf": Media.PROTOBUF,
    "application/json": Media.JSON,
}


def media_of(content_type: str) -> Media | None:
    """Protobuf or JSON by a Content-Type header, its parameters aside; None for anything else."""
    return _MEDIA.get(content_type.partition(";")[0].strip().lower())


def unpacked(body: bytes, content_encoding: str, *, limit: int) -> bytes:
    """The body's bytes, at most `limit`; TooLarge beyond, BadInput for a coding that is unknown or broken."""
    coding = content_encoding.strip().lower()
    if len(body) > limit:
        raise TooLarge(f"The body has {len(body)} bytes; at most {limit} are taken.", advice="Send smaller batches.")
    if coding in ("", "identity"):
        return body
    if coding in ("gzip", "x-gzip"):
        return _inflated(body, zlib.MAX_WBITS | 16, limit, "gzip")
    if coding == "deflate":
        return _inflated(body, zlib.MAX_WBITS, limit, "deflate")
    raise BadInput(f"Content-Encoding {coding[:40]!r} is not understood.", advice="Use gzip, deflate or none.")


def _inflated(body: bytes, window: int, limit: int, name: str) -> bytes:
    """Every member of a gzip body (RFC 1952 allows several), or one zlib stream. No more than `limit` + 1 bytes are
    ever produced, and input is fed in pieces so that what is left over is never copied as a whole."""
    view = memoryview(body)
    out: list[bytes] = []
    room = limit + 1
    position = 0
    members = 0
    while True:
        stream = zlib.decompressobj(window)
        members += 1
        if members > MAX_MEMBERS:
            raise BadInput(f"The {name} body has more than {MAX_MEMBERS} members.", advice="Compress it as one.")
        while not stream.eof:
            piece: bytes | memoryview = stream.unconsumed_tail
            if not piece:
                piece = view[position : position + _CHUNK]
                position += len(piece)
                if not piece:
                    raise BadInput(f"The {name} body ends too early.", advice="Send it again; it was cut on the way.")
            try:
                data = stream.decompress(piece, room)
            except zlib.error as error:
                raise BadInput(f"The {name} body is corrupt ({error}).", advice="Send it again.") from None
            out.append(data)
            room -= len(data)
            if room <= 0:
                raise TooLarge(
                    f"The body has more than {limit} bytes after decompression.", advice="Send smaller batches."
                )
        position -= len(stream.unused_data)
        if position >= len(view):
            return b"".join(out)
        if name != "gzip" or bytes(view[position : position + 2]) != b"\x1f\x8b":
            if not any(view[position:]):  # zeros pad some gzip files
                return b"".join(out)
            raise BadInput(f"The {name} body has bytes after its end.", advice="Send it again.")
