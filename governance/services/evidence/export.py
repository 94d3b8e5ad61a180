"""Evidence packages: what an auditor takes away. The log says that an export began before anything is read for it, and
which package came of it before a byte of that leaves.

A package is made from a checkpoint that holds the event `export.begun`, whose number is where a complete selection
ends; `export.made` then states the SHA-256 of the package's manifest. An export that broke off has only the first.
"""

from __future__ import annotations

import base64
import heapq
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from governance.audit import leaf as leaves
from governance.audit import standalone
from governance.audit.merkle import Frontier, leaf_hash, withheld
from governance.audit.note import Checkpoint, Verifier
from governance.audit.package import (
    CHECKPOINT,
    FORMAT,
    HASHES,
    KEY,
    LEAVES,
    PAGE,
    PEM,
    README,
    SUMMARY,
    VERIFIER,
    PackageWriter,
    hash_line,
    leaf_line,
    made_text,
    record_file,
    record_line,
)
from governance.audit.page import page
from governance.audit.records import RECORDS, erased, subject_of
from governance.audit.scope import Coverage, Scope, micros
from governance.audit.summary import NOTHING as NOTHING
from governance.audit.summary import Facts, summary
from governance.audit.tables import COLUMNS, head, row, table_file
from governance.domain.calls import UNKNOWN_SYSTEM
from governance.domain.events import EventKind
from governance.domain.people import Actor, Permission
from governance.errors import BadInput, Overloaded, Tampered
from governance.services.authorise import Authority
from governance.services.evidence.new_file import new_file
from governance.services.evidence.ports import AuditReader, AuditSnapshot, EvidenceRecords, LeafFilter
from governance.services.named import unknown
from governance.services.ports import UnitOfWork

