"""Retention: rules that say how long what is kept, and the daily job that erases what is older.

A rule is about a system or, as "", about all systems without a rule of their own. Where no rule stands nothing is
erased. A legal hold stops every rule for what it covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from governance.domain.events import EventKind, Json
from governance.domain.people import SERVICE, Actor, Permission
from governance.domain.privacy import Erasable, ErasureCode, RetentionClass, RetentionRule
from governance.errors import BadInput, NotFound
from governance.privacy import retention
from governance.services.authorise import Authority, identity
from governance.services.evidence.erase import EraseService
from governance.services.evidence.privacy_ports import Scrubbed, Transaction
from governance.services.jobs.run import Attempt

_AT_ONCE = 50
_MOST = 100_000
"""Conversations that one run erases; the rest are for the next day, so that a first rule does not run for weeks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What one run of the rules erased, and what legal holds kept."""

    conversations: int = 0
    reports: int = 0
    held: int = 0


class RetentionService:
    def __init__(self, authority: Authority[Transaction], erase: EraseService) -> None:
        self._authority = authority
        self._erase = erase

    def rules(self, actor: Actor) -> Sequence[RetentionRule]:
        self._erase.require_reader(actor)
        with self._authority.database.look() as tx:
            return tx.retention.rules()

    def set(self, actor: Actor, subject: RetentionClass, days: int, *, system: str = "") -> RetentionRule:
        """Changes a rule. Raises `BadInput` below the floor, `Denied`."""
        days = retention.checked(subject, days)
        system = system.strip()
        if len(system) > 200 or "\x00" in system:
            raise BadInput("A system's name has at most 200 characters.")
        rule = RetentionRule(
            system=system,
            subject=subject,
            days=days,
            changed_by=identity(actor),
            changed_name=actor.name,
            changed_at=self._authority.clock(),
        )
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.HOLD_AND_ERASE, system=system)
            before = {(one.system, one.subject): one.days for one in tx.retention.rules()}.get((system, subject))
            tx.retention.set(rule)
            self._append(tx, actor, system, subject, before, days)
        return rule

    def remove(self, actor: Actor, subject: RetentionClass, *, system: str = "") -> None:
        """Takes a rule back. Raises `NotFound`, `Denied`."""
        with self._authority.act(actor) as tx:
            self._authority.demand(actor, Permission.HOLD_AND_ERASE, system=system)
            before = {(one.system, one.subject): one.days for one in tx.retention.rules()}.get((system, subject))
            if not tx.retention.remove(system, subject):
                raise NotFound(f"There is no rule about {subject} of {system or 'all systems'}.")
            self._append(tx, actor, system, subject, before, None)

    def run(self, actor: Actor) -> Applied:
        """Applies the rules now."""
        self._authority.require(actor, Permission.HOLD_AND_ERASE)
        return self._apply(identity(actor), actor.name)

    def run_daily(self, attempt: Attempt[Transaction]) -> None:
        """The daily job. It also rewrites the files for what was erased and is still in free pages, however large."""
        self._apply(SERVICE.reference, SERVICE.name)
        with self._authority.database.look() as tx:
            left = tx.erasures.unpurged()
        if left:
            self._erase.purge(attempt, any_size=True)

    def _apply(self, by: str, name: str) -> Applied:
        with self._authority.database.look() as tx:
            rules = tx.retention.rules()
        found = Applied()
        for rule in rules:
            others = [one.system for one in rules if one.subject is rule.subject and one.system]
            found = self._apply_rule(rule, [] if rule.system else others, by, name, found)
        return found

    def _apply_rule(self, rule: RetentionRule, others: Sequence[str], by: str, name: str, found: Applied) -> Applied:
        before = self._authority.clock() - timedelta(days=rule.days)
        held = 0
        number: int | None = None
        for _ in range(_MOST // _AT_ONCE):
            with self._authority.database.write() as tx:
                tx.erasures.take_turns()
                due = self._due(tx, rule, others, before, limit=_AT_ONCE + held)
                erased = 0
                for one in due:
                    conversation = rule.subject is not RetentionClass.REPORTS
                    if tx.erasures.covering(conversation=one) if conversation else tx.erasures.covering(report=one):
                        continue
                    if number is None:
                        number = self._begin(tx, rule, by, name)
                    self._erase_one(tx, rule, number, one)
                    erased += 1
                held = len(due) - erased
            if rule.subject is RetentionClass.REPORTS:
                found = replace(found, reports=found.reports + erased)
            else:
                found = replace(found, conversations=found.conversations + erased)
            if not erased:
                break
        if number is not None:
            with self._authority.database.write() as tx:
                tx.erasures.erased(number, target=rule.subject.value, at=self._authority.clock())
        return replace(found, held=found.held + held)

    @staticmethod
    def _due(
        tx: Transaction, rule: RetentionRule, others: Sequence[str], before: datetime, *, limit: int
    ) -> Sequence[int]:
        if rule.subject is RetentionClass.REPORTS:
            return tx.erasures.expired_reports(rule.system, others, before, limit=limit)
        logs = rule.subject is RetentionClass.LOGS
        return tx.erasures.expired_conversations(rule.system, others, before, everything=logs, limit=limit)

    def _begin(self, tx: Transaction, rule: RetentionRule, by: str, name: str) -> int:
        reports = rule.subject is RetentionClass.REPORTS
        return tx.erasures.add(
            what=Erasable.REPORT if reports else Erasable.CONVERSATION,
            target=rule.subject.value,
            system=rule.system,
            code=ErasureCode.RETENTION,
            reason=f"Kept for {rule.days} days, as the rule about {rule.subject} says.",
            by=by,
            by_name=name,
            at=self._authority.clock(),
            approved=True,
        )

    def _erase_one(self, tx: Transaction, rule: RetentionRule, number: int, one: int) -> None:
        done: Scrubbed
        if rule.subject is RetentionClass.REPORTS:
            done = tx.erasures.report(one, number)
        else:
            done = tx.erasures.conversation(one, number, everything=rule.subject is RetentionClass.LOGS)
        erasure = tx.erasures.get(number)
        assert erasure is not None, "it was added before"
        self._erase.record(tx, erasure, done)

    def _append(
        self, tx: Transaction, actor: Actor, system: str, subject: RetentionClass, before: int | None, days: int | None
    ) -> None:
        data: dict[str, Json] = {"class": subject.value, "days": days, "before": before}
        tx.append(
            self._authority.event(EventKind.RETENTION_CHANGED, actor, f"retention:{subject}", system=system, data=data)
        )
