"""Evidence packages: what an auditor takes away. The export is logged, and committed, before anything is written.

A package is made from one checkpoint that is newer than the export's own event, so it proves that it was logged.
"""

from __future__ import annotations

import base64
import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from governance.audit import leaf as leaves
from governance.audit.note import Checkpoint
from governance.audit.package import (
    CHECKPOINT,
    FORMAT,
    LEAVES,
    PROOFS,
    RECORDS,
    PackageWriter,
    is_own,
    leaf_line,
    proof_line,
    record_file,
    record_line,
)
from governance.domain.events import EventKind
from governance.domain.people import Actor, Permission
from governance.errors import BadInput, Tampered
from governance.services.authorise import Authority
from governance.services.evidence.ports import AuditReader, AuditSnapshot, EvidenceRecords, LeafFilter
from governance.services.named import unknown
from governance.services.ports import UnitOfWork

_CHUNK = 500
NOTHING = "No event of the log fits what was asked for, but for the entry about this export where that fits."

Advance = Callable[[int], None]
_Leaf = tuple[int, bytes, dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceFilter:
    """What goes into a package; an empty field means any.

    With `policy` or `case`, the package holds the decisions where the policy had a say (or the case), and all that was
    logged about the calls and cases concerned. `kinds` then narrows down to kinds of events.
    """

    since: datetime | None = None
    until: datetime | None = None
    system: str = ""
    policy: str = ""
    case: int | None = None
    kinds: tuple[EventKind, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "since": None if self.since is None else leaves.moment(self.since),
            "until": None if self.until is None else leaves.moment(self.until),
            "system": self.system,
            "policy": self.policy,
            "case": self.case,
            "kinds": [kind.value for kind in self.kinds],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written: events, records by kind, the log's size it is proven against, SHA-256 of the manifest. `empty`:
    no event fits what was asked for, but for the entry about this export itself."""

    events: int
    records: dict[str, int]
    absent: int
    size: int
    manifest: str
    empty: bool = False
    path: Path | None = None


@dataclass(slots=True)
class _Contents:
    count: int = 0
    own: int = 0
    first: int | None = None
    last: int | None = None
    contiguous: bool = True
    kinds: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    actors: set[str] = field(default_factory=set)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return self.count == self.own


class ExportEvidence:
    """The use case; needs the permission to export evidence."""

    def __init__(self, authority: Authority[UnitOfWork], reader: AuditReader, records: EvidenceRecords) -> None:
        self._authority = authority
        self._reader = reader
        self._records = records

    def to_file(
        self,
        actor: Actor,
        chosen: EvidenceFilter,
        target: Path,
        *,
        kept: str = "",
        advance: Advance = lambda _: None,
    ) -> Exported:
        """Writes a package to `target`: a file without a name first, then given its name, so that there is a whole
        file or none. Where the file system knows no such files, it has a hidden name meanwhile. What is there already
        stays: evidence is never written over.

        Raises `BadInput` when it cannot be written, before anything is logged where that can be known, and `Refused`.
        """
        self._permit(actor, chosen)
        _refuse_taken(target)
        folder = target.absolute().parent
        try:
            with _begun(folder, target.name) as (file, part):
                done = self.to_stream(actor, chosen, file, kept=kept, advance=advance, folder=folder)
                file.flush()
                os.fsync(file.fileno())
                _publish(file, part, target)
        except OSError as error:
            raise _unwritable(target, error) from None
        return replace(done, path=target)

    def to_stream(
        self,
        actor: Actor,
        chosen: EvidenceFilter,
        out: BinaryIO,
        *,
        kept: str = "",
        advance: Advance = lambda _: None,
        folder: Path | None = None,
    ) -> Exported:
        """Writes a package to a binary file or stream, by way of files without a name in `folder`.

        `kept` is a checkpoint that the auditor has: the package then proves that the log continues it. Raises
        `Refused`, `BadInput` (also for a system, policy or case that does not exist), `TooLarge`.
        """
        self._permit(actor, chosen)
        self._refuse_unknown(chosen)
        verifier = self._reader.signer.verifier
        old = Checkpoint.open(kept, verifier) if kept else None
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.EXPORT_EVIDENCE, system=chosen.system)
            tx.append(
                self._authority.event(
                    EventKind.EXPORT_MADE, actor, "export", system=chosen.system, data={"filter": chosen.document()}
                )
            )
        self._reader.settle()
        with self._reader.snapshot() as snapshot, PackageWriter(self._reader.signer, folder) as package:
            head = snapshot.head
            assert head is not None, "the export's own event is in the log"
            checkpoint = Checkpoint.open(head.checkpoint, verifier)
            contents = self._write_leaves(snapshot, chosen, checkpoint.size, package, advance)
            manifest = {
                "format": FORMAT,
                "origin": verifier.name,
                "key": str(verifier),
                "made_at": leaves.moment(self._authority.clock()),
                "made_by": actor.reference,
                "filter": chosen.document(),
                "checkpoint": {"size": checkpoint.size, "root": base64.b64encode(checkpoint.root).decode()},
                "continues": _continuity(snapshot, old, checkpoint),
                "leaves": {
                    "count": contents.count,
                    "first": contents.first,
                    "last": contents.last,
                    "contiguous": contents.contiguous,
                },
                "kinds": dict(sorted(contents.kinds.items())),
                "records": contents.records,
                "names": self._records.names(sorted(contents.actors | {actor.reference})),
            }
            package.file(CHECKPOINT).write(head.checkpoint.encode())
            package.file("key.txt").write(f"{verifier}\n".encode())
            package.file("key.pem").write(verifier.pem.encode())
            package.file("summary.txt").write(_summary(manifest, contents).encode("utf-8", "replace"))
            opening = "" if not contents.empty else f"THIS PACKAGE HOLDS NOTHING. {NOTHING}\n\n"
            package.file("README.txt").write((opening + _README.replace("{origin}", verifier.name)).encode())
            digest = package.finish(out, manifest)
        return Exported(
            events=contents.count,
            records={name: about["count"] for name, about in contents.records.items()},
            absent=sum(len(about["absent"]) for about in contents.records.values()),
            size=checkpoint.size,
            manifest=digest,
            empty=contents.empty,
        )

    def _permit(self, actor: Actor, chosen: EvidenceFilter) -> None:
        self._authority.require(actor, Permission.EXPORT_EVIDENCE, system=chosen.system)

    def _refuse_unknown(self, chosen: EvidenceFilter) -> None:
        """A name that was mistyped must not give a package that looks like proof of nothing."""
        if chosen.since is not None and chosen.until is not None and chosen.since >= chosen.until:
            raise BadInput("The period is empty: its begin is not before its end.", advice="Look at since and until.")
        if chosen.system and chosen.system not in (systems := self._records.systems()):
            raise unknown("system", chosen.system, systems, none="No system has sent a call yet.")
        if chosen.policy and chosen.policy not in (policies := self._records.policies()):
            raise unknown("policy", chosen.policy, policies, none="No policy has been loaded yet.")
        if chosen.case is not None and not self._records.has_case(chosen.case, chosen.system):
            where = f" of {chosen.system}" if chosen.system else ""
            raise BadInput(f"There is no case {chosen.case}{where}.", advice="List them: governance cases list.")

    def _write_leaves(
        self, snapshot: AuditSnapshot, chosen: EvidenceFilter, size: int, package: PackageWriter, advance: Advance
    ) -> _Contents:
        contents = _Contents(records={name: {"count": 0, "absent": []} for name, _ in RECORDS.values()})
        lines, proofs = package.file(LEAVES), package.file(PROOFS)
        stated = chosen.document()
        for chunk in _chunks(_chosen(snapshot, chosen)):
            for seq, raw, leaf in chunk:
                if contents.last is None:
                    contents.first = seq
                elif seq != contents.last + 1:
                    contents.contiguous = False
                contents.last = seq
                contents.count += 1
                contents.own += is_own(leaf, stated)
                contents.kinds[leaf["kind"]] += 1
                contents.actors.add(leaf["actor"])
                if leaf["kind"] == EventKind.DECISION_MADE:
                    contents.actions[str(leaf["data"].get("action"))] += 1
                elif leaf["kind"] == EventKind.VERDICT_GIVEN:
                    contents.outcomes[str(leaf["data"].get("outcome"))] += 1
                lines.write(leaf_line(seq, raw))
                proofs.write(proof_line(seq, snapshot.inclusion(seq, size)))
            self._write_records(chunk, package, contents)
            advance(len(chunk))
        return contents

    def _write_records(self, chunk: Sequence[_Leaf], package: PackageWriter, contents: _Contents) -> None:
        for kind, (name, record) in RECORDS.items():
            founded = [(seq, leaf) for seq, _, leaf in chunk if leaf["kind"] == kind]
            if not founded:
                continue
            found = self._find(kind, [leaf for _, leaf in founded])
            about = contents.records[name]
            file = package.file(record_file(name))
            for (seq, _), one in zip(founded, found, strict=True):
                if one is None:
                    about["absent"].append(seq)
                else:
                    about["count"] += 1
                    file.write(record_line(seq, record, one))

    def _find(self, kind: str, events: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """For each event the record it founded, None where that is gone."""
        if kind == EventKind.DECISION_MADE:
            ids = [int(event["data"]["decision"]) for event in events]
            return _in_order(ids, self._records.decisions(ids))
        ids = [int(event["subject"].partition(":")[2] or 0) for event in events]
        if kind == EventKind.CALL_RECORDED:
            return _in_order(ids, self._records.calls(ids))
        if kind == EventKind.CASE_OPENED:
            return _in_order(ids, self._records.cases(ids))
        if kind == EventKind.REPORT_RECEIVED:
            return _in_order(ids, self._records.reports(ids))
        verdicts: dict[str, list[dict[str, Any]]] = {}
        for verdict in self._records.verdicts(ids):
            verdicts.setdefault(f"case:{verdict['case_id']}", []).append(verdict)
        return [_nearest(event, verdicts.get(event["subject"], [])) for event in events]


def _chosen(snapshot: AuditSnapshot, chosen: EvidenceFilter) -> Iterator[_Leaf]:
    """The leaves of the package, in the log's order."""
    base = LeafFilter(since=chosen.since, until=chosen.until, system=chosen.system)
    if not chosen.policy and chosen.case is None:
        kinds = tuple(kind.value for kind in chosen.kinds)
        plain = LeafFilter(since=base.since, until=base.until, system=base.system, kinds=kinds)
        for seq, raw in snapshot.select(plain):
            yield seq, raw, _read(seq, raw)
        return
    subjects = _concerned(snapshot, chosen)
    related = dict(snapshot.about(sorted(subjects)))
    for seq in sorted(related):
        leaf = _read(seq, related[seq])
        wanted = not chosen.kinds or leaf["kind"] in chosen.kinds
        if wanted and (not chosen.system or leaf["system"] == chosen.system):
            yield seq, related[seq], leaf


def _read(seq: int, raw: bytes) -> dict[str, Any]:
    try:
        return leaves.parse(raw)
    except BadInput:
        raise Tampered(
            f"Event {seq} of the log was changed; no evidence can be made of it.",
            advice="Run: governance audit verify.",
        ) from None


def _concerned(snapshot: AuditSnapshot, chosen: EvidenceFilter) -> set[str]:
    """The calls and cases that a policy or a case number is about, as subjects of events."""
    subjects: set[str] = set()
    if chosen.case is not None:
        subjects.add(f"case:{chosen.case}")
        for seq, raw in snapshot.about([f"case:{chosen.case}"]):
            call = _read(seq, raw)["data"].get("call")
            if call is not None:
                subjects.add(f"call:{call}")
    if chosen.policy:
        decided: set[str] = set()
        kinds = (EventKind.DECISION_MADE.value, EventKind.CASE_OPENED.value)
        for seq, raw in snapshot.select(
            LeafFilter(since=chosen.since, until=chosen.until, system=chosen.system, kinds=kinds)
        ):
            leaf = _read(seq, raw)
            data = leaf["data"]
            named = {str(one.get("policy")) for one in data.get("policies") or ()} | {str(data.get("policy"))}
            if chosen.policy in named:
                decided.add(leaf["subject"])
                if data.get("call") is not None:
                    decided.add(f"call:{data['call']}")
                if data.get("case") is not None:
                    decided.add(f"case:{data['case']}")
        subjects = decided & subjects if chosen.case is not None else decided
    if any(one.startswith("case:") for one in subjects):
        for seq, raw in snapshot.select(LeafFilter(kinds=(EventKind.REPORT_RECEIVED.value,))):
            leaf = _read(seq, raw)
            if f"case:{leaf['data'].get('case')}" in subjects:
                subjects.add(leaf["subject"])
    return subjects


def _chunks(source: Iterable[_Leaf]) -> Iterator[list[_Leaf]]:
    chunk: list[_Leaf] = []
    for one in source:
        chunk.append(one)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _in_order(ids: Sequence[int], found: Iterable[dict[str, Any]]) -> list[dict[str, Any] | None]:
    by_id = {str(one["id"]): one for one in found}
    return [by_id.get(str(number)) for number in ids]


def _nearest(event: dict[str, Any], verdicts: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """A case may have had several verdicts (one returned, one given anew): the one of this moment."""
    at = datetime.fromisoformat(event["at"])
    return min(
        verdicts, key=lambda one: abs((datetime.fromisoformat(one["given_at"]) - at).total_seconds()), default=None
    )


def _continuity(snapshot: AuditSnapshot, old: Checkpoint | None, new: Checkpoint) -> dict[str, Any] | None:
    if old is None or old.size == 0:
        return None
    if old.size > new.size:
        raise BadInput(
            f"The checkpoint you gave has {old.size} events, the log {new.size}.",
            advice="If it is of this log, the log was cut: run governance audit verify --checkpoint FILE.",
        )
    proof = [] if old.size == new.size else snapshot.consistency(old.size, new.size)
    return {
        "size": old.size,
        "root": base64.b64encode(old.root).decode(),
        "proof": [base64.b64encode(one).decode() for one in proof],
    }


def _refuse_taken(target: Path) -> None:
    if target.is_dir():
        raise BadInput(f"{target} is a folder.", advice="Name a file.")
    if os.path.lexists(target):
        raise BadInput(f"{target} exists already; evidence is not written over.", advice="Name another file.")


@contextmanager
def _begun(folder: Path, name: str) -> Iterator[tuple[BinaryIO, Path | None]]:
    """A new file of mode 0600, and its name where it has to have one; such a one is removed at the end."""
    part: Path | None = None
    try:
        handle = os.open(folder, os.O_RDWR | os.O_CLOEXEC | os.O_TMPFILE, 0o600)
    except (OSError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EACCES, errno.EROFS, errno.ENOTDIR):
            raise
        handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        part = Path(path)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file, part
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _publish(file: BinaryIO, part: Path | None, target: Path) -> None:
    """Gives the file of `_begun` its name, unless something has it by now. Raises `BadInput` then, else `OSError`."""
    try:
        if part is not None:
            os.link(part, target)
            return
        folder = os.open(target.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # with a folder's descriptor Python follows the link to the file, without one it would link the link
            os.link(f"/proc/self/fd/{file.fileno()}", target.name, dst_dir_fd=folder)
        finally:
            os.close(folder)
    except FileExistsError:
        _refuse_taken(target)
        raise
    except OSError:
        # A file system without links: the name is taken first, then the file moved over it, or copied into it.
        try:
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            _refuse_taken(target)
            raise
        try:
            with os.fdopen(handle, "wb") as named:
                if part is not None:
                    part.replace(target)
                else:
                    file.seek(0)
                    shutil.copyfileobj(file, named)
        except OSError:
            target.unlink()
            raise


def _unwritable(target: Path, error: OSError) -> BadInput:
    reason = error.strerror or type(error).__name__
    return BadInput(f"The package cannot be written to {target}: {reason}.", advice="Choose another file or folder.")


def _summary(manifest: dict[str, Any], contents: _Contents) -> str:
    chosen = manifest["filter"]
    span = f"{chosen['since'] or 'the beginning'} to {chosen['until'] or 'the export'}"
    lines = [
        *([f"THIS PACKAGE HOLDS NOTHING. {NOTHING}", ""] if contents.empty else []),
        f"Evidence from {manifest['origin']}",
        "",
        f"Made       {manifest['made_at']} by {_who(manifest, manifest['made_by'])}",
        f"Time       {span}",
        f"System     {chosen['system'] or 'all'}",
        f"Policy     {chosen['policy'] or 'any'}",
        f"Case       {chosen['case'] or 'any'}",
        f"Kinds      {', '.join(chosen['kinds']) or 'all'}",
        f"Log        {manifest['checkpoint']['size']} events, root {manifest['checkpoint']['root']}",
        f"Inside     {contents.count} events"
        + (f", {contents.first} to {contents.last}" if contents.count else "")
        + (", a selection" if not contents.contiguous else ", none left out between" if contents.count else ""),
        "",
        "Events",
        *(f"  {count:>9}  {kind}" for kind, count in sorted(contents.kinds.items())),
        "",
        "Records",
        *(
            f"  {about['count']:>9}  {name}"
            + (f", and {len(about['absent'])} that no longer exist" if about["absent"] else "")
            for name, about in contents.records.items()
        ),
    ]
    for title, counts in (("Actions decided", contents.actions), ("Verdicts", contents.outcomes)):
        if counts:
            lines += ["", title, *(f"  {count:>9}  {name}" for name, count in sorted(counts.items()))]
    if manifest["names"]:
        lines += ["", "Who", *(f"  {reference}  {name}" for reference, name in sorted(manifest["names"].items()))]
    return "".join(_printable(line) + "\n" for line in lines)


def _printable(line: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line)


def _who(manifest: dict[str, Any], reference: str) -> str:
    name = manifest["names"].get(reference)
    return f"{name} ({reference})" if name else reference


_README = """\
EVIDENCE PACKAGE OF {origin}

What this is: events of an append-only log (leaves.tsv), the proof of each that it is in the log (proofs.tsv), the
log's signed state (checkpoint.note), and the records that the events speak of (records/). summary.txt is an overview,
manifest.json says what was asked for and names every file with its SHA-256; manifest.note is its signature.

HOW TO VERIFY IT

With the product's verifier. It needs this file only: no database, no network, no settings.

    governance audit verify PACKAGE.zip --key KEY.txt [--checkpoint NOTE]

KEY.txt is the log's public key. Take it from the log's owner on another way than this package: whoever could forge a
package would put a key of their own inside. key.txt here is for comparison. NOTE is a checkpoint that you kept from an
earlier day: with it you also learn that nothing before it was changed since.

By hand, on Linux or macOS:

1. The signature of the manifest. Its text is all of manifest.note before the last empty line, with its newline:

    sed '/^$/,$d' manifest.note > text
    tail -n 1 manifest.note | awk '{print $3}' | base64 -d | tail -c 64 > signature
    openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in text -sigfile signature

   The third line of the text must be "sha256:" and what `sha256sum manifest.json` says. checkpoint.note is signed in
   the same way.

2. The files. For each in manifest.json, `sha256sum FILE` must give its "sha256".

3. A leaf. Its hash is SHA-256 of a zero byte and the leaf's bytes. For the first:

    head -n 1 leaves.tsv | cut -f 2- | tr -d '\\n' | (printf '\\0'; cat) | sha256sum

   From there RFC 6962, section 2.1.1, with the hashes of proofs.tsv, leads to the root in checkpoint.note.

WHAT IT PROVES, AND WHAT NOT

That these events were in the log when the checkpoint was signed, in this order, and that the records say what the
events say. If manifest.json has "contiguous": true, that no event between the first and the last is left out.
It does not prove that what never reached the log happened or did not; and only a checkpoint that was kept outside the
firm proves that the firm itself did not write its log anew. See docs/audit.md of the product.
"""
