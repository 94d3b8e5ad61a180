"""Verifies packages of the second edition (`governance-evidence/v2`). docs/audit.md says each rule in words.

One pass over the leaves, with the hashes of what is not in the package and the records beside: memory does not grow
with the package. What the manifest says is derived from the leaves and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from governance.audit import leaf as leaves
from governance.audit.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from governance.audit.note import Checkpoint, Verifier, decode_hash, split
from governance.audit.opened import Opened
from governance.audit.outcome import Ledger, Result, unchecked
from governance.audit.package import (
    FORMAT,
    HASHES,
    KEY,
    LEAVES,
    MADE,
    MANIFEST,
    PEM,
    SUMMARY,
    made_text,
    record_file,
)
from governance.audit.records import ERASED, RECORDS, Records
from governance.audit.scope import Coverage, Scope
from governance.audit.summary import Facts, summary
from governance.audit.tables import Tables
from governance.errors import BadInput, GovernanceError, Tampered

__all__ = ["FORMAT", "Edition"]

_MEMBERS = frozenset(
    (
        "format",
        "origin",
        "key",
        "made_at",
        "made_by",
        "export",
        "begun",
        "filter",
        "checkpoint",
        "continues",
        "leaves",
        "kinds",
        "records",
        "names",
        "files",
    )
)


class Edition:
    """The checks of one package of the second edition, in order."""

    def __init__(self, package: Opened, advance: Callable[[int], None]) -> None:
        self._package = package
        self._advance = advance
        self._manifest = package.manifest
        self._statement = Ledger("statement")
        self._form = Ledger("leaves")
        self._proven = Ledger("inclusion")
        self._compared = Ledger("records")
        self._begun: dict[str, Any] | None = None
        self._roots: dict[int, bytes] = {}
        self._tombstones = 0
        self._tables = Tables()

    def verify(self) -> None:
        """Raises `opened.Stop` where nothing more can be verified."""
        package = self._package
        try:
            _shape(package.manifest)
            self._scope = Scope.parse(package.manifest["filter"], package.manifest["begun"])
        except (KeyError, TypeError, ValueError, AttributeError, BadInput):
            package.fail("manifest", f"{MANIFEST} lacks what a manifest must have, or has it in another shape.")
        verifier = package.find_key()
        package.check_signature(verifier)
        package.check_files(MADE)
        checkpoint = package.check_checkpoint(verifier)
        self._facts = Facts(scope=self._scope)
        self._coverage = Coverage(self._scope, checkpoint.size)
        missing = self._read(checkpoint)
        self._finish_leaves(checkpoint)
        self._finish_completeness()
        self._finish_records(missing)
        self._check_statement(verifier)
        self._check_made(verifier, checkpoint)
        package.check_continuity(checkpoint, self._roots)

    def _read(self, checkpoint: Checkpoint) -> list[str]:
        """Goes through leaves, hashes and records; gives the records that are missing."""
        package, facts, coverage = self._package, self._facts, self._coverage
        records = Records(self._compared.fail)
        readers = {name: self._records(name, record) for name, record in RECORDS.values()}
        absent = {name: iter(about["absent"]) for name, about in self._manifest["records"].items()}
        gone = {name: next(one, -1) for name, one in absent.items()}
        tree = Frontier()
        hashes = self._hashes()
        pending = next(hashes, None)
        kept = -1 if package.kept is None else package.kept.size
        before = -1
        for seq, raw in package.lines(LEAVES, self._form):
            if seq <= before:
                self._form.fail(f"{LEAVES}: event {seq} comes after event {before}.")
                continue
            before = seq
            package.events += 1
            if not package.events % 1000:
                self._advance(1000)
            while pending is not None and pending[0] < seq:
                self._grow(tree, pending, kept)
                pending = next(hashes, None)
            if tree.size != seq and not self._proven.failures:
                self._proven.fail(f"Event {seq}: neither leaf nor hash is there for what stands at {tree.size}.")
            if not self._proven.failures:
                tree.add(leaf_hash(raw))
                if tree.size == kept:
                    self._roots[kept] = tree.root()
            try:
                leaf = leaves.parse(raw)
            except BadInput as error:
                self._form.fail(f"Event {seq}: {error}")
                continue
            if seq == self._scope.begun:
                self._begun = leaf
            coverage.take(seq, leaf)
            records.event(leaf)
            wanted = facts.take(seq, leaf)
            kind = leaf["kind"]
            if not wanted:
                continue
            self._tombstones += kind == ERASED
            if kind not in RECORDS:
                continue
            name = RECORDS[kind][0]
            if gone.get(name) == seq:
                gone[name] = next(absent[name], -1)
                facts.records[name]["absent"].append(seq)
                records.absent(seq, leaf)
                continue
            place, line = next(readers[name], (-1, {}))
            if place != seq:
                self._compared.fail(f"Event {seq} ({kind}) has no record beside it.")
                continue
            facts.records[name]["count"] += 1
            records.compare(seq, leaf, line)
            self._tables.take(name, line[RECORDS[kind][1]])
        self._advance(package.events % 1000)
        while pending is not None:
            self._grow(tree, pending, kept)
            pending = next(hashes, None)
        for name, reader in readers.items():
            if next(reader, None) is not None:
                self._compared.fail(f"{record_file(name)} has a record that no event speaks of.")
        if not self._proven.failures and (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
            self._proven.fail(
                f"The leaves and hashes lead to another root of {tree.size} events than the one that was signed of "
                f"{checkpoint.size}."
            )
        missing = list(records.finish())
        self._erased = records.erased
        return missing

    def _grow(self, tree: Frontier, line: tuple[int, int, bytes], kept: int) -> None:
        place, level, hashed = line
        if self._proven.failures:
            return
        if place != tree.size:
            self._proven.fail(f"{HASHES}: the hash for {place} does not follow what stands before it.")
            return
        try:
            tree.add(hashed, level)
        except Tampered as error:
            self._proven.fail(f"{HASHES}: {error}")
        if tree.size == kept:
            self._roots[kept] = tree.root()

    def _hashes(self) -> Iterator[tuple[int, int, bytes]]:
        """Place, level and hash of what is not in the package."""
        for place, rest in self._package.lines(HASHES, self._proven):
            count, _, text = rest.decode("ascii", "replace").partition("\t")
            width = int(count) if count.isascii() and count.isdigit() and len(count) <= 16 else 0
            if not width or width & (width - 1) or str(width) != count:
                self._proven.fail(f"{HASHES}: {count[:20]!r} is not a power of two.")
                return
            try:
                yield place, width.bit_length() - 1, decode_hash(text)
            except GovernanceError as error:
                self._proven.fail(f"{HASHES}: {error}")
                return

    def _records(self, name: str, record: str) -> Iterator[tuple[int, dict[str, Any]]]:
        file = record_file(name)
        if file not in self._package.archive.members:
            return
        try:
            for number, line in enumerate(self._package.archive.lines(file), start=1):
                try:
                    value = json.loads(line)
                    if not isinstance(value, dict) or not isinstance(value[record], dict):
                        raise TypeError
                    seq = value["seq"]
                except (ValueError, RecursionError, KeyError, TypeError):
                    self._compared.fail(f"{file}:{number}: not a record.")
                    continue
                yield seq, value
        except GovernanceError as error:
            self._compared.fail(str(error))

    def _finish_leaves(self, checkpoint: Checkpoint) -> None:
        package, facts = self._package, self._facts
        span = f", {facts.first} to {facts.last}" if facts.count else ""
        beside = package.events - facts.count
        more = f", and {beside} for what they prove" if beside else ""
        package.add(self._form.check(f"{facts.count} events{span}{more}."))
        package.add(self._proven.check(f"All {package.events} events are in the signed log of {checkpoint.size}."))
        package.events, package.own = facts.count, facts.own

    def _finish_completeness(self) -> None:
        package, coverage = self._package, self._coverage
        if not self._scope.provable:
            package.show(Result.PARTIAL, f"a selection by policy, case or kind from {self._scope}")
            package.add(
                unchecked(
                    "completeness",
                    "A selection by policy, case or kind does not show that nothing was left out. Ask for a package "
                    "of the whole log, of a system, or of a period.",
                )
            )
            return
        ledger = Ledger("completeness")
        problem = coverage.problem()
        if problem:
            ledger.fail(problem)
            package.show(Result.MISSING, f"events of {self._scope}")
        else:
            package.show(Result.COMPLETE, str(coverage))
        package.add(ledger.check(f"Nothing is left out of {coverage}."))

    def _finish_records(self, missing: list[str]) -> None:
        ledger, package = self._compared, self._package
        for place in missing:
            ledger.fail(f"{place}: the record is not there, and no event says that it was erased.")
        if missing:
            package.show(Result.MISSING, f"{len(missing)} records")
        if self._erased or self._tombstones:
            package.show(Result.ERASED_WITH_RECORD, f"{self._erased} records; {self._tombstones} events about erasures")
        count = sum(about["count"] for about in self._facts.records.values())
        erased = f" {self._erased} are gone or differ because they were erased." if self._erased else ""
        package.add(ledger.check(f"{count} records say what their events say.{erased}"))

    def _check_statement(self, verifier: Verifier) -> None:
        """What the manifest, the summary and the key files say follows from leaves and records."""
        ledger, manifest, facts = self._statement, self._manifest, self._facts
        begun = self._begun
        if begun is None:
            ledger.fail(f"Event {self._scope.begun}, with which the export began, is not in the package.")
        else:
            continues = manifest["continues"]
            for name, proven, said in (
                ("begun", "export.begun", begun["kind"]),
                ("filter", begun["data"].get("filter"), manifest["filter"]),
                ("export", begun["data"].get("export"), manifest["export"]),
                ("continues", begun["data"].get("kept"), None if continues is None else continues["size"]),
                ("made_by", begun["actor"], manifest["made_by"]),
                ("made_at", begun["at"], manifest["made_at"]),
                ("system", begun["system"], self._scope.system),
            ):
                if proven != said:
                    ledger.fail(f"{name}: the manifest says {said!r}, the log {proven!r}.")
        for name, proven, said in (
            ("leaves", facts.leaves(), manifest["leaves"]),
            ("kinds", facts.counts(), manifest["kinds"]),
            ("records", facts.records, manifest["records"]),
        ):
            if proven != said:
                ledger.fail(f"{name}: the manifest says otherwise than the leaves and records.")
        for reference in sorted(manifest["names"].keys() - facts.actors - {manifest["made_by"]}):
            ledger.fail(f"names: {reference} did nothing that is in the package.")
        try:
            for name, wanted in (
                (SUMMARY, summary(manifest, facts)),
                (KEY, f"{verifier}\n".encode()),
                (PEM, verifier.pem.encode()),
            ):
                if self._package.archive.read(name) != wanted:
                    ledger.fail(f"{name} says otherwise than the leaves and records.")
        except GovernanceError as error:
            ledger.fail(str(error))
        self._tables.check(manifest["files"], ledger.fail)
        who = f"{manifest['made_by']} at {manifest['made_at']}"
        self._package.add(
            ledger.check(f"What manifest and summary say follows from the log: made by {who}. Names are as exported.")
        )

    def _check_made(self, verifier: Verifier, checkpoint: Checkpoint) -> None:
        """The log states this very package: an event after its checkpoint has the manifest's hash."""
        ledger, manifest = Ledger("made"), self._manifest
        try:
            made = json.loads(raw := self._package.archive.read(MADE))
            leaf = made["leaf"].encode()
            proof, consistency = ([decode_hash(one) for one in made[name]] for name in ("proof", "consistency"))
            if raw != made_text(made["place"], leaf, proof, made["checkpoint"], consistency):
                raise Tampered(f"{MADE} is not in its one form.")
            later = Checkpoint.open(made["checkpoint"], verifier)
            if len(split(made["checkpoint"])[1]) != 1:
                raise Tampered("Its checkpoint must have one signature.")
            verify_consistency(checkpoint.size, later.size, consistency, checkpoint.root, later.root)
            verify_inclusion(leaf_hash(leaf), made["place"], later.size, proof, later.root)
            self._roots[later.size] = later.root
            event = leaves.parse(leaf)
            for name, proven, said in (
                ("kind", event["kind"], "export.made"),
                ("actor", event["actor"], manifest["made_by"]),
                ("system", event["system"], self._scope.system),
                ("export", event["data"].get("export"), manifest["export"]),
                ("begun", event["data"].get("begun"), manifest["begun"]),
                ("filter", event["data"].get("filter"), manifest["filter"]),
                ("events", event["data"].get("events"), self._facts.count),
                ("manifest", event["data"].get("manifest"), hashlib.sha256(self._package.text).hexdigest()),
                ("place", made["place"] >= checkpoint.size, True),
            ):
                if proven != said:
                    ledger.fail(f"{name}: the log says {proven!r}, this package {said!r}.")
        except GovernanceError as error:
            ledger.fail(str(error))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            ledger.fail(f"{MADE} is not of its shape.")
        self._package.add(ledger.check("The log states the SHA-256 of this package's manifest."))


def _shape(manifest: Mapping[str, Any]) -> None:
    """Raises if a manifest lacks something, or has more than it may."""
    if manifest.keys() != _MEMBERS:
        raise ValueError
    strings = [manifest[name] for name in ("origin", "key", "made_at", "made_by", "export")]
    strings += [manifest["checkpoint"]["root"], *manifest["names"].values()]
    strings += [file[name] for file in manifest["files"].values() for name in ("sha256", "packed_sha256")]
    numbers = [manifest["begun"], manifest["checkpoint"]["size"]]
    if manifest["records"].keys() != {name for name, _ in RECORDS.values()}:
        raise ValueError
    for about in manifest["records"].values():
        numbers += [about["count"], *about["absent"]]
    if manifest["continues"] is not None:
        numbers.append(manifest["continues"]["size"])
    if not all(isinstance(value, str) for value in strings) or not all(type(value) is int for value in numbers):
        raise TypeError
    if not isinstance(manifest["leaves"], dict) or not isinstance(manifest["kinds"], dict):
        raise TypeError
