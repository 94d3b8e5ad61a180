"""Verifies packages of the first edition (`governance-evidence/v1`), which carry a proof for each leaf.

They show that each event is in the signed log. They do not show that none is left out, nor who made them and when: the
manifest says so, and no leaf. This is history, and changes no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from governance.audit import leaf as leaves
from governance.audit.merkle import leaf_hash, verify_inclusion
from governance.audit.note import Checkpoint, decode_hash
from governance.audit.opened import Opened
from governance.audit.outcome import Ledger, Result, unchecked
from governance.audit.package import LEAVES, record_file
from governance.audit.records import RECORDS, Records, decided
from governance.errors import BadInput, GovernanceError, Tampered

FORMAT = "governance-evidence/v1"
PROOFS = "proofs.tsv"


class Edition:
    """The checks of one package of the first edition, in order."""

    def __init__(self, package: Opened, advance: Callable[[int], None]) -> None:
        self._package = package
        self._advance = advance
        self._manifest = package.manifest
        # Of the leaves: what was decided.
        self._decided: dict[object, tuple[object, ...]] = {}

    def verify(self) -> None:
        """Raises `opened.Stop` where nothing more can be verified."""
        package = self._package
        try:
            _shape(package.manifest)
        except (KeyError, TypeError, ValueError, AttributeError):
            package.fail("manifest", "manifest.json lacks what a manifest must have, or has it in another shape.")
        package.manifest.setdefault("continues", None)
        verifier = package.find_key()
        package.check_signature(verifier)
        package.check_files()
        checkpoint = package.check_checkpoint(verifier)
        self._check_leaves(checkpoint)
        self._check_records()
        package.add(
            unchecked(
                "completeness",
                "Packages of this edition do not show that nothing was left out, nor who made them and when. "
                "Ask for a new one.",
            )
        )
        package.show(Result.PARTIAL, "the events that are in the package")
        package.check_continuity(checkpoint, {})

    def _check_leaves(self, checkpoint: Checkpoint) -> None:
        form, proven = Ledger("leaves"), Ledger("inclusion")
        stated = self._manifest["leaves"]
        before = first = -1
        gaps = False
        proofs = self._package.lines(PROOFS, proven)
        for seq, leaf in self._package.lines(LEAVES, form):
            self._package.events += 1
            self._advance(1)
            if seq <= before:
                form.fail(f"{LEAVES}: event {seq} comes after event {before}.")
            gaps = gaps or (before >= 0 and seq != before + 1)
            first = seq if first < 0 else first
            before = seq
            try:
                self._remember(leaves.parse(leaf))
            except BadInput as error:
                form.fail(f"Event {seq}: {error}")
            place, path = next(proofs, (-1, b""))
            try:
                if place != seq:
                    raise Tampered("it has no proof.")
                hashes = [decode_hash(one) for one in path.decode("ascii", "replace").split(" ") if one]
                verify_inclusion(leaf_hash(leaf), seq, checkpoint.size, hashes, checkpoint.root)
            except GovernanceError as error:
                proven.fail(f"Event {seq}: {error}")
        if next(proofs, None) is not None:
            proven.fail(f"{PROOFS} has proofs of events that are not in the package.")
        if self._package.events != stated["count"]:
            form.fail(f"The manifest says {stated['count']} events; there are {self._package.events}.")
        if self._package.events and (first, before) != (stated["first"], stated["last"]):
            form.fail("The first or last event is not the manifest's.")
        if stated["contiguous"] and gaps:
            form.fail("The manifest says that no event between the first and the last is left out; one is.")
        whole = " with none left out between" if stated["contiguous"] and self._package.events else ""
        span = f", {first} to {before}{whole}" if self._package.events else ""
        self._package.add(form.check(f"{self._package.events} events{span}."))
        self._package.add(proven.check(f"All {self._package.events} events are in the signed log."))

    def _remember(self, leaf: Mapping[str, Any]) -> None:
        data = leaf["data"]
        self._package.own += _is_own(leaf, self._manifest.get("filter"))
        if leaf["kind"] == "decision.made":
            self._decided[data.get("decision")] = decided(data)
            if isinstance(beside := data.get("shadow"), dict):
                self._decided[beside.get("decision")] = decided(beside)

    def _check_records(self) -> None:
        ledger = Ledger("records")
        stated = self._manifest["records"]
        readers = {}
        gone: dict[str, set[int]] = {}
        for name, record in RECORDS.values():
            about = stated.get(name, {"count": 0, "absent": []})
            gone[name] = set(about["absent"])
            there = record_file(name) in self._package.archive.members
            readers[name] = self._records(name, record, ledger) if there else iter(())
            if about["count"] and not there:
                ledger.fail(f"{record_file(name)} is missing.")
        counts = dict.fromkeys(readers, 0)
        compared = Records(ledger.fail, decisions=True)
        absent = 0
        for seq, raw in self._package.lines(LEAVES, Ledger("leaves")):
            try:
                leaf = leaves.parse(raw)
            except BadInput:
                continue
            compared.event(leaf)
            if leaf["kind"] not in RECORDS:
                continue
            name, record = RECORDS[leaf["kind"]]
            if seq in gone[name]:
                absent += 1
                continue
            place, found = next(readers[name], (-1, {}))
            if place != seq:
                ledger.fail(f"Event {seq} ({leaf['kind']}) has no record beside it.")
                continue
            counts[name] += 1
            compared.compare(seq, leaf, {record: found})
            if leaf["kind"] == "call.recorded":
                self._compare_decisions(seq, found, ledger)
        for name, reader in readers.items():
            if next(reader, None) is not None:
                ledger.fail(f"{record_file(name)} has a record that no event speaks of.")
            if name in stated and counts[name] != stated[name]["count"]:
                ledger.fail(f"The manifest says {stated[name]['count']} {name}; {counts[name]} were found.")
        list(compared.finish())
        missing = f" {absent} records no longer existed at the export." if absent else ""
        self._package.add(ledger.check(f"{sum(counts.values())} records say what their events say.{missing}"))

    def _records(self, name: str, record: str, ledger: Ledger) -> Iterator[tuple[int, dict[str, Any]]]:
        file = record_file(name)
        try:
            for number, line in enumerate(self._package.archive.lines(file), start=1):
                try:
                    value = json.loads(line)
                    seq, found = value["seq"], value[record]
                except (ValueError, RecursionError, KeyError, TypeError):
                    ledger.fail(f"{file}:{number}: not a record.")
                    continue
                yield seq, found if isinstance(found, dict) else {}
        except GovernanceError as error:
            ledger.fail(str(error))

    def _compare_decisions(self, seq: int, call: Mapping[str, Any], ledger: Ledger) -> None:
        """In this edition a call carries its decisions."""
        try:
            for one in call["decisions"]:
                proven = self._decided.get(int(one["id"]))
                if proven is not None and proven != decided(one):
                    ledger.fail(f"call {call.get('id')}, event {seq}: decision {one['id']} is not the log's.")
        except (KeyError, TypeError, ValueError, AttributeError):
            ledger.fail(f"call {call.get('id')}, event {seq}: it is not of the shape of such a record.")


def _is_own(leaf: Mapping[str, Any], stated: object) -> bool:
    """Whether a leaf is the entry about an export of just this filter, which did not ask for such entries: with nothing
    but those, a package holds nothing."""
    asked = isinstance(stated, dict) and "export.made" in (stated.get("kinds") or ())
    return not asked and leaf["kind"] == "export.made" and leaf["data"].get("filter") == stated


def _shape(manifest: Mapping[str, Any]) -> None:
    """Reads everything that is used later; raises if something is missing."""
    strings = [manifest["origin"], manifest["made_at"], manifest["key"], manifest["checkpoint"]["root"]]
    numbers = [manifest["checkpoint"]["size"], manifest["leaves"]["count"]]
    bounds = [manifest["leaves"]["first"], manifest["leaves"]["last"]]
    strings += [file[name] for file in manifest["files"].values() for name in ("sha256", "packed_sha256")]
    for about in manifest["records"].values():
        numbers += [about["count"], *about["absent"]]
    if not all(isinstance(value, str) for value in strings):
        raise TypeError
    if not all(isinstance(value, int) for value in numbers):
        raise TypeError
    if not all(value is None or isinstance(value, int) for value in bounds):
        raise TypeError
    if not isinstance(manifest["leaves"]["contiguous"], bool):
        raise TypeError