_CHUNK = 500
# How long an export waits for its own event to be sealed: a long transaction of somebody else holds that up.
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.05

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
    """What was written: events, records by kind, the log's size it is proven against, SHA-256 of the manifest, what it
    is complete of ("" where that is not shown). `empty`: no event fits what was asked for, but for the entry about this
    export itself."""

    events: int
    records: dict[str, int]
    absent: int
    size: int
    manifest: str
    empty: bool = False
    complete: str = ""
    path: Path | None = None


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
        """Writes a package to `target`, as `new_file` does: a whole file or none, and evidence is never written over.

        Raises `BadInput` when it cannot be written, before anything is logged where that can be known, and `Refused`.
        """
        self._permit(actor, chosen)
        with new_file(target, "package") as file:
            done = self.to_stream(actor, chosen, file, kept=kept, advance=advance, folder=target.absolute().parent)
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
        `Refused`, `BadInput` (also for a system, policy or case that does not exist), `TooLarge`, `Tampered` for a log
        with gaps or changed leaves, `Overloaded` while the log cannot be sealed.
        """
        self._permit(actor, chosen)
        self._refuse_unknown(chosen)
        verifier = self._reader.signer.verifier
        old = _old(kept, verifier) if kept else None
        reference = secrets.token_hex(8)
        self._record(
            actor,
            EventKind.EXPORT_BEGUN,
            reference,
            chosen,
            {"filter": chosen.document(), "kept": None if old is None else old.size},
        )
        with self._sealed(reference, EventKind.EXPORT_BEGUN) as (snapshot, begun, raw):
            head = snapshot.head
            assert head is not None, "the export's own event is in the log"
            checkpoint = Checkpoint.open(head.checkpoint, verifier)
            continues = _continuity(snapshot, old, checkpoint)
            with PackageWriter(self._reader.signer, folder) as package:
                scope = Scope.parse(chosen.document(), begun)
                facts = self._write_leaves(snapshot, chosen, scope, checkpoint, package, advance)
                manifest = {
                    "format": FORMAT,
                    "origin": verifier.name,
                    "key": str(verifier),
                    "made_at": _read(begun, raw)["at"],
                    "made_by": actor.reference,
                    "export": reference,
                    "begun": begun,
                    "filter": chosen.document(),
                    "checkpoint": {"size": checkpoint.size, "root": base64.b64encode(checkpoint.root).decode()},
                    "continues": continues,
                    "leaves": facts.leaves(),
                    "kinds": facts.counts(),
                    "records": facts.records,
                    "names": self._records.names(sorted(facts.actors | {actor.reference})),
                }
                package.file(CHECKPOINT).write(head.checkpoint.encode())
                package.file(KEY).write(f"{verifier}\n".encode())
                package.file(PEM).write(verifier.pem.encode())
                package.file(PAGE).write(page())
                package.file(SUMMARY).write(summary(manifest, facts))
                opening = "" if not facts.empty else f"THIS PACKAGE HOLDS NOTHING. {NOTHING}\n\n"
                package.file(README).write((opening + _README.replace("{origin}", verifier.name)).encode())
                package.file(VERIFIER).write(Path(standalone.__file__).read_bytes())
                digest = package.seal(manifest)
                package.finish(out, self._made(actor, chosen, reference, begun, facts, digest, checkpoint))
        return Exported(
            events=facts.count,
            records={name: about["count"] for name, about in facts.records.items()},
            absent=sum(len(about["absent"]) for about in facts.records.values()),
            size=checkpoint.size,
            manifest=digest,
            empty=facts.empty,
            complete=str(Coverage(scope, checkpoint.size)) if scope.provable else "",
        )

    def _record(
        self, actor: Actor, kind: EventKind, reference: str, chosen: EvidenceFilter, data: dict[str, Any]
    ) -> None:
        """Commits an event of this export."""
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.EXPORT_EVIDENCE, system=chosen.system)
            subject = f"export:{reference}"
            tx.append(
                self._authority.event(kind, actor, subject, system=chosen.system, data={"export": reference, **data})
            )

    @contextmanager
    def _sealed(self, reference: str, kind: EventKind) -> Iterator[tuple[AuditSnapshot, int, bytes]]:
        """The log as it holds an event of this export, with that event's place and leaf."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self._reader.settle()
            with self._reader.snapshot() as snapshot:
                for seq, raw in snapshot.about([f"export:{reference}"]):
                    if _read(seq, raw)["kind"] == kind:
                        yield snapshot, seq, raw
                        return
            if time.monotonic() > until:
                raise Overloaded("The audit log cannot be sealed: a long transaction holds it up.", retry_after=30)
            time.sleep(_LOOK_SECONDS)

    def _made(
        self,
        actor: Actor,
        chosen: EvidenceFilter,
        reference: str,
        begun: int,
        facts: Facts,
        digest: str,
        checkpoint: Checkpoint,
    ) -> bytes:
        """Commits that the package was made, and gives the proof of it: the bytes of made.json."""
        data = {"filter": chosen.document(), "begun": begun, "manifest": digest, "events": facts.count}
        self._record(actor, EventKind.EXPORT_MADE, reference, chosen, data)
        with self._sealed(reference, EventKind.EXPORT_MADE) as (snapshot, place, raw):
            head = snapshot.head
            assert head is not None, "the export's own event is in the log"
            return made_text(
                place,
                raw,
                snapshot.inclusion(place, head.size),
                head.checkpoint,
                snapshot.consistency(checkpoint.size, head.size),
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
        self,
        snapshot: AuditSnapshot,
        chosen: EvidenceFilter,
        scope: Scope,
        checkpoint: Checkpoint,
        package: PackageWriter,
        advance: Advance,
    ) -> Facts:
        """Writes leaves, hashes and records. Raises `Tampered` unless they are those of the signed log, and all that
        they must be."""
        _refuse_gaps(snapshot, checkpoint.size)
        facts, coverage, tree = Facts(scope=scope), Coverage(scope, checkpoint.size), Frontier()
        lines, hashes = package.file(LEAVES), package.file(HASHES)
        for table in COLUMNS:
            package.file(table_file(table)).write(head(table))

        def leave_out(end: int) -> None:
            for level, index in withheld(tree.size, end):
                node = snapshot.node(level, index)
                hashes.write(hash_line(level, index, node))
                tree.add(node, level)

        for chunk in _chunks(_selected(snapshot, chosen, scope)):
            wanted = []
            for seq, raw, leaf in chunk:
                leave_out(seq)
                tree.add(leaf_hash(raw))
                lines.write(leaf_line(seq, raw))
                coverage.take(seq, leaf)
                if facts.take(seq, leaf):
                    wanted.append((seq, raw, leaf))
            self._write_records(wanted, package, facts)
            advance(len(chunk))
        leave_out(checkpoint.size)
        problem = coverage.problem() if scope.provable else ""
        if tree.root() != checkpoint.root:
            problem = "Its leaves are not those that were signed."
        if problem:
            raise _unfit(problem)
        return facts

    def _write_records(self, chunk: Sequence[_Leaf], package: PackageWriter, facts: Facts) -> None:
        for kind, (name, record) in RECORDS.items():
            founded = [(seq, leaf) for seq, _, leaf in chunk if leaf["kind"] == kind]
            if not founded:
                continue
            found = self._find(kind, [leaf for _, leaf in founded])
            about = facts.records[name]
            file = package.file(record_file(name))
            for (seq, leaf), one in zip(founded, found, strict=True):
                if one is not None and leaf["system"] == UNKNOWN_SYSTEM and "system" in one:
                    # It came before its call, whose system the row took later: no event proves that.
                    one = {**one, "system": leaf["system"]}
                if one is None:
                    about["absent"].append(seq)
                else:
                    about["count"] += 1
                    file.write(record_line(seq, record, one))
                    if name in COLUMNS:
                        package.file(table_file(name)).write(row(name, one))

    def _find(self, kind: str, events: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """For each event the record it founded, None where that is gone."""
        if kind == EventKind.DECISION_MADE:
            ids = [int(event["data"]["decision"]) for event in events]
            return _in_order(ids, self._records.decisions(ids))
        ids = [int(event["subject"].partition(":")[2] or 0) for event in events]
        if kind == EventKind.CALL_RECORDED:
            # What was decided about a call has events, and so records, of its own.
            calls = [{name: one[name] for name in one if name != "decisions"} for one in self._records.calls(ids)]
            return _in_order(ids, calls)
        if kind == EventKind.CASE_OPENED:
            return _in_order(ids, self._records.cases(ids))
        if kind == EventKind.REPORT_RECEIVED:
            return _in_order(ids, self._records.reports(ids))
        verdicts: dict[str, list[dict[str, Any]]] = {}
        for verdict in self._records.verdicts(ids):
            verdicts.setdefault(f"case:{verdict['case_id']}", []).append(verdict)
        return [_nearest(event, verdicts.get(event["subject"], [])) for event in events]


def _refuse_gaps(snapshot: AuditSnapshot, size: int) -> None:
    if (found := snapshot.count(size)) != size:
        raise _unfit(f"{size - found} of its {size} events are missing.")


def _unfit(problem: str) -> Tampered:
    return Tampered(
        f"No evidence can be made of the audit log: it was changed. {problem}", advice="Run: governance audit verify."
    )


def _selected(snapshot: AuditSnapshot, chosen: EvidenceFilter, scope: Scope) -> Iterator[_Leaf]:
    """The leaves of the package, in the log's order: what was asked for, and what shows that it is all of it."""
    beside: dict[int, bytes] = {}
    about: dict[str, list[int]] = {}
    if not scope.whole:
        for seq, raw in snapshot.select(LeafFilter(first=scope.begun, end=scope.begun + 1)):
            beside[seq] = raw
        kinds = (EventKind.CONTENT_ERASED.value,)
        for seq, raw in snapshot.select(LeafFilter(system=chosen.system, kinds=kinds, end=scope.begun)):
            beside[seq] = raw
            for subject in erased(_read(seq, raw)):
                about.setdefault(subject, []).append(seq)
    due = [] if scope.whole else [scope.begun]
    last = -1
    for seq, raw, leaf in _asked_for(snapshot, chosen, scope, beside, due):
        while due and due[0] < seq:
            if (place := heapq.heappop(due)) > last:
                yield place, beside[place], _read(place, beside[place])
                last = place
        yield seq, raw, leaf
        last = seq
        if about and leaf["kind"] in RECORDS and scope.holds(seq, leaf):
            for place in about.get(subject_of(leaf), ()):
                heapq.heappush(due, place)
    while due:
        if (place := heapq.heappop(due)) > last:
            yield place, beside[place], _read(place, beside[place])
            last = place


def _asked_for(
    snapshot: AuditSnapshot, chosen: EvidenceFilter, scope: Scope, beside: dict[int, bytes], due: list[int]
) -> Iterator[_Leaf]:
    """What was asked for. Where a period begins before the streams, the event that says how late events were by then
    is put `beside` and is `due`."""
    if scope.provable:
        older_late: int | None = None
        for seq, raw in snapshot.select(LeafFilter(kinds=(EventKind.LOG_UPGRADED.value,))):
            older_late = _read(seq, raw)["late"]
            if scope.since is not None and not scope.system:
                beside[seq] = raw
                heapq.heappush(due, seq)
            break
        first, end = (0, None) if scope.whole else _bounds(snapshot, chosen, scope, older_late)
        for seq, raw in snapshot.select(LeafFilter(system=chosen.system, first=first, end=end)):
            yield seq, raw, _read(seq, raw)
        return
    if not scope.related:
        kinds = tuple(kind.value for kind in chosen.kinds)
        plain = LeafFilter(since=chosen.since, until=chosen.until, system=chosen.system, kinds=kinds)
        for seq, raw in snapshot.select(replace(plain, end=scope.begun + 1)):
            yield seq, raw, _read(seq, raw)
        return
    subjects = _concerned(snapshot, chosen)
    related = dict(snapshot.about(sorted(subjects)))
    for seq in sorted(related):
        leaf = _read(seq, related[seq])
        if seq <= scope.begun and scope.holds(seq, leaf):
            yield seq, related[seq], leaf


def _bounds(
    snapshot: AuditSnapshot, chosen: EvidenceFilter, scope: Scope, older_late: int | None
) -> tuple[int, int | None]:
    """The first place, and the one after the last, of what shows that a selection is complete; see `scope`."""
    stream = LeafFilter(system=chosen.system)
    limit = scope.begun + 1
    first, last = 0, scope.begun
    if chosen.since is not None:
        since = micros(leaves.moment(chosen.since))
        found = snapshot.ends(replace(stream, since=chosen.since, end=limit))
        for seq, raw in snapshot.select(replace(stream, end=found[0] if found else limit), newest_first=True):
            leaf = _read(seq, raw)
            late = leaf.get("late") if leaf["v"] > 1 else None if scope.system else older_late
            if late is not None and micros(leaf["at"]) + late < since:
                first = seq
                break
    if chosen.until is not None:
        until = micros(leaves.moment(chosen.until))
        begun = next(snapshot.select(replace(stream, first=scope.begun, end=limit)))
        at_most = _read(*begun)["late"]
        found = snapshot.ends(replace(stream, since=chosen.since, until=chosen.until, end=limit))
        for seq, raw in snapshot.select(replace(stream, first=found[1] + 1 if found else first, end=limit)):
            leaf = _read(seq, raw)
            numbered = leaf["v"] > 1 or not scope.system
            if numbered and micros(leaf["at"]) - at_most >= until:
                last = seq
                break
    return first, last + 1


def _read(seq: int, raw: bytes) -> dict[str, Any]:
    try:
        return leaves.parse(raw)
    except BadInput:
        raise _unfit(f"Event {seq} is not the one that was logged.") from None


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


def _old(note: str, verifier: Verifier) -> Checkpoint:
    checkpoint = Checkpoint.open(note, verifier)
    if checkpoint.size == 0:
        raise BadInput("The checkpoint you gave is of 0 events, and proves nothing.")
    return checkpoint


def _continuity(snapshot: AuditSnapshot, old: Checkpoint | None, new: Checkpoint) -> dict[str, Any] | None:
    if old is None:
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


_README = """\
EVIDENCE PACKAGE OF {origin}

What this is: events of an append-only log (leaves.tsv), the hashes of what is not in the package (hashes.tsv), the
log's signed state (checkpoint.note), and the records that the events speak of (records/). summary.txt is an overview,
manifest.json says what was asked for and names every file with its SHA-256; manifest.note is its signature, and
made.json proves that the log states this very manifest.

HOW TO VERIFY IT

With the product's verifier. It needs this file only: no database, no network, no settings.

    governance audit verify PACKAGE.zip --key KEY.txt [--checkpoint NOTE]

Or with Python alone, 3.9 or newer. Take verify.py from a release of the product: whoever could forge a package could
put another one inside.

    python3 verify.py PACKAGE.zip --key KEY.txt [--checkpoint NOTE]

KEY.txt is the log's public key. Take it from the log's owner on another way than this package: whoever could forge a
package would put a key of their own inside. key.txt here is for comparison. NOTE is a checkpoint that you kept from an
earlier day: with it you also learn that nothing before it was changed since.

In a browser, without Python: open index.html from disk and choose this file. It needs no network, and also tells what
happened in each case. Whoever could forge a package could forge that page, too: in doubt take it from a release.

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

   The leaves and the hashes of hashes.tsv, in order of their places, make up the tree of RFC 6962, section 2.1, whose
   root is in checkpoint.note. docs/evidence-package.md of the product says each rule.

WHAT IT PROVES, AND WHAT NOT

That these events were in the log when the checkpoint was signed, in this order; that the records say what the events
say; and, where summary.txt says "Complete", that no event of what was asked for is left out. A selection by policy,
case or kind does not show that. It does not prove that what never reached the log happened or did not; and only a
checkpoint that was kept outside the firm proves that the firm itself did not write its log anew. See docs/audit.md of
the product.
"""
