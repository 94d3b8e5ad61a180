"""What all editions of a package have: the archive, the signed manifest, its files, a checkpoint, and continuity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from governance.audit.archive import Archive, NotAnArchive
from governance.audit.merkle import verify_consistency
from governance.audit.note import Checkpoint, Verifier, decode_hash, split
from governance.audit.outcome import Check, Ledger, Outcome, Result, Shown, Verification, unchecked, unproven
from governance.audit.package import CHECKPOINT, MANIFEST, SIGNATURE, manifest_text
from governance.errors import BadInput, GovernanceError, Tampered

OWN = "own"
"""Given as a key: the package's own, which nobody vouches for."""


class Stop(Exception):
    """What follows cannot be verified."""


class Opened:
    """A package that is being verified: its parts as far as they were found right, and the checks so far.

    Each method adds its check, and raises `Stop` where nothing that follows could be verified. `kept` is a signed
    checkpoint that was kept elsewhere.
    """

    def __init__(self, key: str, kept: str) -> None:
        self.given = key.strip()
        self.note = kept
        self.checks: list[Check] = []
        self.shown: list[Shown] = []
        self.manifest: dict[str, Any] = {}
        self.text = b""
        self.events = self.own = 0
        self.kept: Checkpoint | None = None
        self.verifier: Verifier | None = None
        self.checkpoint: Checkpoint | None = None
        self.archive: Archive
        if self.given and self.given != OWN:
            Verifier.parse(self.given, name="any" if self.given.startswith("-----BEGIN") else "")
        if kept:
            split(kept)  # what is no note at all is wrong use

    def verification(self) -> Verification:
        return Verification(
            checks=tuple(self.checks),
            origin=self.verifier.name if self.verifier else "",
            size=self.checkpoint.size if self.checkpoint else 0,
            events=self.events,
            own=self.own,
            key=str(self.verifier) if self.verifier else "",
            manifest={name: value for name, value in self.manifest.items() if name != "files"},
            shown=tuple(self.shown),
        )

    def add(self, check: Check, *, stop: bool = False) -> None:
        self.checks.append(check)
        if stop and check.outcome is Outcome.FAILED:
            raise Stop

    def fail(self, name: str, error: Exception | str) -> NoReturn:
        ledger = Ledger(name)
        ledger.fail(str(error))
        self.checks.append(ledger.check(""))
        raise Stop

    def show(self, result: Result, of: str = "") -> None:
        self.shown.append(Shown(result=result, of=of))

    def open(self, file: BinaryIO) -> None:
        """Opens the archive and reads the manifest, whatever its format."""
        try:
            self.archive = Archive(file)
        except NotAnArchive:
            raise
        except (BadInput, Tampered) as error:
            self.fail("archive", error)
        self.add(Ledger("archive").check(f"{len(self.archive.members)} files, nothing hidden between them."))
        try:
            self.text = self.archive.read(MANIFEST)
            manifest = json.loads(self.text)
        except GovernanceError as error:
            self.fail("manifest", error)
        except (ValueError, RecursionError):
            self.fail("manifest", f"{MANIFEST} is not JSON.")
        if not isinstance(manifest, dict):
            self.fail("manifest", f"{MANIFEST} is not a JSON object.")
        self.manifest = manifest

    def find_key(self) -> Verifier:
        """The key that the package must be signed with: the one given, else its own, if the checkpoint that was kept
        vouches for it. The manifest's `origin` and `key` are known to be texts."""
        origin = self.manifest["origin"]
        chosen = self.given if self.given != OWN else ""
        try:
            inside = Verifier.parse(self.manifest["key"])
            verifier = Verifier.parse(chosen, name=origin) if chosen else inside
        except BadInput as error:
            self.fail("key", error)
        if verifier != inside:
            self.fail("key", f"The package was not signed with the key you gave, but with {inside}.")
        if verifier.name != origin:
            self.fail("key", f"The key is of {verifier.name}, the package of {origin}.")
        self.verifier = verifier
        foreign = ""
        if self.note:
            try:
                self.kept = Checkpoint.open(self.note, verifier)
            except GovernanceError as error:
                foreign = str(error)
            if chosen and foreign:
                raise BadInput(
                    f"The checkpoint that you gave is not one of this log. {foreign}",
                    advice=f"Give a checkpoint of {origin}.",
                )
            if self.kept is not None and self.kept.size == 0:
                raise BadInput("The checkpoint that you gave is of 0 events, and proves nothing.")
        own = f"the package's own key, {inside}"
        if chosen:
            self.add(Ledger("key").check(f"The key you gave, of {origin}."))
        elif self.kept is not None:
            self.add(Ledger("key").check(f"The key that signed the checkpoint you kept, of {origin}."))
        elif self.given == OWN:
            self.add(unchecked("key", f"Checked with {own}: whoever made the package chose it."))
        else:
            self.add(unproven("key", f"Nobody vouches for {own}: give the key that you trust with --key."))
        return verifier

    def check_signature(self, verifier: Verifier) -> None:
        ledger = Ledger("manifest")
        try:
            note = self.archive.read(SIGNATURE).decode()
            if len(split(note)[1]) != 1:
                ledger.fail(f"{SIGNATURE} must have one signature.")
            elif verifier.open(note) != manifest_text(verifier.name, self.text):
                ledger.fail(f"{MANIFEST} is not the one that was signed.")
        except (GovernanceError, UnicodeDecodeError) as error:
            ledger.fail(f"{SIGNATURE}: {error}")
        self.add(ledger.check(f"Signed by {verifier.name}, made {self.manifest['made_at']}."), stop=True)

    def check_files(self, *beside: str) -> None:
        """Every file is one of the manifest's, or stands `beside` it."""
        ledger = Ledger("files")
        stated: dict[str, Any] = self.manifest["files"]
        present = set(self.archive.members) - {MANIFEST, SIGNATURE, *beside}
        for name in sorted(set(stated) - present):
            ledger.fail(f"{name} is missing.")
        for name in sorted(present - set(stated)):
            ledger.fail(f"{name} is not in the manifest.")
        for name in sorted(present & set(stated)):
            try:
                packed = hashlib.sha256()
                for chunk in self.archive.packed(name):
                    packed.update(chunk)
                plain = hashlib.sha256()
                for chunk in self.archive.chunks(name):
                    plain.update(chunk)
            except GovernanceError as error:
                ledger.fail(str(error))
                continue
            want = stated[name]
            if plain.hexdigest() != want["sha256"] or packed.hexdigest() != want["packed_sha256"]:
                ledger.fail(f"{name} is not the file that was signed.")
            elif want.get("size") != self.archive.members[name].size:
                ledger.fail(f"{name} has another size than was signed.")
        self.add(ledger.check(f"All {len(stated)} files are those that were signed."), stop=True)

    def check_checkpoint(self, verifier: Verifier) -> Checkpoint:
        ledger = Ledger("checkpoint")
        try:
            checkpoint = Checkpoint.open(self.archive.read(CHECKPOINT).decode(), verifier)
            stated = self.manifest["checkpoint"]
            if stated["size"] != checkpoint.size or decode_hash(stated["root"]) != checkpoint.root:
                ledger.fail("The manifest speaks of another checkpoint.")
        except (GovernanceError, UnicodeDecodeError) as error:
            self.fail("checkpoint", error)
        self.checkpoint = checkpoint
        self.add(ledger.check(f"{checkpoint.size} events, signed by {checkpoint.origin}."), stop=True)
        return checkpoint

    def lines(self, name: str, ledger: Ledger) -> Iterator[tuple[int, bytes]]:
        """The lines of a file as (place, rest)."""
        try:
            for number, line in enumerate(self.archive.lines(name), start=1):
                place, tab, rest = line.partition(b"\t")
                if not tab or not place.isdigit() or len(place) > 16 or b"%d" % int(place) != place:
                    ledger.fail(f"{name}:{number}: not a place, a tab and the rest.")
                    continue
                yield int(place), rest
        except GovernanceError as error:
            ledger.fail(str(error))

    def check_continuity(self, checkpoint: Checkpoint, roots: dict[int, bytes]) -> None:
        """`roots` are roots of the log by size, as far as the package proves them."""
        ledger = Ledger("continuity")
        stated = self.manifest["continues"]
        proven = {**roots, checkpoint.size: checkpoint.root}
        try:
            if stated is not None:
                old = Checkpoint(checkpoint.origin, stated["size"], decode_hash(stated["root"]))
                proof = [decode_hash(one) for one in stated["proof"]]
                verify_consistency(old.size, checkpoint.size, proof, old.root, checkpoint.root)
                proven.setdefault(old.size, old.root)
        except (GovernanceError, KeyError, TypeError, AttributeError) as error:
            ledger.fail(f"The proof in the package that the log continues an earlier one: {error}")
        kept = self.kept
        if ledger.failures:
            self.add(ledger.check(""))
        elif kept is None and self.note:
            self.show(Result.SIGNED_ONLY, f"{checkpoint.size} events of {checkpoint.origin}")
            self.add(unproven("continuity", "The checkpoint that you gave is not signed by the key of this package."))
        elif kept is None:
            words = "" if stated is None else f" The package continues a log of {stated['size']} events."
            self.add(unchecked("continuity", f"No checkpoint that was kept elsewhere was given.{words}"))
            self.show(Result.SIGNED_ONLY, f"{checkpoint.size} events of {checkpoint.origin}")
        elif kept.size not in proven:
            advice = "Ask for a package made with: governance export --checkpoint FILE."
            if kept.size > checkpoint.size:
                advice = "It is newer than the package: give one from before the package was made."
            self.show(Result.SIGNED_ONLY, f"{checkpoint.size} events of {checkpoint.origin}")
            self.add(unproven("continuity", f"The package has no proof for a log of {kept.size} events. {advice}"))
        elif proven[kept.size] != kept.root:
            ledger.fail(f"The checkpoint of {kept.size} events that was kept is of another history than this package.")
            self.add(ledger.check(""))
            self.show(Result.DIVERGED, f"the kept checkpoint of {kept.size} events")
        else:
            self.add(ledger.check(f"The log continues the checkpoint of {kept.size} events that was kept."))
            self.show(Result.WITNESSED, f"the kept checkpoint of {kept.size} events")
