"""An evidence package: the files, the signed manifest that names each, and the lines in them. See docs/audit.md.

README.txt, summary.txt   for people
manifest.json             what was asked for, what is inside, SHA-256 of every other file
manifest.note             the log's signature over the manifest (C2SP signed-note)
checkpoint.note           the log's signed size and root (C2SP tlog-checkpoint)
key.txt, key.pem          the log's public key, as signed-note and as openssl read it
leaves.tsv                place <tab> the leaf's exact bytes, a line each
proofs.tsv                place <tab> the inclusion proof, hashes in base64 between spaces
records/<kind>.jsonl      {"seq": place, "<record>": {...}}, each beside the leaf that proves it
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

FORMAT = "governance-evidence/v1"

# Which event founds which record: kind of event, file, name of the record in its line.
RECORDS = {
    "call.recorded": ("calls", "call"),
    "decision.made": ("decisions", "decision"),
    "case.opened": ("cases", "case"),
    "verdict.given": ("verdicts", "verdict"),
    "report.received": ("reports", "report"),
}

LEAVES = "leaves.tsv"
PROOFS = "proofs.tsv"
CHECKPOINT = "checkpoint.note"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.note"


def record_file(name: str) -> str:
    return f"records/{name}.jsonl"


def manifest_text(origin: str, manifest: bytes) -> str:
    """What the manifest's signature signs. Its first line has spaces, so it can never be taken for a checkpoint."""
    return f"governance evidence manifest v1\n{origin}\nsha256:{hashlib.sha256(manifest).hexdigest()}\n"


def is_own(leaf: Mapping[str, Any], stated: object) -> bool:
    """Whether a leaf is the entry about an export of just this filter, which did not ask for such entries: with nothing
    but those, a package holds nothing."""
    asked = isinstance(stated, dict) and "export.made" in (stated.get("kinds") or ())
    return not asked and leaf["kind"] == "export.made" and leaf["data"].get("filter") == stated


def leaf_line(seq: int, leaf: bytes) -> bytes:
    """Canonical JSON escapes control characters, so a leaf has no tab and no newline of its own."""
    return b"%d\t%s\n" % (seq, leaf)


def proof_line(seq: int, path: Sequence[bytes]) -> bytes:
    return b"%d\t%s\n" % (seq, b" ".join(base64.b64encode(one) for one in path))


def record_line(seq: int, name: str, record: Mapping[str, Any]) -> bytes:
    """One JSON object; lone surrogates stay escaped, so that the line is UTF-8."""
    line = json.dumps({"seq": seq, name: record}, ensure_ascii=False, separators=(",", ":"))
    return line.encode("utf-8", "backslashreplace") + b"\n"


class PackageWriter:
    """Collects the files of a package, compressed; `finish` signs and writes them. A context manager.

    They are files without a name in `folder` (default: the system's for temporary files), so that nothing of them is
    left when the process ends, whatever ends it. Memory does not grow with the package.
    """

    def __init__(self, signer: Signer, folder: Path | None = None) -> None:
        self._signer = signer
        self._folder = folder
        self._open: dict[str, Packer] = {}

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

    def finish(self, out: BinaryIO, manifest: Mapping[str, Any]) -> str:
        """Writes the package to `out`; gives the SHA-256 of its manifest in hex."""
        members: list[tuple[Member, Packer]] = [(packer.close(), packer) for packer in self._open.values()]
        files = {
            member.name: {
                "size": member.size,
                "sha256": packer.plain.hexdigest(),
                "packed_sha256": packer.packed.hexdigest(),
            }
            for member, packer in members
        }
        text = json.dumps({**manifest, "files": files}, ensure_ascii=True, indent=1).encode() + b"\n"
        archive = Writer(out)
        archive.store(MANIFEST, text)
        archive.store(SIGNATURE, self._signer.sign(manifest_text(self._signer.name, text)).encode())
        for member, packer in members:
            packer.spool.seek(0)
            archive.add(member, packer.spool)
        archive.close()
        return hashlib.sha256(text).hexdigest()
