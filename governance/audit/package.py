"""An evidence package: the files, the signed manifest that names each, and the lines in them. See docs/audit.md.

README.txt, summary.txt   for people
manifest.json             what was asked for, what is inside, SHA-256 of every other file
manifest.note             the log's signature over the manifest (C2SP signed-note)
made.json                 the event that states the manifest's SHA-256, with the proof that it is in the log
checkpoint.note           the log's signed size and root (C2SP tlog-checkpoint)
key.txt, key.pem          the log's public key, as signed-note and as openssl read it
leaves.tsv                place <tab> the leaf's exact bytes, a line each
hashes.tsv                place <tab> how many <tab> the hash of the leaves from there on that are not in the package
tables/<kind>.csv         cases, verdicts and decisions for a spreadsheet; they follow from the records (`audit.tables`)
records/<kind>.jsonl      {"seq": place, "<record>": {...}}, each beside the leaf that proves it
verify.py                 a verifier that needs nothing but Python
index.html                a verifier that needs nothing but a browser, and the story of each case (`audit.page`)
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from governance.audit.archive import Member, Packer, Writer
from governance.audit.note import Signer

FORMAT = "governance-evidence/v2"

LEAVES = "leaves.tsv"
HASHES = "hashes.tsv"
CHECKPOINT = "checkpoint.note"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.note"
MADE = "made.json"
SUMMARY = "summary.txt"
KEY = "key.txt"
PEM = "key.pem"
README = "README.txt"
VERIFIER = "verify.py"
PAGE = "index.html"


def record_file(name: str) -> str:
    return f"records/{name}.jsonl"


def manifest_text(origin: str, manifest: bytes) -> str:
    """What the manifest's signature signs. Its first line has spaces, so it can never be taken for a checkpoint."""
    return f"governance evidence manifest v1\n{origin}\nsha256:{hashlib.sha256(manifest).hexdigest()}\n"


def leaf_line(seq: int, leaf: bytes) -> bytes:
    """Canonical JSON escapes control characters, so a leaf has no tab and no newline of its own."""
    return b"%d\t%s\n" % (seq, leaf)


def hash_line(level: int, index: int, hashed: bytes) -> bytes:
    """The 2**level leaves from index * 2**level on, as their root."""
    return b"%d\t%d\t%s\n" % (index << level, 1 << level, base64.b64encode(hashed))


def made_text(place: int, leaf: bytes, proof: Sequence[bytes], checkpoint: str, consistency: Sequence[bytes]) -> bytes:
    """The bytes of made.json: the leaf of `export.made`, that it is at `place` of the log of `checkpoint`, and that
    that log continues the one of the package."""
    document = {
        "place": place,
        "leaf": leaf.decode(),
        "proof": [base64.b64encode(one).decode() for one in proof],
        "checkpoint": checkpoint,
        "consistency": [base64.b64encode(one).decode() for one in consistency],
    }
    return json.dumps(document, ensure_ascii=True, indent=1).encode() + b"\n"


def record_line(seq: int, name: str, record: Mapping[str, Any]) -> bytes:
    """One JSON object; lone surrogates stay escaped, so that the line is UTF-8."""
    line = json.dumps({"seq": seq, name: record}, ensure_ascii=False, separators=(",", ":"))
    return line.encode("utf-8", "backslashreplace") + b"\n"


class PackageWriter:
    """Collects the files of a package, compressed; `seal` signs and `finish` writes them. A context manager.

    They are files without a name in `folder` (default: the system's for temporary files), so that nothing of them is
    left when the process ends, whatever ends it. Memory does not grow with the package.
    """

    def __init__(self, signer: Signer, folder: Path | None = None) -> None:
        self._signer = signer
        self._folder = folder
        self._open: dict[str, Packer] = {}
        self._members: list[tuple[Member, Packer]] = []
        self._manifest = b""

    def __enter__(self) -> PackageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for packer in self._open.values():
            packer.spool.close()

    def file(self, name: str) -> Packer:
        """The file of that name, begun when it is first asked for."""
        if name not in self._open:
            self._open[name] = Packer(name, tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115 - `__exit__`
        return self._open[name]

    def seal(self, manifest: Mapping[str, Any]) -> str:
        """Closes the files, and signs the manifest with their names; gives the SHA-256 of the manifest in hex."""
        self._members = [(packer.close(), packer) for packer in self._open.values()]
        files = {
            member.name: {
                "size": member.size,
                "sha256": packer.plain.hexdigest(),
                "packed_sha256": packer.packed.hexdigest(),
            }
            for member, packer in self._members
        }
        self._manifest = json.dumps({**manifest, "files": files}, ensure_ascii=True, indent=1).encode() + b"\n"
        return hashlib.sha256(self._manifest).hexdigest()

    def finish(self, out: BinaryIO, made: bytes) -> None:
        """Writes the sealed package to `out`; `made` are the bytes of made.json."""
        archive = Writer(out)
        archive.store(MANIFEST, self._manifest)
        archive.store(SIGNATURE, self._signer.sign(manifest_text(self._signer.name, self._manifest)).encode())
        archive.store(MADE, made)
        for member, packer in self._members:
            packer.spool.seek(0)
            archive.add(member, packer.spool)
        archive.close()
