"""The server: Streamlit's pages, the API under /v1, health, metrics and sign-in, in one ASGI application.

`governance serve` sets the process's application (`bootstrap.run_as`) and then serves `app.asgi:app`.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import Route
from streamlit import config as streamlit_config
from streamlit import file_util

from app.door import csp
from app.door.addresses import LOOPBACK
from app.door.cookies import Cookies
from app.door.entrance import Entrance
from app.door.gate import ServiceGate
from app.door.middleware import HEADER, USER_KEY, DoorMiddleware
from app.door.proxies import ForwardedMiddleware
from app.door.routes import door_routes
from app.evidence.downloads import evidence_route
from governance import bootstrap
from governance.api import create_api, mounted
from governance.api.health import health_routes
from governance.api.metrics import Metrics

_HERE = Path(__file__).parent


def options(public_url: str = "") -> dict[str, Any]:
    """Streamlit's options: those of `config.toml`, and those that must not depend on a file or the environment."""
    found: dict[str, Any] = {}

    def collect(prefix: str, table: dict[str, Any]) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                collect(f"{prefix}{name}.", value)
            else:
                found[f"{prefix}{name}"] = value

    collect("", tomllib.loads((_HERE / "config.toml").read_text("utf-8")))
    found |= {
        "global.developmentMode": False,
        "server.enableAgentApi": False,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableStaticServing": True,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        # What leaves the console leaves by an export, which is an audit event: no list has a download of its own.
        "client.disableDataExport": True,
        "runner.postScriptGC": False,
    }
    if public_url:
        found["server.corsAllowedOrigins"] = [public_url]
    return found


def configure(public_url: str = "") -> None:
    """Sets Streamlit's options for this process, whatever config files lie in the working directory or at home."""
    streamlit_config.get_config_options(force_reparse=True, options_from_flags=options(public_url))
    # A mapping cannot be given as a flag: Streamlit would expect JSON text there.
    streamlit_config.set_option("server.trustedUserHeaders", {HEADER: USER_KEY})


application = bootstrap.running()
_settings = application.settings
_public_url = _settings.public_url.rstrip("/")
configure(_public_url)

_gate = ServiceGate(application)
_cookies = Cookies(
    # Derived, so that a sign-in under way survives a restart and another server of the same installation.
    secret=hmac.digest(application.signing_seed, b"sign-in cookie", hashlib.sha256),
    https=_public_url.startswith("https:"),
    hours=_settings.session_hours,
)
_entrance = Entrance(gate=_gate, cookies=_cookies, public_url=_public_url)
_metrics = Metrics()
_hosts = frozenset(LOOPBACK | ({(urlsplit(_public_url).hostname or "").lower()} if _public_url else set()))


@asynccontextmanager
async def _lifespan(_app: st.App) -> AsyncIterator[None]:
    """Ends the recorder when the server stops: what waits is committed first, then the connections are closed."""
    try:
        yield
    finally:
        application.close()


app = st.App(
    _HERE / "main.py",
    routes=[
        *door_routes(_entrance, application.provider),
        *health_routes(application, _metrics),
        evidence_route(application, _cookies.token),
        # Without its own route, the bare prefix would be answered by the console's page.
        Route("/v1", RedirectResponse("/v1/openapi.json")),
        mounted(create_api(application, _metrics)),
    ],
    middleware=[
        Middleware(ForwardedMiddleware, trusted=_settings.trusted_proxies, expected=bool(_public_url)),
        Middleware(
            DoorMiddleware,
            gate=_gate,
            cookies=_cookies,
            hosts=_hosts,
            public_url=_public_url,
            # Each page of the console is a file, and its address the file's name (`main.page`).
            pages=frozenset(file.stem for file in (_HERE / "views").glob("*.py")),
            policy=csp.console_policy((Path(file_util.get_static_dir()) / "index.html").read_text("utf-8")),
        ),
    ],
    lifespan=_lifespan,
)
