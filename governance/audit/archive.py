"""A ZIP archive with exactly one form for given contents, so that no byte of an evidence package goes unproven.

Ordinary ZIP files have bytes that nobody checks (times, attributes, extra fields, comments, gaps). Here every header
is fixed by a member's name, checksum and sizes, and the reader rebuilds the directory and compares it. Any unzip
program opens such a file. The reader needs no trust: names are a closed alphabet without `..`, sizes are bounded
before anything is inflated, and nothing is ever written to disk.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from governance.errors import BadInput, Tampered, TooLarge

CHUNK = 1 << 20
_BUFFER = 1 << 16
LARGEST_MEMBER = 2**31
LARGEST_TOTAL = 2**33
# A package is below 4 GiB, the limit of ZIP without its later extensions.
LARGEST_ARCHIVE = 2**32 - 2**20
MOST_MEMBERS = 64

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_NAME = re.compile(r"(?:[a-z]{1,20}/)?[A-Za-z][A-Za-z0-9_-]{0,40}\.[a-z]{1,8}")
# 1980-01-01, the first day of ZIP: a package's time is in its manifest.
_TIME, _DATE = 0, 0x21
_VERSION = 20
_UNIX = 3 << 8
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True, slots=True)
class Member:
    """`packed` counts bytes in the archive, `size` when unpacked; `at` is where its bytes begin."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    at: int = 0

    def local(self) -> bytes:
        name = self.name.encode()
        return (
            _LOCAL.pack(
                b"PK\x03\x04",
                _VERSION,
                0,
                self.method,
                _TIME,
                _DATE,
                self.crc,
                self.packed,
                self.size,
                len(name),
                0,
            )
            + name
        )

    def central(self) -> bytes:
        name = self.name.encode()
        header = self.at - len(self.local())
        return (
            _CENTRAL.pack(
                b"PK\x01\x02",
                _UNIX | _VERSION,
                _VERSION,
                0,
                self.method,
                _TIME,
                _DATE,
                self.crc,
                self.packed,
                self.size,
                len(name),
                0,
                0,
                0,
                0,
                0o100644 << 16,
                header,
            )
            + name
        )


def _tail(members: list[Member], at: int) -> bytes:
    directory = b"".join(member.central() for member in members)
    return directory + _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), at, 0)


class Packer:
    """Compresses one member into `spool` as it is written; `close()` gives the member."""

    def __init__(self, name: str, spool: BinaryIO) -> None:
        self.name = name
        self.spool = spool
        self.plain = hashlib.sha256()
        self.packed = hashlib.sha256()
        self._squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._crc = 0
        self._size = 0
        self._packed = 0
        self._waiting: list[bytes] = []
        self._waits = 0

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waits += len(data)
        if self._waits >= _BUFFER:
            self._squeeze_waiting()

    def _squeeze_waiting(self) -> None:
        """Compresses what was written since: many short lines at once."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._waits = 0
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self.plain.update(data)
        self._put(self._squeeze.compress(data))

    def close(self) -> Member:
        self._squeeze_waiting()
        self._put(self._squeeze.flush())
        if self._size > LARGEST_MEMBER:
            raise TooLarge(f"{self.name} would be over 2 GiB.", advice="Export a shorter time, or one system.")
        return Member(self.name, _DEFLATED, self._crc, self._packed, self._size)

    def _put(self, data: bytes) -> None:
        self.packed.update(data)
        self._packed += len(data)
        self.spool.write(data)


class Writer:
    """Writes an archive to `file`, which needs not be seekable."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self._members: list[Member] = []

    def store(self, name: str, data: bytes) -> None:
        """Adds a member as it is."""
        self._begin(Member(name, _STORED, zlib.crc32(data), len(data), len(data)))
        self._put(data)

    def add(self, member: Member, packed: BinaryIO) -> None:
        """Adds what a `Packer` made; `packed` stands at its beginning."""
        self._begin(member)
        while chunk := packed.read(CHUNK):
            self._put(chunk)

    def close(self) -> None:
        self._put(_tail(self._members, self._at))

    def _begin(self, member: Member) -> None:
        header = member.local()
        self._members.append(
            Member(member.name, member.method, member.crc, member.packed, member.size, self._at + len(header))
        )
        self._put(header)

    def _put(self, data: bytes) -> None:
        self._at += len(data)
        if self._at > LARGEST_ARCHIVE:
            raise TooLarge("The package would be over 4 GiB.", advice="Export a shorter time, or one system.")
        self._file.write(data)


