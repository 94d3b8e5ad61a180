"""Erasing content: one person asks, another agrees, a job destroys, and the log says what went and why.

The event `content.erased` commits with the destruction itself. A job that is killed goes on where it was: what is
erased is found erased, and what is not is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from governance.domain.events import Event, EventKind, Json
from governance.domain.jobs import JobKind
from governance.domain.people import SERVICE, Actor, Permission
from governance.domain.privacy import Erasable, Erasure, ErasureCode, ErasureState, LegalHold
from governance.errors import BadInput, Conflict, NotFound
from governance.privacy.subject import subject_id
from governance.review.notes import clean_note
from governance.services.authorise import Authority, Denied, identity, same_person
from governance.services.evidence.privacy_ports import Scrubbed, Transaction
from governance.services.jobs.run import Attempt, NotDone

LOCK = "privacy"
CALLS_AN_EVENT = 500
"""Most calls that one event names: a leaf stays small."""
_AT_ONCE = 20


class EraseService:
    def __init__(
        self,
        authority: Authority[Transaction],
        *,
        redact: Callable[[str], str],
        digest: Callable[[bytes, bytes], bytes],
        purge: Callable[[bool], bool],
    ) -> None:
        """`redact` masks what must not be shown in a reason; `digest` is keyed (`KeyRing.digest`); `purge` rewrites the
        database's files, so that nothing that was deleted is left in them, large ones only where it is told to: False
        where that is for another time."""
        self._authority = authority
        self._redact = redact
        self._digest = digest
        self._purge = purge

    def request(self, actor: Actor, what: Erasable, target: str, *, reason: str, system: str = "") -> Erasure:
        """Asks for an erasure. What was erased before, or is asked for already, gives that erasure.

        `target` is a number, a report's number or reference, or the id of an end user, there of `system` or of all
        systems. Raises `BadInput`, `NotFound`, `Denied`, and `Conflict` where a legal hold stands.
        """
        reason = clean_note(reason)
        if not reason:
            raise BadInput("An erasure needs a reason.", advice="Say why: --reason.")
        if system and what is not Erasable.SUBJECT:
            raise BadInput("Only the erasure of a subject is limited to a system.")
        reason = self._redact(reason)
        with self._authority.act(actor) as tx:
            target = self._target(tx, what, target)
            systems = tx.erasures.systems_of(what, target, system)
            gone_as = self._digest(b"subject", target.encode()).hex() if what is Erasable.SUBJECT else target
            known = None if what is Erasable.SUBJECT and systems else tx.erasures.erased_under(what, gone_as)
            self._demand(actor, systems if what is not Erasable.SUBJECT or system else {""})
            if known is not None:
                return known
            if not systems:
                raise NotFound(f"There is no {what} {target[:60]!r}.")
            waiting = tx.erasures.open_for(what, target, system)
            if waiting is not None:
                return waiting
            refuse_held(self._covering(tx, what, target, system))
            number = tx.erasures.add(
                what=what,
                target=target,
                system=system,
                code=ErasureCode.REQUESTED,
                reason=reason,
                by=identity(actor),
                by_name=actor.name,
                at=self._authority.clock(),
            )
            data: dict[str, Json] = {"what": what.value}
            if what is not Erasable.SUBJECT:
                data[what.value] = int(target)
            one = next(iter(systems)) if len(systems) == 1 else ""
            tx.append(
                self._authority.event(EventKind.ERASURE_REQUESTED, actor, f"erasure:{number}", system=one, data=data)
            )
            return _found(tx.erasures.get(number), number)

    def approve(self, actor: Actor, number: int) -> Erasure:
        """Another person agrees, and the erasure begins. Raises `Denied` for one's own request, `Conflict` where a hold
        stands or the request was settled."""
        with self._authority.act(actor) as tx:
            tx.erasures.take_turns()
            erasure = self._open(tx, actor, number)
            refuse_held(self._covering(tx, erasure.what, erasure.target, erasure.system))
            self._settle(tx, actor, erasure, approved=True)
            self._start(tx, number)
            return _found(tx.erasures.get(number), number)

    def reject(self, actor: Actor, number: int) -> Erasure:
        """Turns a request down; who asked may take it back."""
        with self._authority.act(actor) as tx:
            erasure = self._open(tx, actor, number, own=True)
            self._settle(tx, actor, erasure, approved=False)
            return _found(tx.erasures.get(number), number)

    def list(self, actor: Actor, *, limit: int = 50, before: int | None = None) -> Sequence[Erasure]:
        """The newest first: of the systems in which the actor may erase, or read the audit trail."""
        self.require_reader(actor)
        with self._authority.database.look() as tx:
            return tx.erasures.latest(limit=limit, before=before)

    def require_reader(self, actor: Actor) -> None:
        """Requests are shown to who may erase, and to who reads the audit trail."""
        if not self._authority.may(actor, Permission.READ_AUDIT):
            self._authority.require(actor, Permission.HOLD_AND_ERASE)

    def again(self, tx: Transaction) -> None:
        """Starts what is approved and not done: a hold that stood in its way may be gone."""
        for erasure in tx.erasures.approved():
            self._start(tx, erasure.id)

    def run(self, number: int, attempt: Attempt[Transaction]) -> None:
        """The job. Raises `NotDone` where a hold stands in the way, or the files cannot be rewritten now."""
        with self._authority.database.look() as tx:
            erasure = tx.erasures.get(number)
        if erasure is None or erasure.state not in (ErasureState.APPROVED, ErasureState.DONE):
            return
        if erasure.state is ErasureState.APPROVED:
            self._destroy(erasure)
        purged = self._purge(False)
        with attempt.finishing() as tx:
            if purged:
                tx.erasures.purged(self._authority.clock())

    def purge(self, attempt: Attempt[Transaction], *, any_size: bool = False) -> None:
        """The job that rewrites the files for what was erased, or sealed, since."""
        purged = self._purge(any_size)
        with attempt.finishing() as tx:
            if purged:
                tx.erasures.purged(self._authority.clock())

    def _destroy(self, erasure: Erasure) -> None:
        if erasure.what is Erasable.SUBJECT:
            while self._some_of_subject(erasure):
                pass
        with self._authority.database.write() as tx:
            tx.erasures.take_turns()
            target = erasure.target
            if erasure.what is Erasable.SUBJECT:
                if tx.erasures.conversations_of(erasure.target, erasure.system, limit=1):
                    raise NotDone("A call of the subject came meanwhile; it is erased with the next attempt.")
                target = self._digest(b"subject", erasure.target.encode()).hex()
            else:
                self._refuse(self._covering(tx, erasure.what, erasure.target, ""))
                number = int(erasure.target)
                if erasure.what is Erasable.CONVERSATION:
                    done = tx.erasures.conversation(number, erasure.id, everything=True)
                elif erasure.what is Erasable.CALL:
                    done = tx.erasures.call(number, erasure.id)
                else:
                    done = tx.erasures.report(number, erasure.id)
                self.record(tx, erasure, done)
            tx.erasures.erased(erasure.id, target=target, at=self._authority.clock())

    def _some_of_subject(self, erasure: Erasure) -> bool:
        """Erases the next conversations of a subject, all in one commit; False when none was left."""
        with self._authority.database.write() as tx:
            tx.erasures.take_turns()
            numbers = tx.erasures.conversations_of(erasure.target, erasure.system, limit=_AT_ONCE)
            for number in numbers:
                self._refuse(tx.erasures.covering(conversation=number))
                self.record(tx, erasure, tx.erasures.conversation(number, erasure.id, everything=True))
        return bool(numbers)

    def record(self, tx: Transaction, erasure: Erasure, done: Scrubbed) -> None:
        """Counts what one step destroyed, and says so in the log."""
        tx.erasures.counted(
            erasure.id,
            conversations=int(done.conversation is not None),
            calls=1 if erasure.what is Erasable.CALL else len(done.calls),
            reports=len(done.reports),
        )
        for event in events_of(tx, erasure, done, self._authority.clock()):
            tx.append(event)

    def _covering(self, tx: Transaction, what: Erasable, target: str, system: str) -> Sequence[LegalHold]:
        if what is Erasable.SUBJECT:
            return tx.erasures.covering_subject(target, system)
        return tx.erasures.covering(**{what.value: int(target)})

    def _refuse(self, holds: Sequence[LegalHold]) -> None:
        if holds:
            raise NotDone(f"Legal hold {holds[0].id} stands in the way; it goes on when that is released.", final=True)

    def _target(self, tx: Transaction, what: Erasable, target: str) -> str:
        if what is Erasable.SUBJECT:
            return subject_id(target)
        target = target.strip()
        number = tx.erasures.report_number(target) if what is Erasable.REPORT else _number(target)
        if number is None:
            raise NotFound(f"There is no {what} {target[:60]!r}.")
        return str(number)

    def _demand(self, actor: Actor, systems: frozenset[str] | set[str]) -> None:
        for system in sorted(systems) or [""]:
            self._authority.demand(actor, Permission.HOLD_AND_ERASE, system=system)

    def _open(self, tx: Transaction, actor: Actor, number: int, *, own: bool = False) -> Erasure:
        """A request that waits, if the actor may settle it; their own only with `own`."""
        erasure = _found(tx.erasures.get(number), number)
        systems = tx.erasures.systems_of(erasure.what, erasure.target, erasure.system)
        if erasure.what is Erasable.SUBJECT and not erasure.system:
            systems = frozenset({""})
        mine = same_person(actor, erasure.requested_by, erasure.requested_name)
        self._demand(actor, systems)
        if mine and not own:  # the permissions are the firm's to change; this is not
            raise Denied(
                "You may not approve an erasure that you asked for.",
                wanted=Permission.HOLD_AND_ERASE,
                subject=f"erasure:{number}",
                system="",
                advice="Ask a colleague to do it.",
            )
        if erasure.state is not ErasureState.REQUESTED:
            raise Conflict(f"Erasure {number} is {erasure.state} already.", advice="See: governance erase list.")
        return erasure

    def _settle(self, tx: Transaction, actor: Actor, erasure: Erasure, *, approved: bool) -> None:
        tx.erasures.settle(
            erasure.id, approved=approved, by=identity(actor), by_name=actor.name, at=self._authority.clock()
        )
        kind = EventKind.ERASURE_APPROVED if approved else EventKind.ERASURE_REJECTED
        data: dict[str, Json] = {"what": erasure.what.value, "requested_by": erasure.requested_by}
        tx.append(self._authority.event(kind, actor, f"erasure:{erasure.id}", data=data))

    def _start(self, tx: Transaction, number: int) -> None:
        at = self._authority.clock()
        tx.jobs.add(JobKind.ERASE_CONTENT, {"erasure": number}, at=at, priority=5, lock=LOCK)


def events_of(tx: Transaction, erasure: Erasure, done: Scrubbed, at: datetime) -> Sequence[Event]:
    """What the log says of one step: at most `CALLS_AN_EVENT` calls an event, and never who was erased."""
    data: dict[str, Json] = {
        "what": erasure.what.value,
        "erasure": erasure.id,
        "reason": erasure.code.value,
        "requested_by": erasure.requested_by,
        "approved_by": erasure.settled_by,
    }
    if done.conversation is not None:
        data["conversation"] = done.conversation
    subject = (
        f"conversation:{done.conversation}"
        if done.conversation is not None
        else f"{erasure.what}:{(done.calls or done.reports)[0]}"
    )
    said = []
    for start in range(0, max(1, len(done.calls), len(done.cases), len(done.reports)), CALLS_AN_EVENT):
        calls, cases, reports = (
            some[start : start + CALLS_AN_EVENT] for some in (done.calls, done.cases, done.reports)
        )
        facts: dict[str, Json] = {**data, "calls": list(calls), "cases": list(cases), "reports": list(reports)}
        said.append(
            Event(
                kind=EventKind.CONTENT_ERASED,
                at=at,
                actor=SERVICE.reference,
                subject=subject,
                system=done.system,
                data=facts | tx.erasures.rows(calls, cases, reports),
            )
        )
    return said


def refuse_held(holds: Sequence[LegalHold]) -> None:
    """Raises `Conflict` that names the first hold."""
    if holds:
        raise Conflict(
            f"Legal hold {holds[0].id} covers this: nothing is erased while it stands.",
            advice="See: governance hold list.",
        )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def _found(erasure: Erasure | None, number: int) -> Erasure:
    if erasure is None:
        raise NotFound(f"There is no erasure {number}.", advice="See: governance erase list.")
    return erasure
