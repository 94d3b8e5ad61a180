"""Addresses of this console: where a sign-in may lead to, and whether a request comes from the console itself."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
LONGEST_TARGET = 1_000


def safe_target(target: str) -> str:
    """`target` if it is a path of this console, else "/": never another site, a scheme or a header. A longer one than
    `LONGEST_TARGET` loses its query."""
    if len(target) > LONGEST_TARGET:
        target = target.partition("?")[0]
    if len(target) > LONGEST_TARGET or not target.startswith("/"):
        return "/"
    if target.startswith(("//", "/\\", "/signin", "/auth/")):
        return "/"
    if "\\" in target or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in target):
        return "/"
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else target


def led(way: str, target: str) -> RedirectResponse:
    """A redirect to one of the sign-in pages, and from there on to `target`."""
    return RedirectResponse(f"{way}?next={quote(target, safe='')}", 303, {"Cache-Control": "no-store"})


def to(target: str) -> RedirectResponse:
    """A redirect that no cache keeps."""
    return RedirectResponse(target, 303, {"Cache-Control": "no-store"})


def own_origin(headers: Headers, public_url: str) -> bool:
    """Whether a request's `Origin` is the console's own, or, from programs, absent.

    Another port of the same host is another origin, but gets the same cookies (RFC 6265 §8.5).
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    host = headers.get("host", "")
    own = {public_url, f"http://{host}" if host_name(host) in LOOPBACK else ""} - {""}
    return origin in own


def own_form(headers: Headers, public_url: str) -> bool:
    """Whether a form came from our own page. Browsers name the origin of every POST; programs need not."""
    site = headers.get("sec-fetch-site", "none")
    if "origin" not in headers and site not in ("none", "same-origin"):
        return False
    return own_origin(headers, public_url)


def host_name(value: str) -> str:
    """A Host header's name without its port, in lower case."""
    name = value.rsplit(":", 1)[0] if not value.endswith("]") else value
    return name.lower().rstrip(".")


def under(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
