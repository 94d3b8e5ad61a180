"""Who a request really comes from, when proxies stand in front.

Only a peer in `GOVERNANCE_TRUSTED_PROXIES` is believed: its `X-Forwarded-For` (or, without one, RFC 7239's
`Forwarded`) is read from the right, and the first address that is no trusted proxy is the client. Whoever else sends
such a header has chosen their address themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_LOG = structlog.get_logger("governance.signin")
_MOST_HOPS = 50


class ForwardedMiddleware:
    """Sets `scope["client"]` and `scope["scheme"]` as trusted proxies report them. The outermost middleware."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[Network], expected: bool = False) -> None:
        """`expected`: a proxy must be in front, so one that is not trusted is a mistake worth a line in the log."""
        self._app = app
        self._trusted = tuple(trusted)
        self._expected = expected
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self._read(scope)
        await self._app(scope, receive, send)

    def _read(self, scope: Scope) -> Scope:
        peer = parsed(scope["client"][0]) if scope.get("client") else None
        forwarded = _values(scope, b"x-forwarded-for")
        if peer is None or not self._trusts(peer):
            if forwarded and self._expected and not self._warned:
                self._warned = True
                _LOG.warning("signin.proxy_not_trusted", peer=str(peer), setting="GOVERNANCE_TRUSTED_PROXIES")
            return scope
        hops, scheme = forwarded, (_values(scope, b"x-forwarded-proto") or [""])[-1]
        if not hops:
            pairs = [_pairs(part) for part in _values(scope, b"forwarded")]
            hops = [pair.get("for", "") for pair in pairs]
            scheme = scheme or next((pair["proto"] for pair in reversed(pairs) if "proto" in pair), "")
        client = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = parsed(hop)
            if address is None:  # "unknown", or nothing that is an address: what lies behind it nobody vouches for
                break
            client = address
            if not self._trusts(address):
                break
        found = {**scope, "client": (str(client), 0)} if client != peer else dict(scope)
        if scheme.lower() in ("http", "https"):
            web = {"http": "ws", "https": "wss"} if scope["type"] == "websocket" else {"http": "http", "https": "https"}
            found["scheme"] = web[scheme.lower()]
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def parsed(text: str) -> Address | None:
    """An address as proxies write it: with a port, in brackets, in quotes, with a zone; None when it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _values(scope: Scope, name: bytes) -> list[str]:
    """The parts of a header between commas, over all lines that it came in."""
    lines = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _pairs(element: str) -> dict[str, str]:
    """One element of `Forwarded`: `for=192.0.2.60;proto=https`."""
    pairs = (pair.partition("=") for pair in element.split(";"))
    return {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
