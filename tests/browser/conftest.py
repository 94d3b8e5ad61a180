"""A real `governance serve` and a real browser. Skipped with the reason where there is no Chromium; never in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from governance import bootstrap
from governance.bootstrap import resource
from governance.bootstrap.settings import Settings
from governance.domain.people import Role, RoleBinding, operator
from governance.policy.load import load
from tests.console.world import World
from tests.policy.samples import GOOD
from tests.serving import Serving

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One a file: while Playwright is at work this thread has a running event loop, and other tests need their own."""
    if not CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("The browser tests need Chromium: apt-get install chromium.")
        pytest.skip("No Chromium on this machine (apt-get install chromium).")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Site:
    """A running server, the world in its database, and passwords by person."""

    def __init__(self, serving: Serving, world: World, passwords: dict[str, str]) -> None:
        self.serving = serving
        self.world = world
        self.passwords = passwords

    @property
    def url(self) -> str:
        return self.serving.url


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    # What `serve` finds in its working directory.
    (folder / "policies").mkdir()
    (folder / "policies" / "direct.yaml").write_text(GOOD)
    application = bootstrap.open_application(
        Settings(data_dir=folder, _env_file=None),  # type: ignore[call-arg]
        migrate=True,
    )
    world = World(application, application.clock())
    application.rollout.ensure(lambda: load(folder / "policies", packaged=resource("policies")))
    passwords = {}
    for role in (Role.REVIEWER, Role.COMPLIANCE_OFFICER, Role.ENGINEER):
        made = application.people.add(operator("tests"), role.value, [RoleBinding(role=role)])
        world.people[role.value] = application.sessions.sign_in_local(role.value, made.password).actor
        current, chosen = made.password, f"long enough {role.value}"
        application.people.change_password(world.people[role.value], current, chosen)
        passwords[role.value] = chosen
    serving = Serving(folder)
    try:
        # Without a worker it is never "ready" to check; the pages need none.
        serving.start("--no-worker", ready="/healthz")
        yield Site(serving, world, passwords)
    finally:
        serving.stop()
        application.close()


Open = Callable[..., Page]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 1000}, timezone_id="Europe/Berlin")
    made.set_default_timeout(20_000)
    yield made
    made.close()


def sign_in(page: Page, site: Site, who: str, target: str = "/") -> None:
    """Goes to `target` signed out, and through the form back to it."""
    page.goto(site.url + target)
    page.fill("input[name=user]", who)
    page.fill("input[name=password]", site.passwords[who])
    page.click("button")
    heading(page)


def heading(page: Page) -> str:
    """The page's title, once it is drawn."""
    found = page.locator("[data-testid=stMain] h1").first
    found.wait_for()
    return found.inner_text()
