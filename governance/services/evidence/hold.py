"""Legal holds: what must not be erased, whoever asks and whatever a retention rule says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from governance.domain.events import EventKind, Json
from governance.domain.people import Actor, Permission
from governance.domain.privacy import Holdable, LegalHold
from governance.errors import BadInput, Conflict, NotFound
from governance.review.notes import clean_note
from governance.services.authorise import Authority, identity
from governance.services.evidence.erase import EraseService
from governance.services.evidence.privacy_ports import Transaction


class HoldService:
    """One person places a hold, or releases it. What an erasure began before a hold came is not undone."""

    def __init__(self, authority: Authority[Transaction], erase: EraseService, *, redact: Callable[[str], str]) -> None:
        self._authority = authority
        self._erase = erase
        self._redact = redact

    def place(self, actor: Actor, what: Holdable, target: str, *, reason: str) -> LegalHold:
        """Raises `BadInput`, `NotFound`, `Denied`, and `Conflict` where the same hold stands already."""
        target, reason = target.strip(), clean_note(reason)
        if not reason:
            raise BadInput("A legal hold needs a reason.", advice="Say which matter it is for: --reason.")
        if not target or len(target) > 200 or "\x00" in target:
            raise BadInput(f"A {what} is named by 1 to 200 characters.")
        if what not in (Holdable.SUBJECT, Holdable.SYSTEM):
            if not (target.isascii() and target.isdecimal() and len(target) <= 15):
                raise BadInput(f"A {what} is named by its number.")
            target = str(int(target))
        reason = self._redact(reason)
        with self._authority.act(actor) as tx:
            self._demand(actor, what, target)
            tx.erasures.take_turns()
            if not tx.holds.exists(what, target):
                raise NotFound(f"There is no {what} {target[:60]!r}.")
            for hold in tx.holds.latest(limit=10_000, before=None, standing=True):
                if (hold.what, hold.target) == (what, target):
                    raise Conflict(f"Legal hold {hold.id} covers this already.")
            number = tx.holds.place(
                what=what,
                target=target,
                reason=reason,
                by=identity(actor),
                by_name=actor.name,
                at=self._authority.clock(),
            )
            self._append(tx, EventKind.HOLD_PLACED, actor, number, what, target)
            return _found(tx.holds.get(number), number)

    def release(self, actor: Actor, number: int) -> LegalHold:
        """Erasures that are approved and waited for it go on. Raises `Conflict` where it was released before."""
        with self._authority.act(actor) as tx:
            hold = _found(tx.holds.get(number), number)
            self._demand(actor, hold.what, hold.target)
            tx.erasures.take_turns()
            if not tx.holds.release(number, by=identity(actor), by_name=actor.name, at=self._authority.clock()):
                raise Conflict(f"Legal hold {number} was released already.")
            self._append(tx, EventKind.HOLD_RELEASED, actor, number, hold.what, hold.target)
            self._erase.again(tx)
            return _found(tx.holds.get(number), number)

    def list(
        self, actor: Actor, *, standing: bool = False, limit: int = 50, before: int | None = None
    ) -> Sequence[LegalHold]:
        """The newest first; `standing` leaves out those that were released."""
        self._erase.require_reader(actor)
        with self._authority.database.look() as tx:
            return tx.holds.latest(limit=limit, before=before, standing=standing)

    def _demand(self, actor: Actor, what: Holdable, target: str) -> None:
        system = target if what is Holdable.SYSTEM else ""
        self._authority.demand(actor, Permission.HOLD_AND_ERASE, system=system)

    def _append(self, tx: Transaction, kind: EventKind, actor: Actor, number: int, what: Holdable, target: str) -> None:
        data: dict[str, Json] = {"what": what.value}
        if what is Holdable.SYSTEM:
            data["system"] = target
        elif what is not Holdable.SUBJECT:
            data[what.value] = int(target)
        system = target if what is Holdable.SYSTEM else ""
        tx.append(self._authority.event(kind, actor, f"hold:{number}", system=system, data=data))


def _found(hold: LegalHold | None, number: int) -> LegalHold:
    if hold is None:
        raise NotFound(f"There is no legal hold {number}.", advice="See: governance hold list.")
    return hold
