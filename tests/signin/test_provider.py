"""OpenID Connect against a real provider on loopback: what is proven, and what is refused."""

from __future__ import annotations

import html
from collections.abc import Callable

import httpx
import pytest

from app.door.cookies import MOST_TRIES
from app.door.oidc import MOST_RESTARTS
from governance.bootstrap import Application
from governance.domain.people import Role
from governance.openid import client
from tests.signin.conftest import Browser, build
from tests.signin.provider import Provider, new_key

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
    provider.sign_with = new_key(provider.key.kid)


def _other_person_in_userinfo(provider: Provider) -> None:
    provider.claims.pop("groups")
    provider.userinfo_claims = {"sub": "somebody-else", "groups": ["admin"]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda provider: provider.tamper.update(aud="another-client"),
        lambda provider: provider.tamper.update(aud="another-client", azp="console"),
        lambda provider: provider.tamper.update(aud=["another-client"], azp="console"),
        lambda provider: provider.tamper.update(aud=[]),
        lambda provider: provider.tamper.update(sub=""),
        lambda provider: provider.tamper.update(sub=None),
        lambda provider: setattr(provider, "skew", 3_600),
        lambda provider: setattr(provider, "skew", -3_600),
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


def test_a_sign_in_that_another_browser_began_opens_nothing_and_begins_anew(oidc: Browser, provider: Provider) -> None:
    back = back_from(oidc)
    stranger = httpx.AsyncClient(transport=httpx.ASGITransport(app=oidc.app), base_url=oidc.base)
    answer = oidc.get(back, client=stranger)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{provider.issuer}/authorize?")
    assert COOKIE not in stranger.cookies
    assert (
        oidc.get(oidc.outside("GET", answer.headers["location"]).headers["location"], client=stranger).status_code
        == 303
    )
    assert COOKIE in stranger.cookies


@pytest.mark.parametrize("state", ["forged", "", None, "0", "\u00e9", "x" * 5_000])
def test_a_state_of_nobodys_making_begins_anew(oidc: Browser, state: str | None) -> None:
    back = httpx.URL(back_from(oidc))
    changed = back.copy_remove_param("state") if state is None else back.copy_set_param("state", state)
    answer = oidc.get(str(changed))
    assert answer.status_code == 302
    assert COOKIE not in oidc.client.cookies


def test_a_browser_that_keeps_no_cookies_does_not_go_round_in_circles(oidc: Browser) -> None:
    answer, rounds = oidc.get("/signin"), 0
    while answer.status_code == 302 and rounds < 10:
        oidc.client.cookies.clear()
        answer = oidc.get(oidc.outside("GET", answer.headers["location"]).headers["location"])
        rounds += 1
    assert (answer.status_code, rounds) == (400, MOST_RESTARTS + 1)
    assert "keep cookies" in answer.text
    assert "Continue to sign-in" in answer.text


def test_six_tabs_sign_in_side_by_side(application: Application, oidc: Browser) -> None:
    targets = [f"/case?id={number}" for number in range(6)]
    backs = [back_from(oidc, target) for target in targets]
    for back, target in zip(reversed(backs), reversed(targets), strict=True):
        answer = oidc.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, target), answer.text
        assert oidc.get(target).status_code == 200


def test_six_tabs_that_come_back_at_once_all_get_in_and_one_sign_out_ends_all(
    application: Application, oidc: Browser
) -> None:
    """None of the requests carries a session yet: each is answered with one of its own."""
    backs = [back_from(oidc, f"/case?id={number}") for number in range(6)]
    cookies = "; ".join(f"{name}={value}" for name, value in oidc.client.cookies.items())
    tokens = []
    for back in backs:
        tab = httpx.AsyncClient(transport=httpx.ASGITransport(app=oidc.app), base_url=oidc.base)
        assert oidc.get(back, client=tab, headers={"Cookie": cookies}).status_code == 303
        tokens.append(tab.cookies[COOKIE])
    assert len(set(tokens)) == 6
    assert all(application.sessions.find(token) for token in tokens)
    oidc.get("/auth/logout", headers={"Cookie": f"{COOKIE}={tokens[3]}"})
    assert not any(application.sessions.find(token) for token in tokens)


