"""Webhooks in the form of Standard Webhooks (https://www.standardwebhooks.com), to one address of the operator's.

The address comes from a setting alone, never from what the installation receives. Redirects are not followed: they
would let the receiver choose where signed messages go. The answer's body is not read.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from governance.services.jobs.ports import Message, NotDelivered

SECONDS = 10.0
"""For the whole request, from the first packet to the answer's head: a receiver that drips bytes is no better."""
_LONGEST_WAIT = timedelta(hours=6)


class Webhook:
    """Implements `services.jobs.ports.Deliver`. Safe to share among threads."""

    def __init__(self, url: str, secret: bytes, *, seconds: float = SECONDS) -> None:
        """`secret` is the key itself, without the `whsec_` form."""
        self._url = url
        self._secret = secret
        self._seconds = seconds

    def __call__(self, message: Message, *, now: datetime) -> None:
        body = message.body.encode()
        stamp = str(int(now.timestamp()))
        headers = {
            "content-type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(self._secret, message.message_id, stamp, body),
        }
        status, retry_after = asyncio.run(self._post(body, headers, now))
        if 200 <= status < 300:
            return
        if status == 410:  # Standard Webhooks: the receiver wants no more of them
            raise NotDelivered("The receiver says that its address is gone (HTTP 410).", final=True)
        if 300 <= status < 400:
            raise NotDelivered(f"The receiver answered with a redirect (HTTP {status}), which is not followed.")
        raise NotDelivered(f"The receiver answered HTTP {status}.", retry_after=retry_after)

    async def _post(self, body: bytes, headers: dict[str, str], now: datetime) -> tuple[int, timedelta | None]:
        """The answer's status and what its Retry-After asks for."""
        secure = self._url.startswith("https:")
        try:
            async with (
                asyncio.timeout(self._seconds),
                # No proxy on the way to this machine itself.
                httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=secure) as client,  # noqa: S113
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                return answer.status_code, _wait(answer.headers.get("retry-after", ""), now)
        except TimeoutError:
            raise NotDelivered(f"The receiver did not answer within {self._seconds:g} s.") from None
        except httpx.ConnectError as error:
            if _refused_certificate(error):
                raise NotDelivered("The receiver's certificate is not trusted.") from None
            raise NotDelivered("The receiver cannot be reached.") from None
        except httpx.HTTPError as error:
            raise NotDelivered(f"The connection to the receiver broke off ({type(error).__name__}).") from None


def sign(secret: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """The `webhook-signature` of a message: `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body."""
    digest = hmac.new(secret, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _refused_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _wait(text: str, now: datetime) -> timedelta | None:
    """What Retry-After asks for (seconds or a date), at most six hours; None where it says nothing that makes sense."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        wait = timedelta(seconds=int(text))
    else:
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return max(timedelta(0), min(wait, _LONGEST_WAIT))
