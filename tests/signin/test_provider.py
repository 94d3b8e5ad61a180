"""OpenID Connect against a real provider on loopback: what is proven, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from app.gate import groups_of
from joserfc.jwk import RSAKey

from governance.bootstrap import Application
from governance.domain.people import Role
from tests.signin.conftest import Browser, build
from tests.signin.provider import Provider

COOKIE = "governance_session"


@pytest.fixture
def oidc(application: Application, browser: Browser, provider: Provider) -> Browser:
    return Browser(build(application, issuer=provider.issuer), browser._portal)


def back_from(oidc: Browser, path: str = "/case?id=5") -> str:
    """Goes to the provider and comes back: the address of the callback, not yet called."""
    there = oidc.get(f"/signin?next={path.replace('?', '%3F')}")
    assert there.status_code == 302, there.text
    back = oidc.outside("GET", there.headers["location"]).headers["location"]
    assert back.startswith(f"{oidc.base}/signin/callback?")
    return back


def test_a_deep_link_survives_the_way_over_the_provider(application: Application, oidc: Browser) -> None:
    answer = oidc.get(back_from(oidc))
    assert (answer.status_code, answer.headers["location"]) == (303, "/case?id=5"), answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]
    actor = application.sessions.find(oidc.client.cookies[COOKIE])
    assert actor is not None
    assert actor.name == "Dana Okafor"
    assert [binding.role for binding in actor.bindings] == [Role.REVIEWER]


def test_there_are_no_passwords_beside_the_provider(oidc: Browser) -> None:
    assert oidc.post("/signin/local", {"user": "admin", "password": "x"}).status_code in (404, 405)
    assert oidc.get("/signin/local").status_code != 200 or "password" not in oidc.get("/signin/local").text


def test_roles_are_those_of_this_sign_in(application: Application, oidc: Browser, provider: Provider) -> None:
    oidc.get(back_from(oidc))
    first = oidc.client.cookies[COOKIE]
    oidc.get("/auth/logout")
    provider.claims["groups"] = ["auditor", "staff"]
    oidc.get(back_from(oidc))
    assert application.sessions.find(first) is None
    actor = application.sessions.find(oidc.client.cookies[COOKIE])
    assert actor is not None
    assert [binding.role for binding in actor.bindings] == [Role.AUDITOR]


def test_roles_that_only_userinfo_tells_are_found(application: Application, oidc: Browser, provider: Provider) -> None:
    provider.userinfo_claims = {"groups": provider.claims.pop("groups")}
    oidc.get(back_from(oidc))
    actor = application.sessions.find(oidc.client.cookies[COOKIE])
    assert actor is not None
    assert [binding.role for binding in actor.bindings] == [Role.REVIEWER]


def _other_key(provider: Provider) -> None:
    provider.sign_with = RSAKey.generate_key(2048, {"use": "sig", "kid": "one"}, private=True)


def _other_person_in_userinfo(provider: Provider) -> None:
    provider.claims.pop("groups")
    provider.userinfo_claims = {"sub": "somebody-else", "groups": ["admin"]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda provider: provider.tamper.update(aud="another-client"),
        lambda provider: provider.tamper.update(iss="https://evil.example"),
        lambda provider: provider.tamper.update(exp=1),
        lambda provider: provider.tamper.update(nonce="replayed"),
        _other_key,
        _other_person_in_userinfo,
        lambda provider: provider.codes.clear(),
    ],
)
def test_what_is_not_proven_opens_nothing(
    oidc: Browser, provider: Provider, spoil: Callable[[Provider], object]
) -> None:
    back = back_from(oidc)
    spoil(provider)
    answer = oidc.get(back)
    assert answer.status_code == 403
    assert 'role="alert"' in answer.text
    assert COOKIE not in answer.headers.get("set-cookie", "")
    assert oidc.get("/").status_code == 303


def test_a_sign_in_that_another_browser_began_is_refused(oidc: Browser) -> None:
    back = back_from(oidc)
    stranger = httpx.AsyncClient(transport=httpx.ASGITransport(app=oidc.app), base_url=oidc.base)
    answer = oidc.get(back, client=stranger)
    assert answer.status_code == 400
    assert COOKIE not in answer.headers.get("set-cookie", "")


def test_a_changed_state_is_refused(oidc: Browser) -> None:
    back = httpx.URL(back_from(oidc))
    answer = oidc.get(str(back.copy_set_param("state", "forged")))
    assert answer.status_code == 403


def test_a_code_works_once(oidc: Browser) -> None:
    back = back_from(oidc)
    assert oidc.get(back).status_code == 303
    assert oidc.get(back).status_code in (400, 403)


def test_a_refusal_at_the_provider_is_told(oidc: Browser) -> None:
    back = httpx.URL(back_from(oidc))
    state = back.params["state"]
    answer = oidc.get(f"/signin/callback?error=access_denied&state={state}")
    assert answer.status_code == 403
    assert "did not let you in" in answer.text


def test_an_answer_of_another_issuer_is_refused(oidc: Browser) -> None:
    assert oidc.get(back_from(oidc) + "&iss=https%3A%2F%2Fevil.example").status_code == 403


def test_a_discovery_document_of_another_issuer_is_refused(oidc: Browser, provider: Provider) -> None:
    provider.published_issuer = "https://evil.example"
    answer = oidc.get("/signin")
    assert answer.status_code == 403
    assert "another issuer" in answer.text


def test_when_the_provider_is_away_a_page_says_so(application: Application, browser: Browser) -> None:
    away = Browser(build(application, issuer="http://127.0.0.1:9"), browser._portal)
    answer = away.get("/signin")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text
    assert "Traceback" not in answer.text


def test_after_sign_out_one_has_to_ask_to_sign_in_again(oidc: Browser) -> None:
    oidc.get(back_from(oidc))
    answer = oidc.get(oidc.get("/auth/logout").headers["location"])
    assert answer.status_code == 200
    assert "Continue to sign-in" in answer.text


def test_a_disabled_person_is_not_let_in(application: Application, oidc: Browser) -> None:
    from governance.domain.people import operator

    oidc.get(back_from(oidc))
    me = operator("tester")
    (dana,) = application.people.list(me)
    application.people.disable(me, dana.id)
    assert oidc.get("/").status_code == 303
    answer = oidc.get(back_from(oidc))
    assert answer.status_code == 403
    assert "disabled" in answer.text


@pytest.mark.parametrize(
    ("claims", "path", "groups"),
    [
        ({"groups": ["a", 1, "b"]}, "groups", ["a", "b"]),
        ({"groups": "a, b c"}, "groups", ["a", "b", "c"]),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ["a"]),
        ({"https://example.org/roles": ["a"]}, "https://example.org/roles", ["a"]),
        ({}, "groups", []),
        ({"groups": {"a": 1}}, "groups", []),
        ({"realm_access": "x"}, "realm_access.roles", []),
    ],
)
def test_groups_are_read_from_the_claim_as_providers_send_it(
    claims: dict[str, object], path: str, groups: list[str]
) -> None:
    assert list(groups_of(claims, path)) == groups
