"""Whose word on the client's address is taken."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.door.proxies import ForwardedMiddleware, parsed
from governance.bootstrap.settings import load
from governance.errors import Misconfigured

TRUSTED = ("10.0.0.0/8", "192.0.2.1", "fd00::/8")


def seen(peer: str | None, headers: list[tuple[str, str]], kind: str = "http") -> tuple[str, str]:
    """Client and scheme as the application behind the middleware sees them."""
    found: dict[str, Any] = {}

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.update(scope)

    scope = {
        "type": kind,
        "scheme": "ws" if kind == "websocket" else "http",
        "client": (peer, 40_000) if peer is not None else None,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    door = ForwardedMiddleware(app, trusted=[ip_network(one) for one in TRUSTED], expected=True)
    asyncio.run(door(scope, None, None))  # type: ignore[arg-type]
    return found["client"][0] if found["client"] else "", found["scheme"]


FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


@pytest.mark.parametrize(
    ("peer", "headers", "client", "scheme"),
    [
        # Nobody in front, or one that is not trusted: what it says is its own invention.
        ("203.0.113.9", [(FOR, "1.2.3.4"), (PROTO, "https")], "203.0.113.9", "http"),
        ("127.0.0.1", [(FOR, "1.2.3.4")], "127.0.0.1", "http"),
        ("10.0.0.5", [], "10.0.0.5", "http"),
        # One trusted proxy; what the client itself sent stands on the left.
        ("10.0.0.5", [(FOR, "198.51.100.7"), (PROTO, "https")], "198.51.100.7", "https"),
        ("10.0.0.5", [(FOR, "1.2.3.4, 198.51.100.7")], "198.51.100.7", "http"),
        ("10.0.0.5", [(FOR, "1.2.3.4"), (FOR, "198.51.100.7")], "198.51.100.7", "http"),
        ("192.0.2.1", [(FOR, "198.51.100.7")], "198.51.100.7", "http"),
        ("::ffff:10.0.0.5", [(FOR, "198.51.100.7")], "198.51.100.7", "http"),
        # Several trusted proxies in a row.
        ("10.0.0.5", [(FOR, "1.2.3.4, 198.51.100.7, 10.9.9.9, fd00::2")], "198.51.100.7", "http"),
        ("10.0.0.5", [(FOR, "10.1.1.1, 10.2.2.2")], "10.1.1.1", "http"),
        # As proxies write addresses.
        ("10.0.0.5", [(FOR, "198.51.100.7:5123")], "198.51.100.7", "http"),
        ("10.0.0.5", [(FOR, '"[2001:db8::1]:443"')], "2001:db8::1", "http"),
        ("10.0.0.5", [(FOR, "2001:db8::1")], "2001:db8::1", "http"),
        # What is no address ends the search at the last one that is.
        ("10.0.0.5", [(FOR, "198.51.100.7, unknown")], "10.0.0.5", "http"),
        ("10.0.0.5", [(FOR, "198.51.100.7, evil, 10.9.9.9")], "10.9.9.9", "http"),
        ("10.0.0.5", [(FOR, ",,, ,")], "10.0.0.5", "http"),
        # RFC 7239, where there is no X-Forwarded-For.
        ("10.0.0.5", [("Forwarded", 'for="[2001:db8::1]:9";proto=https')], "2001:db8::1", "https"),
        ("10.0.0.5", [("Forwarded", "for=1.2.3.4, for=198.51.100.7;proto=https")], "198.51.100.7", "https"),
        ("10.0.0.5", [("Forwarded", "for=_hidden;by=x")], "10.0.0.5", "http"),
        ("10.0.0.5", [("Forwarded", "for=1.2.3.4"), (FOR, "198.51.100.7")], "198.51.100.7", "http"),
        ("10.0.0.5", [(PROTO, "gopher")], "10.0.0.5", "http"),
        (None, [(FOR, "198.51.100.7")], "", "http"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    peer: str | None, headers: list[tuple[str, str]], client: str, scheme: str
) -> None:
    assert seen(peer, headers) == (client, scheme)


def test_a_websocket_gets_its_own_scheme() -> None:
    assert seen("10.0.0.5", [(FOR, "198.51.100.7"), (PROTO, "https")], "websocket") == ("198.51.100.7", "wss")


@given(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=200),
    st.sampled_from([FOR, "Forwarded"]),
)
def test_whatever_a_stranger_sends_through_a_proxy_they_are_at_the_address_it_saw(sent: str, header: str) -> None:
    separator = ", " if sent.strip() else ""
    last = "198.51.100.7" if header == FOR else "for=198.51.100.7"
    assert seen("10.0.0.5", [(header, f"{sent}{separator}{last}")])[0] == "198.51.100.7"


@given(st.text(max_size=60))
def test_only_an_address_is_read_as_one(text: str) -> None:
    found = parsed(text)
    assert found is None or str(ip_address(str(found))) == str(found)


@pytest.mark.parametrize("wrong", ["proxy.internal", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/8, *", "10.0.0"])
def test_a_setting_that_is_no_address_or_trusts_everybody_stops_the_start(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_TRUSTED_PROXIES", wrong)
    with pytest.raises(Misconfigured, match="GOVERNANCE_TRUSTED_PROXIES"):
        load(_env_file=None)


def test_the_setting_survives_the_way_to_a_process_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,fd00::/8")
    monkeypatch.setenv("GOVERNANCE_ROLE_MAP", '{"CN=A,OU=B": "reviewer", "x=y": "auditor"}')
    settings = load(_env_file=None)
    assert [str(one) for one in settings.trusted_proxies] == ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    again = load(_env_file=None)
    assert (again.trusted_proxies, again.role_map) == (settings.trusted_proxies, settings.role_map)
