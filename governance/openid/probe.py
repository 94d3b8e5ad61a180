"""Tries what a sign-in needs of an OpenID Connect provider, without anybody who signs in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import httpx

from governance.openid.client import ALGORITHMS, LEEWAY, OpenIdProvider, ProviderError, http_options

State = Literal["ok", "warning", "wrong"]
_SLOW_SECONDS = 3.0
_UNEASY_SECONDS = 30
_KEY_KINDS = ("RSA", "EC", "OKP")


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What one check saw; `fix` says what to do where it is not ok."""

    check: str
    state: State
    says: str
    fix: str = ""


async def probe(
    provider: OpenIdProvider, redirect: str, roles_claim: str, *, now: Callable[[], datetime]
) -> AsyncIterator[Observation]:
    """Asks for the discovery document and the keys, then tries the client and the redirect address, with a code and a
    state that nobody was given. What depends on something that failed is left out."""
    async with httpx.AsyncClient(**http_options()) as http:
        metadata: dict[str, Any] | None = None
        async for seen in _discovery(http, provider, now):
            if isinstance(seen, dict):
                metadata = seen
            else:
                yield seen
        if metadata is None:
            return
        for observation in _document(metadata, roles_claim):
            yield observation
        yield await _keys(provider)
        yield await _client(provider, redirect)
        yield await _redirect(http, provider, redirect)


async def _discovery(
    http: httpx.AsyncClient, provider: OpenIdProvider, now: Callable[[], datetime]
) -> AsyncIterator[Observation | dict[str, Any]]:
    address = f"{provider.issuer}/.well-known/openid-configuration"
    begun = anyio.current_time()
    try:
        answer = await http.get(address)
        metadata = answer.raise_for_status().json()
    except httpx.HTTPStatusError as error:
        says = f"{address} answered {error.response.status_code}."
        yield _wrong("issuer", says, "Check GOVERNANCE_OIDC_ISSUER: it is the address before /.well-known.")
        return
    except (httpx.HTTPError, ProviderError) as error:
        says = f"{address} cannot be reached ({type(error).__name__})."
        fix = "Check GOVERNANCE_OIDC_ISSUER, the network, HTTPS_PROXY, and SSL_CERT_FILE for an authority of your own."
        yield _wrong("issuer", says, fix)
        return
    except ValueError:
        metadata = None
    took = anyio.current_time() - begun
    if not isinstance(metadata, dict):
        yield _wrong("issuer", f"{address} is no discovery document.", "Check GOVERNANCE_OIDC_ISSUER.")
        return
    named = str(metadata.get("issuer", ""))[:200]
    if named.rstrip("/") != provider.issuer:
        fix = "Set GOVERNANCE_OIDC_ISSUER to what it names, if that is your provider."
        yield _wrong("issuer", f"The discovery document names the issuer {named!r}, not {provider.issuer!r}.", fix)
        return
    if took > _SLOW_SECONDS:
        yield _warning("issuer", f"{provider.issuer} took {took:.0f} seconds to answer.", "Sign-in waits as long.")
    else:
        yield _ok("issuer", f"{provider.issuer} answers, and its discovery document names it.")
    if difference := _clock(answer.headers.get("date", ""), now()):
        yield difference
    yield metadata


def _clock(date: str, now: datetime) -> Observation | None:
    try:
        theirs = parsedate_to_datetime(date).astimezone(UTC)
    except (TypeError, ValueError):
        return None
    apart = abs((now - theirs).total_seconds())
    if apart < _UNEASY_SECONDS:
        return _ok("clock", "The provider's clock and this machine's agree.")
    says = f"The provider's clock and this machine's are {apart:.0f} seconds apart."
    fix = f"Set the clocks by NTP: sign-in fails beyond {LEEWAY} seconds."
    return _wrong("clock", says, fix) if apart > LEEWAY else _warning("clock", says, fix)


