"""Sign-in, sessions and what a change of rights does to them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from governance.domain.people import Role, RoleBinding
from governance.errors import BadInput, Conflict, Refused, Unauthenticated
from governance.services.people.sessions import SessionService, actor_of
from governance.store.base import tables as t
from tests.review.conftest import QUICK, ROOT, House

REVIEWER = [RoleBinding(role=Role.REVIEWER)]


def test_a_session_speaks_for_its_person_with_the_roles_of_now(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    signed_in = house.sessions.sign_in_local("dana", new.password)
    assert not signed_in.must_change_password
    actor = house.sessions.find(signed_in.token)
    assert actor == signed_in.actor == actor_of(new.person)
    house.people.set_roles(ROOT, new.person.id, [RoleBinding(role=Role.AUDITOR, system="hr-bot")])
    changed = house.sessions.find(signed_in.token)
    assert changed is not None
    assert changed.bindings == (RoleBinding(role=Role.AUDITOR, system="hr-bot"),)


def test_only_the_hash_of_a_token_is_kept(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    token = house.sessions.sign_in_local("dana", new.password).token
    with house.database.read() as connection:
        row = connection.execute(t.session.select()).one()
    assert token.encode() not in bytes(row.token_hash)
    assert len(row.token_hash) == 32
    assert new.password not in str(house.events())


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 10_000, "é"])
def test_an_unknown_token_speaks_for_nobody(house: House, token: str) -> None:
    assert house.sessions.find(token) is None
    house.sessions.close(token)
    assert house.events("session.closed") == []


def test_a_session_ends_by_time_by_sign_out_and_by_disabling(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    over, closed, disabled = (house.sessions.open_session(new.person) for _ in range(3))
    house.sessions.close(closed)
    house.sessions.close(closed)
    assert house.sessions.find(closed) is None
    assert len(house.events("session.closed")) == 1
    assert house.sessions.find(disabled) is not None
    house.people.disable(ROOT, new.person.id)
    assert house.sessions.find(disabled) is None
    with pytest.raises(Unauthenticated):
        house.sessions.sign_in_local("dana", new.password)
    other = house.people.add(ROOT, "erik", REVIEWER)
    late = house.sessions.open_session(other.person)
    house.clock.forward(hours=8)
    assert house.sessions.find(late) is None
    assert house.sessions.find(over) is None


def test_wrong_name_and_wrong_password_sound_the_same_and_nothing_typed_is_kept(house: House) -> None:
    house.people.add(ROOT, "dana", REVIEWER)
    said = set()
    for name, password in (("dana", "hunter2-guess"), ("nobody-here", "hunter2-guess"), ("dana", "x" * 5_000)):
        with pytest.raises(Unauthenticated) as refused:
            house.sessions.sign_in_local(name, password)
        said.add(str(refused.value))
    assert len(said) == 1
    events = house.events("session.refused")
    assert len(events) == 3
    assert {event["actor"] for event in events} == {"service:0"}
    assert "hunter2" not in str(events)
    assert "nobody-here" not in str(events)


def test_an_account_locks_after_five_wrong_passwords_for_a_quarter_of_an_hour(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            house.sessions.sign_in_local("dana", "wrong")
    assert [event["data"]["locked"] for event in house.events("session.refused")] == [False] * 4 + [True]
    with pytest.raises(Unauthenticated):
        house.sessions.sign_in_local("dana", new.password)
    house.clock.forward(minutes=15)
    house.sessions.sign_in_local("dana", new.password)


def test_success_forgets_earlier_failures(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(Unauthenticated):
                house.sessions.sign_in_local("dana", "wrong")
        house.sessions.sign_in_local("dana", new.password)


def test_a_stronger_hash_replaces_the_old_one_at_sign_in(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    sessions = SessionService(house.authority, lasts=timedelta(hours=1), hasher=stronger)
    sessions.sign_in_local("dana", new.password)
    with house.database.read() as connection:
        kept = connection.execute(t.principal.select()).one().password_hash
    assert not stronger.check_needs_rehash(kept)
    assert stronger.verify(kept, new.password)
    assert QUICK.check_needs_rehash(kept)


def test_a_new_password_ends_the_sessions_and_unlocks(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    token = house.sessions.open_session(new.person)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            house.sessions.sign_in_local("dana", "wrong")
    password = house.people.reset_password(ROOT, new.person.id)
    assert house.sessions.find(token) is None
    actor = house.sessions.sign_in_local("dana", password).actor
    with pytest.raises(Unauthenticated):
        house.people.change_password(actor, "wrong", "a much better one")
    with pytest.raises(BadInput):
        house.people.change_password(actor, password, "short")
    house.people.change_password(actor, password, "a much better one")
    assert not house.sessions.sign_in_local("dana", "a much better one").must_change_password


@pytest.mark.parametrize("way", ["added", "reset"])
def test_whose_password_another_person_gave_holds_no_rights_until_it_is_their_own(house: House, way: str) -> None:
    admin = house.person(Role.ADMIN)
    if way == "added":
        new = house.people.add(admin, "dana", REVIEWER)
        number, password = new.person.id, new.password
    else:
        number = house.people.add(ROOT, "dana", REVIEWER).person.id
        password = house.people.reset_password(admin, number)
    given = house.sessions.sign_in_local("dana", password)
    assert given.must_change_password
    found = house.sessions.find(given.token)
    assert found is not None
    assert found.must_change_password
    assert found.bindings == ()
    with pytest.raises(Refused):
        house.review.claim(found, house.case())
    chosen = house.people.change_password(found, password, "four unrelated words")
    again = house.sessions.find(house.sessions.open_session(chosen))
    assert again is not None
    assert not again.must_change_password
    assert again.bindings == tuple(REVIEWER)
    assert house.sessions.find(given.token) is None
    changed = house.events("person.password_changed")[-1]
    assert changed["actor"] == changed["subject"] == f"person:{number}"


def test_a_password_of_the_command_line_is_used_at_once(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    assert not house.sessions.sign_in_local("dana", new.password).must_change_password
    password = house.people.reset_password(ROOT, new.person.id)
    assert not house.sessions.sign_in_local("dana", password).must_change_password


def test_guesses_at_the_present_password_lock_the_account_as_those_at_sign_in_do(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    signed_in = house.sessions.sign_in_local("dana", new.password)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            house.sessions.sign_in_local("dana", "wrong")
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="wrong"):
            house.people.change_password(signed_in.actor, "wrong", "four unrelated words")
    events = house.events("session.refused")
    assert [event["data"]["locked"] for event in events] == [False] * 4 + [True]
    assert events[-1]["actor"] == events[-1]["subject"] == f"person:{new.person.id}"
    for act in (
        lambda: house.people.change_password(signed_in.actor, new.password, "four unrelated words"),
        lambda: house.sessions.sign_in_local("dana", new.password),
    ):
        with pytest.raises(Unauthenticated):
            act()
    house.clock.forward(minutes=15)
    house.people.change_password(signed_in.actor, new.password, "four unrelated words")


def test_a_password_given_meanwhile_is_not_overwritten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    actor = house.sessions.sign_in_local("dana", new.password).actor
    given = []

    class Slow:
        """Somebody gives another password while the new one is being hashed."""

        def verify(self, password_hash: str, password: str) -> bool:
            return QUICK.verify(password_hash, password)

        def hash(self, password: str) -> str:
            monkeypatch.setattr(house.people, "_hasher", QUICK)
            given.append(house.people.reset_password(ROOT, new.person.id))
            return QUICK.hash(password)

    monkeypatch.setattr(house.people, "_hasher", Slow())
    with pytest.raises(Unauthenticated):
        house.people.change_password(actor, new.password, "four unrelated words")
    house.sessions.sign_in_local("dana", given[0])


def test_the_first_administrator_is_made_once(house: House) -> None:
    made = house.people.ensure_administrator()
    assert made is not None
    assert house.people.ensure_administrator() is None
    signed_in = house.sessions.sign_in_local(*made)
    assert not signed_in.must_change_password
    actor = signed_in.actor
    assert {binding.role for binding in actor.bindings} == set(Role)


def test_nobody_changes_their_own_rights(house: House) -> None:
    admin, other = house.person(Role.ADMIN), house.person(Role.REVIEWER)
    with pytest.raises(Refused, match="own work"):
        house.people.set_roles(admin, admin.id, [RoleBinding(role=Role.SENIOR_REVIEWER)])
    with pytest.raises(Refused, match="own work"):
        house.people.disable(admin, admin.id)
    house.people.set_roles(admin, other.id, [RoleBinding(role=Role.SENIOR_REVIEWER)])
    changed = house.events("person.roles_changed")[-1]
    assert changed["actor"] == f"person:{admin.id}"
    assert changed["data"]["given"] == ["senior_reviewer"]
    assert changed["data"]["taken"] == ["reviewer"]
    assert len(house.events("action.refused")) == 2


def test_only_an_administrator_manages_people(house: House) -> None:
    senior, other = house.person(Role.SENIOR_REVIEWER), house.person(Role.REVIEWER)
    for act in (
        lambda: house.people.add(senior, "friend", REVIEWER),
        lambda: house.people.set_roles(senior, other.id, []),
        lambda: house.people.disable(senior, other.id),
        lambda: house.people.reset_password(senior, other.id),
        lambda: house.people.list(senior),
    ):
        with pytest.raises(Refused):
            act()
    assert len(house.events("action.refused")) == 5


def test_an_account_name_is_taken_once(house: House) -> None:
    house.people.add(ROOT, "dana", REVIEWER)
    with pytest.raises(Conflict):
        house.people.add(ROOT, "dana", REVIEWER)
    for name in ("", " ", "a\nb", "x" * 101):
        with pytest.raises(BadInput):
            house.people.add(ROOT, name, REVIEWER)


def test_groups_of_the_identity_provider_are_roles_as_of_each_sign_in(house: House) -> None:
    def sign_in(*groups: str) -> set[str]:
        person = house.people.signed_in_elsewhere("https://idp.example", "sub-1", name="Dana", groups=groups)
        found = house.sessions.find(house.sessions.open_session(person))
        assert found is not None
        return {str(binding.role) for binding in found.bindings}

    assert sign_in("gov-seniors", "auditor", "all-staff") == {"senior_reviewer", "auditor"}
    assert sign_in("all-staff") == set()
    person = house.people.list(ROOT)[0]
    house.people.set_roles(ROOT, person.id, [RoleBinding(role=Role.ENGINEER)])
    assert sign_in("auditor") == {"auditor", "engineer"}
    assert len(house.people.list(ROOT)) == 1
    house.people.disable(ROOT, person.id)
    with pytest.raises(Unauthenticated, match="disabled"):
        sign_in("auditor")


@pytest.mark.parametrize(("issuer", "subject"), [("local", "dana"), ("", "x"), ("https://idp.example", "")])
def test_no_issuer_can_pose_as_a_local_account(house: House, issuer: str, subject: str) -> None:
    with pytest.raises(Unauthenticated):
        house.people.signed_in_elsewhere(issuer, subject, name="Dana")
