"""Verifies evidence packages offline: needs only the file, no database, network or settings.

It answers with named checks. What cannot be checked says so and never counts as passed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO

from governance.audit import leaf as leaves
from governance.audit.archive import Archive, NotAnArchive
from governance.audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from governance.audit.note import Checkpoint, Verifier, decode_hash, split
from governance.audit.package import (
    CHECKPOINT,
    FORMAT,
    LEAVES,
    MANIFEST,
    PROOFS,
    RECORDS,
    SIGNATURE,
    is_own,
    manifest_text,
    record_file,
)
from governance.errors import BadInput, GovernanceError, Tampered

_MOST_PLACES = 10

Advance = Callable[[int], None]


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One question and its answer; `places` are where it failed (at most ten; `failures` counts all)."""

    name: str
    outcome: Outcome
    detail: str
    places: tuple[str, ...] = ()
    failures: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """`ok` when no check failed. `size` is the log's, `events` how many leaves were proven, `own` how many of them are
    about the making of the package."""

    checks: tuple[Check, ...]
    origin: str = ""
    size: int = 0
    events: int = 0
    key: str = ""
    own: int = 0
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(check.outcome is not Outcome.FAILED for check in self.checks)

    @property
    def empty(self) -> bool:
        """Whether nothing was there to verify: no check failed, and no event was there but about the making of it."""
        return self.ok and self.events == self.own

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(check.name for check in self.checks if check.outcome is Outcome.FAILED)


class Ledger:
    """Collects the failures of one check, and gives the check."""

    def __init__(self, name: str, most: int = _MOST_PLACES) -> None:
        self.name = name
        self.failures = 0
        self._most = most
        self._places: list[str] = []

    def fail(self, place: str) -> None:
        self.failures += 1
        if len(self._places) < self._most:
            self._places.append(place)

    def check(self, passed: str, failed: str = "") -> Check:
        if not self.failures:
            return Check(name=self.name, outcome=Outcome.PASSED, detail=passed)
        return Check(
            name=self.name,
            outcome=Outcome.FAILED,
            detail=failed or self._places[0],
            places=tuple(self._places),
            failures=self.failures,
        )


def unchecked(name: str, detail: str) -> Check:
    return Check(name=name, outcome=Outcome.NOT_CHECKED, detail=detail)


class _Stop(Exception):
    """What follows cannot be verified."""


def verify_package(file: BinaryIO, *, key: str = "", kept: str = "", advance: Advance = lambda _: None) -> Verification:
    """Verifies a package in a seekable binary file.

    `key` is the log's public key as the auditor has it from elsewhere (signed-note line or PEM); without it the
    package's own is used, and the check "key" says that nobody vouches for it. `kept` is a signed checkpoint that was
    kept elsewhere. `advance` is told how many leaves were done. Raises `BadInput` only for what is no package at all,
    or when `key` is no key.
    """
    return _Package(key, kept, advance).verify(file)


