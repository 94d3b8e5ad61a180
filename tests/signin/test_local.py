"""Local accounts: the form, the session behind it, and what a stranger or another site can't do."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from app.door.addresses import safe_target
from governance.bootstrap import Application
from governance.domain.people import Role, RoleBinding, operator
from tests.signin.conftest import Browser, build

COOKIE = "governance_session"


def sign_in(browser: Browser, password: str, path: str = "/signin/local", user: str = "admin") -> httpx.Response:
    return browser.post(path, {"user": user, "password": password})


def websocket_header(app: Any, headers: list[tuple[bytes, bytes]], host: str = "127.0.0.1:8501") -> str:
    """What the page behind a websocket is given as the session; "refused" when it was not let in."""
    sent: list[Message] = []
    scope = {
        "type": "websocket",
        "path": "/_stcore/stream",
        "raw_path": b"/_stcore/stream",
        "query_string": b"",
        "root_path": "",
        "scheme": "ws",
        "headers": [(b"host", host.encode()), *headers],
        "subprotocols": [],
        "server": ("127.0.0.1", 8501),
        "client": ("127.0.0.1", 1),
        "state": {},
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        await app(scope, receive, send)

    anyio.run(run)
    return next((str(message["text"]) for message in sent if message["type"] == "websocket.send"), "refused")


def test_an_address_of_no_page_is_said_to_be_none(browser: Browser, password: str) -> None:
    assert browser.get("/nonsense").headers["location"] == "/signin?next=%2Fnonsense"
    sign_in(browser, password)
    browser.post("/signin/password", {"password": password, "new": "four unrelated words"})
    for path in ("/nonsense", "/queue/7", "/Queue"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "There is no page at this address" in answer.text
        assert 'href="/"' in answer.text
    for path in ("/", "/queue", "/queue/", "/case?id=5"):
        assert browser.get(path).status_code == 200


def test_the_start_page_by_its_name_is_at_the_root(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    browser.post("/signin/password", {"password": password, "new": "four unrelated words"})
    answer = browser.get("/overview?system=hr%26x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?system=hr%26x")


def test_a_deep_link_survives_sign_in(browser: Browser, password: str) -> None:
    answer = browser.get("/case?id=5&q=a%26b")
    assert answer.status_code == 303
    answer = browser.get(answer.headers["location"])
    form = browser.get(answer.headers["location"])
    assert form.status_code == 200
    action = form.text.split('action="')[1].split('"')[0]
    answer = sign_in(browser, password, action)
    assert (answer.status_code, answer.headers["location"]) == (303, "/case?id=5&q=a%26b")
    assert browser.get(answer.headers["location"]).text.startswith("page /case")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: Browser, password: str) -> None:
    cookie = sign_in(browser, password).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for attribute in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"):
        assert attribute in cookie


def test_behind_https_the_cookie_is_secure_and_bound_to_the_host(
    application: Application, browser: Browser, password: str
) -> None:
    public = "https://gov.example.org"
    secure = Browser(build(application, public_url=public), browser._portal, public)
    answer = sign_in(secure, password)
    assert answer.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "Domain" not in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["strict-transport-security"]
    assert sign_in(secure, password, user="x").status_code == 401


def test_after_sign_out_a_replayed_cookie_is_refused(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    token = browser.client.cookies[COOKIE]
    assert browser.get("/").status_code == 200
    assert browser.get("/auth/logout").headers["location"] == "/signin?out"
    assert browser.get("/").status_code == 303
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 303
    assert websocket_header(browser.app, [(b"cookie", f"{COOKIE}={token}".encode())]) == "refused"


def test_signing_out_says_so_and_does_not_sign_in_again(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    answer = browser.get(browser.get("/auth/logout").headers["location"])
    assert "You are signed out" in answer.text


def test_another_site_can_only_ask_whether_to_sign_out(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    asked = browser.get("/auth/logout", headers={"Sec-Fetch-Site": "cross-site"})
    assert asked.status_code == 200
    assert browser.post("/auth/logout", headers={"Origin": "https://evil.example"}).status_code == 200
    assert browser.get("/").status_code == 200
    assert browser.post("/auth/logout").status_code == 303
    assert browser.get("/").status_code == 303


def test_a_client_cannot_hand_in_a_session_of_its_own_making(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    token = browser.client.cookies[COOKIE]
    for name in (b"x-governance-session", b"X-Governance-Session"):
        smuggled = [(name, token.encode())]
        assert websocket_header(browser.app, smuggled) == "refused"
        assert websocket_header(browser.app, [*smuggled, (b"cookie", f"{COOKIE}={token}".encode())]) == token
    answer = browser.get("/v1/echo", headers={"X-Governance-Session": token})
    assert answer.text == "page /v1/echo -"
    answer = browser.get("/", headers={"X-Governance-Session": token})
    assert answer.text == "page / -"
    browser.client.cookies.clear()
    assert browser.get("/", headers={"X-Governance-Session": token}).status_code == 303


def test_a_wrong_password_and_an_unknown_name_read_the_same(browser: Browser, password: str) -> None:
    wrong = sign_in(browser, "wrong")
    unknown = sign_in(browser, "wrong", user="nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace('value="admin"', "") == unknown.text.replace('value="nobody"', "")
    assert "set-cookie" not in wrong.headers


def test_one_machine_cannot_try_many_names(browser: Browser, password: str) -> None:
    for number in range(20):
        assert sign_in(browser, "wrong", user=f"user{number}").status_code == 401
    answer = sign_in(browser, "wrong", user="one-more")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
def test_a_form_on_another_site_signs_nobody_in(browser: Browser, password: str, origin: str) -> None:
    answer = browser.post("/signin/local", {"user": "admin", "password": password}, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_form_without_an_origin_is_judged_by_where_the_browser_says_it_came_from(
    browser: Browser, password: str
) -> None:
    form = {"user": "admin", "password": password}
    assert browser("POST", "/signin/local", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert browser("POST", "/signin/local", data=form).status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie:x=1",
        "\\/e",
    ],
)
def test_sign_in_leads_nowhere_else(browser: Browser, password: str, target: str) -> None:
    answer = browser.post("/signin/local", {"user": "admin", "password": password}, params={"next": target})
    assert answer.headers["location"] == "/"


@given(st.text(max_size=60) | st.text("/\\.:@ \t\r\nevil%2", max_size=20).map(lambda text: "/" + text))
def test_a_target_is_always_a_path_of_this_console(target: str) -> None:
    kept = safe_target(target)
    assert kept.startswith("/")
    assert not kept.startswith(("//", "/\\"))
    assert not any(ord(character) <= 0x20 for character in kept)
    assert httpx.URL("http://here.example").join(httpx.URL("http://here.example" + kept)).host == "here.example"


def test_what_was_typed_is_never_markup(browser: Browser, password: str) -> None:
    answer = sign_in(browser, "x", user='"><script>alert(1)</script>')

    class Tags(HTMLParser):
        found: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.append(tag)

    Tags().feed(answer.text)
    assert "script" not in Tags.found
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe=1", b"user=" + b"x" * 100_000, b"a=1&" * 5000, b"user=%00&password=%ff"]
)
def test_a_strange_form_is_a_wrong_password_at_most(browser: Browser, password: str, body: bytes) -> None:
    headers = {"Origin": browser.base, "Content-Type": "application/x-www-form-urlencoded"}
    assert browser("POST", "/signin/local", content=body, headers=headers).status_code in (400, 401)


def test_a_disabled_person_is_out_at_the_next_click(application: Application, browser: Browser) -> None:
    me = operator("tester")
    added = application.people.add(me, "dana", [RoleBinding(role=Role.REVIEWER)])
    sign_in(browser, added.password, user="dana")
    assert browser.get("/").status_code == 200
    application.people.disable(me, added.person.id)
    assert browser.get("/").status_code == 303


def test_a_new_password_ends_all_other_sessions(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    old = browser.client.cookies[COOKIE]
    form = browser.get("/signin/password?next=/queue").text
    assert "Present password" in form
    assert '<a href="/queue">Back to the console</a>' in form
    weak = browser.post("/signin/password", {"password": password, "new": "short"})
    assert weak.status_code == 400
    changed = browser.post("/signin/password", {"password": password, "new": "four unrelated words"})
    assert changed.status_code == 303
    assert browser.get("/").status_code == 200
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={old}"}).status_code == 303
    assert sign_in(browser, password).status_code == 401
    assert sign_in(browser, "four unrelated words").status_code == 303


def test_another_name_for_this_machine_is_not_served(browser: Browser, password: str) -> None:
    sign_in(browser, password)
    token = browser.client.cookies[COOKIE]
    headers = {"Host": "rebound.example", "Cookie": f"{COOKIE}={token}"}
    assert browser.get("/", headers=headers).status_code == 421
    assert browser.get("/signin/local", headers=headers).status_code == 421
    assert browser.get("/v1/echo", headers={"Host": "rebound.example"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/case", "/admin", "/queue/", "/anything/else"])
def test_without_a_session_no_page_is_served(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=")


def test_every_answer_keeps_the_browser_in(browser: Browser) -> None:
    for path in ("/", "/signin/local", "/v1/echo", "/_stcore/health"):
        headers = browser.get(path).headers
        assert "content-security-policy" in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("public_url", "host", "origin", "own"),
    [
        ("", "127.0.0.1:8501", "http://127.0.0.1:8501", True),
        ("", "127.0.0.1:8501", None, True),
        ("", "127.0.0.1:8501", "http://127.0.0.1:9", False),
        ("", "127.0.0.1:8501", "http://localhost:8501", False),
        ("", "127.0.0.1:8501", "https://evil.example", False),
        ("", "127.0.0.1:8501", "null", False),
        ("", "127.0.0.1:8501", "", False),
        ("https://gov.example.org", "gov.example.org", "https://gov.example.org", True),
        ("https://gov.example.org", "gov.example.org", "http://gov.example.org", False),
        ("https://gov.example.org", "gov.example.org", "https://gov.example.org:8443", False),
        ("https://gov.example.org", "127.0.0.1:8501", "http://127.0.0.1:8501", True),
        ("https://localhost", "localhost", "https://localhost", True),
    ],
)
def test_a_page_of_another_origin_opens_no_websocket_with_our_cookie(
    application: Application, public_url: str, host: str, origin: str | None, own: bool
) -> None:
    made = application.people.add(operator("tester"), "dana", [RoleBinding(role=Role.REVIEWER)])
    token = application.sessions.sign_in_local("dana", made.password).token
    name = f"__Host-{COOKIE}" if public_url else COOKIE
    headers = [(b"cookie", f"{name}={token}".encode())]
    headers += [] if origin is None else [(b"origin", origin.encode())]
    answer = websocket_header(build(application, public_url=public_url), headers, host)
    assert answer == (token if own else "refused")


@pytest.mark.parametrize("path", ["/media/0a1b.zip", "/media/0a1b", "/_stcore/upload_file/session/file"])
def test_files_of_a_session_need_one(browser: Browser, password: str, path: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = browser(method, path)
        assert (answer.status_code, answer.text) == (401, "Sign in first.\n")
    browser.post("/signin/local", {"user": "admin", "password": password})
    assert browser.get(path).text.startswith("page")


def test_a_websocket_without_a_session_is_closed_before_it_is_accepted(browser: Browser) -> None:
    for cookie in ("", "x", "x" * 300, "\u00e9"):
        headers = [(b"cookie", f"{COOKIE}={cookie}".encode())] if cookie else []
        assert websocket_header(browser.app, headers) == "refused"


def test_signing_in_again_in_another_tab_keeps_the_first_tabs_session_until_the_sign_out(
    browser: Browser, password: str
) -> None:
    sign_in(browser, password)
    first = browser.client.cookies[COOKIE]
    sign_in(browser, password)
    second = browser.client.cookies[COOKIE]
    assert first != second
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={first}"}).status_code == 200
    browser.get("/auth/logout")
    for token in (first, second):
        assert browser.get("/", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 303


def test_signing_in_as_somebody_else_ends_the_first_persons_session(
    application: Application, browser: Browser, password: str
) -> None:
    made = application.people.add(operator("tester"), "dana", [RoleBinding(role=Role.REVIEWER)])
    sign_in(browser, password)
    first = browser.client.cookies[COOKIE]
    sign_in(browser, made.password, user="dana")
    assert browser.get("/", headers={"Cookie": f"{COOKIE}={first}"}).status_code == 303
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("target", ["/calls?q=" + "x" * 5_000, "/" + "x" * 5_000])
def test_a_very_long_target_loses_what_is_too_long(browser: Browser, password: str, target: str) -> None:
    answer = browser.post("/signin/local", {"user": "admin", "password": password}, params={"next": target})
    assert answer.headers["location"] == ("/calls" if target.startswith("/calls") else "/")


def test_a_page_that_was_left_open_learns_whether_its_session_is(browser: Browser, password: str) -> None:
    assert browser.get("/signin/open").status_code == 401
    sign_in(browser, password)
    answer = browser.get("/signin/open")
    assert (answer.status_code, answer.headers["cache-control"]) == (204, "no-store")
    browser.get("/auth/logout")
    assert browser.get("/signin/open").status_code == 401
