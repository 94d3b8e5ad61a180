"""The headers that keep a browser from doing more than the console needs."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send


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


def guarded(send: Send, policy: str, *, https: bool) -> Send:
    """A `send` that adds the headers to every answer that does not set its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", policy)
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("X-Frame-Options", "DENY")
            headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
            headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
            if https:
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        await send(message)

    return sending
