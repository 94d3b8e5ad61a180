"""People, their accounts and their roles."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from governance.access import claims as role_claims
from governance.access.claims import ClaimShape, RoleClaim
from governance.access.passwords import PASSWORD_LENGTH, weakness
from governance.domain.events import EventKind, Json
from governance.domain.people import SERVICE, Actor, ActorKind, Permission, Person, ProviderSignIn, Role, RoleBinding
from governance.errors import BadInput, Conflict, NotFound, Unauthenticated
from governance.services.authorise import Authority
from governance.services.people.ports import Account, Transaction
from governance.services.people.sessions import LOCAL, WAIT, record_failure

ADMINISTRATOR = "admin"
KEPT_SIGN_INS = 200
"""Sign-ins through the identity provider whose roles claim is kept, for `doctor --sign-in` and the Admin page."""
_SHOWN_NAMES = 20
_SHOWN_LENGTH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAccount:
    """An account and its generated password, which is shown once and stored nowhere."""

    person: Person
    password: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """Who signed in through the identity provider, and what they should know of their roles ("" for nothing)."""

    person: Person
    notice: str


class PeopleService:
    def __init__(
        self,
        authority: Authority[Transaction],
        *,
        group_roles: Mapping[str, str] | None = None,
        hasher: PasswordHasher | None = None,
    ) -> None:
        """`group_roles` maps a group of the identity provider to a role; a group named as a role needs no entry."""
        self._authority = authority
        self._group_roles = {group: Role(role) for group, role in (group_roles or {}).items()}
        self._hasher = hasher or PasswordHasher()

    def list(self, actor: Actor) -> Sequence[Person]:
        self._authority.require(actor, Permission.MANAGE_ACCESS)
        with self._authority.database.look() as tx:
            return tx.people.list()

    def named(self, actor: Actor, name: str) -> Person:
        """The local account of that name. Raises `NotFound`."""
        self._authority.require(actor, Permission.MANAGE_ACCESS)
        with self._authority.database.look() as tx:
            account = tx.people.account(LOCAL, name)
        if account is None:
            raise NotFound(f"There is no local account {name!r}.", advice="List them: governance user list.")
        return account.person

    def add(self, actor: Actor, name: str, bindings: Sequence[RoleBinding], *, email: str = "") -> NewAccount:
        """A local account with a generated password, which must be changed at the first sign-in where a person gave
        it (see `_given`). Raises `BadInput` for a name that is none, `Conflict`."""
        name = _account_name(name)
        password = _password()
        hashed = self._hasher.hash(password)
        with self._authority.act(actor) as tx:
            tx.people.take_turns()
            self._authority.demand(actor, Permission.MANAGE_ACCESS)
            person = self._add(tx, actor, name, bindings, hashed, email)
        return NewAccount(person=person, password=password)

    def given_here(self, actor: Actor, principal_id: int) -> tuple[RoleBinding, ...]:
        """The bindings that `set_roles` replaces: without those of the identity provider's groups."""
        self._authority.require(actor, Permission.MANAGE_ACCESS)
        with self._authority.database.look() as tx:
            return tx.people.bindings(principal_id, LOCAL)

    def set_roles(self, actor: Actor, principal_id: int, bindings: Sequence[RoleBinding]) -> Person:
        """Replaces the bindings that were given here; those of the identity provider's groups stay. Nobody changes
        their own."""
        with self._authority.act(actor) as tx:
            tx.people.take_turns()
            person = self._managed(tx, actor, principal_id).person
            before = set(tx.people.bindings(principal_id, LOCAL))
            after = _distinct(bindings)
            touched = tx.people.bind(principal_id, after, source=LOCAL)
            self._changed(tx, actor, person, before, set(after), LOCAL, touched)
            return _found(tx.people.get(principal_id), principal_id).person

    def disable(self, actor: Actor, principal_id: int) -> None:
        """Closes the account and its sessions; what the person did stays. Nobody disables themselves."""
        now = self._authority.clock()
        with self._authority.act(actor) as tx:
            tx.people.take_turns()
            self._managed(tx, actor, principal_id)
            if not tx.people.disable(principal_id, now):
                raise Conflict("This account is disabled already.")
            closed = tx.sessions.close_all(principal_id, now)
            self._append(tx, EventKind.PERSON_DISABLED, actor, principal_id, {"sessions_closed": closed})

    def reset_password(self, actor: Actor, principal_id: int) -> str:
        """A new generated password, shown once; also unlocks, and closes the sessions that are open. It must be
        changed at the next sign-in where a person gave it (see `_given`)."""
        password = _password()
        hashed = self._hasher.hash(password)
        with self._authority.act(actor) as tx:
            tx.people.take_turns()
            account = self._managed(tx, actor, principal_id)
            self._local(account)
            self._set_password(tx, actor, principal_id, hashed, must_change=_given(actor))
        return password

    def change_password(self, actor: Actor, current: str, new: str) -> Person:
        """One's own. Raises `Unauthenticated` when `current` is wrong or the account waits, `BadInput` when `new` is
        too weak. A wrong `current` counts as a failed sign-in does: an open session is no place to guess at.

        Every session of the person ends, this one too: open another."""
        now = self._authority.clock()
        with self._authority.database.look() as tx:
            account = _found(tx.people.get(actor.id) if actor.kind is ActorKind.PERSON else None, actor.id)
        self._local(account)
        usable = account.locked_until <= now
        if not usable or not self._verify(account.password_hash, current):
            self._wrong(actor, account, wrong_password=usable)
        if weak := weakness(new, name=account.person.name, email=account.person.email):
            raise BadInput(weak, advice="A few unrelated words are easy to remember and hard to guess.")
        if new == current:
            raise BadInput("The new password must differ from the present one.")
        hashed = self._hasher.hash(new)
        with self._authority.database.write() as tx:
            tx.people.take_turns()
            present = _found(tx.people.get(actor.id), actor.id)
            # What happened while the passwords were hashed counts: a lock, a disabling, a password given anew.
            unchanged = (
                present.person.disabled_at is None
                and present.locked_until <= now
                and present.password_hash == account.password_hash
            )
            if unchanged:
                self._set_password(tx, actor, actor.id, hashed, must_change=False)
                account = _found(tx.people.get(actor.id), actor.id)
        if not unchanged:
            self._wrong(actor, account, wrong_password=False)
        return account.person

    def ensure_administrator(self) -> tuple[str, str] | None:
        """On an installation without any person: makes the first one, with every role, so that a trial can begin at
        once; gives name and password, to be printed once. None where there is somebody already."""
        with self._authority.database.look() as tx:
            if tx.people.count():
                return None
        password = _password()
        hashed = self._hasher.hash(password)
        with self._authority.database.write() as tx:
            tx.people.take_turns()
            if tx.people.count():
                return None
            everything = tuple(RoleBinding(role=role) for role in Role)
            try:
                self._add(tx, SERVICE, ADMINISTRATOR, everything, hashed, "")
            except Conflict:  # another process made it just now
                return None
        return ADMINISTRATOR, password

    def signed_in_elsewhere(
        self, issuer: str, subject: str, *, name: str, claim: RoleClaim, email: str = ""
    ) -> Admission:
        """Who an identity provider says has signed in, known by issuer and subject, with the roles that `claim` gives
        as of now: one that cannot be read gives none, and takes away those of earlier sign-ins. Roles that were given
        here stay. Raises `Unauthenticated` for a disabled account."""
        if not issuer or issuer == LOCAL or not subject:
            raise Unauthenticated("The identity provider did not say who signed in.")
        now = self._authority.clock()
        roles = role_claims.roles(claim.names, self._group_roles)
        wanted = _distinct([RoleBinding(role=role) for role in roles])
        shown = _line(name, 200) or _line(subject, 200)
        with self._authority.database.write() as tx:
            tx.people.take_turns()
            person = self._known(tx, issuer, subject, name=shown, email=_line(email, 300), at=now).person
            disabled = person.disabled_at is not None
            tx.people.keep_sign_in(_kept(claim, person, roles, now), most=KEPT_SIGN_INS)
            before = set(tx.people.bindings(person.id, "claim"))
            if not disabled:
                if (person.name, person.email) != (shown, _line(email, 300)):
                    tx.people.rename(person.id, name=shown, email=_line(email, 300))
                    self._append(tx, EventKind.PERSON_CHANGED, SERVICE, person.id, {"by": "oidc"})
                if before != set(wanted):
                    touched = tx.people.bind(person.id, wanted, source="claim")
                    self._changed(tx, SERVICE, person, before, set(wanted), "claim", touched)
                person = _found(tx.people.get(person.id), person.id).person
        if disabled:
            raise Unauthenticated("This account is disabled.", advice="Ask an administrator.")
        return Admission(person=person, notice=_notice(claim, person, lost=before - set(wanted)))

    def sign_ins(self, actor: Actor, limit: int = 20) -> Sequence[ProviderSignIn]:
        """What the identity provider said of roles at the latest sign-ins, the newest first."""
        self._authority.require(actor, Permission.MANAGE_ACCESS)
        with self._authority.database.look() as tx:
            return tx.people.sign_ins(limit)

    def _known(self, tx: Transaction, issuer: str, subject: str, *, name: str, email: str, at: datetime) -> Account:
        """The account of that issuer and subject, added when they come for the first time."""
        account = tx.people.account(issuer, subject)
        if account is None:
            added = tx.people.add(
                issuer=issuer, subject=subject, name=name, email=email, password_hash="", must_change=False, at=at
            )
            if added is not None:
                self._append(tx, EventKind.PERSON_ADDED, SERVICE, added, {"by": "oidc"})
            account = tx.people.account(issuer, subject)
        assert account is not None, "added here or by a racing sign-in"
        return account

    def _add(
        self, tx: Transaction, actor: Actor, name: str, bindings: Sequence[RoleBinding], hashed: str, email: str
    ) -> Person:
        bindings = _distinct(bindings)
        added = tx.people.add(
            issuer=LOCAL,
            subject=name,
            name=name,
            email=_line(email, 300),
            password_hash=hashed,
            must_change=_given(actor),
            at=self._authority.clock(),
        )
        if added is None:
            raise Conflict(f"There is a local account {name!r} already.")
        self._append(tx, EventKind.PERSON_ADDED, actor, added, {"by": LOCAL})
        person = _found(tx.people.get(added), added).person
        if bindings:
            touched = tx.people.bind(added, bindings, source=LOCAL)
            self._changed(tx, actor, person, set(), set(bindings), LOCAL, touched)
        return _found(tx.people.get(added), added).person

    def _managed(self, tx: Transaction, actor: Actor, principal_id: int) -> Account:
        account = _found(tx.people.get(principal_id), principal_id)
        own = actor.kind is ActorKind.PERSON and actor.id == principal_id
        self._authority.demand(
            actor, Permission.MANAGE_ACCESS, subject=f"person:{principal_id}", context={"own_work": own}
        )
        return account

    def _local(self, account: Account) -> None:
        if account.person.issuer != LOCAL:
            raise BadInput("This person signs in elsewhere.", advice="Their password is changed there.")

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return len(password) <= PASSWORD_LENGTH and self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _wrong(self, actor: Actor, account: Account, *, wrong_password: bool) -> NoReturn:
        record_failure(self._authority, actor, account, wrong_password=wrong_password)
        raise Unauthenticated("The present password is wrong.", advice=WAIT)

    def _set_password(
        self, tx: Transaction, actor: Actor, principal_id: int, hashed: str, *, must_change: bool
    ) -> None:
        tx.people.set_password(principal_id, hashed, must_change=must_change)
        closed = tx.sessions.close_all(principal_id, self._authority.clock())
        self._append(tx, EventKind.PASSWORD_CHANGED, actor, principal_id, {"sessions_closed": closed})

    def _append(self, tx: Transaction, kind: EventKind, actor: Actor, principal_id: int, data: dict[str, Json]) -> None:
        """An event about a person, with their row as it now stands."""
        stated = tx.rows(principal=[principal_id])
        tx.append(self._authority.event(kind, actor, f"person:{principal_id}", data={**data, **stated}))

    def _changed(
        self,
        tx: Transaction,
        actor: Actor,
        person: Person,
        before: set[RoleBinding],
        after: set[RoleBinding],
        source: str,
        touched: Sequence[int],
    ) -> None:
        tx.append(
            self._authority.event(
                EventKind.ROLES_CHANGED,
                actor,
                f"person:{person.id}",
                data={
                    "given": [_spoken(b) for b in sorted(after - before, key=_spoken)],
                    "taken": [_spoken(b) for b in sorted(before - after, key=_spoken)],
                    "source": source,
                    **tx.rows(role_binding=touched),
                },
            )
        )


