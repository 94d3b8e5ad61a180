"""Who is signed in. OpenID Connect through Authlib, or local accounts; both end in one server-side session.

The browser holds a random token in an HttpOnly cookie; the session itself is a row, looked up at every click, so that
signing out, disabling a person and changing roles take effect at once. `Identity` passes the token to Streamlit as the
header `HEADER` (`server.trustedUserHeaders`) and never lets a client pass that header itself.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlsplit

import anyio
import anyio.to_thread
import httpx
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.deprecate import AuthlibDeprecationWarning
from itsdangerous import BadSignature, URLSafeTimedSerializer
from joserfc.errors import JoseError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import signin
from governance.domain.people import Actor
from governance.errors import GovernanceError, Overloaded, Refused

with warnings.catch_warnings():
    # Authlib 1.9 prefers another package than httpx, and says so whenever it is imported.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.starlette_client import OAuth

HEADER = "x-governance-session"
USER_KEY = "session"
"""Under this key `st.user` holds the session's token."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_LOG = structlog.get_logger("governance.signin")
_TRANSACTION_SECONDS = 600
_OPEN = ("/v1", "/healthz", "/readyz", "/metrics")
_SIGN_IN = ("/signin", "/auth")
_START = "overview"
"""The page that is shown at "/": Streamlit knows a start page by no other address."""
_PRIVATE = ("/media", "/_stcore/upload_file")
"""Files of people's sessions: evidence packages made for download, and what a browser sends."""
_ASSETS = ("/_stcore", "/static", "/app/static", "/media", "/component")
_PROVIDER_ERRORS = (AuthlibBaseError, JoseError, httpx.HTTPError, Refused, ValueError, KeyError, TypeError)


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """What opening a session gives: the cookie's token, and whether the password must be changed before all else."""

    token: str
    must_change_password: bool = False


def safe_target(target: str) -> str:
    """`target` if it is a path of this console, else "/": never another site, a scheme or a header."""
    target = target[:2000]
    if not target.startswith("/") or target.startswith(("//", "/\\", "/signin", "/auth/")):
        return "/"
    if "\\" in target or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target


class Throttle:
    """At most `limit` failures an address within `seconds`; remembers the last `remember` addresses."""

    def __init__(
        self, limit: int = 20, seconds: float = 60, remember: int = 10_000, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._seconds, self._remember, self._now = limit, seconds, remember, now
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until this address may try again; 0 when it may now."""
        recent = self._recent(address)
        return 0 if len(recent) < self._limit else max(1, int(recent[-self._limit] + self._seconds - self._now()) + 1)

    def failed(self, address: str) -> None:
        self._failures[address] = [*self._recent(address), self._now()][-self._limit :]
        self._failures.move_to_end(address)
        while len(self._failures) > self._remember:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = self._now() - self._seconds
        return [at for at in self._failures.get(address, ()) if at > since]


class Cookies:
    """The session's cookie, and the short-lived signed one that a sign-in under way is bound to."""

    def __init__(self, *, secret: bytes, https: bool, hours: int) -> None:
        prefix = "__Host-" if https else ""
        self.session = f"{prefix}governance_session"
        self.transaction = f"{prefix}governance_signin"
        self.https = https
        self._seconds = hours * 3600
        self._signer = URLSafeTimedSerializer(secret, salt="governance.signin")

    def token(self, connection: HTTPConnection) -> str:
        return connection.cookies.get(self.session, "")[:200]

    def open(self, response: Response, token: str) -> None:
        self._set(response, self.session, token, self._seconds)
        self._clear(response, self.transaction)

    def close(self, response: Response) -> None:
        self._clear(response, self.session)

    def begin(self, response: Response, state: Mapping[str, Any]) -> None:
        self._set(response, self.transaction, str(self._signer.dumps(dict(state))), _TRANSACTION_SECONDS)

    def begun(self, request: Request) -> dict[str, Any]:
        """What `begin` kept; {} when there is nothing, it is too old, or somebody else wrote it."""
        try:
            kept = self._signer.loads(request.cookies.get(self.transaction, ""), max_age=_TRANSACTION_SECONDS)
        except BadSignature:
            return {}
        return kept if isinstance(kept, dict) else {}

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self.https, httponly=True, samesite="lax")

    def _clear(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.https, httponly=True, samesite="lax")