class _Package:
    def __init__(self, key: str, kept: str, advance: Advance) -> None:
        self._key = key.strip()
        self._kept = kept
        self._advance = advance
        self._checks: list[Check] = []
        self._manifest: dict[str, Any] = {}
        self._events = self._own = 0
        self._size = 0
        # Of the leaves: calls that changed after they were recorded, and what was decided.
        self._amended: set[object] = set()
        self._decided: dict[object, tuple[object, ...]] = {}
        if self._key and not self._key.startswith("-----BEGIN"):
            Verifier.parse(self._key)
        elif self._key:
            Verifier.parse(self._key, name="any")

    def verify(self, file: BinaryIO) -> Verification:
        verifier: Verifier | None = None
        try:
            self._archive = self._open(file)
            text = self._read_manifest()
            verifier = self._find_key()
            self._check_signature(verifier, text)
            self._check_files()
            checkpoint = self._check_checkpoint(verifier)
            self._check_leaves(checkpoint)
            self._check_records()
            self._check_kept(verifier, checkpoint)
        except _Stop:
            pass
        return Verification(
            checks=tuple(self._checks),
            origin=verifier.name if verifier else "",
            size=self._size,
            events=self._events,
            own=self._own,
            key=str(verifier) if verifier else "",
            manifest={name: value for name, value in self._manifest.items() if name != "files"},
        )

    def _add(self, check: Check, *, stop: bool = False) -> None:
        self._checks.append(check)
        if stop and check.outcome is Outcome.FAILED:
            raise _Stop

    def _fail(self, name: str, error: Exception | str) -> None:
        ledger = Ledger(name)
        ledger.fail(str(error))
        self._add(ledger.check(""), stop=True)

    def _open(self, file: BinaryIO) -> Archive:
        try:
            archive = Archive(file)
        except NotAnArchive:
            raise
        except (BadInput, Tampered) as error:
            self._fail("archive", error)
        self._add(Ledger("archive").check(f"{len(archive.members)} files, nothing hidden between them."))
        return archive

    def _read_manifest(self) -> bytes:
        try:
            text = self._archive.read(MANIFEST)
            manifest = json.loads(text)
        except GovernanceError as error:
            self._fail("manifest", error)
        except (ValueError, RecursionError):
            self._fail("manifest", f"{MANIFEST} is not JSON.")
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            self._fail("manifest", f"{MANIFEST} is not of the format {FORMAT}.")
        try:
            _shape(manifest)
        except (KeyError, TypeError, ValueError, AttributeError):
            self._fail("manifest", f"{MANIFEST} lacks what a manifest must have, or has it in another shape.")
        self._manifest = manifest
        return text

    def _find_key(self) -> Verifier:
        origin = self._manifest["origin"]
        try:
            inside = Verifier.parse(self._manifest["key"])
            verifier = Verifier.parse(self._key, name=origin) if self._key else inside
        except BadInput as error:
            self._fail("key", error)
        if verifier != inside:
            self._fail("key", f"The package was not signed with the key you gave, but with {inside}.")
        if verifier.name != origin:
            self._fail("key", f"The key is of {verifier.name}, the package of {origin}.")
        if self._key:
            self._add(Ledger("key").check(f"The key you gave, of {origin}."))
        else:
            self._add(
                unchecked("key", f"Checked with the package's own key, {inside}; compare it with the one you trust.")
            )
        return verifier

    def _check_signature(self, verifier: Verifier, text: bytes) -> None:
        ledger = Ledger("manifest")
        try:
            note = self._archive.read(SIGNATURE).decode()
            if len(split(note)[1]) != 1:
                ledger.fail(f"{SIGNATURE} must have one signature.")
            elif verifier.open(note) != manifest_text(verifier.name, text):
                ledger.fail(f"{MANIFEST} is not the one that was signed.")
        except (GovernanceError, UnicodeDecodeError) as error:
            ledger.fail(f"{SIGNATURE}: {error}")
        self._add(ledger.check(f"Signed by {verifier.name}, made {self._manifest['made_at']}."), stop=True)

    def _check_files(self) -> None:
        ledger = Ledger("files")
        stated: dict[str, Any] = self._manifest["files"]
        present = set(self._archive.members) - {MANIFEST, SIGNATURE}
        for name in sorted(set(stated) - present):
            ledger.fail(f"{name} is missing.")
        for name in sorted(present - set(stated)):
            ledger.fail(f"{name} is not in the manifest.")
        for name in sorted(present & set(stated)):
            try:
                packed = hashlib.sha256()
                for chunk in self._archive.packed(name):
                    packed.update(chunk)
                plain = hashlib.sha256()
                for chunk in self._archive.chunks(name):
                    plain.update(chunk)
            except GovernanceError as error:
                ledger.fail(str(error))
                continue
            want = stated[name]
            if plain.hexdigest() != want["sha256"] or packed.hexdigest() != want["packed_sha256"]:
                ledger.fail(f"{name} is not the file that was signed.")
        self._add(ledger.check(f"All {len(stated)} files are those that were signed."), stop=True)

    def _check_checkpoint(self, verifier: Verifier) -> Checkpoint:
        ledger = Ledger("checkpoint")
        try:
            checkpoint = Checkpoint.open(self._archive.read(CHECKPOINT).decode(), verifier)
        except (GovernanceError, UnicodeDecodeError) as error:
            self._fail("checkpoint", error)
        stated = self._manifest["checkpoint"]
        if stated["size"] != checkpoint.size or decode_hash(stated["root"]) != checkpoint.root:
            ledger.fail("The manifest speaks of another checkpoint.")
        self._size = checkpoint.size
        self._add(ledger.check(f"{checkpoint.size} events, signed by {checkpoint.origin}."), stop=True)
        return checkpoint

    def _check_leaves(self, checkpoint: Checkpoint) -> None:
        form, proven = Ledger("leaves"), Ledger("inclusion")
        stated = self._manifest["leaves"]
        before = first = -1
        gaps = False
        proofs = self._lines(PROOFS, proven)
        for seq, leaf in self._lines(LEAVES, form):
            self._events += 1
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
        if self._events != stated["count"]:
            form.fail(f"The manifest says {stated['count']} events; there are {self._events}.")
        if self._events and (first, before) != (stated["first"], stated["last"]):
            form.fail("The first or last event is not the manifest's.")
        if stated["contiguous"] and gaps:
            form.fail("The manifest says that no event between the first and the last is left out; one is.")
        whole = " with none left out between" if stated["contiguous"] and self._events else ""
        span = f", {first} to {before}{whole}" if self._events else ""
        self._add(form.check(f"{self._events} events{span}."))
        self._add(proven.check(f"All {self._events} events are in the signed log."))

    def _remember(self, leaf: Mapping[str, Any]) -> None:
        data = leaf["data"]
        self._own += is_own(leaf, self._manifest.get("filter"))
        if leaf["kind"] == "call.content_added":
            self._amended.add(data.get("call"))
        elif leaf["kind"] == "decision.made":
            self._decided[data.get("decision")] = _decided(data)
            if isinstance(beside := data.get("shadow"), dict):
                self._decided[beside.get("decision")] = _decided(beside)

    def _lines(self, name: str, ledger: Ledger) -> Iterator[tuple[int, bytes]]:
        """The lines of a file as (place, rest)."""
        try:
            for number, line in enumerate(self._archive.lines(name), start=1):
                place, tab, rest = line.partition(b"\t")
                if not tab or not place.isdigit() or len(place) > 16 or b"%d" % int(place) != place:
                    ledger.fail(f"{name}:{number}: not a place, a tab and the rest.")
                    continue
                yield int(place), rest
        except GovernanceError as error:
            ledger.fail(str(error))

    def _check_records(self) -> None:
        ledger = Ledger("records")
        stated = self._manifest["records"]
        readers = {}
        gone: dict[str, set[int]] = {}
        for name, record in RECORDS.values():
            about = stated.get(name, {"count": 0, "absent": []})
            gone[name] = set(about["absent"])
            there = record_file(name) in self._archive.members
            readers[name] = self._records(name, record, ledger) if there else iter(())
            if about["count"] and not there:
                ledger.fail(f"{record_file(name)} is missing.")
        counts = dict.fromkeys(readers, 0)
        absent = 0
        for seq, raw in self._lines(LEAVES, Ledger("leaves")):
            try:
                leaf = leaves.parse(raw)
            except BadInput:
                continue
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
            for problem in self._compare(leaf, found):
                ledger.fail(f"{record} {found.get('id')}, event {seq}: {problem}")
        for name, reader in readers.items():
            if next(reader, None) is not None:
                ledger.fail(f"{record_file(name)} has a record that no event speaks of.")
            if name in stated and counts[name] != stated[name]["count"]:
                ledger.fail(f"The manifest says {stated[name]['count']} {name}; {counts[name]} were found.")
        missing = f" {absent} records no longer existed at the export." if absent else ""
        self._add(ledger.check(f"{sum(counts.values())} records say what their events say.{missing}"))

    def _records(self, name: str, record: str, ledger: Ledger) -> Iterator[tuple[int, dict[str, Any]]]:
        file = record_file(name)
        try:
            for number, line in enumerate(self._archive.lines(file), start=1):
                try:
                    value = json.loads(line)
                    seq, found = value["seq"], value[record]
                except (ValueError, RecursionError, KeyError, TypeError):
                    ledger.fail(f"{file}:{number}: not a record.")
                    continue
                yield seq, found if isinstance(found, dict) else {}
        except GovernanceError as error:
            ledger.fail(str(error))

    def _compare(self, leaf: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
        """Where a record contradicts the event that founded it. An event may state more, or less."""
        try:
            for name, proven, found in self._pairs(leaf, record):
                if proven != found:
                    yield f"{name} is {found!r}, the log says {proven!r}."
        except (KeyError, TypeError, ValueError, AttributeError):
            yield "it is not of the shape of such a record."

    def _pairs(self, leaf: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
        data = leaf["data"]
        match leaf["kind"]:
            case "call.recorded":
                yield "id", f"call:{record['id']}", leaf["subject"]
                yield "system", leaf["system"], record["system"]
                yield from _same(data, record, trace="trace_id", span="span_id")
                if data.get("call") not in self._amended:
                    yield from _same(data, record, kind="kind", captured="content_captured")
                    if "release" in data:
                        yield "release", data["release"], record["release"]["fingerprint"]
                    if "started" in data:
                        yield "start", _moment(data["started"]), _moment(record["started_at"])
                for decision in record["decisions"]:
                    proven = self._decided.get(int(decision["id"]))
                    if proven is not None:
                        yield f"decision {decision['id']}", proven, _decided(decision)
            case "decision.made":
                yield "id", str(data.get("decision")), record["id"]
                yield "decision", _decided(data), _decided(record)
                yield from _same(data, record, revision="revision")
                if data.get("call") is not None:
                    yield "call", str(data["call"]), record["call_id"]
            case "case.opened":
                yield "id", leaf["subject"], f"case:{record['id']}"
                yield "system", leaf["system"], record["system"]
                if data.get("call") is not None:
                    yield "call", str(data["call"]), record["call_id"]
            case "verdict.given":
                yield "case", leaf["subject"], f"case:{record['case_id']}"
                yield "reviewer", leaf["actor"], record["given_by"]
                yield from _same(data, record, outcome="outcome", reason="reason")
                apart = abs((_moment(leaf["at"]) - _moment(record["given_at"])).total_seconds())
                yield "time", True, apart < 60
            case "report.received":
                yield "id", leaf["subject"], f"report:{record['id']}"
                yield "system", leaf["system"], record["system"]

    def _check_kept(self, verifier: Verifier, checkpoint: Checkpoint) -> None:
        ledger = Ledger("continuity")
        stated = self._manifest.get("continues")
        old = None
        try:
            if stated is not None:
                old = Checkpoint(verifier.name, stated["size"], decode_hash(stated["root"]))
                proof = [decode_hash(one) for one in stated["proof"]]
                verify_consistency(old.size, checkpoint.size, proof, old.root, checkpoint.root)
            if self._kept:
                kept = Checkpoint.open(self._kept, verifier)
                if kept == old or kept.size == 0:
                    pass
                elif kept.size == checkpoint.size:
                    verify_consistency(kept.size, checkpoint.size, [], kept.root, checkpoint.root)
                elif old is not None and kept.size == old.size:
                    raise Tampered("The kept checkpoint is of another log than the one this package continues.")
                else:
                    advice = "Ask for a package made with: governance export --checkpoint FILE."
                    self._add(unchecked("continuity", f"The package has no proof from size {kept.size}. {advice}"))
                    return
        except (GovernanceError, KeyError, TypeError, AttributeError) as error:
            ledger.fail(str(error))
        if old is None and not self._kept and not ledger.failures:
            self._add(unchecked("continuity", "No checkpoint that was kept elsewhere was given."))
        else:
            self._add(ledger.check("The log continues the checkpoint that was kept."))


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


def _same(data: Mapping[str, Any], record: Mapping[str, Any], **names: str) -> Iterator[tuple[str, object, object]]:
    for proven, found in names.items():
        if proven in data:
            yield found, data[proven], record[found]


def _decided(value: Mapping[str, Any]) -> tuple[object, ...]:
    """The essence of a decision, of a leaf or of a record."""
    policies = tuple(
        (one.get("policy"), one.get("outcome"), one.get("action"), one.get("status"))
        for one in value.get("policies") or ()
    )
    return value.get("action"), value.get("queue"), value.get("severity") or "", value.get("policy_set"), policies


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
