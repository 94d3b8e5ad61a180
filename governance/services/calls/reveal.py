"""Revealing original text: with a right, a reason and an end, and never before its event is committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.domain.calls import Call
from governance.domain.events import EventKind, Json
from governance.domain.people import Actor, Permission
from governance.errors import BadInput, NotFound
from governance.review.lifecycle import CaseRecord
from governance.services.authorise import Authority
from governance.services.calls.ports import Originals, Transaction

REASON_LENGTH = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Revealed:
    """A call with its original texts, to be shown until `until`."""

    call: Call
    until: datetime


class RevealService:
    def __init__(
        self, authority: Authority[Transaction], originals: Originals, *, lasts: timedelta, redact: Callable[[str], str]
    ) -> None:
        """`redact` masks what must not be shown in a text: reasons are kept in clear."""
        self._authority = authority
        self._originals = originals
        self._lasts = lasts
        self._redact = redact

    def reveal(self, actor: Actor, reason: str, *, case_id: int | None = None, call_id: int | None = None) -> Revealed:
        """The original of a case's call, of another call in its trace, or (without a case) of any call.

        A reviewer needs the case, and must hold it. Raises `BadInput` without a reason, `Denied`, `NotFound`.
        """
        reason = " ".join(reason.replace("\x00", "").encode("utf-8", "replace").decode().split())
        if not reason:
            raise BadInput("To reveal original text needs a reason.")
        if len(reason) > REASON_LENGTH:
            raise BadInput(f"The reason is longer than {REASON_LENGTH} characters.", advice="Shorten it.")
        reason = self._redact(reason)[:REASON_LENGTH]
        now = self._authority.clock()
        until = now + self._lasts
        with self._authority.act(actor) as tx:
            record = self._case(tx, case_id)
            call, system = self._call(tx, record, call_id)
            subject = f"call:{call}"
            self._authority.demand_person(actor, Permission.REVEAL_CONTENT, subject=subject, system=system)
            self._authority.demand(
                actor,
                Permission.REVEAL_CONTENT,
                subject=subject,
                system=system,
                context={"claimed_by_actor": _holds(actor, record, now)},
            )
            number = tx.reveals.add(
                principal_id=actor.id, case_id=case_id, call_id=call, reason=reason, at=now, until=until
            )
            data: dict[str, Json] = {"reveal": number, "until": until.isoformat()}
            if case_id is not None:
                data["case"] = case_id
            data |= tx.rows(reveal=[number])
            tx.append(self._authority.event(EventKind.CONTENT_REVEALED, actor, subject, system=system, data=data))
        # The event is committed: only now is anything decrypted.
        return Revealed(call=self._originals.call(call), until=until)

    def is_revealed(self, actor: Actor, call_id: int) -> datetime | None:
        """When the actor's reveal of this call ends; None where there is none in force, or the right to it is gone."""
        now = self._authority.clock()
        with self._authority.database.look() as tx:
            found = tx.reveals.in_force(actor.id, call_id, now)
            known = tx.reports.call(call_id)
            if found is None or known is None:
                return None
            record = tx.cases.find(found.case_id) if found.case_id is not None else None
        still = self._authority.may(
            actor,
            Permission.REVEAL_CONTENT,
            system=known[0],
            context={"claimed_by_actor": _holds(actor, record, now)},
        )
        return found.until if still else None

    def read(self, actor: Actor, call_id: int) -> Revealed | None:
        """The original again, while a reveal is in force (a page is drawn many times); None otherwise."""
        until = self.is_revealed(actor, call_id)
        return Revealed(call=self._originals.call(call_id), until=until) if until else None

    def _case(self, tx: Transaction, case_id: int | None) -> CaseRecord | None:
        if case_id is None:
            return None
        record = tx.cases.find(case_id)
        if record is None:
            raise NotFound(f"There is no case {case_id}.")
        return record

    def _call(self, tx: Transaction, record: CaseRecord | None, call_id: int | None) -> tuple[int, str]:
        """The call to be revealed and its system. With a case, it must be of the case's own trace."""
        own = record.case.call_id if record else None
        wanted = call_id if call_id is not None else own
        if wanted is None:
            raise NotFound("The call has not come yet.", advice="Look again later.")
        found = tx.reports.call(wanted)
        if found is None:
            raise NotFound(f"There is no call {wanted}.")
        if record is not None and wanted != own:
            home = tx.reports.call(own) if own is not None else None
            if home is None or home[1] != found[1]:
                raise NotFound(f"Call {wanted} is no part of case {record.case.id}.")
        return wanted, found[0]


def _holds(actor: Actor, record: CaseRecord | None, now: datetime) -> bool:
    return record is not None and record.standing.live(now) and record.standing.claimed_by == actor.id
