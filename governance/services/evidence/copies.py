"""Copies of checkpoints outside this installation: the one thing that whoever owns the database and the signing key
cannot change, and so what shows that a log was cut or written anew.

A copy is made every hour, in each place that the settings name, by a job. Before it is made, the log must continue the
last copy, as this installation remembers it and as the place holds it, where that can be read: a log that does not is a
finding, and is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.audit.note import Checkpoint, Verifier
from governance.audit.verify import Check, Outcome, Verification
from governance.domain.events import Json
from governance.domain.people import Actor, Permission
from governance.errors import GovernanceError
from governance.services.authorise import Authority
from governance.services.evidence.findings import CONTINUITY, Outcomes, continues, failure, keep
from governance.services.evidence.ports import AuditReader, KeepCopy, KeptCopy, Transaction
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.ports import NotDelivered
from governance.services.jobs.run import Attempt, NotDone

ATTEMPTS = 4
ALERT_EVERY = timedelta(days=1)
BROKEN = "The log does not continue the last copy: see the finding."


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyStanding:
    """A place and its last copy. `late`: the copy is older than the limit."""

    name: str
    where: str
    size: int | None
    copied_at: datetime | None
    error: str
    late: bool


class CopyCheckpoints:
    def __init__(
        self,
        authority: Authority[Transaction],
        reader: Callable[[], AuditReader],
        places: Mapping[str, KeepCopy],
        alerts: Alerts,
        *,
        limit: timedelta,
    ) -> None:
        """`limit` is how old the last copy in a place may be."""
        self._authority = authority
        self._reader = reader
        self.places = places
        self._alerts = alerts
        self._limit = limit

    def standing(self, actor: Actor) -> Sequence[CopyStanding]:
        """Each place that is set, with its last copy: for all who read the trail."""
        self._authority.require_somewhere(actor, Permission.READ_AUDIT)
        return self.state()

    def state(self) -> Sequence[CopyStanding]:
        """As `standing`, for readiness and figures: says nothing of what is in the log."""
        with self._authority.database.look() as tx:
            rows = {one.name: one for one in tx.copies.all()}
        now = self._authority.clock()
        return [self._standing(name, place, rows.get(name), now) for name, place in self.places.items()]

    def copy(self, to: str, attempt: Attempt[Transaction]) -> None:
        """As a job: copies the latest checkpoint to one place. What fails is tried again soon, then in an hour; a
        place that is set no more is none. Raises `NotDone`."""
        place = self.places.get(to)
        if place is None:
            return
        reader = self._reader()
        reader.settle()
        with self._authority.database.look() as tx:
            last = next((one for one in tx.copies.all() if one.name == to), None)
        with reader.snapshot() as snapshot:
            head = snapshot.head
            if head is None:
                return
            verifier = reader.signer.verifier
            latest = Checkpoint.open(head.checkpoint, verifier)
            copied = ["" if last is None else last.note, _ours(place.latest(), verifier)]
            broken = [note for note in copied if note and not continues(snapshot, note, latest)]
        now = self._authority.clock()
        if broken:
            self._broken(to, broken[-1], latest, attempt)
            return
        if last is None or last.note != head.checkpoint:
            try:
                place(head.checkpoint, size=latest.size, root=latest.root, now=now)
            except NotDelivered as error:
                self._failed(to, error, attempt)
                return
        with attempt.finishing() as tx:
            tx.copies.kept(to, size=latest.size, note=head.checkpoint, at=now)

    def watch(self, attempt: Attempt[Transaction]) -> None:
        """As a job: sends an alert where the last copy is too old, once a day."""
        now = self._authority.clock()
        state = {one.name: one for one in self.state()}
        with attempt.finishing() as tx:
            rows = {one.name: one for one in tx.copies.all()}
            for name in self.places:
                if name not in rows:
                    tx.copies.expect(name, at=now)
            said: list[Json] = []
            for name, one in state.items():
                alerted = rows[name].alerted_at if name in rows else None
                if one.late and (alerted is None or now - alerted >= ALERT_EVERY):
                    tx.copies.alerted(name, at=now)
                    at = None if one.copied_at is None else one.copied_at.isoformat()
                    said.append({"copy": name, "copied_at": at, "error": one.error})
            if said:
                self._alerts.send(tx, "audit.copies_late", {"copies": said}, at=now)

    def _failed(self, to: str, error: NotDelivered, attempt: Attempt[Transaction]) -> None:
        now = self._authority.clock()
        if attempt.job.attempts >= ATTEMPTS:
            # The next hour tries again; what must be known is the age of the last copy, and that is watched.
            with attempt.finishing() as tx:
                tx.copies.failed(to, error.said, at=now)
            return
        with self._authority.database.write() as tx:
            tx.copies.failed(to, error.said, at=now)
        raise NotDone(error.said, retry_after=error.retry_after) from None

    def _broken(self, to: str, note: str, latest: Checkpoint, attempt: Attempt[Transaction]) -> None:
        now = self._authority.clock()
        detail = f"The log of {latest.size} events does not continue the checkpoint that was copied last ({to})."
        check = Check(name=CONTINUITY, outcome=Outcome.FAILED, detail=detail, places=(detail,), failures=1)
        found = failure(check, Verification(checks=(check,), size=latest.size), note)
        with attempt.finishing() as tx:
            facts = keep(tx, Outcomes(failures=[found], met=()), at=now)
            tx.copies.failed(to, BROKEN, at=now)
            self._alerts.send(tx, "audit.verification_failed", {"copy": to, **facts}, at=now)

    def _standing(self, name: str, place: KeepCopy, row: KeptCopy | None, now: datetime) -> CopyStanding:
        since = None if row is None else row.copied_at or row.since
        return CopyStanding(
            name=name,
            where=place.where,
            size=None if row is None else row.size,
            copied_at=None if row is None else row.copied_at,
            error="" if row is None else row.error,
            late=since is not None and now - since > self._limit,
        )


def _ours(note: str, verifier: Verifier) -> str:
    """The note where it is a checkpoint of this log; "" for any other, which says nothing about it."""
    try:
        Checkpoint.open(note, verifier)
    except GovernanceError:
        return ""
    return note
