"""The door's cookies: the session's, one for each sign-in under way, and the one by which a browser is known again.

All are HttpOnly and SameSite=Lax; with https they are Secure and bound to the host. What a browser could change is
signed with a key of the installation, so any server of it reads what another wrote.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

TRY_SECONDS = 600
MOST_TRIES = 12
"""Sign-ins under way in one browser; the oldest is dropped. With `MOST_TRY_BYTES` it keeps the request's head small."""
MOST_TRY_BYTES = 3_500
_DEVICE_SECONDS = 180 * 86_400
_MOST_ACCOUNTS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Try:
    """A sign-in under way: where it leads to, and whether it has opened a session already."""

    target: str
    done: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A browser that has been here: a random id, and digests of the accounts that signed in with it."""

    id: str
    accounts: tuple[str, ...] = ()


class Cookies:
    def __init__(self, *, secret: bytes, https: bool, hours: int) -> None:
        prefix = "__Host-" if https else ""
        self.session = f"{prefix}governance_session"
        self.tries = f"{prefix}governance_signin_"
        self.device_name = f"{prefix}governance_device"
        self.https = https
        self._secret = secret
        self._seconds = hours * 3600
        self._try_signer = URLSafeTimedSerializer(secret, salt="governance.signin.try")
        self._device_signer = URLSafeTimedSerializer(secret, salt="governance.signin.device")

    # The session

    def token(self, connection: HTTPConnection) -> str:
        return connection.cookies.get(self.session, "")[:200]

    def open(self, response: Response, token: str) -> None:
        self._set(response, self.session, token, self._seconds)

    def close(self, response: Response) -> None:
        self._clear(response, self.session)

    # A sign-in under way

    def begin(self, request: Request, response: Response, state: str, target: str) -> None:
        """Keeps what the callback with this `state` needs, in a cookie of its own: tabs do not disturb each other."""
        value = self._signed_try(state, target, done=False)
        self._set(response, self._try_name(state), value, TRY_SECONDS)
        room, places = MOST_TRY_BYTES - len(value), MOST_TRIES - 1
        for name in self._kept(request):
            room -= len(name) + len(request.cookies[name])
            places -= 1
            if room < 0 or places < 0:
                self._clear(response, name)

    def begun(self, request: Request, state: str) -> Try | None:
        """What `begin` kept for this `state`; None when there is nothing, it is too old, or somebody else wrote it."""
        try:
            kept = self._try_signer.loads(request.cookies.get(self._try_name(state), ""), max_age=TRY_SECONDS)
        except BadSignature:
            return None
        if not isinstance(kept, dict) or not hmac.compare_digest(str(kept.get("s", "")).encode(), state.encode()):
            return None
        return Try(target=str(kept.get("t", "/")), done=bool(kept.get("d")))

    def finish(self, response: Response, state: str, target: str) -> None:
        """The sign-in is done: a callback that is reloaded finds where it led to, and its code is not used again."""
        self._set(response, self._try_name(state), self._signed_try(state, target, done=True), TRY_SECONDS)

    def secret_for(self, state: str, purpose: str) -> str:
        """A value that only servers of this installation can make for a `state`: its nonce, its PKCE verifier."""
        made = hmac.digest(self._secret, f"{purpose}\0{state}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    def _signed_try(self, state: str, target: str, *, done: bool) -> str:
        return str(self._try_signer.dumps({"s": state, "t": target, "d": done}))

    def _try_name(self, state: str) -> str:
        return self.tries + hashlib.sha256(state.encode()).hexdigest()[:16]

    def _kept(self, request: Request) -> list[str]:
        """Names of the tries that a browser holds, the latest first; what nobody signed comes last."""
        names = [name for name in request.cookies if name.startswith(self.tries)]
        times: dict[str, float] = {}
        for name in names:
            try:
                _, at = self._try_signer.loads(request.cookies[name], max_age=TRY_SECONDS, return_timestamp=True)
            except BadSignature:
                times[name] = 0
            else:
                times[name] = at.timestamp()
        return sorted(names, key=lambda name: times[name], reverse=True)

    # The browser

    def device(self, request: Request) -> Device:
        """The browser's device; a new one, not yet in any cookie, where it has none."""
        return self.known(request) or Device(id=secrets.token_urlsafe(16))

    def remember(self, response: Response, device: Device, *, account: str = "") -> None:
        """Keeps the device in the browser, with `account` as one that has signed in on it."""
        digests = device.accounts
        if account:
            digest = self._digest(account)
            digests = (digest, *(other for other in digests if other != digest))[:_MOST_ACCOUNTS]
        signed = str(self._device_signer.dumps({"d": device.id, "a": list(digests)}))
        self._set(response, self.device_name, signed, _DEVICE_SECONDS)

    def known(self, request: Request) -> Device | None:
        """The device that the cookie names; None where there is none, or nobody here signed it."""
        try:
            kept = self._device_signer.loads(request.cookies.get(self.device_name, ""), max_age=_DEVICE_SECONDS)
            return Device(id=str(kept["d"]), accounts=tuple(str(digest) for digest in kept["a"]))
        except (BadSignature, KeyError, TypeError):
            return None

    def trusted(self, request: Request, account: str = "") -> str:
        """The id of a device on which this account (or, without one, any) has signed in before; else ""."""
        device = self.known(request)
        if device is None:
            return ""
        wanted = self._digest(account) in device.accounts if account else bool(device.accounts)
        return device.id if wanted else ""

    def _digest(self, account: str) -> str:
        return hmac.digest(self._secret, f"account\0{account}".encode(), hashlib.sha256).hex()[:16]

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self.https, httponly=True, samesite="lax")

    def _clear(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.https, httponly=True, samesite="lax")