class NotAnArchive(BadInput):
    """The file is not a ZIP file at all."""


class Archive:
    """Reads an archive of `Writer` from a seekable file.

    Raises `NotAnArchive` when it is not a ZIP file at all, `TooLarge` for more than a package may hold, and `Tampered`
    when it is not in the one form.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.members: dict[str, Member] = {}
        size = file.seek(0, 2)
        if size > 2**32:
            raise TooLarge("The package is over 4 GiB.")
        file.seek(0)
        start = file.read(4)
        file.seek(max(0, size - _END.size))
        if start != b"PK\x03\x04" and file.read(4) != b"PK\x05\x06":
            raise NotAnArchive("This is not an evidence package: it is not a ZIP file.")
        at = total = 0
        while True:
            file.seek(at)
            header = file.read(_LOCAL.size)
            if header[:4] != b"PK\x03\x04" or len(header) < _LOCAL.size:
                break
            method, crc, packed, plain, length = (_LOCAL.unpack(header)[index] for index in (3, 6, 7, 8, 9))
            raw = file.read(length)
            name = raw.decode("ascii", "replace")
            if not _NAME.fullmatch(name) or method not in (_STORED, _DEFLATED):
                raise Tampered(f"The package is damaged at byte {at}: no member of a package begins like this.")
            member = Member(name, method, crc, packed, plain, at + _LOCAL.size + length)
            if member.local() != header + raw or name in self.members or member.at + packed > size:
                raise Tampered(f"The package is damaged at byte {at}, in the header of {name}.")
            total += plain
            if plain > LARGEST_MEMBER or total > LARGEST_TOTAL or len(self.members) >= MOST_MEMBERS:
                raise TooLarge("The package states a size above the limit.")
            self.members[name] = member
            at = member.at + packed
        tail = _tail(list(self.members.values()), at)
        file.seek(at)
        if file.read(len(tail) + 1) != tail:
            raise Tampered(f"The package is damaged at byte {at} or after, in its directory.")

    def packed(self, name: str) -> Iterator[bytes]:
        """A member's bytes as they lie in the archive."""
        member = self._member(name)
        left, at = member.packed, member.at
        while left:
            self._file.seek(at)
            chunk = self._file.read(min(CHUNK, left))
            if not chunk:
                raise Tampered(f"The package ends within {name}.")
            yield chunk
            at += len(chunk)
            left -= len(chunk)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member's bytes, never more than its header says. Raises `Tampered`."""
        member = self._member(name)
        crc = size = 0
        for chunk in self._inflated(member):
            size += len(chunk)
            if size > member.size:
                raise Tampered(f"{name} is longer than its header says.")
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if size != member.size or crc != member.crc:
            raise Tampered(f"{name} is not what its checksum says.")

    def read(self, name: str, limit: int = 16 * CHUNK) -> bytes:
        """A small member whole. Raises `TooLarge` beyond `limit` bytes."""
        if self._member(name).size > limit:
            raise TooLarge(f"{name} is longer than it may be.")
        return b"".join(self.chunks(name))

    def lines(self, name: str, limit: int = 64 * CHUNK) -> Iterator[bytes]:
        """A member's lines without their newlines; every line must have one. Raises `Tampered`, `TooLarge`."""
        rest = b""
        for chunk in self.chunks(name):
            parts = (rest + chunk).split(b"\n")
            rest = parts.pop()
            if len(rest) > limit:
                raise TooLarge(f"{name} has a line longer than it may be.")
            yield from parts
        if rest:
            raise Tampered(f"{name} does not end with a newline.")

    def _member(self, name: str) -> Member:
        if name not in self.members:
            raise Tampered(f"The package has no {name}.")
        return self.members[name]

    def _inflated(self, member: Member) -> Iterator[bytes]:
        if member.method == _STORED:
            yield from self.packed(member.name)
            return
        inflate = zlib.decompressobj(-15)
        try:
            for chunk in self.packed(member.name):
                data = chunk
                while data:
                    yield inflate.decompress(data, CHUNK)
                    data = inflate.unconsumed_tail
                if inflate.unused_data:
                    raise Tampered(f"{member.name} has bytes after its end.")
            yield inflate.flush()
        except zlib.error:
            raise Tampered(f"{member.name} cannot be unpacked.") from None
        if not inflate.eof:
            raise Tampered(f"{member.name} is cut off.")
