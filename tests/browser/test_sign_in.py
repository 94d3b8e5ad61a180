"""Every documented way into the console, on a real `governance serve`, in a real browser, against a real provider."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.browser.conftest import heading
from tests.browser.tls_proxy import TlsProxy
from tests.serving import Serving
from tests.signin.provider import CLIENT, Provider

WAYS = ("local accounts", "provider", "provider behind https", "container behind https")


@dataclass
class Door:
    """A running installation, and the address that people use."""

    way: str
    url: str
    serving: Serving
    provider: Provider
    password: str = ""

    @property
    def log(self) -> str:
        return (self.serving.folder / "serve.log").read_text(encoding="utf-8")

    def sign_in(self, page: Page, path: str = "/queue") -> str:
        """Goes to a page signed out, and through the sign-in back to it; gives its title."""
        page.goto(self.url + path)
        if self.password:
            page.fill("input[name=user]", "dana")
            page.fill("input[name=password]", self.password)
            page.click("button")
        return heading(page)


@pytest.fixture(scope="module", params=WAYS)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    way: str = request.param
    folder = tmp_path_factory.mktemp("door")
    provider, serving = Provider(), Serving(folder)
    provider.start()
    proxy, arguments = None, ["--no-worker"]
    door = Door(way=way, url=serving.url, serving=serving, provider=provider)
    try:
        if way == "local accounts":
            made = serving.run("user", "add", "dana", "--role", "reviewer", "--json")
            door.password = json.loads(made.stdout)["password"]
        else:
            serving.environment |= {
                "GOVERNANCE_OIDC_ISSUER": provider.issuer,
                "GOVERNANCE_OIDC_CLIENT_ID": CLIENT[0],
                "GOVERNANCE_OIDC_CLIENT_SECRET": CLIENT[1],
            }
        if way.endswith("https"):
            # Chromium takes every name under localhost for this machine; the server does not know it as such.
            proxy = TlsProxy(folder, "gov.localhost", serving.port)
            door.url = proxy.url
            serving.environment |= {"GOVERNANCE_PUBLIC_URL": proxy.url, "GOVERNANCE_TRUSTED_PROXIES": "127.0.0.1"}
        if way.startswith("container"):
            arguments += ["--host", "0.0.0.0"]
        provider.redirects = {f"{door.url}/signin/callback"}
        serving.start(*arguments, ready="/healthz")
        yield door
        assert "Traceback" not in door.log
    finally:
        serving.stop()
        provider.stop()
        if proxy:
            proxy.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(ignore_https_errors=True)
    made.set_default_timeout(60_000)
    yield made
    made.close()


only_provider = pytest.mark.parametrize("door", ["provider"], indirect=True)
only_https = pytest.mark.parametrize("door", WAYS[2:], indirect=True)


def names(context: BrowserContext) -> dict[str, dict[str, object]]:
    return {str(cookie["name"]): dict(cookie) for cookie in context.cookies()}


def test_one_signs_in_works_and_signs_out(door: Door, context: BrowserContext) -> None:
    page = context.new_page()
    door.sign_in(page, "/queue?severity=high")
    assert urlsplit(page.url).path == "/queue"
    prefix = "__Host-" if door.url.startswith("https") else ""
    cookie = names(context)[f"{prefix}governance_session"]
    assert cookie["httpOnly"] is True
    assert cookie["secure"] is bool(prefix)
    page.reload()
    heading(page)
    page.get_by_role("link", name="Calls").first.click()
    expect(page).to_have_url(re.compile("/calls"))
    page.go_back()
    expect(page).to_have_url(re.compile("/queue"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out")).to_be_visible()
    with httpx.Client(verify=False) as replayed:
        headers = {"Cookie": f"{cookie['name']}={cookie['value']}", "Host": urlsplit(door.url).netloc}
        answer = replayed.get(door.serving.url + "/queue", headers=headers)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/signin")
    if not door.password:
        page.get_by_role("link", name="Continue to sign-in").click()
        heading(page)


def test_a_websocket_without_a_session_is_refused(door: Door) -> None:
    for cookie in ("", "governance_session=made-up; __Host-governance_session=made-up"):
        with pytest.raises(InvalidStatus) as refused:
            connect(
                f"ws://127.0.0.1:{door.serving.port}/_stcore/stream",
                additional_headers={"Cookie": cookie, "X-Governance-Session": "made-up"},
                origin=Origin(door.url),
            )
        assert refused.value.response.status_code == 403


@only_provider
def test_six_restored_tabs_all_get_in(door: Door, context: BrowserContext) -> None:
    door.provider.delay = 0.5
    paths = ["/queue", "/calls", "/reports", "/policies", "/", "/queue?severity=high"]
    pages = [context.new_page() for _ in paths]
    for page, path in zip(pages, paths, strict=True):
        page.goto(door.url + path, wait_until="commit")
    door.provider.delay = 0
    for page, path in zip(pages, paths, strict=True):
        heading(page)
        assert urlsplit(page.url).path == urlsplit(path).path
    pages[0].get_by_role("button", name="Sign out").click()
    expect(pages[0].get_by_text("You are signed out")).to_be_visible()
    pages[1].get_by_role("link", name="Queue").first.click()
    expect(pages[1].get_by_text("Please sign in")).to_be_visible()


@only_provider
def test_a_callback_that_is_opened_again_or_is_nobodys_leads_on(door: Door, context: BrowserContext) -> None:
    page, callbacks = context.new_page(), []
    page.on("request", lambda sent: callbacks.append(sent.url) if "/signin/callback" in sent.url else None)
    door.sign_in(page)
    page.goto(callbacks[0])
    heading(page)
    assert urlsplit(page.url).path == "/queue"
    context.clear_cookies()
    for address in (callbacks[0], f"{door.url}/signin/callback?code=x&state=unknown"):
        page.goto(address)
        heading(page)
        assert urlsplit(page.url).path == "/"
        context.clear_cookies()


@only_provider
def test_a_session_that_is_over_leads_to_the_sign_in_and_back(door: Door, context: BrowserContext) -> None:
    page = context.new_page()
    door.sign_in(page)
    with closing(sqlite3.connect(door.serving.folder / "governance.db")) as database, database:
        database.execute("UPDATE session SET expires_at = 1")
    # The watch is a component: it starts listening a moment after the page's heading stands.
    page.wait_for_function("window.governanceSessionWatch")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    again = page.get_by_role("alert").filter(has_text="Your session is over")
    expect(again).to_be_visible()
    assert again.get_by_role("link").get_attribute("href") == "/signin?next=%2Fqueue"
    page.get_by_role("link", name="Calls").first.click()
    expect(page.get_by_text("Please sign in")).to_be_visible()
    page.get_by_role("link", name="Sign in", exact=True).click()
    heading(page)
    assert urlsplit(page.url).path == "/calls"


@only_provider
def test_a_role_that_is_taken_away_is_gone_at_the_next_click(
    door: Door, browser: Browser, context: BrowserContext
) -> None:
    page = context.new_page()
    door.sign_in(page)
    try:
        door.provider.claims["groups"] = "no reviewer"
        elsewhere = browser.new_context()
        other = elsewhere.new_page()
        other.goto(door.url + "/queue")
        expect(other.get_by_role("alert")).to_contain_text("none of which gives a role")
        other.get_by_role("link", name="Continue").click()
        expect(other.get_by_text("You have no role yet")).to_be_visible()
        elsewhere.close()
        page.get_by_role("link", name="Calls").first.click()
        expect(page.get_by_text("You have no role yet")).to_be_visible()
        assert "signin.no_roles_from_claim" in door.log
        assert "no reviewer" not in door.log
    finally:
        door.provider.claims["groups"] = ["reviewer"]


@only_provider
def test_a_provider_that_changes_its_keys_or_is_refused_is_met(door: Door, context: BrowserContext) -> None:
    page = context.new_page()
    door.sign_in(page)
    door.provider.rotate()
    context.clear_cookies()
    door.sign_in(page)
    context.clear_cookies()
    door.provider.tamper["nonce"] = "of another sign-in"
    try:
        page.goto(door.url + "/queue")
        expect(page.get_by_role("alert")).to_contain_text("could not be proven")
    finally:
        door.provider.tamper.clear()
    page.get_by_role("link", name="Continue to sign-in").click()
    heading(page)
    assert urlsplit(page.url).path == "/queue"


@only_https
def test_strangers_behind_the_proxy_are_told_apart(door: Door) -> None:
    """This test is the trusted proxy: it says from whom each request comes."""
    base = {"Host": urlsplit(door.url).netloc}

    def failed(address: str) -> int:
        with httpx.Client(base_url=door.serving.url, headers=base | {"X-Forwarded-For": address}) as client:
            there = client.get("/signin").headers
            state = httpx.URL(there["location"]).params["state"]
            cookie = there["set-cookie"].partition(";")[0]
            back = client.get(f"/signin/callback?code=guessed&state={state}", headers={"Cookie": cookie})
        return back.status_code

    statuses = [failed("203.0.113.5") for _ in range(21)]
    assert statuses == [403] * 20 + [429]
    assert failed("9.9.9.9, 203.0.113.5") == 429
    assert failed("203.0.113.6") == 403
