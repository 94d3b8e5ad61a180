"""Asks whether an actor may, and lets no refusal go unrecorded.

A use case changes things inside `with authority.act(actor) as tx`. What it refuses there (`demand`) undoes the
transaction, and an event of its own then says that it was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Generic

from governance.domain.events import Event, EventKind, Json
from governance.domain.people import Actor, ActorKind, Permission, Scope
from governance.errors import Refused
from governance.services.ports import Clock, Database, Permissions, T_co
from governance.services.refusals import Reason, Refusals

WORDS: dict[Permission, str] = {
    Permission.READ_CALLS: "see calls",
    Permission.READ_CASES: "see cases",
    Permission.CLAIM_CASE: "claim a case",
    Permission.DECIDE_CASE: "decide a case",
    Permission.DECIDE_ESCALATION: "decide an escalated case",
    Permission.APPROVE_VERDICT: "approve a verdict",
    Permission.REVEAL_CONTENT: "reveal original text",
    Permission.READ_AUDIT: "read the audit trail",
    Permission.EXPORT_EVIDENCE: "export evidence",
    Permission.PROPOSE_POLICY: "propose a policy change",
    Permission.APPROVE_POLICY: "approve a policy change",
    Permission.HOLD_AND_ERASE: "hold or erase content",
    Permission.MANAGE_ACCESS: "manage people, keys and jobs",
    Permission.REVIEW_ACCESS: "sign an access review",
    Permission.ACKNOWLEDGE_FINDING: "acknowledge a finding about the audit log",
}


class Denied(Refused):
    """A refusal with what the audit event says of it: `wanted` (a permission or scope), `subject`, `system`, and of a
    key the `reason`."""

    def __init__(
        self,
        message: str,
        *,
        wanted: str,
        subject: str,
        system: str,
        reason: Reason = Reason.PERMISSION,
        advice: str = "",
    ) -> None:
        super().__init__(message, advice=advice)
        self.reason = reason
        self.wanted = wanted
        self.subject = subject
        self.system = system


class Authority(Generic[T_co]):
    """One for the process; knows no state of its own but the refusals of keys that no event speaks of yet."""

    def __init__(self, database: Database[T_co], permissions: Permissions, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.refusals = Refusals(database, clock)
        self._permissions = permissions

    def may(
        self, actor: Actor, permission: Permission, *, system: str = "", context: Mapping[str, bool | str] | None = None
    ) -> bool:
        """Whether the actor may, in `system` ("" is everywhere). For showing; services use `demand`."""
        return self._permissions.allowed(actor, permission, system=system, context=context)

    def systems(
        self, actor: Actor, permission: Permission, *, context: Mapping[str, bool | str] | None = None
    ) -> frozenset[str] | None:
        """The systems in which the actor may; None is all of them, an empty set none."""
        if self.may(actor, permission, context=context):
            return None
        named = {binding.system for binding in actor.bindings} | {actor.system}
        return frozenset(s for s in named if s and self.may(actor, permission, system=s, context=context))

    def require_somewhere(self, actor: Actor, permission: Permission) -> None:
        """Raises `Denied`, recorded, unless the actor may in some system: for what is about no system or all."""
        if self.systems(actor, permission) == frozenset():
            self.require(actor, permission)

    def demand(
        self,
        actor: Actor,
        permission: Permission,
        *,
        subject: str = "",
        system: str = "",
        context: Mapping[str, bool | str] | None = None,
    ) -> None:
        """Raises `Denied` unless the actor may. Inside `act` the refusal is recorded; elsewhere use `require`."""
        if self.may(actor, permission, system=system, context=context):
            return
        own = bool(context and context.get("own_work"))
        if own and self.may(actor, permission, system=system, context={**(context or {}), "own_work": False}):
            message = f"You may not {WORDS[permission]} where it is your own work."
            raise Denied(message, wanted=permission, subject=subject, system=system, advice="Ask a colleague to do it.")
        where = f" of {system}" if system else ""
        raise Denied(
            f"You may not {WORDS[permission]}{where}.",
            wanted=permission,
            subject=subject,
            system=system,
            advice="Ask an administrator for a role that may.",
        )

    def demand_person(self, actor: Actor, permission: Permission, *, subject: str = "", system: str = "") -> None:
        """Raises `Denied` unless the actor is somebody who signed in: judgements carry a person."""
        if actor.kind is not ActorKind.PERSON:
            raise Denied(
                f"Only somebody who signed in can {WORDS[permission]}.",
                wanted=permission,
                subject=subject,
                system=system,
                advice="Use the console.",
            )

    def require(
        self,
        actor: Actor,
        permission: Permission,
        *,
        subject: str = "",
        system: str = "",
        context: Mapping[str, bool | str] | None = None,
    ) -> None:
        """As `demand`, for a read: records a refusal in a transaction of its own, then raises it."""
        try:
            self.demand(actor, permission, subject=subject, system=system, context=context)
        except Denied as denied:
            self._record(actor, denied)
            raise

    def require_scope(self, actor: Actor, scope: Scope, *, system: str = "") -> None:
        """Raises `Denied`, recorded, unless the key has the scope, for the system if it is bound to one."""
        try:
            if scope not in actor.scopes:
                raise Denied(
                    f"This API key has no scope {scope}.",
                    wanted=scope,
                    subject="",
                    system="",
                    reason=Reason.SCOPE,
                    advice=f"Make one with it: governance key create --scope {scope}.",
                )
            if actor.system and system and system != actor.system:
                raise Denied(
                    f"This API key speaks for the system {actor.system} only.",
                    wanted=scope,
                    subject="",
                    # Its own: the other is only a word of whoever asked.
                    system=actor.system,
                    reason=Reason.SYSTEM,
                    advice="Leave the system out, or use its own key.",
                )
        except Denied as denied:
            self._record(actor, denied)
            raise

    @contextmanager
    def act(self, actor: Actor) -> Iterator[T_co]:
        """A unit of work by `actor`. A `Denied` inside undoes it, and is recorded in a transaction of its own."""
        try:
            with self.database.write() as tx:
                yield tx
        except Denied as denied:
            self._record(actor, denied)
            raise

    def event(
        self,
        kind: EventKind,
        actor: Actor,
        subject: str = "",
        *,
        system: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> Event:
        """An event of now. An operator at the command line has no number of their own, so their account is named."""
        facts = dict(data or {})
        if actor.kind is ActorKind.SERVICE and actor.bindings:
            facts["operator"] = actor.name
        return Event(kind=kind, at=self.clock(), actor=actor.reference, subject=subject, system=system, data=facts)

    def _record(self, actor: Actor, denied: Denied) -> None:
        """An event for each act of a person; keys are programs that ask again, so theirs are counted."""
        if actor.kind is ActorKind.KEY:
            self.refusals.key(actor, denied.reason, wanted=denied.wanted, subject=denied.subject, system=denied.system)
            return
        with self.database.write() as tx:
            tx.append(
                self.event(
                    EventKind.ACTION_REFUSED,
                    actor,
                    denied.subject,
                    system=denied.system,
                    data={"wanted": denied.wanted},
                )
            )


def identity(actor: Actor) -> str:
    """Who somebody is for "another person": the signed-in person, or the account at the command line."""
    if actor.kind is ActorKind.SERVICE and actor.bindings:
        return f"operator:{actor.name}"[:340]
    return actor.reference


def same_person(actor: Actor, who: str, name: str) -> bool:
    """Whether `who` (an `identity`, with the name it had) is the actor: also across the console and the command line,
    by the account's name."""
    mine = identity(actor)
    if mine == who:
        return True
    kinds = {mine.partition(":")[0], who.partition(":")[0]}
    return kinds == {"operator", "person"} and actor.name.casefold() == name.casefold()
