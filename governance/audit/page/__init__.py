"""The page that is in each package: it verifies the package in a browser, from disk and without a network, and tells
what happened in each case.

One file, with its script and style inside; its Content-Security-Policy allows these two by their hashes and nothing
else: no address is ever asked, whatever a package holds.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def page() -> bytes:
    """The page's bytes, the same in every package of a version."""
    style = _read("style.css")
    script = _read("verify.js") + _read("story.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    html = _read("index.html")
    for mark, text in (("{policy}", policy), ("{style}", style), ("{script}", script)):
        html = html.replace(mark, text, 1)
    return html.encode()


def _read(name: str) -> str:
    return files("governance.audit.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
