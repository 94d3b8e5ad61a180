"""Verifies the whole stored log: every leaf, its place, its row, the tiles, every checkpoint that was signed.

Streams: memory does not grow with the log. That somebody verified, and what came of it, is itself an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from governance.audit.leaf import moment
from governance.audit.merkle import HASH_SIZE, leaf_hash, perfect_root
from governance.audit.note import Checkpoint, Verifier
from governance.audit.streams import LATE_FLAGGED, UPGRADED, Streams, stated
from governance.audit.tiles import TILE_SIZE, WIDTH, Edge
from governance.audit.verify import Advance, Check, Ledger, Outcome, Result, Shown, Verification, unchecked
from governance.domain import times
from governance.domain.events import EventKind, Json
from governance.domain.people import SERVICE, Actor, Permission
from governance.errors import GovernanceError, Tampered
from governance.services.authorise import Authority
from governance.services.evidence.findings import findings_of, keep, open_kept, outcomes
from governance.services.evidence.ports import AuditReader, AuditSnapshot, StoredEvent, StoredHead, Transaction
from governance.services.evidence.state import check_state
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.run import Attempt


class VerifyLog:
    """The use case: whoever may read the audit trail may have it verified."""

    def __init__(self, authority: Authority[Transaction], reader: AuditReader, alerts: Alerts | None = None) -> None:
        self._authority = authority
        self._reader = reader
        self._alerts = alerts or Alerts(wanted=False)

    def verify(
        self, actor: Actor, *, kept: str = "", verifier: Verifier | None = None, advance: Advance = lambda _: None
    ) -> Verification:
        """Verifies the log as it stands. `kept` is a signed checkpoint that was kept elsewhere; `verifier` a public
        key that was, else the log's own is used.

        What is found wrong is in the answer, and is kept as findings. Raises `Refused`, and `BadInput` where `kept` is
        no checkpoint of this log.
        """
        self._authority.require(actor, Permission.READ_AUDIT)
        trusted = verifier or self._reader.signer.verifier
        if kept:
            open_kept(kept, trusted)
        self._reader.settle()
        with self._authority.database.look() as tx:
            standing = tx.findings.standing()
        with self._reader.snapshot() as snapshot:
            found = verify_snapshot(snapshot, trusted, kept=kept, advance=advance)
            found = with_state(snapshot, found)
            said = outcomes(found, snapshot, kept, trusted, standing)
        with self._authority.act(actor) as tx:
            facts = _facts(found) | keep(tx, said, at=self._authority.clock())
            tx.append(
                self._authority.event(EventKind.AUDIT_VERIFIED, actor, "log", data=facts | findings_of(tx, facts))
            )
            if not found.ok:
                self._alerts.send(tx, "audit.verification_failed", facts, at=self._authority.clock())
        return found

    def verify_unattended(self, attempt: Attempt[Transaction], alerts: Alerts) -> None:
        """Verifies the log as a job. The event, the alert of a failed verification and the job's completion are one
        transaction."""
        self._reader.settle()
        with self._reader.snapshot() as snapshot:
            trusted = self._reader.signer.verifier
            found = with_state(snapshot, verify_snapshot(snapshot, trusted))
            said = outcomes(found, snapshot, "", trusted, ())
        with attempt.finishing() as tx:
            facts = _facts(found) | keep(tx, said, at=self._authority.clock())
            event = self._authority.event(
                EventKind.AUDIT_VERIFIED,
                SERVICE,
                "log",
                data={**facts, "job": attempt.job.id, **findings_of(tx, facts)},
            )
            tx.append(event)
            if not found.ok:
                alerts.send(tx, "audit.verification_failed", facts, at=self._authority.clock())


def _facts(found: Verification) -> dict[str, Json]:
    return {"size": found.size, "ok": found.ok, "failed": list(found.failed)}


def verify_snapshot(
    snapshot: AuditSnapshot, verifier: Verifier, *, kept: str = "", advance: Advance = lambda _: None
) -> Verification:
    """Verifies one snapshot of the log with the log's public key."""
    return _Log(snapshot, verifier, advance).verify(kept)


def with_state(snapshot: AuditSnapshot, found: Verification) -> Verification:
    """The verification with the checks that compare the log with the tables."""
    return replace(found, checks=(*found.checks, *check_state(snapshot)))


