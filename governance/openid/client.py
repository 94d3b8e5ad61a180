"""Speaks OpenID Connect with one provider: authorization code with PKCE, by Authlib. Knows no sessions and no pages.

The provider may be down, slow or wrong. Each answer has a limit in bytes, each exchange one in time, and every
failure is a `ProviderError` that says what kind it is: `unreachable`, `refused` (nothing was proven) or `denied`.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode

import anyio
import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.deprecate import AuthlibDeprecationWarning
from joserfc.errors import BadSignatureError, ExceededSizeError, ExpiredTokenError, InvalidClaimError, JoseError

from governance.errors import GovernanceError

with warnings.catch_warnings():
    # Authlib 1.9 prefers another package than httpx, and says so whenever it is imported.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.starlette_client import OAuth, OAuthError

SCOPES = "openid profile email"
LEEWAY = 120
"""Seconds by which the provider's clock and ours may differ."""
_REQUEST_SECONDS = 10.0
_EXCHANGE_SECONDS = 25.0
_ANSWER_BYTES = 4 << 20
_METADATA_SECONDS = 3600.0
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""What may sign an ID token: public keys only. `none` and a shared secret are never accepted."""


class ProviderError(GovernanceError):
    """A sign-in that the provider did not complete. `kind` is "unreachable", "refused" or "denied"; `reason` is a
    short word for the log and holds nothing that was sent."""

    def __init__(self, message: str, *, kind: str, reason: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason


class OpenIdProvider:
    """One issuer, as one client. Its discovery document is read when first needed, and again after an hour."""

    def __init__(self, *, issuer: str, client_id: str, client_secret: str, roles_claim: str) -> None:
        self.issuer = issuer.rstrip("/")
        self.client_id = client_id
        self._secret = client_secret
        self._roles_claim = roles_claim
        self._client: Any = None
        self._since = 0.0
        self._way = 0

    async def authorization_address(self, redirect: str, *, state: str, nonce: str, verifier: str, **more: str) -> str:
        """Where to send the browser. Raises `ProviderError`."""
        with _told():
            client = await self._ready()
            made = await client.create_authorization_url(
                redirect, state=state, nonce=nonce, code_verifier=verifier, **more
            )
        return str(made["url"])

    async def claims(self, code: str, redirect: str, *, nonce: str, verifier: str) -> dict[str, Any]:
        """The claims of who signed in, proven: signature, issuer, audience, time and nonce of the ID token. Claims that
        only the userinfo endpoint has are added. Raises `ProviderError`."""
        with _told():
            with anyio.fail_after(_EXCHANGE_SECONDS):
                client = await self._ready()
                token = await self._exchanged(client, redirect, code, verifier)
                if not isinstance(token.get("id_token"), str):
                    raise _refused("The identity provider sent no ID token.", "no_id_token")
                try:
                    claims = await self._proven(client, token, nonce)
                except BadSignatureError:
                    # Keys that were exchanged under the same name, or have none.
                    await client.fetch_jwk_set(force=True)
                    claims = await self._proven(client, token, nonce)
                return await self._with_userinfo(client, token, claims)

    async def end_address(self, back: str) -> str:
        """Where the browser can sign out of the provider too (RP-Initiated Logout 1.0); "" where it offers no such
        place, or is away."""
        try:
            with _told():
                metadata = await (await self._ready()).load_server_metadata()
        except ProviderError:
            return ""
        end = str(metadata.get("end_session_endpoint") or "")
        if not end.startswith(("https://", "http://")):
            return ""
        query = urlencode({"client_id": self.client_id, "post_logout_redirect_uri": back})
        return f"{end}{'&' if '?' in end else '?'}{query}"

    async def metadata(self) -> dict[str, Any]:
        """The discovery document. Raises `ProviderError`."""
        with _told():
            return dict(await (await self._ready()).load_server_metadata())

    async def keys(self) -> dict[str, Any]:
        """The keys that sign ID tokens, as they are published now. Raises `ProviderError`."""
        with _told():
            return dict(await (await self._ready()).fetch_jwk_set(force=True))

    async def _ready(self) -> Any:
        """The client, with the discovery document read and checked."""
        if self._client is None or time.monotonic() - self._since > _METADATA_SECONDS:
            client = OAuth().register(
                "provider",
                server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
                client_id=self.client_id,
                client_secret=self._secret,
                client_kwargs={
                    "scope": SCOPES,
                    "code_challenge_method": "S256",
                    **http_options(),
                    **({} if self._secret else {"token_endpoint_auth_method": "none"}),
                },
            )
            with anyio.fail_after(_EXCHANGE_SECONDS):
                metadata = await client.load_server_metadata()
            if str(metadata.get("issuer", "")).rstrip("/") != self.issuer:  # OpenID Connect Discovery 1.0 §4.3
                raise _refused("The identity provider's discovery document names another issuer.", "other_issuer")
            offered = metadata.get("id_token_signing_alg_values_supported") or []
            metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in ALGORITHMS] or [
                "RS256"
            ]
            self._client, self._since = client, time.monotonic()
        return self._client

    async def _exchanged(self, client: Any, redirect: str, code: str, verifier: str) -> dict[str, Any]:
        """The tokens for a code. The first way to name the client that the provider accepts is kept."""
        metadata = await client.load_server_metadata()
        ways = _ways_to_name(self.client_id, self._secret, metadata.get("token_endpoint_auth_methods_supported"))
        ask = functools.partial(client.fetch_access_token, redirect, code=code, code_verifier=verifier)
        refused: OAuthError | None = None
        for number in sorted(range(len(ways)), key=lambda number: number != self._way):
            auth, fields = ways[number]
            try:
                token = dict(await ask(auth=auth, **fields))
            except OAuthError as error:
                # A provider that does not know the client has not used up the code.
                if error.error not in ("invalid_client", "invalid_request"):
                    self._way = number
                    raise
                refused = refused or error
            else:
                self._way = number
                return token
        assert refused is not None, "there is one way at least"
        raise refused

    async def _proven(self, client: Any, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        metadata = await client.load_server_metadata()
        expected = {
            "iss": {"essential": True, "values": [metadata["issuer"]]},
            # Authlib alone would accept another audience whose `azp` is ours.
            "aud": {"essential": True, "values": [self.client_id]},
        }
        return dict(await client.parse_id_token(token, nonce=nonce, claims_options=expected, leeway=LEEWAY))

    async def _with_userinfo(self, client: Any, token: Mapping[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
        """Claims of the ID token, and what only userinfo says where the roles claim is not among them."""
        metadata = await client.load_server_metadata()
        if self._roles_claim.partition(".")[0] in claims or self._roles_claim in claims:
            return claims
        if not metadata.get("userinfo_endpoint"):
            return claims
        try:
            more = dict(await client.userinfo(token=token))
        except httpx.HTTPStatusError as error:
            if error.response.status_code >= 500:
                raise
            return claims  # The provider does not let this client ask: the claim stays absent.
        if more.get("sub") != claims.get("sub"):  # OpenID Connect Core 1.0 §5.3.2
            raise _refused("The identity provider's answers are about two different people.", "other_subject")
        return {**more, **claims}


def _ways_to_name(client_id: str, secret: str, offered: object) -> list[tuple[httpx.Auth, dict[str, str]]]:
    """How a token request can name the client: by HTTP Basic, encoded as RFC 6749 §2.3.1 wants it and as it is (a
    difference for secrets with other signs than letters and digits; providers differ), or in the form."""
    if not secret:
        return [(httpx.Auth(), {"client_id": client_id})]
    methods = [str(one) for one in offered] if isinstance(offered, list) else []
    ways: list[tuple[httpx.Auth, dict[str, str]]] = []
    if "client_secret_basic" in methods or "client_secret_post" not in methods:
        encoded = (quote_plus(client_id), quote_plus(secret))
        ways += [(httpx.BasicAuth(*pair), {}) for pair in dict.fromkeys([encoded, (client_id, secret)])]
    if "client_secret_post" in methods:
        ways.append((httpx.Auth(), {"client_id": client_id, "client_secret": secret}))
    return ways


def http_options() -> dict[str, Any]:
    """How httpx speaks with a provider: within bounds of time and size."""
    return {
        "timeout": _REQUEST_SECONDS,
        # Not packed: the limit counts what is read into memory.
        "headers": {"Accept-Encoding": "identity"},
        "event_hooks": {"response": [_limit]},
    }


class _Limited(httpx.AsyncByteStream):
    """An answer's body, up to `_ANSWER_BYTES`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > _ANSWER_BYTES:
                raise _refused("The identity provider's answer is too large.", "too_large")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _limit(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise _refused("The identity provider's answer is packed, although none was asked for.", "packed")
    response.stream = _Limited(response.stream)


def _refused(words: str, reason: str) -> ProviderError:
    return ProviderError(words, kind="refused", reason=reason)


@contextmanager
def _told() -> Iterator[None]:
    """Turns what Authlib, joserfc and httpx raise into a `ProviderError`."""
    try:
        yield
    except ProviderError:
        raise
    except (httpx.HTTPError, TimeoutError) as error:
        words = "The identity provider cannot be reached. Your work is safe; please try again in a few minutes."
        raise ProviderError(words, kind="unreachable", reason=type(error).__name__) from error
    except Exception as error:
        if not isinstance(error, (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError, RuntimeError)):
            raise
        words = "The sign-in could not be proven."
        late = isinstance(error, ExpiredTokenError) or (
            isinstance(error, InvalidClaimError) and getattr(error, "claim", "") in ("iat", "nbf", "exp")
        )
        if isinstance(error, ExceededSizeError):
            words = "The identity provider sent too many claims: let it send only the groups that this console needs."
        if late:
            words = "The identity provider's clock and this server's differ, or the sign-in took too long."
        reason = getattr(error, "error", "") or type(error).__name__
        raise _refused(words, str(reason)[:60]) from error