def test_sign_ins_under_way_are_bounded_and_their_cookies_small(oidc: Browser) -> None:
    latest = ""
    for number in range(40):
        latest = back_from(oidc, f"/calls?q={'x' * (number * 40)}")
        head = "; ".join(f"{name}={value}" for name, value in oidc.client.cookies.items())
        assert len(head) < 5_500
        assert sum(name.startswith("governance_signin_") for name in oidc.client.cookies) <= MOST_TRIES
    assert oidc.get(latest).status_code == 303


def test_a_callback_that_is_loaded_again_leads_to_its_target(oidc: Browser, provider: Provider) -> None:
    back = back_from(oidc)
    assert oidc.get(back).status_code == 303
    token = oidc.client.cookies[COOKIE]
    for address in (back, back + "&error=access_denied", str(httpx.URL(back).copy_set_param("code", "x"))):
        answer = oidc.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/case?id=5")
    assert oidc.get(str(httpx.URL(back).copy_set_param("state", "unknown"))).headers["location"] == "/"
    assert oidc.client.cookies[COOKIE] == token


def test_a_code_that_was_used_begins_anew_once_the_session_is_over(oidc: Browser) -> None:
    back = back_from(oidc)
    oidc.get(back)
    oidc.get("/auth/logout")
    answer = oidc.get(back)
    assert answer.status_code == 302
    again = oidc.get(oidc.outside("GET", answer.headers["location"]).headers["location"])
    assert (again.status_code, again.headers["location"]) == (303, "/case?id=5")


def test_another_server_of_the_installation_answers_the_callback(
    application: Application, oidc: Browser, provider: Provider
) -> None:
    back = back_from(oidc)
    other = build(application, issuer=provider.issuer)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=other), base_url=oidc.base, cookies=oidc.client.cookies
    )
    assert oidc.get(back, client=client).status_code == 303


def test_a_stranger_whose_sign_ins_fail_keeps_out_nobody_who_was_here_before(
    application: Application, oidc: Browser, provider: Provider
) -> None:
    oidc.get(back_from(oidc))
    oidc.get("/auth/logout")
    stranger = Browser(oidc.app, oidc._portal)
    for _ in range(20):
        back = httpx.URL(back_from(stranger)).copy_set_param("code", "guessed")
        assert stranger.get(str(back)).status_code == 403
    refused = stranger.get(back_from(stranger))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert oidc.get(back_from(oidc)).status_code == 303


def test_keys_that_were_exchanged_are_fetched_anew(oidc: Browser, provider: Provider) -> None:
    for same_name in (False, True, False):
        assert oidc.get(back_from(oidc)).status_code == 303
        oidc.get("/auth/logout")
        provider.rotate(same_name=same_name)
    assert oidc.get(back_from(oidc)).status_code == 303


def test_claims_of_a_megabyte_are_refused_and_named(oidc: Browser, provider: Provider) -> None:
    provider.claims["groups"] = [f"group-{number}-{'x' * 60}" for number in range(14_000)]
    answer = oidc.get(back_from(oidc))
    assert answer.status_code == 403
    assert "too many claims" in answer.text


@pytest.mark.parametrize("skew", [-100, 100])
def test_a_clock_that_is_a_little_off_does_no_harm(oidc: Browser, provider: Provider, skew: int) -> None:
    provider.skew = skew
    assert oidc.get(back_from(oidc)).status_code == 303


