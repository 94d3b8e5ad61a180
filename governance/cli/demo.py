"""`governance demo`: two weeks of three systems' traffic through the receiver; into a server where one is running.

The window ends when it was first run and stays so for a day: a second run sends the same calls and adds nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Protocol

import httpx
import typer

from governance.bootstrap import Application, running
from governance.cli.acting import acting
from governance.cli.output import JsonFlag, emit, progress
from governance.demo.script import SYSTEMS, Complaint, Conversation, conversations, script
from governance.demo.wire import CONTENT_TYPE, Body, bodies
from governance.domain.people import Scope, operator
from governance.errors import GovernanceError, Overloaded, Unauthenticated

if TYPE_CHECKING:
    from governance.services.systems.read import Totals

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SYSTEM_NAMES = tuple(str(script(name)["system"]) for name in SYSTEMS)
LOCAL = "http://127.0.0.1:8501"
WINDOW_STAYS = timedelta(hours=24)
CHECKED_WITHIN = 180.0
"""Seconds that the server's worker is waited for."""


class Receiver(Protocol):
    """Where the traffic goes."""

    def send(self, body: Body) -> None: ...

    def report(self, complaint: Complaint) -> None: ...

    def settle(self) -> None: ...


@app.command()
def demo(
    url: Annotated[
        str, typer.Option(help="The server to send to; default is the public address, then this machine.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Send sample traffic of three systems, flagged calls and two users' reports in it. Once more adds nothing."""
    application = running()
    held = list(conversations(_window_end(application)))
    requests = list(bodies(held))
    before = _totals(application)
    key = application.keys.create(operator("demo"), [Scope.INGEST, Scope.REPORT], expires_in=timedelta(hours=1))
    try:
        server = _server(application, url)
        try:
            receiver: Receiver = _Http(server, key.secret, application) if server else _Direct(application, key.secret)
            _send(receiver, requests, held)
        except Unauthenticated:
            if url:
                raise
            # A server answers here, but it serves other data: ours is written directly.
            server = ""
            receiver = _Direct(application, key.secret)
            _send(receiver, requests, held)
        receiver.settle()
    finally:
        application.keys.revoke(operator("demo"), key.key.id)
    after = _totals(application)
    document = {"server": server or None, "new": after.calls - before.calls, **asdict(after)}
    emit(document, lambda: _show(server, before, after), as_json=as_json)


def _send(receiver: Receiver, requests: Sequence[Body], held: Sequence[Conversation]) -> None:
    with progress("Sending", sum(body.calls for body in requests)) as advance:
        for body in requests:
            receiver.send(body)
            advance(body.calls)
    for conversation in held:
        if conversation.complaint is not None:
            receiver.report(conversation.complaint)


class _Http:
    """A running server, by the same requests that applications send."""

    def __init__(self, url: str, key: str, application: Application) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        )
        self._application = application

    def send(self, body: Body) -> None:
        for _ in range(20):
            answer = self._client.post(body.path, content=body.content, headers={"Content-Type": CONTENT_TYPE})
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(min(5.0, float(answer.headers.get("Retry-After", "1"))))
        self._expect(answer, httpx.codes.OK)

    def report(self, complaint: Complaint) -> None:
        self._expect(self._client.post("/v1/reports", json=dict(complaint.body)), httpx.codes.ACCEPTED)

    def settle(self) -> None:
        """Waits for the server's worker."""
        deadline = time.monotonic() + CHECKED_WITHIN
        while time.monotonic() < deadline:
            if not _totals(self._application).waiting:
                break
            time.sleep(0.5)
        self._client.close()

    def _expect(self, answer: httpx.Response, wanted: int) -> None:
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise Unauthenticated(
                f"The server at {self._client.base_url} works on other data.", advice="Use its GOVERNANCE_DATA_DIR."
            )
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Overloaded(
                "The server takes no more.", advice="Run the command again later; it goes on where it was."
            )
        if answer.status_code != wanted:
            raise GovernanceError(f"The server at {self._client.base_url} answered {answer.status_code}.")


class _Direct:
    """No server: the same decoding and recording in this process, then the checks."""

    def __init__(self, application: Application, key: str) -> None:
        self._application = application
        self._actor = application.keys.authenticate(f"Bearer {key}")

    def send(self, body: Body) -> None:
        from governance.ingest import otlp

        decode = otlp.decode_traces if body.path == "/v1/traces" else otlp.decode_logs
        limit = self._application.settings.max_body_mib * 2**20
        self._application.recorder.record(decode(body.content, CONTENT_TYPE, limit=limit))

    def report(self, complaint: Complaint) -> None:
        from governance.services.review.reports import NewReport

        self._application.reports.submit(self._actor, NewReport(**complaint.body))

    def settle(self) -> None:
        from governance.worker import run_until_idle

        run_until_idle(self._application)


def _window_end(application: Application) -> datetime:
    """When the fortnight ends: now, or where an earlier run within a day has put it."""
    note = application.data_dir / "demo.json"
    now = application.clock()
    try:
        ended = datetime.fromisoformat(json.loads(note.read_text(encoding="utf-8"))["until"])
        if timedelta(0) <= now - ended < WINDOW_STAYS:
            return ended
    except (OSError, ValueError, KeyError, TypeError):
        pass
    note.write_text(json.dumps({"until": now.astimezone(UTC).isoformat()}), encoding="utf-8")
    return now


def _server(application: Application, url: str) -> str:
    """The server to send to; "" where none answers. One that was named must answer."""
    for candidate in [url] if url else [application.settings.public_url, LOCAL]:
        if candidate:
            try:
                if httpx.get(f"{candidate.rstrip('/')}/healthz", timeout=3, trust_env=False).is_success:
                    return candidate.rstrip("/")
            except (httpx.HTTPError, httpx.InvalidURL):
                continue
    if url:
        raise GovernanceError(f"No server answers at {url}.", advice="Start it: governance serve.")
    return ""


def _totals(application: Application) -> Totals:
    return application.read_systems.totals(acting(), SYSTEM_NAMES)


def _show(server: str, before: Totals, after: Totals) -> None:
    new = after.calls - before.calls
    where = f"through {server}" if server else "without a server"
    typer.echo(f"{new:,} new calls of three systems, sent {where}." if new else "Nothing new: this was sent before.")
    typer.echo(
        f"{after.calls:,} calls, {after.flagged:,} flagged; {after.cases:,} open cases, {after.reports} users' reports."
    )
    if after.waiting:
        typer.echo(f"{after.waiting:,} calls still wait for their check: is a worker running? governance doctor says.")
    typer.echo("Look at them: governance serve, then the Queue." if not server else f"Look at them: {server}/queue")