def _document(metadata: Mapping[str, Any], roles_claim: str) -> list[Observation]:
    found: list[Observation] = []
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = metadata.get(name)
        parts = urlsplit(address) if isinstance(address, str) else None
        if parts is None or not parts.hostname:
            found.append(_wrong("discovery", f"It has no {name}.", "Ask who runs the provider."))
        elif parts.scheme != "https" and not _is_loopback(parts.hostname):
            found.append(_wrong("discovery", f"Its {name} is not https.", "Ask who runs the provider."))
    kinds = metadata.get("response_types_supported")
    if isinstance(kinds, list) and "code" not in kinds:
        found.append(_wrong("discovery", "It does not offer the authorization code flow.", "Allow it at the provider."))
    challenges = metadata.get("code_challenge_methods_supported")
    if isinstance(challenges, list) and "S256" not in challenges:
        found.append(_warning("discovery", "It does not list PKCE with S256.", "Allow it at the provider."))
    offered = metadata.get("id_token_signing_alg_values_supported")
    if isinstance(offered, list) and not set(ALGORITHMS) & {str(one) for one in offered}:
        fix = "Let the provider sign ID tokens with a key pair, for example RS256."
        found.append(_wrong("discovery", "ID tokens are signed in no way that is accepted here.", fix))
    if not found:
        found.append(_ok("discovery", "Authorization code flow, PKCE and signed ID tokens are offered."))
    listed = metadata.get("claims_supported")
    if isinstance(listed, list) and not {roles_claim, roles_claim.partition(".")[0]} & {str(one) for one in listed}:
        says = f"The provider does not list the claim {roles_claim!r} (not every provider lists all it sends)."
        found.append(_warning("roles claim", says, "See what came at the last sign-ins, below."))
    return found


async def _keys(provider: OpenIdProvider) -> Observation:
    try:
        keys = (await provider.keys()).get("keys")
    except ProviderError as error:
        return _wrong("keys", f"The provider's keys cannot be read ({error.reason}).", "Check jwks_uri.")
    usable = [
        key
        for key in (keys if isinstance(keys, list) else [])
        if isinstance(key, dict) and key.get("kty") in _KEY_KINDS and key.get("use", "sig") == "sig"
    ]
    if not usable:
        return _wrong("keys", "The provider publishes no key that signs.", "Ask who runs the provider.")
    return _ok("keys", f"{len(usable)} published.")


async def _client(provider: OpenIdProvider, redirect: str) -> Observation:
    """Exchanges a code that was never given: who knows the client says `invalid_grant`."""
    try:
        await provider.claims("no-such-code", redirect, nonce="none", verifier=secrets.token_urlsafe(48))
    except ProviderError as error:
        if error.reason == "invalid_grant":
            return _ok("client", f"The provider knows the client {provider.client_id!r} and accepts its secret.")
        if error.reason in ("invalid_client", "unauthorized_client"):
            fix = "Check GOVERNANCE_OIDC_CLIENT_ID and GOVERNANCE_OIDC_CLIENT_SECRET."
            return _wrong("client", f"The provider refuses this client ({error.reason}).", fix)
        says = f"Whether the provider accepts the client could not be found out ({error.reason})."
        return _warning("client", says, "Try a sign-in; the server's log says how it ended.")
    return _wrong("client", "The provider accepted a code that it never gave.", "Ask who runs the provider.")


async def _redirect(http: httpx.AsyncClient, provider: OpenIdProvider, redirect: str) -> Observation:
    """Asks for a sign-in without a page: who knows the address sends the browser back to it, with an error."""
    register = f"Register {redirect} as redirect address of the client."
    try:
        there = await provider.authorization_address(
            redirect, state="probe", nonce="probe", verifier=secrets.token_urlsafe(48), prompt="none"
        )
        answer = await http.get(there)
    except (httpx.HTTPError, ProviderError) as error:
        return _warning("redirect address", f"It could not be tried ({type(error).__name__}).", register)
    if answer.is_redirect and answer.headers.get("location", "").startswith(redirect):
        return _ok("redirect address", f"The provider sends people back to {redirect}.")
    if 400 <= answer.status_code < 500:
        return _wrong("redirect address", f"The provider refuses {redirect} ({answer.status_code}).", register)
    return _warning("redirect address", "Whether it is registered could not be found out.", register)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _ok(check: str, says: str) -> Observation:
    return Observation(check=check, state="ok", says=says)


def _warning(check: str, says: str, fix: str) -> Observation:
    return Observation(check=check, state="warning", says=says, fix=fix)


def _wrong(check: str, says: str, fix: str) -> Observation:
    return Observation(check=check, state="wrong", says=says, fix=fix)