class Gate(Protocol):
    """The services behind sign-in. Each method is one use case, audited, and may block."""

    def actor(self, token: str) -> Actor | None:
        """Who holds this session now; None when it is unknown, over, closed, or its person disabled. With
        `must_change_password` they are let no further than to the form that changes it."""

    def sign_in(self, name: str, password: str) -> SignedIn:
        """A local account. Raises `Unauthenticated` (wrong, locked, disabled) in words for the person."""

    def welcome(self, claims: Mapping[str, Any]) -> SignedIn:
        """A person whom the issuer vouches for, by verified ID token claims. Raises `Refused`."""

    def change_password(self, token: str, old: str, new: str) -> SignedIn:
        """Ends all sessions and opens a new one. Raises `Unauthenticated` when `old` is wrong, which counts as a failed
        sign-in, `BadInput` when `new` is too weak."""

    def sign_out(self, token: str) -> None: ...


class Identity:
    """ASGI middleware around console, sign-in and API: hosts, the session's header, pages for the signed-in only (and
    none before a password that somebody else gave is changed), and the headers that keep a browser from doing more
    than the console needs."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Gate,
        cookies: Cookies,
        hosts: frozenset[str],
        policy: str,
        pages: frozenset[str],
        public_url: str = "",
    ) -> None:
        """`hosts` are the names the console answers to (against DNS rebinding); `policy` its
        Content-Security-Policy; `pages` its pages' addresses without their slash; `public_url` is "" on a loopback
        trial."""
        self._app = app
        self._gate = gate
        self._cookies = cookies
        self._hosts = hosts
        self._policy = policy
        self._pages = pages
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != HEADER.encode()]}
        path = scope["path"]
        if {b"content-length", b"transfer-encoding"} <= {name.lower() for name, _ in scope["headers"]}:
            # A proxy and we could see it end at two places (RFC 9112 §6.1): nothing that comes after it is read.
            twice = PlainTextResponse("The request says its length twice.\n", 400, {"Connection": "close"})
            await twice(scope, receive, send)
            return
        if scope["type"] == "http" and _under(path, _OPEN):
            await self._app(scope, receive, self._guarded(scope, send))
            return
        headers = Headers(scope=scope)
        foreign = scope["type"] == "websocket" and not own_origin(headers, self._public_url)
        if foreign or _host(headers.get("host", "")) not in self._hosts:
            await self._misdirected(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        token = self._cookies.token(connection)
        try:
            asked = scope["type"] == "websocket" or _is_page(scope) or _under(path, _PRIVATE)
            holder = await self._holder(token) if asked else None
        except Overloaded as error:
            await self._unavailable(error, scope, receive, send)
            return
        given = holder is not None and holder.must_change_password
        if scope["type"] == "websocket":
            if given:
                await self._misdirected(scope, receive, send)
                return
            if holder:
                scope["headers"].append((HEADER.encode(), token.encode("latin-1")))
        elif _is_page(scope) and (given or not holder):
            query = scope["query_string"].decode("latin-1")
            target = safe_target(path + (f"?{query}" if query else ""))
            response = _led("/signin/password" if given else "/signin", target)
            await response(scope, receive, self._guarded(scope, send))
            return
        elif _is_page(scope) and (other := self._elsewhere(scope)) is not None:
            await other(scope, receive, self._guarded(scope, send))
            return
        elif _under(path, _PRIVATE) and (given or not holder):
            words, status = ("Choose a password first.\n", 403) if given else ("Sign in first.\n", 401)
            refused = PlainTextResponse(words, status, {"Cache-Control": "no-store"})
            await refused(scope, receive, self._guarded(scope, send))
            return
        await self._app(scope, receive, send if scope["type"] == "websocket" else self._guarded(scope, send))

    async def _holder(self, token: str) -> Actor | None:
        return await anyio.to_thread.run_sync(self._gate.actor, token) if token else None

    def _elsewhere(self, scope: Scope) -> Response | None:
        """The answer to an address at which no page is; Streamlit would show the start page, and a dialog over it."""
        page = scope["path"].strip("/")
        if page == _START:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"/?{query}" if query else "/", 303)
        return None if page in self._pages or not page else signin.missing_page()

    async def _misdirected(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        text = "This address is not served here. Use the console's own address (GOVERNANCE_PUBLIC_URL).\n"
        await PlainTextResponse(text, 421)(scope, receive, send)

    async def _unavailable(self, error: Overloaded, scope: Scope, receive: Receive, send: Send) -> None:
        """Who this is cannot be told now. A closed websocket is tried again by the page."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        headers = {"Retry-After": str(error.retry_after), "Refresh": str(error.retry_after)}
        await PlainTextResponse(f"{error}\n", 503, headers)(scope, receive, self._guarded(scope, send))

    def _guarded(self, scope: Scope, send: Send) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._policy)
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("X-Frame-Options", "DENY")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
                if self._cookies.https:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        return guarded