class _Log:
    def __init__(self, snapshot: AuditSnapshot, verifier: Verifier, advance: Advance) -> None:
        self._snapshot = snapshot
        self._verifier = verifier
        self._advance = advance
        self._places = Ledger("sequence")
        self._leaves = Ledger("leaves")
        self._rows = Ledger("rows")
        self._tiles = Ledger("tiles")
        self._signed = Ledger("checkpoints")
        self._numbers = _Numbers()
        self._kept = Ledger("continuity")
        self._edge = Edge()
        self._pending: list[bytes] = []
        self._complete = 0

    def verify(self, kept: str) -> Verification:
        stored = self._snapshot.head
        size = 0 if stored is None else self._bounded(stored.size)
        self._stored_edge = Edge()
        if stored is not None:
            try:
                self._stored_edge = Edge.from_bytes(size, stored.edge)
            except Tampered as error:
                self._tiles.fail(error.message)
        outside = self._kept_checkpoint(kept, size)
        notes = self._notes(size, None if stored is None else stored.checkpoint, outside)
        signed = 0
        expected = next(notes, None)
        count = 0
        for hashed in self._hashes(size):
            self._pending.append(hashed)
            count += 1
            due = expected is not None and expected[0] == count
            if due or count % WIDTH == 0:
                self._grow()
            while expected is not None and expected[0] == count:
                signed += self._compare_root(expected)
                expected = next(notes, None)
            if count % 1000 == 0:
                self._advance(1000)
        self._advance(count % 1000)
        self._grow()
        while expected is not None:
            signed += self._compare_root(expected)
            expected = next(notes, None)
        self._finish(size)
        checks = [
            self._places.check(f"{size} events, none missing, none twice."),
            self._leaves.check(f"All {size} leaves have the hashes that the log holds."),
            self._rows.check("What can be searched by is what the leaves say."),
            self._tiles.check(f"All {self._complete} complete tiles and the edge follow from the leaves."),
            self._signed.check(f"{signed} signed checkpoints, all of this log."),
            self._numbers.check(stored, self._snapshot),
            self._numbers.clock(),
            self._kept.check("The log continues the checkpoint that was kept.")
            if kept
            else unchecked("continuity", "No checkpoint that was kept elsewhere was given."),
        ]
        shown = [Shown(result=Result.COMPLETE, of=f"the log, all {size} events")]
        if self._kept.failures:
            shown.append(Shown(result=Result.DIVERGED, of="the kept checkpoint"))
        elif outside is not None:
            shown.append(Shown(result=Result.WITNESSED, of=f"the kept checkpoint of {outside.size} events"))
        else:
            shown.append(Shown(result=Result.SIGNED_ONLY, of=f"{size} events of {self._verifier.name}"))
        if self._places.failures:
            shown.append(Shown(result=Result.MISSING, of=f"{self._places.failures} events or places"))
        return Verification(
            checks=tuple(checks),
            origin=self._verifier.name,
            size=size,
            events=size,
            key=str(self._verifier),
            shown=tuple(shown),
        )

    def _bounded(self, size: int) -> int:
        """The size that the log holds, as far as there can be hashes for it: else a number that somebody wrote there
        would be counted up to."""
        most = WIDTH * (self._snapshot.tiles() + 1)
        if size > most:
            self._places.fail(f"The log says that it has {size} events; there is room for {most} at most.")
        return min(size, most)

    def _kept_checkpoint(self, note: str, size: int) -> Checkpoint | None:
        if not note:
            return None
        try:
            checkpoint = Checkpoint.open(note, self._verifier)
        except GovernanceError as error:
            self._kept.fail(str(error))
            return None
        if checkpoint.size > size:
            self._kept.fail(f"The log was cut: it has {size} events, the kept checkpoint {checkpoint.size}.")
            return None
        return checkpoint

    def _notes(
        self, size: int, latest: str | None, outside: Checkpoint | None
    ) -> Iterator[tuple[int, bytes, Ledger, str]]:
        """Sizes with the roots they must have, by size; signatures are verified here."""

        def stored() -> Iterator[tuple[int, str, str]]:
            for at, note in self._snapshot.checkpoints():
                yield at, note, f"The checkpoint of size {at}"
            if latest is not None:
                yield size, latest, "The latest checkpoint"

        for at, note, words in stored():
            if outside is not None and outside.size <= at:
                yield outside.size, outside.root, self._kept, "The kept checkpoint"
                outside = None
            try:
                checkpoint = Checkpoint.open(note, self._verifier)
            except GovernanceError as error:
                self._signed.fail(f"{words}: {error}")
                continue
            if checkpoint.size != at:
                self._signed.fail(f"{words} was signed for size {checkpoint.size}.")
            elif at > size:
                self._signed.fail(f"{words} is of a longer log: the log was cut to {size}.")
            else:
                yield at, checkpoint.root, self._signed, words
        if outside is not None:
            yield outside.size, outside.root, self._kept, "The kept checkpoint"

    def _hashes(self, size: int) -> Iterator[bytes]:
        """The hash of each place from 0 to size. Where a leaf is wrong or missing, the log's own hash stands in, so
        that what else is wrong can still be told apart."""
        count = 0
        tile = b""
        for event in self._snapshot.events():
            if not 0 <= event.seq < size:
                self._places.fail(f"Event {event.seq} is outside the signed log of {size}.")
                continue
            while count < event.seq:
                self._places.fail(f"Event {count} is missing.")
                if count % WIDTH == 0:
                    tile = self._row(count // WIDTH)
                yield _at(tile, count)
                count += 1
            if count % WIDTH == 0:
                tile = self._row(count // WIDTH)
            hashed = leaf_hash(event.leaf)
            held = _at(tile, count)
            if held and hashed != held:
                self._leaves.fail(f"Event {count} is not the one that was logged ({event.kind}, {event.subject}).")
            self._check_row(event)
            yield held if held else hashed
            count += 1
        while count < size:
            self._places.fail(f"Event {count} is missing.")
            if count % WIDTH == 0:
                tile = self._row(count // WIDTH)
            yield _at(tile, count)
            count += 1

    def _row(self, number: int) -> bytes:
        """The stored hashes of 256 leaves, or what there is of the last of them; nothing where they do not fit the
        hash above them, for then it is the tile that was changed, and says nothing of the leaves."""
        if number == self._stored_edge.size // WIDTH:
            return self._stored_edge.levels[0] if self._stored_edge.levels else b""
        row = self._snapshot.tile(0, number)
        if row is None:
            return b""
        above = number // WIDTH
        if above == self._stored_edge.size // WIDTH**2:
            parents = self._stored_edge.levels[1] if len(self._stored_edge.levels) > 1 else b""
        else:
            parents = self._snapshot.tile(1, above) or b""
        parent = _at(parents, number)
        if len(row) != TILE_SIZE or (parent and perfect_root(row) != parent):
            return b""
        return row

    def _check_row(self, event: StoredEvent) -> None:
        try:
            leaf = json.loads(event.leaf)
            at = moment(times.moment(event.at))
            said = (leaf["at"], leaf["kind"], leaf["actor"], leaf["subject"], leaf["system"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self._rows.fail(f"Event {event.seq}: its leaf, or its row, cannot be read.")
            self._numbers.skip(event)
            return
        if said != (at, event.kind, event.actor, event.subject, event.system):
            self._rows.fail(f"Event {event.seq}: the searchable columns say otherwise than the leaf.")
        if isinstance(leaf, dict) and isinstance(leaf["system"], str):
            self._numbers.take(event, leaf)
        else:
            self._numbers.skip(event)

    def _grow(self) -> None:
        if any(len(one) != HASH_SIZE for one in self._pending):
            # A missing leaf whose hash is not held either: nothing after it can be proven.
            self._pending = [one if len(one) == HASH_SIZE else bytes(HASH_SIZE) for one in self._pending]
        self._edge, tiles = self._edge.append(self._pending)
        self._pending = []
        for tile in tiles:
            self._complete += 1
            stored = self._snapshot.tile(tile.level, tile.number)
            if stored is None:
                self._tiles.fail(f"Tile {tile.level}/{tile.number} is missing.")
            elif stored != tile.hashes:
                self._tiles.fail(f"Tile {tile.level}/{tile.number} does not follow from what is below it.")

    def _compare_root(self, expected: tuple[int, bytes, Ledger, str]) -> int:
        size, root, ledger, words = expected
        if size == self._edge.size and root == self._edge.root():
            return 1
        ledger.fail(f"{words} was signed for other events than the first {size} of this log.")
        return 0

    def _finish(self, size: int) -> None:
        if self._stored_edge.size == size and self._stored_edge != self._edge:
            self._tiles.fail("The edge of the log does not follow from the leaves.")
        if self._snapshot.tiles() != self._complete:
            self._tiles.fail("There are tiles that belong to no event of the log.")
        if not self._snapshot.seals_behind and self._snapshot.unsealed:
            self._places.fail(f"{self._snapshot.unsealed} events have no place in the log.")


def _at(tile: bytes, place: int) -> bytes:
    start = place % WIDTH * HASH_SIZE
    return tile[start : start + HASH_SIZE]


class _Numbers:
    """Follows the streams (`audit.streams`) through the log: the checks "streams" and "clock"."""

    def __init__(self) -> None:
        self._ledger = Ledger("streams")
        self._streams = Streams()
        self._numbered = False
        self._latest_late: tuple[int, int] | None = None

    def skip(self, event: StoredEvent) -> None:
        """A leaf that cannot be read, which another check says: its number counts as given."""
        if isinstance(event.system, str) and isinstance(event.at, int):
            self._streams.take(event.system, event.at)

    def take(self, event: StoredEvent, leaf: Mapping[str, Any]) -> None:
        at, system, version = event.at, leaf["system"], leaf.get("v")
        if version == 1:
            if self._numbered:
                self._ledger.fail(f"Event {event.seq} has no number, and stands after one that has.")
            self._streams.pass_by(system, at)
            return
        first, self._numbered = not self._numbered, True
        was = self._streams.late
        expected = self._streams.take(system, at)
        found = leaf.get("n"), leaf.get("late")
        if found != expected:
            self._ledger.fail(
                f"Event {event.seq} is number {found[0]} of {_stream(system)}, late {found[1]}; "
                f"it should be number {expected[0]}, late {expected[1]}."
            )
            # What follows is compared with what this one says, so that one gap is one failure.
            if isinstance(found[0], int):
                self._streams.next[system] = found[0] + 1
            if isinstance(found[1], int):
                self._streams.late = found[1]
        if self._streams.late > was:
            self._latest_late = (event.seq, self._streams.late)
        upgraded = leaf["kind"] == UPGRADED
        if upgraded != (first and bool(self._streams.before)):
            self._ledger.fail(
                f"Event {event.seq} states what an older log had, and there is none."
                if upgraded
                else f"Event {event.seq} is the first with a number, and does not state what the log had before."
            )
        elif upgraded and stated(leaf["data"]) != self._streams.before:
            self._ledger.fail(f"Event {event.seq} states other numbers of events than the log had before.")

    def check(self, head: StoredHead | None, snapshot: AuditSnapshot) -> Check:
        held = {system: numbers for system, numbers in snapshot.streams().items() if numbers != (0, 0)}
        want = {system: (number, self._streams.before.get(system, 0)) for system, number in self._streams.next.items()}
        for system in sorted(held.keys() | want.keys(), key=str):
            if held.get(system) != want.get(system):
                self._ledger.fail(f"The next number of {_stream(system)} is not the one that its events give.")
        late = self._streams.latest, self._streams.late
        if head is not None and late != (head.latest, head.late):
            self._ledger.fail("The latest time, or the lateness, that the log holds is not what its events give.")
        before = sum(self._streams.before.values())
        older = f" {before} of them are older than numbers, and were counted." if before else ""
        return self._ledger.check(f"{len(want)} streams, numbered without a gap.{older}")

    def clock(self) -> Check:
        if self._latest_late is None or self._streams.late < LATE_FLAGGED:
            return Ledger("clock").check("No event happened more than a minute before one that stands before it.")
        place, late = self._latest_late
        return Check(
            name="clock",
            outcome=Outcome.FLAGGED,
            detail=f"Event {place} happened {late / 1_000_000:,.0f} s before one that stands before it: a clock was "
            "set back, or a transaction waited.",
        )


def _stream(system: object) -> str:
    return f"the stream of {system}" if system else "the stream of what belongs to no system"