def _given(actor: Actor) -> bool:
    """Whether a password that this actor sets is one that must be changed before anything else.

    A person who sets another's password could act as them, and approve their own work. The product itself (the first
    administrator) and the operator at the command line, who hold every right anyway, set passwords to be used at once.
    """
    return actor.kind is ActorKind.PERSON


def _kept(claim: RoleClaim, person: Person, roles: Sequence[Role], at: datetime) -> ProviderSignIn:
    return ProviderSignIn(
        at=at,
        person_id=person.id,
        person=person.name,
        claim=_line(claim.path, 200),
        shape=str(claim.shape),
        names=tuple(_line(name, _SHOWN_LENGTH) for name in claim.names[:_SHOWN_NAMES]),
        count=len(claim.names),
        problem=_line(claim.problem, 200),
        roles=tuple(roles),
        outcome="admitted" if person.disabled_at is None else "disabled",
    )


def _notice(claim: RoleClaim, person: Person, *, lost: set[RoleBinding]) -> str:
    """What a person should know: that no role could be read, or that none followed. "" where nothing is amiss."""
    ask = "Ask an administrator of this console."
    if claim.readable:
        if person.bindings:
            return ""
        count = len(claim.names)
        came = f"{count:,} {'name' if count == 1 else 'names'}, none of which gives a role" if count else "no name"
        return f"You have no role here: the claim {claim.path!r} came as {claim.shape} with {came}. {ask}"
    if claim.shape is ClaimShape.ABSENT and person.bindings and not lost:
        return ""  # Whose roles are given here needs no claim.
    effect = "It took away roles that you had." if lost else "It gave you no role."
    return f"The claim {claim.path!r} could not be read: {claim.problem}. {effect} {ask}"


def _spoken(binding: RoleBinding) -> str:
    return f"{binding.role}@{binding.system}" if binding.system else str(binding.role)


def _distinct(bindings: Iterable[RoleBinding]) -> tuple[RoleBinding, ...]:
    return tuple(sorted(set(bindings), key=_spoken))


def _found(account: Account | None, principal_id: int) -> Account:
    if account is None:
        raise NotFound(f"There is no person {principal_id}.")
    return account


def _account_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise BadInput("An account's name is 1 to 100 printable characters.")
    return name


def _line(text: str, length: int) -> str:
    return "".join(c for c in text if c.isprintable())[:length].strip()


def _password() -> str:
    """Some 123 random bits, easy to read out: five groups of five letters and digits without look-alikes."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(5))


_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
