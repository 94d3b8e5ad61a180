"""API keys: shown once, bound, revoked at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from governance.domain.people import Role, Scope
from governance.errors import BadInput, Conflict, NotFound, Refused, Unauthenticated
from governance.store.base import tables as t
from tests.review.conftest import ROOT, House


def test_a_key_speaks_with_its_scopes_for_its_system(house: House) -> None:
    new = house.keys.create(ROOT, [Scope.REPORT, Scope.INGEST], system="hr-bot")
    actor = house.keys.authenticate(f"Bearer {new.secret}")
    assert (actor.reference, actor.scopes, actor.system) == (
        f"key:{new.key.id}",
        (Scope.INGEST, Scope.REPORT),
        "hr-bot",
    )
    house.authority.require_scope(actor, Scope.INGEST, system="hr-bot")
    with pytest.raises(Refused, match="hr-bot only"):
        house.authority.require_scope(actor, Scope.INGEST, system="support-bot")
    with pytest.raises(Refused, match="no scope read"):
        house.authority.require_scope(actor, Scope.READ)
    house.authority.refusals.close()
    assert [event["data"]["wanted"] for event in house.events("action.refused")] == ["ingest", "read"]


def test_the_secret_is_kept_nowhere(house: House) -> None:
    new = house.keys.create(ROOT, [Scope.INGEST])
    secret = new.secret.split("_", 2)[2]
    assert len(secret) == 43
    with house.database.read() as connection:
        assert secret not in str(connection.execute(t.api_key.select()).one())
    assert secret not in str(house.events())


def test_a_revoked_key_is_refused_at_once_here_and_within_seconds_elsewhere(
    house: House, another_process: Callable[[], House]
) -> None:
    new = house.keys.create(ROOT, [Scope.INGEST])
    header, elsewhere = f"Bearer {new.secret}", another_process()
    house.keys.authenticate(header)
    elsewhere.keys.authenticate(header)
    house.keys.revoke(ROOT, new.key.id)
    with pytest.raises(Unauthenticated, match="revoked"):
        house.keys.authenticate(header)
    house.clock.forward(seconds=2)
    with pytest.raises(Unauthenticated, match="revoked"):
        elsewhere.keys.authenticate(header)
    with pytest.raises(Conflict):
        house.keys.revoke(ROOT, new.key.id)
    with pytest.raises(NotFound):
        house.keys.revoke(ROOT, 4711)


def test_a_key_that_is_over_is_refused(house: House) -> None:
    new = house.keys.create(ROOT, [Scope.INGEST], expires_in=timedelta(days=1))
    house.keys.authenticate(f"Bearer {new.secret}")
    house.clock.forward(days=1)
    with pytest.raises(Unauthenticated, match="expired on 2026-11-24"):
        house.keys.authenticate(f"Bearer {new.secret}")


def test_a_guess_learns_nothing(house: House) -> None:
    new = house.keys.create(ROOT, [Scope.INGEST])
    house.keys.revoke(ROOT, new.key.id)
    prefix = new.key.prefix
    said = set()
    for guess in (f"gov_{prefix}_{'x' * 43}", f"gov_aaaaaaaaaa_{'x' * 43}", new.secret[:-1]):
        with pytest.raises(Unauthenticated) as refused:
            house.keys.authenticate(f"Bearer {guess}")
        said.add(str(refused.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer x", "Bearer gov_", "Bearer gov_é_é", "gov_a_b"]
)
def test_what_is_no_key_is_said_to_be_none(house: House, header: str | None) -> None:
    with pytest.raises(Unauthenticated, match=r"Authorization: Bearer"):
        house.keys.authenticate(header)


def test_last_use_is_noted_to_the_hour(house: House) -> None:
    new = house.keys.create(ROOT, [Scope.INGEST])
    first = house.clock.now
    for _ in range(3):
        house.keys.authenticate(f"Bearer {new.secret}")
        house.clock.forward(minutes=10)
    assert house.keys.list(ROOT)[0].last_used_at == first
    house.clock.forward(minutes=31)
    house.keys.authenticate(f"Bearer {new.secret}")
    assert house.keys.list(ROOT)[0].last_used_at == house.clock.now


def test_only_an_administrator_makes_keys(house: House) -> None:
    engineer, admin = house.person(Role.ENGINEER), house.person(Role.ADMIN)
    with pytest.raises(Refused):
        house.keys.create(engineer, [Scope.INGEST])
    assert house.keys.create(admin, [Scope.INGEST]).key.created_by == admin.reference
    for scopes, lasts in (([], None), ([Scope.INGEST], timedelta(0))):
        with pytest.raises(BadInput):
            house.keys.create(admin, scopes, expires_in=lasts)
