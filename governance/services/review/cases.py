"""Reviewing cases: claim, decide, escalate, approve. Each step is one transaction with one effect."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.domain.calls import UNKNOWN_SYSTEM
from governance.domain.events import Event, EventKind, Json
from governance.domain.people import Actor, Permission
from governance.domain.review import Case, CaseKind, ReasonCode, Verdict, VerdictOutcome
from governance.errors import BadInput, Conflict, NotFound
from governance.review import lifecycle, reasons
from governance.review.lifecycle import CaseAct, CaseRecord, CaseStanding
from governance.review.notes import NOTE_LENGTH, clean_note
from governance.review.reporting import state_of
from governance.services.authorise import Authority
from governance.services.review.opening import _ATTEMPTS
from governance.services.review.ports import Transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A held case. The token completes it, is known to the holder alone, and is void after `case.lease_until`."""

    case: Case
    lease_token: str


class ReviewService:
    def __init__(self, authority: Authority[Transaction], *, lease: timedelta, redact: Callable[[str], str]) -> None:
        """`lease` is how long a claimed case is held without a sign of life. `redact` masks what must not be shown in a
        text: notes are kept in clear, and read by people who may not see the original."""
        self._authority = authority
        self._lease = lease
        self._redact = redact

    def next_case(self, actor: Actor, *, queue: str = "", passed: Collection[int] = ()) -> Case | None:
        """What to review next: one's own claimed case, else by severity, deadline and number of reports. `passed` are
        numbers of cases that the reviewer wants others to take."""
        with self._authority.database.look() as tx:
            found = self._waiting(tx, actor, queue, passed, limit=1)
        return found[0].case if found else None

    def claim_next(self, actor: Actor, *, queue: str = "", passed: Collection[int] = ()) -> Claim | None:
        """Claims what `next_case` names, or the one after it if somebody was faster; None when nothing waits."""
        for _ in range(_ATTEMPTS):
            with self._authority.database.look() as tx:
                found = self._waiting(tx, actor, queue, passed, limit=10)
            if not found:
                return None
            for record in found:
                try:
                    return self.claim(actor, record.case.id)
                except Conflict:
                    continue
        return None

    def claim(self, actor: Actor, case_id: int) -> Claim:
        """Takes the case, or one's own again with a new token. Raises `Conflict` that says who holds it."""
        token = secrets.token_urlsafe(32)
        now = self._authority.clock()

        def step(case: CaseStanding) -> CaseStanding:
            return lifecycle.claim(case, by=actor.id, lease=_hash(token), now=now, until=now + self._lease)

        with self._authority.act(actor) as tx:
            record = self._take(tx, actor, case_id, CaseAct.CLAIM, step, now)
            self._attach_reported_call(tx, record.case)
            self._tell_reports(tx, record.case)
            tx.append(self._event(tx, EventKind.CASE_CLAIMED, actor, record.case))
            claimed = _found(tx.cases.find(case_id), case_id)
        return Claim(case=claimed.case, lease_token=token)

    def renew(self, actor: Actor, case_id: int, lease_token: str) -> datetime:
        """Holds on to a claimed case; gives the new end of the lease. No event: nothing was decided."""
        now = self._authority.clock()
        until = now + self._lease

        def step(case: CaseStanding) -> CaseStanding:
            return lifecycle.renew(case, by=actor.id, lease=_hash(lease_token), now=now, until=until)

        with self._authority.act(actor) as tx:
            self._take(tx, actor, case_id, CaseAct.RENEW, step, now)
        return until

    def release(self, actor: Actor, case_id: int, lease_token: str) -> None:
        """Gives the case back undecided."""
        now = self._authority.clock()

        def step(case: CaseStanding) -> CaseStanding:
            return lifecycle.release(case, by=actor.id, lease=_hash(lease_token), now=now)

        with self._authority.act(actor) as tx:
            record = self._take(tx, actor, case_id, CaseAct.RELEASE, step, now)
            self._tell_reports(tx, record.case)
            tx.append(self._event(tx, EventKind.CASE_RELEASED, actor, record.case))

    def escalate(self, actor: Actor, case_id: int, lease_token: str, note: str) -> None:
        """Hands the case to the seniors, and says why."""
        now = self._authority.clock()
        note = self._noted(note)
        if not note:
            raise BadInput("An escalation needs a note.", advice="Say what the senior should look at.")

        def step(case: CaseStanding) -> CaseStanding:
            return lifecycle.escalate(case, by=actor.id, lease=_hash(lease_token), now=now)

        with self._authority.act(actor) as tx:
            record = self._take(tx, actor, case_id, CaseAct.ESCALATE, step, now)
            written = tx.cases.note(case_id, "escalated", note, by=actor.id, at=now)
            self._tell_reports(tx, record.case)
            tx.append(self._event(tx, EventKind.CASE_ESCALATED, actor, record.case, case_note=[written]))

    def decide(
        self,
        actor: Actor,
        case_id: int,
        lease_token: str,
        *,
        outcome: VerdictOutcome,
        reason: ReasonCode,
        note: str = "",
    ) -> Verdict:
        """Gives the verdict on a held case. A severe one (critical, violation) waits for a second person's approval."""
        now = self._authority.clock()
        note = self._noted(note)

        def step(case: CaseStanding) -> CaseStanding:
            return lifecycle.decide(case, by=actor.id, lease=_hash(lease_token), outcome=outcome, now=now)

        with self._authority.act(actor) as tx:
            record = self._take(tx, actor, case_id, CaseAct.DECIDE, step, now)
            reasons.check(record.case.kind, outcome, reason, note)
            verdict = Verdict(case_id=case_id, outcome=outcome, reason=reason, note=note, by=actor.id, at=now)
            since = record.standing.claimed_at or now
            given = tx.cases.give(verdict, seconds=max(0, int((now - since).total_seconds())))
            self._tell_reports(tx, record.case)
            severe = lifecycle.needs_second_person(record.standing.severity, outcome)
            tx.append(
                self._event(
                    tx,
                    EventKind.VERDICT_GIVEN,
                    actor,
                    record.case,
                    {"outcome": outcome, "reason": reason, "final": not severe},
                    verdict=[given],
                )
            )
        return verdict

    def approve(self, actor: Actor, case_id: int) -> Verdict:
        """A second person agrees with a severe verdict: it stands."""
        now = self._authority.clock()
        with self._authority.act(actor) as tx:
            record = self._take(tx, actor, case_id, CaseAct.APPROVE, lifecycle.approve, now)
            settled = tx.cases.approve(case_id, by=actor.id, at=now)
            self._tell_reports(tx, record.case)
            tx.append(self._event(tx, EventKind.VERDICT_APPROVED, actor, record.case, verdict=[settled]))
            verdict = tx.cases.verdict(case_id)
        assert verdict is not None, "an approved case has a standing verdict"
        return verdict

    def return_verdict(self, actor: Actor, case_id: int, note: str) -> None:
        """A second person disagrees with a severe verdict: the case is to be reviewed again."""
        now = self._authority.clock()
        note = self._noted(note)
        if not note:
            raise BadInput("To return a verdict needs a note.", advice="Say what the reviewer should look at again.")
        with self._authority.act(actor) as tx:
            record = self._take(tx, actor, case_id, CaseAct.RETURN, lifecycle.send_back, now)
            settled = tx.cases.send_back(case_id, by=actor.id, at=now)
            written = tx.cases.note(case_id, "returned", note, by=actor.id, at=now)
            self._tell_reports(tx, record.case)
            tx.append(
                self._event(tx, EventKind.VERDICT_RETURNED, actor, record.case, verdict=[settled], case_note=[written])
            )

    def _waiting(
        self, tx: Transaction, actor: Actor, queue: str, passed: Collection[int], limit: int
    ) -> list[CaseRecord]:
        authority = self._authority
        authority.demand_person(actor, Permission.CLAIM_CASE)
        return list(
            tx.cases.waiting(
                actor.id,
                authority.clock(),
                ordinary=authority.systems(actor, Permission.CLAIM_CASE),
                escalated=authority.systems(actor, Permission.DECIDE_ESCALATION),
                queue=queue,
                passed=passed,
                limit=limit,
            )
        )

    def _take(
        self,
        tx: Transaction,
        actor: Actor,
        case_id: int,
        step: CaseAct,
        becomes: Callable[[CaseStanding], CaseStanding],
        now: datetime,
    ) -> CaseRecord:
        """Asks for the right, then the rules, then changes the case if it still stands so. Gives how it stood."""
        for _ in range(_ATTEMPTS):
            record = _found(tx.cases.find(case_id), case_id)
            case, standing = record.case, record.standing
            wanted = lifecycle.permission(step, standing)
            subject = f"case:{case_id}"
            self._authority.demand_person(actor, wanted, subject=subject, system=case.system)
            self._authority.demand(
                actor,
                wanted,
                subject=subject,
                system=case.system,
                context={"own_work": lifecycle.own_work(step, standing, actor.id)},
            )
            try:
                after = becomes(standing)
            except lifecycle.HeldByAnother as held:
                raise self._held(tx, held) from None
            if tx.cases.move(record, after, at=now):
                return record
        raise Conflict("Too many people are working on this case at once.", advice="Take the next one.")

    def _tell_reports(self, tx: Transaction, case: Case) -> None:
        """The reports of a case follow its state; `case` is how it stood before the step."""
        if case.reports:
            now = _found(tx.cases.find(case.id), case.id).case
            given = tx.cases.verdict(case.id)
            tx.reports.set_state(case.id, state_of(now.state, given.outcome if given else None))

    def _noted(self, note: str) -> str:
        note = clean_note(note)
        return self._redact(note)[:NOTE_LENGTH] if note else ""

    def _held(self, tx: Transaction, held: lifecycle.HeldByAnother) -> Conflict:
        holder = tx.people.get(held.holder)
        name = holder.person.name if holder else "Somebody else"
        return Conflict(f"{name} holds this case until {held.until:%H:%M} UTC.", advice="Take the next one.")

    def _attach_reported_call(self, tx: Transaction, case: Case) -> None:
        """A report may have come before its call: by the time somebody reviews it, the call is looked for again."""
        if case.kind is not CaseKind.REPORT or case.call_id is not None:
            return
        for report in tx.reports.of_case(case.id):
            system = "" if report.system == UNKNOWN_SYSTEM else report.system
            call_id = tx.reports.answer_in(report.trace_id, system) if report.trace_id else None
            if call_id is not None and tx.cases.attach_call(case.id, call_id):
                tx.reports.attach_call(case.id, call_id)
                return

    def _event(
        self,
        tx: Transaction,
        kind: EventKind,
        actor: Actor,
        case: Case,
        data: dict[str, Json] | None = None,
        **rows: Collection[int],
    ) -> Event:
        """The event of a step: with the case, its claims and its reports as they stand after it, and `rows` beside
        them. `case` is how it stood before."""
        reports = [report.id for report in tx.reports.of_case(case.id)] if case.reports else []
        stated = tx.rows(case=[case.id], assignment=tx.cases.claims(case.id), report=reports, **rows)
        return self._authority.event(
            kind, actor, f"case:{case.id}", system=case.system, data={**(data or {}), **stated}
        )


def _found(record: CaseRecord | None, case_id: int) -> CaseRecord:
    if record is None:
        raise NotFound(f"There is no case {case_id}.")
    return record


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
