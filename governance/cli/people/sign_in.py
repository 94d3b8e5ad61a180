"""`governance doctor --sign-in`: whether people can sign in, and which roles they got the last times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import anyio

from governance.bootstrap import Application
from governance.cli.acting import acting
from governance.cli.verdict import Verdict, ok, warning, wrong
from governance.domain.people import ProviderSignIn, Role
from governance.errors import GovernanceError
from governance.openid.client import OpenIdProvider
from governance.openid.probe import probe

_SHOWN = 10


def examine(application: Application) -> tuple[list[Verdict], Sequence[ProviderSignIn]]:
    """All checks of sign-in, and the latest sign-ins through the provider. Asks the provider over the network."""
    provider = application.provider
    if provider is None:
        return [ok("sign-in", "Local accounts, on this machine only.")], ()
    found = [*_settings(application), *anyio.run(_asked, application, provider)]
    try:
        latest = application.people.sign_ins(acting(), _SHOWN)
    except GovernanceError as error:
        return [*found, wrong("last sign-ins", error.message, error.advice)], ()
    return [*found, *_latest(latest)], latest


async def _asked(application: Application, provider: OpenIdProvider) -> list[Verdict]:
    settings = application.settings
    redirect = f"{settings.public_url.rstrip('/') or 'http://127.0.0.1:8501'}/signin/callback"
    return [
        Verdict(check=seen.check, state=seen.state, says=seen.says, fix=seen.fix)
        async for seen in probe(provider, redirect, settings.roles_claim, now=application.clock)
    ]


def _settings(application: Application) -> Iterator[Verdict]:
    settings = application.settings
    public = urlsplit(settings.public_url)
    if public.scheme == "https":
        yield ok("address", f"{settings.public_url}: cookies are Secure, and bound to this host.")
    else:
        says = f"{settings.public_url or 'No public address'}: cookies and sign-ins are not protected on the way."
        yield warning("address", says, "Set GOVERNANCE_PUBLIC_URL to the https address, except on this machine alone.")
    if settings.trusted_proxies:
        yield ok("proxies", "trusted: " + ", ".join(str(network) for network in settings.trusted_proxies))
    elif settings.public_url:
        fix = "Set GOVERNANCE_TRUSTED_PROXIES to the proxy's address, or people behind it are slowed down as one."
        yield warning("proxies", "None is trusted, so everybody comes from the proxy's address.", fix)
    mapped = ", ".join(f"{group!r} is {role}" for group, role in settings.role_map.items())
    own = f"a group named {', '.join(Role)} is that role"
    yield ok("role map", f"claim {settings.roles_claim!r}; {mapped or 'no group is mapped'}; {own}.")


def _latest(latest: Sequence[ProviderSignIn]) -> Iterator[Verdict]:
    if not latest:
        yield ok("last sign-ins", "Nobody has signed in through the provider yet.")
    for one in latest:
        more = f" and {one.count - len(one.names)} more" if one.count > len(one.names) else ""
        came = one.problem or f"{', '.join(map(repr, one.names)) or 'no names'}{more}"
        gave = ", ".join(one.roles) or "no role"
        says = f"{one.at:%Y-%m-%d %H:%M} UTC, {one.person}: {one.claim!r} came as {one.shape}: {came}; it gave {gave}"
        if one.outcome == "disabled":
            yield ok("sign-in", f"{says}; the account is disabled.")
        elif one.problem or not one.roles:
            yield warning("sign-in", f"{says}.", "Check GOVERNANCE_ROLES_CLAIM, GOVERNANCE_ROLE_MAP, and the provider.")
        else:
            yield ok("sign-in", f"{says}.")
