"""A password that another person gave opens nothing but the form that changes it."""

from __future__ import annotations

import html

import pytest

from governance.bootstrap import Application
from governance.domain.people import Actor, Role, RoleBinding, operator
from tests.signin.conftest import Browser, build
from tests.signin.test_local import COOKIE, sign_in, websocket_header

REVIEWER = [RoleBinding(role=Role.REVIEWER)]
CHOSEN = "four unrelated words"
NEXT = "/case?id=5&q=a%26b"
ASKED = "/signin/password?next=%2Fcase%3Fid%3D5%26q%3Da%2526b"


@pytest.fixture
def administrator(application: Application) -> Actor:
    """Somebody who manages access in the console."""
    made = application.people.add(operator("tester"), "alex", [RoleBinding(role=Role.ADMIN)])
    return application.sessions.sign_in_local("alex", made.password).actor


@pytest.fixture(params=["added", "reset"])
def given(request: pytest.FixtureRequest, application: Application, administrator: Actor) -> str:
    """Of the account "dana": the password that an administrator gave."""
    if request.param == "added":
        return application.people.add(administrator, "dana", REVIEWER).password
    made = application.people.add(operator("tester"), "dana", REVIEWER)
    return application.people.reset_password(administrator, made.person.id)


def socket_of(browser: Browser) -> str:
    return websocket_header(browser.app, [(b"cookie", f"{COOKIE}={browser.client.cookies[COOKIE]}".encode())])


def test_it_is_changed_first_and_then_leads_to_where_the_person_wanted(browser: Browser, given: str) -> None:
    answer = browser.post("/signin/local", {"user": "dana", "password": given}, params={"next": NEXT})
    assert (answer.status_code, answer.headers["location"]) == (303, ASKED)
    first = browser.client.cookies[COOKIE]
    form = browser.get(answer.headers["location"])
    assert "Choose one that only you know" in form.text
    assert "Back to the console" not in form.text
    action = html.unescape(form.text.split('action="')[1].split('"')[0])
    changed = browser.post(action, {"password": given, "new": CHOSEN})
    assert (changed.status_code, changed.headers["location"]) == (303, NEXT)
    assert browser.client.cookies[COOKIE] != first
    assert browser.get(NEXT).text.startswith("page /case")
    assert socket_of(browser) == browser.client.cookies[COOKIE]
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={first}"}).headers["location"].startswith("/signin?")
    assert sign_in(browser, given, user="dana").status_code == 401
    assert sign_in(browser, CHOSEN, user="dana").headers["location"] == "/"


def test_until_then_no_page_no_websocket_and_no_file_is_given(browser: Browser, given: str) -> None:
    sign_in(browser, given, user="dana")
    for path in ("/", "/queue", "/admin", "/anything/else"):
        answer = browser.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/signin/password?next=%2F")
    assert browser.get(NEXT).headers["location"] == ASKED
    assert socket_of(browser) == "refused"
    for method, path in (("GET", "/media/0a1b.zip"), ("PUT", "/_stcore/upload_file/session/file")):
        answer = browser(method, path)
        assert (answer.status_code, answer.text) == (403, "Choose a password first.\n")


@pytest.mark.parametrize("way", ["/signin", "/signin/local"])
def test_the_sign_in_pages_lead_to_the_form_and_not_in_circles(browser: Browser, given: str, way: str) -> None:
    sign_in(browser, given, user="dana")
    answer = browser.get(way, params={"next": "/queue"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin/password?next=%2Fqueue")
    assert browser.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize("new", ["short", "", None])
def test_a_try_that_fails_lets_nobody_further(browser: Browser, given: str, new: str | None) -> None:
    sign_in(browser, given, user="dana")
    answer = browser.post("/signin/password", {"password": given, "new": given if new is None else new})
    assert answer.status_code == 400
    assert browser.get("/").status_code == 303
    assert socket_of(browser) == "refused"


def test_signing_out_is_the_only_other_way(browser: Browser, given: str) -> None:
    sign_in(browser, given, user="dana")
    assert '<a href="/auth/logout">Sign out</a>' in browser.get("/signin/password").text
    assert browser.get("/auth/logout").headers["location"] == "/signin?out"
    assert "You are signed out" in browser.get("/signin?out").text


def test_a_reset_ends_what_was_open(application: Application, administrator: Actor, browser: Browser) -> None:
    made = application.people.add(operator("tester"), "dana", REVIEWER)
    sign_in(browser, made.password, user="dana")
    assert browser.get("/").status_code == 200
    application.people.reset_password(administrator, made.person.id)
    assert browser.get("/").headers["location"].startswith("/signin?")
    assert socket_of(browser) == "refused"


def test_a_password_of_the_command_line_or_of_the_first_start_is_used_at_once(
    application: Application, browser: Browser, password: str
) -> None:
    assert sign_in(browser, password).headers["location"] == "/"
    assert browser.get("/").status_code == 200
    me = operator("tester")
    made = application.people.add(me, "dana", REVIEWER)
    assert sign_in(browser, made.password, "/signin/local?next=/queue", "dana").headers["location"] == "/queue"
    assert browser.get("/queue").status_code == 200
    again = application.people.reset_password(me, made.person.id)
    assert sign_in(browser, again, user="dana").headers["location"] == "/"
    assert socket_of(browser) == browser.client.cookies[COOKIE]


def test_guesses_in_the_form_have_to_wait(browser: Browser, given: str) -> None:
    sign_in(browser, given, user="dana")
    for _ in range(5):
        answer = browser.post("/signin/password", {"password": "wrong", "new": CHOSEN})
        assert answer.status_code == 400
    answer = browser.post("/signin/password", {"password": given, "new": CHOSEN})
    assert answer.status_code == 429
    assert "Too many attempts. Try again in" in answer.text
    assert browser.get("/").status_code == 303


def test_a_password_that_is_too_weak_is_no_guess(browser: Browser, given: str) -> None:
    sign_in(browser, given, user="dana")
    for _ in range(7):
        answer = browser.post("/signin/password", {"password": given, "new": "danadanadana"})
        assert answer.status_code == 400
        assert "own name" in answer.text
    assert browser.post("/signin/password", {"password": given, "new": CHOSEN}).status_code == 303


def test_with_an_issuer_such_a_session_goes_to_the_issuer(
    application: Application, browser: Browser, given: str
) -> None:
    """Local accounts do not sign in any more then; their sessions are open still."""
    sign_in(browser, given, user="dana")
    cookie = {"Cookie": f"{COOKIE}={browser.client.cookies[COOKIE]}"}
    oidc = Browser(build(application, issuer="http://127.0.0.1:9/nobody"), browser._portal)
    answer = oidc.get(oidc.get("/queue", headers=cookie).headers["location"], headers=cookie)
    assert answer.status_code == 503
    assert "identity provider cannot be reached" in answer.text
