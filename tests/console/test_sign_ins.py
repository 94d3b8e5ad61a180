"""What the Admin page shows of sign-ins through the identity provider."""

from __future__ import annotations

from typing import Any

import pytest

from governance.access.claims import read
from governance.bootstrap.settings import Settings
from tests.console.conftest import Page
from tests.console.world import World


def texts(test: Any) -> str:
    return "\n".join(str(one.value) for kind in (test.markdown, test.caption, test.text, test.code) for one in kind)


def test_local_accounts_are_said_to_be(world: World, page: Page) -> None:
    assert "Local accounts" in texts(page("admin", "admin"))


def test_what_came_and_what_followed_is_shown_as_text(
    world: World, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        data_dir=world.application.settings.data_dir,
        oidc_issuer="https://id.example.org",
        oidc_client_id="console",
        role_map="![x](https://evil.example/beacon)=auditor",  # type: ignore[arg-type]
        _env_file=None,  # type: ignore[call-arg]
    )
    monkeypatch.setattr(world.application, "settings", settings)
    hostile = "![x](https://evil.example/beacon)"
    for subject, claims in (("one", {"groups": ["reviewer", hostile]}), ("two", {"groups": 5}), (hostile, {})):
        world.application.people.signed_in_elsewhere(
            "https://id.example.org", subject, name=subject, claim=read(claims, "groups")
        )
    test = page("admin", "admin")
    assert not test.exception
    shown = texts(test)
    assert "claim groups came as list" in shown
    assert "it came as a number" in shown
    assert "it did not come" in shown
    assert all(hostile not in str(one.value) for one in (*test.markdown, *test.caption))
    assert any(hostile in str(one.value) for one in test.code)
