"""The sign-in page, and what stands where no page is: plain HTML that needs no script, with the console's own fonts
and colours, light and dark.

Every word that is not written here is escaped. The page allows nothing but its own style (by hash), fonts and icon.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse

PRODUCT = "Governance console"

_STYLE = """
@font-face{font-family:Inter;src:url(/app/static/inter.woff2) format("woff2");font-weight:100 900;font-display:swap}
:root{color-scheme:light dark;--page:light-dark(#f5f6f8,#0c0f13);--card:light-dark(#fff,#101318);
--text:light-dark(#161a22,#e6e9ef);--soft:light-dark(#596273,#a0a9b9);--line:light-dark(#cfd4dc,#3a4250);
--press:light-dark(#2b50c8,#4a6ce4);--over:light-dark(#2546b0,#3f62dd);--bad:light-dark(#ae2318,#ff9c92);
--badback:light-dark(#fcebe9,#3a1b1a);--info:light-dark(#eef0f3,#242a33)}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--page);color:var(--text);
font:14px/1.5 Inter,system-ui,sans-serif}
main{width:100%;max-width:372px;background:var(--card);border:1px solid light-dark(#e2e5ea,#2a303a);border-radius:10px;
padding:32px;display:grid;gap:20px}
header{display:grid;grid-template-columns:32px 1fr;gap:2px 12px;align-items:center}
header img{grid-row:span 2;width:32px;height:32px}
h1{font-size:18px;line-height:1.3;font-weight:650;margin:0}
p{margin:0}.soft{color:var(--soft)}
form{display:grid;gap:16px}label{display:grid;gap:6px;font-weight:550;font-size:13px}
input{font:inherit;font-weight:400;color:inherit;background:transparent;border:1px solid var(--line);border-radius:6px;
padding:9px 11px;width:100%}
input:focus-visible,.press:focus-visible{outline:2px solid var(--press);outline-offset:2px}
.press{font:inherit;font-weight:600;text-align:center;text-decoration:none;color:#fff;background:var(--press);border:0;
border-radius:6px;padding:10px 14px;cursor:pointer}
.press:hover{background:var(--over)}
[role]{border-radius:6px;padding:10px 12px}[role=alert]{background:var(--badback);color:var(--bad)}
[role=status]{background:var(--info)}
footer{font-size:12px;color:var(--soft)}footer a{color:inherit}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; font-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def _page(title: str, body: str, *, status: int, headers: dict[str, str] | None = None) -> HTMLResponse:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)} · {PRODUCT}</title>"
        '<link rel="icon" type="image/svg+xml" href="/app/static/icon.svg">'
        f"<style>{_STYLE}</style></head><body><main><header>"
        f'<img src="/app/static/icon.svg" alt=""><h1>{PRODUCT}</h1><p class="soft">{escape(title)}</p></header>'
        f"{body}</main></body></html>"
    )
    return HTMLResponse(
        document,
        status,
        {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
            # Not `no-referrer`: with it, browsers send `Origin: null` and the form could not be told from a forged one.
            "Referrer-Policy": "same-origin",
        }
        | (headers or {}),
    )


def _notice(error: str, note: str) -> str:
    if error:
        return f'<p role="alert">{escape(error)}</p>'
    return f'<p role="status">{escape(note)}</p>' if note else ""


def local_page(
    target: str, *, error: str = "", note: str = "", user: str = "", status: int = 200, retry_after: int = 0
) -> HTMLResponse:
    """Name and password, for local accounts. `target` is where to go afterwards, `user` a name already typed."""
    name_focus, password_focus = ("", " autofocus") if user else (" autofocus", "")
    body = (
        f'{_notice(error, note)}<form method="post" action="/signin/local?next={quote(target, safe="")}">'
        f'<label>Name<input name="user" value="{escape(user)}" autocomplete="username" autocapitalize="none" '
        f'spellcheck="false" maxlength="100" required{name_focus}></label>'
        '<label>Password<input name="password" type="password" autocomplete="current-password" maxlength="1000" '
        f'required{password_focus}></label><button class="press">Sign in</button></form>'
        "<footer>Forgotten your password? An administrator can set a new one.</footer>"
    )
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    return _page("Sign in to review AI decisions", body, status=status, headers=headers)


def password_page(target: str, *, given: bool, error: str = "", status: int = 200) -> HTMLResponse:
    """A new password in place of one that somebody else gave (`given`, with no way around it) or of one's own."""
    note = "This password was given to you. Choose one that only you know." if given else ""
    present = "Password you were given" if given else "Present password"
    way_out = '<a href="/auth/logout">Sign out</a>' if given else f'<a href="{escape(target)}">Back to the console</a>'
    body = (
        f"{_notice(error, note)}"
        f'<form method="post" action="/signin/password?next={quote(target, safe="")}">'
        f'<label>{present}<input name="password" type="password" autocomplete="current-password" '
        'maxlength="1000" required autofocus></label>'
        '<label>New password<input name="new" type="password" autocomplete="new-password" minlength="12" '
        'maxlength="1000" required></label>'
        '<button class="press">Set password</button></form>'
        "<footer>At least 12 characters. A few unrelated words are easy to remember and hard to guess. All your other "
        f"sessions end. {way_out}</footer>"
    )
    return _page("Choose a password" if given else "Change your password", body, status=status)


def provider_page(
    target: str, *, error: str = "", note: str = "", end: str = "", status: int = 200, retry_after: int = 0
) -> HTMLResponse:
    """One button that goes to the identity provider. `end` is where one can sign out there too, "" for nowhere."""
    also = f' <a href="{escape(end)}">Sign out of that account too</a>' if end else ""
    body = (
        f"{_notice(error, note)}"
        f'<a class="press" autofocus href="/signin?next={quote(target, safe="")}">Continue to sign-in</a>'
        f"<footer>You sign in with your organisation's account.{also}</footer>"
    )
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    return _page("Sign in to review AI decisions", body, status=status, headers=headers)


def notice_page(target: str, words: str) -> HTMLResponse:
    """For somebody who has just signed in, and whose roles are not what they may expect."""
    body = (
        f'<p role="alert">{escape(words)}</p><a class="press" autofocus href="{escape(target)}">Continue</a>'
        '<footer>Roles are read anew at each sign-in. <a href="/auth/logout">Sign out</a></footer>'
    )
    return _page("You are signed in", body, status=200)


def missing_page() -> HTMLResponse:
    """For an address of no page."""
    body = (
        "<p>The address may be mistyped, or the page has moved. Nothing you decided is lost.</p>"
        '<a class="press" href="/" autofocus>Open the start page</a>'
    )
    return _page("There is no page at this address", body, status=404)


def sign_out_page(*, error: str = "", status: int = 200) -> HTMLResponse:
    """Asks, where another site sent the browser to the sign-out address."""
    body = (
        f"{_notice(error, '')}<p>Do you want to sign out of the console?</p>"
        '<form method="post" action="/auth/logout"><button class="press" autofocus>Sign out</button></form>'
    )
    return _page("Sign out", body, status=status)
