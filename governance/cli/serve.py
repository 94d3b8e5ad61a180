"""`governance serve`: console, API and checking from one command."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from governance.bootstrap import Settings, console_package, load_settings, open_application, run_as
from governance.cli import logs
from governance.cli.output import counted, plain
from governance.cli.supervise import Workers
from governance.errors import Misconfigured
from governance.intake.remote import RemoteIntake
from governance.policy.folder import not_read
from governance.policy.problems import errors

if TYPE_CHECKING:
    from governance.bootstrap import Application

app = typer.Typer(rich_markup_mode=None)
_BACKLOG = 2048
_GRACE_SECONDS = 10
_FIRST_LOOK_SECONDS = 2.0  # a database of some hundred MB; of a larger one /readyz tells later


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 is any free one.", min=0, max=65535)] = 8501,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Also check calls.")] = True,
) -> None:
    """Run the console, the API and the checking.

    An address that others can reach needs OpenID Connect and https (GOVERNANCE_OIDC_ISSUER, GOVERNANCE_PUBLIC_URL):
    local accounts are for a trial on this machine.
    """
    settings = load_settings()
    refuse_open_door(settings, host)
    logs.configure()
    application = open_application(settings, migrate=True)
    application.answers = True
    listening = listen(host, port)
    try:
        prepare(application)
        port = listening.getsockname()[1]
        welcome(application, host, port)
        say_what_differs(application)
        intake = RemoteIntake()
        workers = Workers(settings.workers if worker else 0)
        intake.start()
        application.intake = intake
        workers.start()
        try:
            run(application, listening)
        finally:
            intake.close()
            workers.stop()
    finally:
        listening.close()
        application.close()


def refuse_open_door(settings: Settings, host: str) -> None:
    """Raises `Misconfigured` where people would sign in with passwords, or without encryption, over a network."""
    public = urlsplit(settings.public_url)
    if settings.public_url and (
        public.scheme not in ("http", "https") or not public.hostname or public.path.strip("/")
    ):
        raise Misconfigured(
            "GOVERNANCE_PUBLIC_URL must be an address without a path.",
            advice="Example: https://governance.example.org.",
        )
    reachable = not is_loopback(host) or bool(public.hostname and not is_loopback(public.hostname))
    if reachable and not settings.oidc_issuer:
        raise Misconfigured(
            "Local accounts are for this machine only, and this address can be reached from others.",
            advice="Set GOVERNANCE_OIDC_ISSUER and GOVERNANCE_PUBLIC_URL (https), or listen on 127.0.0.1.",
        )
    if reachable and public.scheme != "https":
        raise Misconfigured(
            "An address that others can reach needs https, or sign-ins could be read on the way.",
            advice="Set GOVERNANCE_PUBLIC_URL to the https address of the proxy in front (docs/operations.md).",
        )
    if settings.oidc_issuer:
        issuer = urlsplit(settings.oidc_issuer)
        if issuer.scheme != "https" and not is_loopback(issuer.hostname or ""):
            raise Misconfigured(
                "GOVERNANCE_OIDC_ISSUER must be an https address.", advice="Example: https://id.example.org."
            )
        if not settings.oidc_client_id:
            raise Misconfigured("GOVERNANCE_OIDC_CLIENT_ID is missing.", advice="The issuer gives it to you.")


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own: "localhost", 127.0.0.0/8 or ::1."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises `Misconfigured` in words for a port that is taken or an address that is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: asyncio sets TCP_NODELAY only where a socket says that it is TCP. Without it Nagle's
    # algorithm holds the body of an answer back until the client has acknowledged its head, 40 ms later.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host.strip("[]"), port))
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        taken = error.errno in (48, 98)  # EADDRINUSE on macOS and Linux
        reason = "is in use by another program" if taken else f"cannot be used: {error.strerror or error}"
        advice = "Stop that program, or choose another with --port." if taken else "Check --host and --port."
        raise Misconfigured(f"Port {port} on {host} {reason}.", advice=advice) from None
    return opened


def prepare(application: Application) -> None:
    """All that must be right before anybody is served. Raises `GovernanceError`."""
    _ = application.database, application.key_ring, application.in_force.current(), application.permissions.rules()
    application.sealer.start()
    application.checkpointer.start()
    found = application.integrity_watch.start(_FIRST_LOOK_SECONDS)
    if found is not None and found.problems:
        sys.stdout.write(f"{found.words}\nRestore a backup: governance db restore FILE (docs/operations.md).\n")
        sys.stdout.flush()


def welcome(application: Application, host: str, port: int) -> None:
    """Says where to go, and on the first start, once, how to sign in."""
    shown = f"[{host}]" if ":" in host else host
    address = application.settings.public_url or f"http://{shown}:{port}"
    lines = [f"Governance console: {address}"]
    first = None if application.settings.oidc_issuer else application.people.ensure_administrator()
    if first is not None:
        name, password = first
        lines += [
            "",
            "  Sign in as the administrator. This is shown once; keep it.",
            f"    Name:     {name}",
            f"    Password: {password}",
            "",
        ]
    lines.append("Stop with Ctrl+C.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def say_what_differs(application: Application) -> None:
    """Says where the policy files are not what is in force, as they count once they are promoted; and which are not
    read at all."""
    loaded = application.examine_policies()
    said = []
    if loaded.policy_set is None:
        mistakes = counted(len(errors(loaded.problems)), "mistake")
        said.append(f"{mistakes}; what is in force is not touched. See: governance policy lint.")
    else:
        changes = application.rollout.drift(loaded.policy_set)
        if changes.count:
            said.append(
                f"not in force: {changes.words}. See: governance policy diff; "
                "to propose them: governance policy promote."
            )
    if unread := not_read(loaded.problems):
        said.append(f"not read: {unread}. See: governance policy lint.")
    for line in said:
        sys.stdout.write(plain(f"Policy files in {application.policies_dir}: {line}") + "\n")
    sys.stdout.flush()


def run(application: Application, listening: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT; what is being written is committed before it ends."""
    import uvicorn

    from governance.cli.protocol import Protocol

    run_as(application)
    console_package()
    # Streamlit reads its configuration when it is imported: nothing of the environment's may switch things on.
    for name in [name for name in os.environ if name.startswith("STREAMLIT_")]:
        del os.environ[name]
    config = uvicorn.Config(
        "app.asgi:app",
        log_config=None,
        access_log=False,
        server_header=False,
        http=Protocol,
        ws="websockets-sansio",
        ws_max_size=64 * 2**20,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        # `app.door.proxies` alone reads what proxies say, from those of GOVERNANCE_TRUSTED_PROXIES.
        proxy_headers=False,
        backlog=_BACKLOG,
    )
    config.load()
    logs.configure()  # Streamlit has put its own handlers in when it was imported
    gc.collect()
    gc.freeze()
    # Uvicorn raises the signal that stopped it once more when it is done: then there is nothing left to stop.
    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, lambda *_: None)
    try:
        server = uvicorn.Server(config)
        server.run(sockets=[listening])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if not server.started:
        raise Misconfigured("The server did not start; its log says why.")