def own_origin(headers: Headers, public_url: str) -> bool:
    """Whether a request's `Origin` is the console's own, or, from programs, absent.

    Another port of the same host is another origin, but gets the same cookies (RFC 6265 §8.5).
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    host = headers.get("host", "")
    own = {public_url, f"http://{host}" if _host(host) in LOOPBACK else ""} - {""}
    return origin in own


def _led(way: str, target: str) -> Response:
    """To one of the sign-in pages, and from there on to `target`."""
    return RedirectResponse(f"{way}?next={quote(target, safe='')}", 303, {"Cache-Control": "no-store"})


def _under(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


def _host(value: str) -> str:
    """A Host header's name without its port, in lower case."""
    name = value.rsplit(":", 1)[0] if not value.endswith("]") else value
    return name.lower().rstrip(".")


def _is_page(scope: Scope) -> bool:
    """Whether a browser asks for a page of the console: what the single-page application answers, and no file of it."""
    path = scope["path"]
    return (
        scope["method"] in ("GET", "HEAD")
        and not _under(path, _ASSETS)
        and not _under(path, _SIGN_IN)
        and "." not in path.rsplit("/", 1)[-1]
    )


def console_policy(index_html: str) -> str:
    """The Content-Security-Policy under which Streamlit 1.67 works: nothing from outside, no frames, no plug-ins.

    Inline scripts are allowed by the hash of those in its index page; charts compile expressions (`unsafe-eval`), and
    custom components are modules from blob: addresses. A prompt's image or link can reach nowhere.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", index_html, re.DOTALL)
    )
    return (
        f"default-src 'self'; script-src 'self' blob: 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "media-src 'self' blob:; frame-src 'none'; frame-ancestors 'none'; object-src 'none'; base-uri 'self'; "
        "form-action 'self'"
    )


class SignIn:
    """The routes `/signin`, `/signin/callback`, `/signin/local`, `/signin/password` and `/auth/logout`."""

    def __init__(
        self,
        *,
        gate: Gate,
        cookies: Cookies,
        public_url: str,
        issuer: str = "",
        client_id: str = "",
        client_secret: str = "",
        roles_claim: str = "",
        throttle: Throttle | None = None,
    ) -> None:
        """`public_url` is "" on a loopback trial; `issuer` is "" for local accounts."""
        self._gate = gate
        self._cookies = cookies
        self._public_url = public_url.rstrip("/")
        self._issuer = issuer.rstrip("/")
        self._roles_claim = roles_claim
        self._throttle = throttle or Throttle()
        self._provider: Any = None
        if issuer:
            self._provider = OAuth().register(
                "provider",
                server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
                client_id=client_id,
                client_secret=client_secret,
                client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": 10},
            )

    def routes(self) -> list[Route]:
        routes = [
            Route("/signin", self.begin, methods=["GET"]),
            Route("/auth/logout", self.sign_out, methods=["GET", "POST"]),
        ]
        if self._provider:
            return [
                *routes,
                Route("/signin/callback", self.callback, methods=["GET"]),
                # Sessions of local accounts from before there was an issuer.
                Route("/signin/password", self.begin, methods=["GET"]),
            ]
        return [
            *routes,
            Route("/signin/local", self.local, methods=["GET", "POST"]),
            Route("/signin/password", self.password, methods=["GET", "POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """On to the identity provider or the local form; straight to the page for those already signed in."""
        target = safe_target(request.query_params.get("next", "/"))
        signed_out = "out" in request.query_params
        holder = None if signed_out else await self._actor(request)
        if holder and not holder.must_change_password:
            return RedirectResponse(target, 303)
        if self._provider is None:
            if signed_out:
                return signin.local_page(target, note="You are signed out.")
            return _led("/signin/password" if holder else "/signin/local", target)
        if signed_out:
            return signin.provider_page(target, note="You are signed out.")
        try:
            await self._check_issuer()
            # Authlib keeps state, nonce and PKCE verifier in `request.session`: ours is a signed cookie of ten minutes.
            state: dict[str, Any] = {}
            request.scope["session"] = state
            answer: Response = await self._provider.authorize_redirect(
                request, self._base(request) + "/signin/callback"
            )
        except _PROVIDER_ERRORS as error:
            return self._unreachable(target, error)
        finally:
            request.scope["session"] = {}
        self._cookies.begin(answer, {"state": state, "next": target})
        return answer

    async def callback(self, request: Request) -> Response:
        """What the identity provider sent the browser back with: proven, or refused in words."""
        begun = self._cookies.begun(request)
        target = safe_target(str(begun.get("next", "/")))
        if not begun:
            return signin.provider_page("/", error="This sign-in was not started here, or took too long.", status=400)
        if self._throttle.wait(_address(request)):
            return signin.provider_page(target, error="Too many attempts. Try again in a minute.", status=429)
        try:
            if request.query_params.get("iss", self._issuer).rstrip("/") != self._issuer:
                raise Refused("The answer came from another identity provider.")  # RFC 9207
            await self._check_issuer()
            request.scope["session"] = begun.get("state", {})
            claims = await self._claims(request)
            opened = await anyio.to_thread.run_sync(self._gate.welcome, claims)
        except GovernanceError as error:
            return self._refused(target, error.message)
        except httpx.HTTPError as error:
            return self._unreachable(target, error)
        except _PROVIDER_ERRORS as error:
            self._throttle.failed(_address(request))
            _LOG.warning("signin.refused", reason=type(error).__name__)
            denied = request.query_params.get("error") == "access_denied"
            words = "The identity provider did not let you in." if denied else "The sign-in could not be proven."
            return self._refused(target, f"{words} Please try again.")
        finally:
            request.scope["session"] = {}
        response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        previous = self._cookies.token(request)
        if previous:
            await anyio.to_thread.run_sync(self._gate.sign_out, previous)
        self._cookies.open(response, opened.token)
        return response

    async def local(self, request: Request) -> Response:
        """The form for local accounts, and what it sends."""
        target = safe_target(request.query_params.get("next", "/"))
        if request.method == "GET":
            if holder := await self._actor(request):
                return (
                    _led("/signin/password", target) if holder.must_change_password else RedirectResponse(target, 303)
                )
            return signin.local_page(target)
        if not self._same_site(request):
            return signin.local_page(target, error="This form was not sent from the console's own page.", status=403)
        address = _address(request)
        if seconds := self._throttle.wait(address):
            return _too_many(target, seconds)
        form = await _form(request)
        user = form.get("user", "").strip()
        try:
            opened = await anyio.to_thread.run_sync(self._gate.sign_in, user, form.get("password", ""))
        except Overloaded as error:
            return signin.local_page(target, error=str(error), user=user, status=503, retry_after=error.retry_after)
        except GovernanceError as error:
            self._throttle.failed(address)
            return signin.local_page(target, error=str(error), user=user, status=401)
        if opened.must_change_password:
            response = _led("/signin/password", target)
        else:
            response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        previous = self._cookies.token(request)
        if previous:
            await anyio.to_thread.run_sync(self._gate.sign_out, previous)
        self._cookies.open(response, opened.token)
        return response

    async def password(self, request: Request) -> Response:
        """A person changes their password: because somebody else gave it, or because they want to."""
        target = safe_target(request.query_params.get("next", "/"))
        holder = await self._actor(request)
        if not holder:
            return _led("/signin", target)
        page = functools.partial(signin.password_page, target, given=holder.must_change_password)
        if request.method == "GET":
            return page()
        if not self._same_site(request):
            return page(error="This form was not sent from the console's own page.", status=403)
        if seconds := self._throttle.wait(_address(request)):
            return _too_many(target, seconds)
        form = await _form(request)
        change = functools.partial(
            self._gate.change_password, self._cookies.token(request), form.get("password", ""), form.get("new", "")
        )
        try:
            opened = await anyio.to_thread.run_sync(change)
        except Overloaded as error:
            return page(error=str(error), status=503)
        except GovernanceError as error:
            self._throttle.failed(_address(request))
            return page(error=str(error), status=400)
        response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        self._cookies.open(response, opened.token)
        return response

    async def sign_out(self, request: Request) -> Response:
        """Closes the session. A link on another site only gets as far as a question."""
        site = request.headers.get("sec-fetch-site", "none")
        if request.method == "POST" and not self._same_site(request):
            return signin.sign_out_page()
        if request.method == "GET" and site not in ("none", "same-origin"):
            return signin.sign_out_page()
        token = self._cookies.token(request)
        if token:
            await anyio.to_thread.run_sync(self._gate.sign_out, token)
        headers = {"Cache-Control": "no-store", "Clear-Site-Data": '"cache", "storage"'}
        response = RedirectResponse("/signin?out", 303, headers)
        self._cookies.close(response)
        return response

    async def _actor(self, request: Request) -> Actor | None:
        token = self._cookies.token(request)
        return await anyio.to_thread.run_sync(self._gate.actor, token) if token else None

    async def _check_issuer(self) -> None:
        """The discovery document must speak for the configured issuer (OpenID Connect Discovery 1.0 §4.3)."""
        metadata = await self._provider.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != self._issuer:
            raise Refused("The identity provider's discovery document names another issuer.")

    async def _claims(self, request: Request) -> dict[str, Any]:
        """Verified claims: signature, issuer, audience, expiry and nonce by Authlib; roles from userinfo if need be."""
        token = await self._provider.authorize_access_token(request)
        if not token.get("userinfo"):
            raise Refused("The identity provider sent no ID token.")
        claims = dict(token["userinfo"])
        metadata = await self._provider.load_server_metadata()
        if self._roles_claim not in claims and metadata.get("userinfo_endpoint"):
            more = dict(await self._provider.userinfo(token=token))
            if more.get("sub") != claims.get("sub"):  # OpenID Connect Core 1.0 §5.3.2
                raise Refused("The identity provider's answers speak of two different people.")
            claims = {**more, **claims}
        return claims

    def _refused(self, target: str, words: str) -> Response:
        return signin.provider_page(target, error=words, status=403)

    def _unreachable(self, target: str, error: Exception) -> Response:
        if isinstance(error, Refused):
            return self._refused(target, error.message)
        _LOG.error("signin.provider_unreachable", reason=type(error).__name__)
        words = "The identity provider cannot be reached. Your work is safe; please try again in a few minutes."
        return signin.provider_page(target, error=words, status=503)

    def _base(self, request: Request) -> str:
        return self._public_url or f"http://{request.headers.get('host', '')}"

    def _same_site(self, request: Request) -> bool:
        """Whether a form came from our own page. Browsers name the origin of every POST; programs need not."""
        site = request.headers.get("sec-fetch-site", "none")
        if "origin" not in request.headers and site not in ("none", "same-origin"):
            return False
        return own_origin(request.headers, self._public_url)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _too_many(target: str, seconds: int) -> Response:
    words = f"Too many attempts from this machine. Try again in {seconds} seconds."
    return signin.local_page(target, error=words, status=429, retry_after=seconds)


async def _form(request: Request) -> dict[str, str]:
    """The form's text fields; at most 16 KiB, whatever the sender claims."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > 16_384:
            return {}
    pairs = parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: value[:1000] for name, value in pairs}
