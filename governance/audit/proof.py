"""A proof that one event is in the log, as text (C2SP tlog-proof): its index, its path, and the signed checkpoint."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from governance.audit.merkle import leaf_hash, verify_inclusion
from governance.audit.note import Checkpoint, Verifier, decode_hash
from governance.errors import BadInput

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """`path` leads from the leaf's sibling up to the root's child; `checkpoint` is the signed note."""

    index: int
    path: Sequence[bytes]
    checkpoint: str

    def __str__(self) -> str:
        path = "".join(f"{base64.b64encode(one).decode()}\n" for one in self.path)
        return f"{_HEADER}\nindex {self.index}\n{path}\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Proof:
        """Reads a proof; `extra` data is passed over. Raises `BadInput`."""
        head, _, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if lines.pop(0) != _HEADER:
            raise BadInput("This is not a tlog-proof.")
        if lines and lines[0].startswith("extra "):
            lines.pop(0)
        word, _, index = (lines.pop(0) if lines else "").partition(" ")
        if word != "index" or not (index.isascii() and index.isdigit()) or len(index) > 16 or str(int(index)) != index:
            raise BadInput("The proof has no index.")
        if len(lines) > 64:
            raise BadInput("The proof has too many hashes.")
        return cls(int(index), [decode_hash(line) for line in lines], checkpoint)

    def verify(self, leaf: bytes, verifier: Verifier) -> Checkpoint:
        """Raises `Tampered` or `BadInput` unless `leaf` is in the log that `verifier` signed."""
        checkpoint = Checkpoint.open(self.checkpoint, verifier)
        verify_inclusion(leaf_hash(leaf), self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint
