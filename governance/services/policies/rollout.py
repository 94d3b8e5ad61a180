"""How a policy set comes into force: proposed from the files, approved by another person, tried in shadow, enforced,
retired; and how an earlier one is restored. Each step is one transaction with one audit event.

Files in git are the source; what is in force is what was promoted. The first set of an empty database is promoted by
the product itself, so that a fresh installation governs from its first call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from governance.access.permissions import PermissionsInForce
from governance.domain.events import Event, EventKind, Json
from governance.domain.people import SERVICE, Actor, ActorKind, Permission, Role, RoleBinding, operator
from governance.domain.policies import Rollout, RolloutOrigin, RolloutState, StandingSets
from governance.engine.decide import ERROR_QUEUE
from governance.errors import BadInput, CheckFailed, Conflict, NotFound
from governance.policy import rollout as lifecycle
from governance.policy.difference import Difference, difference
from governance.policy.policy import PolicySet
from governance.policy.rollout import RolloutAct
from governance.review.notes import clean_note
from governance.review.routing import REPORT_QUEUE
from governance.services.authorise import Authority, Denied, identity, same_person
from governance.services.policies.ports import Transaction

Progress = Callable[[int, int], None]
"""Hears how much of how much is done."""

_STALE = "The set in force has changed since rollout {} was proposed: what was approved is another change."
_PROPOSE_AGAIN = "Propose the files again: governance policy promote."


class GateClosed(CheckFailed):
    """The set's tests fail, or a budget is broken: it is not proposed. Exit code 1 at the command line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReport:
    """`failed` tests and broken `budgets` in words, and figures to show; a closed gate has either. `calls` were tried,
    `undecided` could not be; `backtest` is the id of the whole report."""

    tests: int
    failed: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    calls: int = 0
    undecided: int = 0
    backtest: int | None = None

    def document(self) -> dict[str, Any]:
        return {
            "tests": self.tests,
            "failed": list(self.failed),
            "budgets": list(self.budgets),
            "calls": self.calls,
            "undecided": self.undecided,
            "backtest": self.backtest,
        }


class Gate(Protocol):
    """Runs a set's tests, and its budgets over recorded traffic, against the set in force."""

    def __call__(self, candidate: PolicySet, against: PolicySet, *, by: str, progress: Progress) -> GateReport: ...


def unheard(done: int, of: int) -> None:
    """Progress that nobody watches."""


class RolloutService:
    """`gate` is asked before a set is proposed."""

    def __init__(self, authority: Authority[Transaction], gate: Gate) -> None:
        self._authority = authority
        self._gate = gate

    # Reading

    def standing(self) -> StandingSets:
        """Which sets decide now."""
        with self._authority.database.look() as tx:
            return tx.rollouts.standing()

    def get(self, rollout_id: int) -> Rollout:
        """Raises `NotFound`."""
        with self._authority.database.look() as tx:
            return _found(tx.rollouts.get(rollout_id), rollout_id)

    def altered(self) -> Sequence[str]:
        """Digests of the sets that decide now and were changed in the database: none of them is loaded anew."""
        with self._authority.database.look() as tx:
            return tx.rollouts.altered()

    def history(self, *, limit: int = 50, before: int | None = None) -> Sequence[Rollout]:
        """All rollouts, the latest first; `before` goes on below an earlier page's last id."""
        with self._authority.database.look() as tx:
            return tx.rollouts.latest(limit=limit, before=before)

    def in_force(self) -> PolicySet | None:
        """The enforced set; None before the first start."""
        with self._authority.database.look() as tx:
            found = tx.rollouts.standing().enforce
            return None if found is None else tx.rollouts.policy_set(found.policy_set_id)

    def queues(self) -> frozenset[str]:
        """The queues that cases go to by the sets that decide now, and those of reports and of failed policies."""
        with self._authority.database.look() as tx:
            standing = tx.rollouts.standing()
            sets = [tx.rollouts.policy_set(one.policy_set_id) for one in (standing.enforce, standing.shadow) if one]
        named = {policy.then.queue for policy_set in sets for policy in policy_set.policies if policy.then.queue}
        return frozenset({*named, ERROR_QUEUE, REPORT_QUEUE})

    def policy_set(self, named: str) -> tuple[PolicySet, str]:
        """A stored set by the number of a rollout or the beginning of its digest (8 digits or more), and its digest.

        Raises `NotFound`, or `BadInput` for a beginning that several have.
        """
        with self._authority.database.look() as tx:
            number, digest = self._named(tx, named)
            return tx.rollouts.policy_set(number), digest

    def drift(self, files: PolicySet) -> Difference:
        """What the files hold that is not in force."""
        return difference(self.in_force(), files)

    # The first start

    def ensure(self, files: Callable[[], PolicySet]) -> StandingSets:
        """What decides now; where nothing ever did, the files' set from now on. Two processes at once: one set."""
        with self._authority.database.look() as tx:
            standing = tx.rollouts.standing()
        if standing.enforce is not None:
            return standing
        policy_set = files()
        with self._authority.database.write() as tx:
            tx.rollouts.take_turns()
            standing = tx.rollouts.standing()
            if standing.enforce is not None:
                return standing
            now = self._authority.clock()
            number = self._kept(tx, policy_set, now)
            made = tx.rollouts.add(
                policy_set_id=number,
                against_id=None,
                origin=RolloutOrigin.FIRST,
                state=RolloutState.ENFORCE,
                by=SERVICE.reference,
                by_name=SERVICE.name,
                at=now,
                note="",
                gate={},
            )
            assert made is not None, "the turn was ours and nothing was in force"
            facts: dict[str, Json] = {
                "rollout": made,
                "digest": policy_set.digest,
                "first": True,
                "policies": len(policy_set.policies),
                **tx.rows(policy_rollout=[made], policy_rollout_step=tx.rollouts.steps(made)),
            }
            tx.append(self._authority.event(EventKind.POLICY_SET_ENFORCED, SERVICE, _subject(number), data=facts))
            return tx.rollouts.standing()

    # The way into force

    def propose(
        self,
        actor: Actor,
        candidate: PolicySet,
        *,
        note: str = "",
        despite: str = "",
        progress: Progress = unheard,
    ) -> Rollout:
        """Proposes a set against the one in force.

        Raises `GateClosed` when a test of the set fails, or a budget is broken and `despite` does not say why that is
        to be accepted: the reason stands on the proposal, and whoever approves it accepts it.
        """
        authority = self._authority
        note, despite = clean_note(note), clean_note(despite)
        authority.require(actor, Permission.PROPOSE_POLICY)
        against = self.in_force()
        if against is None:
            raise Conflict("Nothing is in force yet.", advice="Start: governance serve.")
        if against.digest == candidate.digest:
            raise Conflict("Nothing differs from what is in force.", advice="Change the files first.")
        _refuse_lockout(candidate)
        report = self._gate(candidate, against, by=actor.name, progress=progress)
        if report.failed:
            raise GateClosed(
                f"{_count(len(report.failed), 'test')} of the set {'fails' if len(report.failed) == 1 else 'fail'}: "
                f"{_some(report.failed)}",
                advice="Mend the policy or its test: governance policy test.",
            )
        if report.budgets and not despite:
            raise GateClosed(
                f"{_count(len(report.budgets), 'budget')} would be broken: {_some(report.budgets)}",
                advice="Narrow the policy, change its budget, or say why that is accepted (--despite-budget).",
            )
        with authority.act(actor) as tx:
            authority.demand(actor, Permission.PROPOSE_POLICY)
            tx.rollouts.take_turns()
            now = authority.clock()
            standing = tx.rollouts.standing().enforce
            if standing is None or standing.digest != against.digest:
                raise Conflict("Another set has come into force meanwhile.", advice=_PROPOSE_AGAIN)
            for other in tx.rollouts.with_digest(candidate.digest):
                if other.open:
                    raise Conflict(f"This set is rollout {other.id} already.", advice="See: governance policy history.")
            number = self._kept(tx, candidate, now)
            made = tx.rollouts.add(
                policy_set_id=number,
                against_id=standing.policy_set_id,
                origin=RolloutOrigin.FILES,
                state=RolloutState.PROPOSED,
                by=identity(actor),
                by_name=actor.name,
                at=now,
                note=note,
                gate=report.document() | {"despite": despite if report.budgets else ""},
            )
            assert made is not None, "a proposal stands in nobody's way"
            rollout = _found(tx.rollouts.get(made), made)
            gate: dict[str, Json] = {"tests": report.tests, "budgets_broken": len(report.budgets)}
            self._append(tx, EventKind.POLICY_SET_PROPOSED, actor, rollout, difference(against, candidate), gate)
        return rollout

    def approve(self, actor: Actor, rollout_id: int, *, note: str = "") -> Rollout:
        """Another person than the proposer agrees with the change. Raises `Denied` for one's own, `Conflict` when the
        set in force is not the one that it was compared with any more."""
        return self._step(actor, rollout_id, RolloutAct.APPROVE, EventKind.POLICY_SET_APPROVED, note)

    def reject(self, actor: Actor, rollout_id: int, *, note: str = "") -> Rollout:
        """Whoever may approve turns it down, or whoever proposed it takes it back."""
        return self._step(actor, rollout_id, RolloutAct.REJECT, EventKind.POLICY_SET_REJECTED, note)

    def shadow(self, actor: Actor, rollout_id: int, *, note: str = "") -> Rollout:
        """From now on the approved set decides every call beside the one in force, and acts on nothing. A set that was
        in shadow before makes room: it is retired."""
        return self._step(actor, rollout_id, RolloutAct.SHADOW, EventKind.POLICY_SET_SHADOWED, note)

    def enforce(self, actor: Actor, rollout_id: int, *, note: str = "") -> Rollout:
        """The approved set comes into force, whole and at once; the one before is retired. Without a time in shadow it
        needs a reason (`note`)."""
        return self._step(actor, rollout_id, RolloutAct.ENFORCE, EventKind.POLICY_SET_ENFORCED, note)

    def retire(self, actor: Actor, rollout_id: int, *, note: str = "") -> Rollout:
        """Takes a set out of shadow. What is in force is never retired alone: another comes in its place."""
        return self._step(actor, rollout_id, RolloutAct.RETIRE, EventKind.POLICY_SET_RETIRED, note)

    def rollback(self, actor: Actor, *, reason: str, to: str = "") -> Rollout:
        """Restores a whole set that was in force before: the one before this, or `to` (a rollout's number or a
        digest). It was approved once, so that one person who may propose is enough, with a reason."""
        authority = self._authority
        reason = clean_note(reason)
        if not reason:
            raise BadInput("A rollback needs a reason.", advice="Say what went wrong: --reason.")
        with authority.act(actor) as tx:
            authority.demand(actor, Permission.PROPOSE_POLICY)
            tx.rollouts.take_turns()
            now = authority.clock()
            current = tx.rollouts.standing().enforce
            if current is None:
                raise Conflict("Nothing is in force yet.", advice="Start: governance serve.")
            if to:
                wanted, _ = self._named(tx, to)
                if wanted == current.policy_set_id:
                    raise Conflict("This set is in force already.")
                target = tx.rollouts.enforced_before(policy_set_id=wanted)
            else:
                target = tx.rollouts.enforced_before()
            if target is None:
                raise NotFound(
                    "There is no such earlier set: only what was in force before can be restored.",
                    advice="See: governance policy history.",
                )
            restored = self._readable(tx, target)
            before = tx.rollouts.policy_set(current.policy_set_id)
            self._retire(tx, actor, current.rollout, RolloutState.ENFORCE)
            made = tx.rollouts.add(
                policy_set_id=target.policy_set_id,
                against_id=current.policy_set_id,
                origin=RolloutOrigin.ROLLBACK,
                state=RolloutState.ENFORCE,
                by=identity(actor),
                by_name=actor.name,
                at=now,
                note=reason,
                gate={},
            )
            if made is None:
                raise Conflict("Another set has come into force meanwhile.", advice="Look again.")
            rollout = _found(tx.rollouts.get(made), made)
            of: dict[str, Json] = {"restores": target.id}
            self._append(tx, EventKind.POLICY_SET_ROLLED_BACK, actor, rollout, difference(before, restored), of)
        return rollout

    def _kept(self, tx: Transaction, policy_set: PolicySet, at: datetime) -> int:
        """The stored set's id. Storing it for the first time is an audit event."""
        number, new = tx.rollouts.keep(policy_set, at)
        if new:
            data: dict[str, Json] = {
                "digest": policy_set.digest,
                "policies": len(policy_set.policies),
                **tx.rows(policy_set=[number]),
            }
            tx.append(
                Event(
                    kind=EventKind.POLICY_SET_LOADED,
                    at=at,
                    actor=SERVICE.reference,
                    subject=f"policy_set:{number}",
                    data=data,
                )
            )
        return number

    def _step(self, actor: Actor, rollout_id: int, step: RolloutAct, kind: EventKind, note: str) -> Rollout:
        authority = self._authority
        note = clean_note(note)
        with authority.act(actor) as tx:
            tx.rollouts.take_turns()
            rollout = _found(tx.rollouts.get(rollout_id), rollout_id)
            self._demand(actor, rollout, step)
            if step is RolloutAct.RETIRE and rollout.state is RolloutState.ENFORCE:
                raise Conflict(f"Rollout {rollout_id} is in force.", advice="Enforce another, or: policy rollback.")
            becomes = lifecycle.after(rollout.state, step, number=rollout_id)
            standing = tx.rollouts.standing()
            before = None
            if step in (RolloutAct.APPROVE, RolloutAct.SHADOW, RolloutAct.ENFORCE):
                if standing.enforce is None or standing.enforce.digest != rollout.against:
                    raise Conflict(_STALE.format(rollout_id), advice=_PROPOSE_AGAIN)
                before = tx.rollouts.policy_set(standing.enforce.policy_set_id)
            if lifecycle.skips_shadow(rollout.state, step) and not note:
                raise BadInput(
                    f"Rollout {rollout_id} was not in shadow: no traffic has seen it.",
                    advice="Move it to shadow first, or say why not: --reason.",
                )
            facts: dict[str, Json] = {}
            if step is RolloutAct.ENFORCE:
                assert standing.enforce is not None, "it was compared with"
                facts["skipped_shadow"] = rollout.state is RolloutState.APPROVED
                self._retire(tx, actor, standing.enforce.rollout, RolloutState.ENFORCE)
            if step is RolloutAct.SHADOW and standing.shadow is not None:
                self._retire(tx, actor, standing.shadow.rollout, RolloutState.SHADOW)
            candidate = self._readable(tx, rollout) if before is not None else None
            moved = tx.rollouts.move(
                rollout_id,
                rollout.state,
                becomes,
                by=identity(actor),
                by_name=actor.name,
                at=authority.clock(),
                note=note,
            )
            if not moved:
                raise Conflict(f"Somebody else moved rollout {rollout_id}.", advice="Look again.")
            changes = difference(before, candidate) if candidate is not None else None
            self._append(tx, kind, actor, rollout, changes, facts)
            return _found(tx.rollouts.get(rollout_id), rollout_id)

    def _demand(self, actor: Actor, rollout: Rollout, step: RolloutAct) -> None:
        subject, own = _subject(rollout.policy_set_id), owns(actor, rollout)
        if step is RolloutAct.APPROVE or (step is RolloutAct.REJECT and not own):
            self._authority.demand(actor, Permission.APPROVE_POLICY, subject=subject, context={"own_work": own})
        else:
            self._authority.demand(actor, Permission.PROPOSE_POLICY, subject=subject)
        if step is RolloutAct.APPROVE and own:  # the permissions are the firm's to change; this is not
            raise Denied(
                "You may not approve a policy change where it is your own work.",
                wanted=Permission.APPROVE_POLICY,
                subject=subject,
                system="",
                advice="Ask a colleague to do it.",
            )

    def _retire(self, tx: Transaction, actor: Actor, rollout_id: int, was: RolloutState) -> None:
        now = self._authority.clock()
        if not tx.rollouts.move(rollout_id, was, RolloutState.RETIRED, by=identity(actor), by_name=actor.name, at=now):
            raise Conflict("Another set has come into force meanwhile.", advice="Look again.")
        retired = _found(tx.rollouts.get(rollout_id), rollout_id)
        self._append(tx, EventKind.POLICY_SET_RETIRED, actor, retired, None, {})

    def _append(
        self,
        tx: Transaction,
        kind: EventKind,
        actor: Actor,
        rollout: Rollout,
        changes: Difference | None,
        facts: dict[str, Json],
    ) -> None:
        stated = tx.rows(policy_rollout=[rollout.id], policy_rollout_step=tx.rollouts.steps(rollout.id))
        data: dict[str, Json] = {"rollout": rollout.id, "digest": rollout.digest, **facts, **stated}
        if changes is not None:
            data |= {"against": rollout.against, **changes.leaf()}
        tx.append(self._authority.event(kind, actor, _subject(rollout.policy_set_id), data=data))

    @staticmethod
    def _readable(tx: Transaction, rollout: Rollout) -> PolicySet:
        try:
            return tx.rollouts.genuine(rollout.policy_set_id)
        except ValueError:
            raise Conflict(
                f"The set of rollout {rollout.id} cannot be read by this version of the product.",
                advice="Propose the files again, or roll back to another.",
            ) from None

    @staticmethod
    def _named(tx: Transaction, named: str) -> tuple[int, str]:
        if named.isdecimal() and len(named) < 8:
            rollout = _found(tx.rollouts.get(int(named)), int(named))
            return rollout.policy_set_id, rollout.digest
        if len(named) < 8 or not set(named.lower()) <= set("0123456789abcdef"):
            raise BadInput(
                f"{named[:40]!r} is neither the number of a rollout nor the beginning of a digest, and no folder here.",
                advice="See: governance policy history.",
            )
        known = tx.rollouts.known(named.lower())
        if not known:
            raise NotFound(f"There is no policy set {named[:12]}.", advice="See: governance policy history.")
        if len(known) > 1:
            raise BadInput(f"Several policy sets begin with {named[:40]}.", advice="Give more digits.")
        return known[0]


def _refuse_lockout(candidate: PolicySet) -> None:
    """Permissions under which nobody could propose or approve the way back are not proposed. Raises `BadInput`."""
    rules = PermissionsInForce.of(candidate.access)
    if rules is None:
        return
    everything = tuple(RoleBinding(role=role) for role in Role)
    person = Actor(kind=ActorKind.PERSON, id=0, name="", bindings=everything)
    wanted = (
        (operator(""), Permission.PROPOSE_POLICY, "the command line propose policies"),
        (operator(""), Permission.MANAGE_ACCESS, "the command line manage people"),
        (person, Permission.APPROVE_POLICY, "a person with every role approve policies"),
    )
    for actor, permission, words in wanted:
        if not rules.allowed(actor, permission):
            raise BadInput(
                f"access/console.cedar does not let {words}: nobody could change it again.",
                advice="Permit that in the file.",
            )


def owns(actor: Actor, rollout: Rollout) -> bool:
    """Whether the proposal is the actor's own."""
    return same_person(actor, rollout.proposed_by, rollout.steps[0].by_name if rollout.steps else "")


def _found(rollout: Rollout | None, number: int) -> Rollout:
    if rollout is None:
        raise NotFound(f"There is no rollout {number}.", advice="See: governance policy history.")
    return rollout


def _subject(policy_set_id: int) -> str:
    return f"policy_set:{policy_set_id}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _some(items: Sequence[str]) -> str:
    shown = "; ".join(items[:5])
    return f"{shown}; and {len(items) - 5} more." if len(items) > 5 else f"{shown}."
