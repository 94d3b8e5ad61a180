"""Sign-in, sessions and what a change of rights does to them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from governance.access.claims import read
from governance.domain.people import Role, RoleBinding
from governance.errors import BadInput, Conflict, Refused, Unauthenticated
from governance.services.people import accounts, sessions
from governance.services.people.accounts import Admission
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


@pytest.fixture
def five(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account waits after five failures, not a hundred."""
    monkeypatch.setattr(sessions, "FAILURES", 5)


@pytest.mark.usefixtures("five")
def test_an_account_that_many_guess_at_waits_a_quarter_of_an_hour_but_not_in_its_own_browser(house: House) -> None:
    new = house.people.add(ROOT, "dana", REVIEWER)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            house.sessions.sign_in_local("dana", "wrong")
    assert [event["data"]["locked"] for event in house.events("session.refused")] == [False] * 4 + [True]
    with pytest.raises(Unauthenticated):
        house.sessions.sign_in_local("dana", new.password)
    with pytest.raises(Unauthenticated):
        house.sessions.sign_in_local("dana", "wrong", known_browser=True)
    house.sessions.sign_in_local("dana", new.password, known_browser=True)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            house.sessions.sign_in_local("dana", "wrong")
    house.clock.forward(minutes=15)
    house.sessions.sign_in_local("dana", new.password)


def test_signing_out_ends_all_sessions_of_the_person_in_that_browser(house: House) -> None:
    dana, erik = (house.people.add(ROOT, name, REVIEWER).person for name in ("dana", "erik"))
    one, two = (house.sessions.open_session(dana, browser="laptop") for _ in range(2))
    elsewhere, unnamed = house.sessions.open_session(dana, browser="phone"), house.sessions.open_session(dana)
    other = house.sessions.open_session(erik, browser="laptop")
    house.sessions.close(one)
    assert house.sessions.find(two) is None
    assert all(house.sessions.find(token) for token in (elsewhere, unnamed, other))
    house.sessions.close(unnamed)
    assert house.sessions.find(elsewhere) is not None


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


@pytest.mark.usefixtures("five")
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


@pytest.mark.usefixtures("five")
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
        admitted = house.people.signed_in_elsewhere(
            "https://idp.example", "sub-1", name="Dana", claim=read({"groups": list(groups)}, "groups")
        )
        found = house.sessions.find(house.sessions.open_session(admitted.person))
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
        house.people.signed_in_elsewhere(issuer, subject, name="Dana", claim=read({}, "groups"))


SIGN_INS: list[tuple[dict[str, object], set[str], str]] = [
    ({"groups": ["reviewer"]}, {"reviewer"}, ""),
    ({"groups": ["all-staff"]}, set(), "1 name, none of which gives a role"),
    ({"groups": []}, set(), "no name"),
    ({}, set(), "it did not come"),
    ({"groups": 7}, set(), "it came as a number"),
    ({"_claim_names": {"groups": "src1"}}, set(), "a pointer instead of the groups"),
]


@pytest.mark.parametrize(("claims", "held", "said"), SIGN_INS)
def test_a_claim_that_gives_no_role_takes_earlier_ones_away_and_says_so(
    house: House, claims: dict[str, object], held: set[str], said: str
) -> None:
    def sign_in(came: dict[str, object]) -> Admission:
        return house.people.signed_in_elsewhere("https://idp.example", "sub-1", name="Dana", claim=read(came, "groups"))

    assert sign_in({"groups": ["auditor"]}).notice == ""
    admitted = sign_in(claims)
    assert {str(binding.role) for binding in admitted.person.bindings} == held
    assert said in admitted.notice
    assert bool(admitted.notice) is bool(said)
    taken = house.events("person.roles_changed")[-1]["data"]["taken"]
    assert taken == ["auditor"]
    kept = house.people.sign_ins(ROOT)
    assert [one.roles for one in kept] == [tuple(Role(role) for role in held), (Role.AUDITOR,)]
    assert (kept[0].person, kept[0].claim, kept[0].outcome) == ("Dana", "groups", "admitted")


def test_whose_roles_are_given_here_needs_no_claim(house: House) -> None:
    first = house.people.signed_in_elsewhere("https://idp.example", "s", name="Dana", claim=read({}, "groups"))
    assert "did not come" in first.notice
    house.people.set_roles(ROOT, first.person.id, REVIEWER)
    again = house.people.signed_in_elsewhere("https://idp.example", "s", name="Dana", claim=read({}, "groups"))
    assert again.notice == ""
    assert again.person.bindings == tuple(REVIEWER)
    unread = house.people.signed_in_elsewhere(
        "https://idp.example", "s", name="Dana", claim=read({"groups": 1}, "groups")
    )
    assert "a number" in unread.notice


def test_what_is_kept_of_sign_ins_is_bounded_and_for_administrators(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "KEPT_SIGN_INS", 3)
    claim = read({"groups": [f"{'g' * 500}{number}" for number in range(5_000)]}, "groups")
    for number in range(5):
        house.clock.forward(minutes=1)
        house.people.signed_in_elsewhere("https://idp.example", f"s-{number}", name=f"N{number}", claim=claim)
    kept = house.people.sign_ins(ROOT, 100)
    assert [one.person for one in kept] == ["N4", "N3", "N2"]
    assert kept[0].count == 5_000
    assert sum(len(name) for name in kept[0].names) <= 2_000
    with pytest.raises(Refused):
        house.people.sign_ins(house.person(Role.AUDITOR))


def test_a_disabled_persons_sign_in_changes_nothing_and_is_kept(house: House) -> None:
    come = read({"groups": ["reviewer"]}, "groups")
    person = house.people.signed_in_elsewhere("https://idp.example", "s", name="Dana", claim=come).person
    house.people.disable(ROOT, person.id)
    with pytest.raises(Unauthenticated, match="disabled"):
        house.people.signed_in_elsewhere(
            "https://idp.example", "s", name="Other", claim=read({"groups": ["admin"]}, "groups")
        )
    (after,) = house.people.list(ROOT)
    assert (after.name, [binding.role for binding in after.bindings]) == ("Dana", [Role.REVIEWER])
    assert house.people.sign_ins(ROOT)[0].outcome == "disabled"


@pytest.mark.parametrize("new", ["danadanadana", "Dana.Dana.Dana", "xxxxxxxxxxxxxxxx", "123456789012"])
def test_a_password_that_everybody_tries_first_is_refused(house: House, new: str) -> None:
    made = house.people.add(ROOT, "dana", REVIEWER)
    actor = house.sessions.sign_in_local("dana", made.password).actor
    with pytest.raises(BadInput):
        house.people.change_password(actor, made.password, new)
