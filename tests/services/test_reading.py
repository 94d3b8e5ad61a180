"""Reading through services: each role sees what it may of the systems it is bound to, and nothing tells of others."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from governance.access.permissions import CedarPermissions
from governance.domain.decisions import Severity
from governance.domain.events import EventKind
from governance.domain.people import Actor, ActorKind, Permission, Role, RoleBinding, Scope
from governance.errors import BadInput, NotFound
from governance.privacy.keys import KeyRing
from governance.services.access_log import AccessLog
from governance.services.authorise import Authority, Denied
from governance.services.calls.read import CallFilter, ReadCalls
from governance.services.evidence.read import EventFilter, ReadAudit
from governance.services.people.read import ReadPeople
from governance.services.policies.read import ReadPolicies
from governance.services.review.read import CaseFilter, ReadCases
from governance.services.systems.read import ReadSystems
from governance.services.visible import Visible
from governance.store.base import tables as t
from governance.store.calls.documents import AttributeReader
from governance.store.calls.queries import CallQueries
from governance.store.calls.redacted import RedactedTexts
from governance.store.evidence.audit_log import PostgresSealer, SqlAuditLog
from governance.store.evidence.queries import AuditQueries
from governance.store.people.queries import PeopleQueries
from governance.store.policies.queries import PolicyQueries
from governance.store.review.queries import CaseQueries
from governance.store.systems.queries import SystemQueries
from tests.review.conftest import ROOT, House

SUPPORT, HR = "support-bot", "hr-bot"
_NOTHING_FOUND = '{"findings":[],"failures":[]}'
READERS = [role for role in Role if role is not Role.ADMIN]
TRAIL = [Role.COMPLIANCE_OFFICER, Role.AUDITOR, Role.ADMIN]


@dataclass(kw_only=True)
class Reading:
    """All reading services over one house with a call, a case and a reveal in each of two systems."""

    house: House
    visible: Visible
    calls: ReadCalls
    cases: ReadCases
    policies: ReadPolicies
    audit: ReadAudit
    people: ReadPeople
    systems: ReadSystems
    call: dict[str, int]
    case: dict[str, int]

    def refusals(self) -> list[str]:
        return [leaf["data"]["wanted"] for leaf in self.house.events(EventKind.ACTION_REFUSED.value)]


@pytest.fixture
def reading(house: House) -> Reading:
    systems = SystemQueries(house.database)
    visible = Visible(house.authority, systems)
    call = {name: house.call(system=name) for name in (SUPPORT, HR)}
    case = {name: house.case(system=name, call_id=call[name], severity=Severity.HIGH) for name in (SUPPORT, HR)}
    with house.database.write() as tx:
        first = tx.connection.execute(sa.select(t.message.c.id).where(t.message.c.call_id == call[SUPPORT])).scalars()
        tx.connection.execute(
            t.examination.insert(),
            [
                {"subject_id": one, "detector_set": "test", "findings": _NOTHING_FOUND, "redacted": "Hello"}
                for one in first
            ],
        )
    senior = house.person(Role.SENIOR_REVIEWER)
    for name in (SUPPORT, HR):
        house.reveals.reveal(senior, f"fraud check of {name}", case_id=case[name], call_id=call[name])
    access = AccessLog(house.database, house.clock)
    access.close()  # nothing is written by itself
    attributes = lambda: AttributeReader(KeyRing(b"\x05" * 32), str.strip)  # noqa: E731
    return Reading(
        house=house,
        visible=visible,
        calls=ReadCalls(
            visible, CallQueries(house.database, lambda: RedactedTexts(KeyRing(b"\x05" * 32)), attributes), access
        ),
        cases=ReadCases(visible, CaseQueries(house.database), house.clock, lambda: {"security"}, access),
        policies=ReadPolicies(visible, PolicyQueries(house.database)),
        audit=ReadAudit(visible, AuditQueries(house.database), house.clock, access),
        people=ReadPeople(visible, PeopleQueries(house.database)),
        systems=ReadSystems(visible, systems),
        call=call,
        case=case,
    )


@pytest.fixture(params=["", HR], ids=["everywhere", "one-system"])
def bound(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def seen(bound: str) -> set[str]:
    return {HR} if bound else {SUPPORT, HR}


def test_calls_of_the_systems_that_a_role_is_bound_to(reading: Reading, bound: str) -> None:
    for role in READERS:
        _sees_calls(reading, reading.house.person(role, system=bound), bound)
    assert reading.refusals() == []


def _sees_calls(reading: Reading, who: Actor, bound: str) -> None:
    calls = reading.calls
    assert {row.system for row in calls.page(who, CallFilter()).rows} == seen(bound)
    assert {row.system for row in calls.page(who, CallFilter(kind="llm", flagged=True)).rows} <= seen(bound)
    found = {one["system"] for one in calls.documents(who, list(reading.call.values()))}
    assert found == seen(bound)
    for system, number in reading.call.items():
        view = calls.find(who, number)
        decision = calls.decision(who, _decision(reading, number))
        if system not in seen(bound):
            assert (view, decision) == (None, None)
            with pytest.raises(NotFound):
                calls.document(who, number)
            with pytest.raises(NotFound):
                calls.decision_document(who, _decision(reading, number))
            continue
        assert view is not None
        assert decision is not None
        assert calls.decision_document(who, decision.id)["call_id"] == str(number)
        assert calls.document(who, number)["id"] == str(number)
        assert [step.id for step in calls.steps(who, view.row.trace_id)] == [number]
    other = calls.find(ROOT, reading.call[SUPPORT])
    assert other is not None
    assert [step.id for step in calls.steps(who, other.row.trace_id)] == ([] if bound else [reading.call[SUPPORT]])
    assert bool(calls.replacements(who, other)) == (SUPPORT in seen(bound))
    assert set(reading.systems.names(who).values()) == seen(bound)
    assert {day.system for day in reading.systems.days(who, 0)} <= seen(bound)
    assert reading.systems.totals(who, [SUPPORT, HR]).calls == len(seen(bound))
    assert calls.checking(who, datetime.now(UTC)).backlog.waiting == 2


def _decision(reading: Reading, call: int) -> int:
    view = reading.calls.find(ROOT, call)
    assert view is not None
    return view.decisions[0].id


def test_cases_of_the_systems_that_a_role_is_bound_to(reading: Reading, bound: str) -> None:
    further = reading.house.call(system=SUPPORT)
    with reading.house.database.write() as tx:
        tx.cases.add_call(reading.case[SUPPORT], further)
    alike = reading.house.case(system=SUPPORT)
    for role in READERS:
        _sees_cases(reading, reading.house.person(role, system=bound), bound, further, alike)


def _sees_cases(reading: Reading, who: Actor, bound: str, further: int, alike: int) -> None:
    cases = reading.cases
    rows, following = cases.page(who, CaseFilter())
    assert {row.system for row in rows} == seen(bound)
    assert following is None
    tomorrow = reading.house.clock() + timedelta(days=1)
    assert {load.system for load in cases.loads(who, tomorrow)} == seen(bound)
    for system, number in reading.case.items():
        there = system in seen(bound)
        assert (cases.view(who, number) is not None) is there
        assert (cases.row(who, number) is not None) is there
        assert bool(reading.audit.of_case(who, number)) is there
    row = cases.row(ROOT, reading.case[SUPPORT])
    assert row is not None
    assert [one.id for one in cases.further_calls(who, row.id)[0]] == ([] if bound else [further])
    assert [one.id for one in cases.similar(who, row)] == ([] if bound else [alike])
    latest = reading.policies.latest_cases(who, row.policy)
    assert {one.system for one in latest} == seen(bound)
    assert cases.work(who, reading.house.clock()).decided == 0


def test_figures_of_policies_of_the_systems_that_a_role_is_bound_to(reading: Reading, bound: str) -> None:
    day, policy_set = 20_000, _policy_set(reading)
    with reading.house.database.write() as tx:
        for number, name in SystemQueries(reading.house.database).names().items():
            counts = {"fired": 1, "errors": 0, "excepted": 0, "shadow_fired": 0, "shadow_errors": 0}
            tx.connection.execute(
                t.daily_policy_figure.insert().values(
                    system_id=number, policy_set_id=policy_set, policy=name, day=day, last_at=0, **counts
                )
            )
            tx.connection.execute(
                t.daily_set_figure.insert().values(
                    system_id=number,
                    policy_set_id=policy_set,
                    day=day,
                    calls=1,
                    flagged=1,
                    shadow_calls=0,
                    shadow_flagged=0,
                )
            )
    for role in READERS:
        who = reading.house.person(role, system=bound)
        found = reading.policies.figures(who, day)
        assert {one.policy for one in found.spoke} == seen(bound)
        assert {one.system for one in found.decided} == seen(bound)
        decided = reading.policies.decided(who, day, policy_set=policy_set)
        assert {one.system for one in decided} == seen(bound)


def _policy_set(reading: Reading) -> int:
    with reading.house.database.read() as connection:
        return int(connection.execute(sa.select(t.policy_set.c.id)).scalar_one())


def test_the_trail_of_the_systems_that_a_role_is_bound_to(reading: Reading, bound: str) -> None:
    _seal(reading)
    for role in TRAIL:
        _sees_the_trail(reading, reading.house.person(role, system=bound), bound)


def _sees_the_trail(reading: Reading, who: Actor, bound: str) -> None:
    audit = reading.audit
    rows = audit.events(who, EventFilter())
    assert {row.system for row in rows} == {*seen(bound), ""}, "what belongs to no system is everybody's"
    recorded = audit.events(ROOT, EventFilter(kinds=(EventKind.CALL_RECORDED.value,)))
    assert {row.system for row in recorded} == {SUPPORT, HR}
    for row in audit.events(ROOT, EventFilter(kinds=(EventKind.CASE_OPENED.value,))):
        assert row.seq is not None
        if row.system in seen(bound):
            assert audit.proof(who, row.seq).index == row.seq
        else:
            with pytest.raises(NotFound, match=f"There is no event {row.seq}"):
                audit.proof(who, row.seq)
    week_ago = reading.house.clock() - timedelta(days=7)
    assert [one.times for one in audit.revealers(who, week_ago)] == [len(seen(bound))]
    assert audit.log(who, week_ago).reveals == len(seen(bound))
    with reading.house.database.read() as connection:
        reveals = list(connection.execute(sa.select(t.reveal.c.id)).scalars())
    reasons = audit.reveal_reasons(who, reveals)
    assert set(reasons.values()) == {f"fraud check of {name}" for name in seen(bound)}
    titles = audit.case_titles(who, reading.case.values())
    assert set(titles) == {reading.case[name] for name in seen(bound)}
    assert audit.began(who) is not None
    assert reading.people.everybody(who)


def _seal(reading: Reading) -> None:
    """On PostgreSQL a sealer gives events their places."""
    database = reading.house.database
    if database.dialect == "postgresql":
        assert isinstance(database.audit, SqlAuditLog)
        PostgresSealer(database.engine, database.audit.signer, reading.house.clock).seal()


WHO_MAY_NOT: list[tuple[str, Callable[[Reading, Actor], object], Collection[Role]]] = [
    ("calls", lambda r, who: r.calls.page(who, CallFilter()), [Role.ADMIN]),
    ("a call", lambda r, who: r.calls.find(who, r.call[HR]), [Role.ADMIN]),
    ("call objects", lambda r, who: r.calls.documents(who, [r.call[HR]]), [Role.ADMIN]),
    ("a call object", lambda r, who: r.calls.document(who, r.call[HR]), [Role.ADMIN]),
    ("cases", lambda r, who: r.cases.page(who, CaseFilter()), [Role.ADMIN]),
    ("a case", lambda r, who: r.cases.view(who, r.case[HR]), [Role.ADMIN]),
    ("counts of cases", lambda r, who: r.cases.loads(who, r.house.clock()), [Role.ADMIN]),
    ("figures", lambda r, who: r.policies.figures(who, 0), [Role.ADMIN]),
    ("days", lambda r, who: r.systems.days(who, 0), [Role.ADMIN]),
    ("the history of a case", lambda r, who: r.audit.of_case(who, r.case[HR]), [Role.ADMIN]),
    ("events", lambda r, who: r.audit.events(who, EventFilter()), [one for one in Role if one not in TRAIL]),
    ("a proof", lambda r, who: r.audit.proof(who, 0), [one for one in Role if one not in TRAIL]),
    ("revealers", lambda r, who: r.audit.revealers(who, r.house.clock()), [one for one in Role if one not in TRAIL]),
    ("everybody's name", lambda r, who: r.people.everybody(who), [one for one in Role if one not in TRAIL]),
    ("accounts", lambda r, who: r.people.people(who), READERS),
    ("keys", lambda r, who: r.people.keys(who), READERS),
]


@pytest.mark.parametrize(("what", "read", "roles"), WHO_MAY_NOT, ids=[one[0] for one in WHO_MAY_NOT])
def test_who_has_no_right_at_all_is_refused_and_that_is_recorded(
    reading: Reading, what: str, read: Callable[[Reading, Actor], object], roles: Collection[Role]
) -> None:
    nobody = Actor(kind=ActorKind.PERSON, id=reading.house.person().id, name="Nobody")
    refused = [reading.house.person(role) for role in roles] + [nobody]
    for who in refused:
        with pytest.raises(Denied):
            read(reading, who)
    assert len(reading.refusals()) == len(refused)
    for role in set(Role) - set(roles):
        with contextlib.suppress(NotFound):  # it may be asked for, and is not there
            read(reading, reading.house.person(role))
    assert len(reading.refusals()) == len(refused)


def test_display_names_are_for_all_who_read_what_people_did(reading: Reading) -> None:
    dana = reading.house.person(Role.REVIEWER)
    for role in Role:
        assert reading.people.names(reading.house.person(role, system=HR), {dana.id}) == {dana.id: dana.name}
    with pytest.raises(Denied):
        reading.people.names(reading.house.person(), {dana.id})


def test_anothers_system_and_nobodys_are_refused_in_the_same_words(reading: Reading) -> None:
    who = reading.house.person(Role.AUDITOR, system=HR)

    def said(name: str) -> str:
        with pytest.raises(BadInput) as caught:
            reading.calls.page(who, CallFilter(systems=(name,)))
        with pytest.raises(BadInput):
            reading.cases.page(who, CaseFilter(systems=(name,)))
        with pytest.raises(BadInput):
            reading.calls.steps(who, "0" * 32, systems=[name])
        assert SUPPORT not in caught.value.advice
        return caught.value.message.replace(name, "…") + caught.value.advice

    assert said(SUPPORT) == said("nothing-like-it")
    both = CallFilter(systems=(SUPPORT, HR))
    with pytest.raises(BadInput):
        reading.calls.page(who, both)
    assert {row.system for row in reading.calls.page(ROOT, both).rows} == {SUPPORT, HR}
    assert {row.system for row in reading.calls.page(who, CallFilter(systems=(HR,))).rows} == {HR}


def test_an_unknown_queue_is_told_without_anothers_queues(reading: Reading) -> None:
    with pytest.raises(BadInput, match="There is no queue 'secruity'"):
        reading.cases.need_queue(ROOT, "secruity")
    reading.cases.need_queue(ROOT, "security")
    reading.house.flag(reading.house.call(system=SUPPORT), Severity.LOW, queue="counsel", system=SUPPORT)
    who = reading.house.person(Role.AUDITOR, system=HR)
    with pytest.raises(BadInput) as caught:
        reading.cases.need_queue(who, "counsel")
    assert "counsel" not in caught.value.advice


def test_a_key_sees_its_system_and_all_without_one(reading: Reading) -> None:
    def key(*scopes: Scope, system: str = "") -> Actor:
        return Actor(kind=ActorKind.KEY, id=1, name="A key", scopes=scopes, system=system)

    def systems(who: Actor) -> set[str]:
        return {row.system for row in reading.calls.page(who, CallFilter()).rows}

    assert systems(key(Scope.READ)) == {SUPPORT, HR}
    assert systems(key(Scope.READ, system=HR)) == {HR}
    quiet = key(Scope.READ, system="not-yet")
    assert systems(quiet) == set()
    assert reading.calls.page(quiet, CallFilter(systems=(HR,))).rows == ()
    reading.house.call(system="not-yet")
    assert systems(quiet) == {"not-yet"}, "from its first call on, without a wait"
    with pytest.raises(Denied):
        systems(key(Scope.INGEST))


def test_roles_in_two_systems_add_up_by_permission(reading: Reading) -> None:
    reading.house.call(system="third")
    bindings = (RoleBinding(role=Role.REVIEWER, system=HR), RoleBinding(role=Role.AUDITOR, system=SUPPORT))
    who = Actor(kind=ActorKind.PERSON, id=reading.house.person().id, name="Two", bindings=bindings)
    assert {row.system for row in reading.calls.page(who, CallFilter()).rows} == {HR, SUPPORT}
    assert {row.system for row in reading.audit.events(who, EventFilter())} == {SUPPORT, ""}


def test_a_claim_that_ran_out_is_none(reading: Reading) -> None:
    reviewer = reading.house.person(Role.REVIEWER)
    reading.house.review.claim(reviewer, reading.case[HR])
    row = reading.cases.row(ROOT, reading.case[HR])
    assert row is not None
    assert row.held_by == reviewer.id
    reading.house.clock.forward(hours=5)
    row = reading.cases.row(ROOT, reading.case[HR])
    assert row is not None
    assert row.held_by is None
    assert reading.cases.page(ROOT, CaseFilter(held_by=reviewer.id))[0] == []


class _Names:
    """Systems by id, and how often they were asked for."""

    def __init__(self, *names: str) -> None:
        self.known = dict(enumerate(names, 1))
        self.asked = 0

    def names(self) -> dict[int, str]:
        self.asked += 1
        return dict(self.known)


NAMES = ("a", "b", "c")
BINDINGS = st.lists(
    st.builds(RoleBinding, role=st.sampled_from(list(Role)), system=st.sampled_from(["", *NAMES, "gone"])), max_size=4
)


@given(bindings=BINDINGS, permission=st.sampled_from(list(Permission)))
def test_seen_is_what_may_be_seen_and_no_more(
    permissions: CedarPermissions, bindings: list[RoleBinding], permission: Permission
) -> None:
    systems = _Names(*NAMES)
    authority: Authority[Any] = Authority(_Nowhere(), permissions, lambda: None)  # type: ignore[arg-type,return-value]
    who = Actor(kind=ActorKind.PERSON, id=1, name="Somebody", bindings=tuple(bindings))
    allowed = {number for number, name in systems.known.items() if permissions.allowed(who, permission, system=name)}
    visible = Visible(authority, systems)
    try:
        found = visible.systems(who, permission)
    except Denied:
        assert not allowed
        return
    assert set(systems.known if found is None else found) == allowed
    for name in itertools.chain(NAMES, ["nowhere"]):
        if found == ():
            assert visible.systems(who, permission, named=[name]) == ()
            continue
        try:
            (one,) = visible.systems(who, permission, named=[name]) or ()
        except BadInput:
            assert not permissions.allowed(who, permission, system=name) or name == "nowhere"
        else:
            assert systems.known[one] == name
            assert one in allowed
    before = systems.asked
    visible.systems(who, permission, named=[systems.known[number] for number in allowed])
    assert "gone" in {binding.system for binding in bindings} or systems.asked == before, "names are remembered"


class _Nowhere:
    """A database for refusals, which are not kept."""

    def write(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext(self)

    def append(self, event: object) -> None:
        pass