def test_a_clock_that_is_far_off_is_named(oidc: Browser, provider: Provider) -> None:
    provider.skew = -3_600
    assert "clock" in oidc.get(back_from(oidc)).text


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda provider: setattr(provider, "padding", 5 << 20), 403),
        (lambda provider: provider.stop(), 503),
    ],
)
def test_a_provider_that_answers_too_much_or_not_at_all_is_told(
    oidc: Browser, provider: Provider, spoil: Callable[[Provider], object], status: int
) -> None:
    spoil(provider)
    answer = oidc.get("/signin")
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_a_slow_provider_is_not_waited_for_without_end(
    oidc: Browser, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = back_from(oidc)
    provider.delay = 30
    monkeypatch.setattr(client, "_EXCHANGE_SECONDS", 0.5)
    assert oidc.get(back).status_code == 503
    assert oidc.get("/signin?out").status_code == 200


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"groups": "no admin"}, "came as text with 1 name, none of which gives a role"),
        ({"groups": 5}, "could not be read: it came as a number"),
        ({}, "could not be read: it did not come"),
        ({"_claim_names": {"groups": "src1"}}, "a pointer instead of the groups"),
        ({"groups": [f"{number:x}" for number in range(10_001)]}, "holds more than 10,000 names"),
    ],
)
def test_a_claim_that_gives_no_role_is_told_on_a_page(
    application: Application, oidc: Browser, provider: Provider, claims: dict[str, object], said: str
) -> None:
    oidc.get(back_from(oidc))
    oidc.get("/auth/logout")
    provider.claims = {"sub": "u-17", "name": "Dana Okafor", **claims}
    back = back_from(oidc)
    answer = oidc.get(back)
    assert answer.status_code == 200
    assert said in html.unescape(answer.text)
    assert 'href="/case?id=5"' in answer.text
    actor = application.sessions.find(oidc.client.cookies[COOKIE])
    assert actor is not None
    assert actor.bindings == ()
    assert oidc.get(back).headers["location"] == "/case?id=5"


def test_userinfo_that_is_not_for_us_is_an_absent_claim(
    application: Application, oidc: Browser, provider: Provider
) -> None:
    del provider.claims["groups"]
    provider.userinfo_status = 403
    assert "did not come" in oidc.get(back_from(oidc)).text
    provider.userinfo_status = 502
    oidc.get("/auth/logout")
    assert oidc.get(back_from(oidc)).status_code == 503


def test_one_can_sign_out_of_the_provider_too(oidc: Browser, provider: Provider) -> None:
    oidc.get(back_from(oidc))
    page = oidc.get(oidc.get("/auth/logout").headers["location"])
    link = html.unescape(page.text.split('<a href="')[1].split('"')[0])
    assert link.startswith(f"{provider.issuer}/end?client_id=console&post_logout_redirect_uri=")
    assert oidc.outside("GET", link).status_code == 200
    assert provider.signed_out == 1


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
    ("given", "expected", "methods"),
    [
        ("a-plain_secret.~7", "a-plain_secret.~7", ["client_secret_basic"]),
        ("a+b/c:d%~é", "a+b/c:d%~é", ["client_secret_basic"]),
        ("a%2Bb", "a+b", ["client_secret_basic"]),  # What comes encoded twice is not what this provider knows.
        ("a+b/c:d %~é", "a+b/c:d %~é", ["client_secret_post"]),
    ],
)
def test_a_secret_with_odd_signs_is_sent_as_the_provider_reads_it(
    application: Application, browser: Browser, provider: Provider, given: str, expected: str, methods: list[str]
) -> None:
    """RFC 6749 has it encoded within HTTP Basic; not every provider takes it so."""
    provider.secret, provider.methods = expected, methods
    oidc = Browser(build(application, issuer=provider.issuer, secret=given), browser._portal)
    for _ in range(2):
        assert oidc.get(back_from(oidc)).status_code == 303
        oidc.get("/auth/logout")
    provider.secret = "changed meanwhile"
    assert oidc.get(back_from(oidc)).status_code == 403
    provider.secret = expected
    assert oidc.get(back_from(oidc)).status_code == 303
