"""Evidence packages made for download: `/evidence/<token>.zip`, for the person who made it, once.

Streamlit keeps what a download button offers in memory, for each session. Here a package is a file without a name in
the data directory: memory does not grow with it, and nothing is left of it when the process ends, whatever ends it.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from governance.domain.people import Actor, Permission
from governance.errors import GovernanceError, Overloaded
from governance.services.evidence.export import EvidenceFilter

if TYPE_CHECKING:
    from governance.bootstrap import Application

KEPT_SECONDS = 15 * 60.0
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Package:
    """A package that waits to be downloaded. `size` in bytes; `system` is the one it was limited to."""

    token: str
    holder: int
    system: str
    events: int
    empty: bool
    size: int
    made_at: datetime
    file: BinaryIO

    @property
    def address(self) -> str:
        return f"/evidence/{self.token}.zip"

    @property
    def name(self) -> str:
        return f"evidence-{self.made_at:%Y-%m-%d-%H%M}.zip"


class Packages:
    """The packages of this process; thread-safe. One a person: a newer one takes the place of the older."""

    def __init__(self, kept_seconds: float = KEPT_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._lock = threading.Lock()
        self._waiting: dict[str, Package] = {}

    def make(self, application: Application, actor: Actor, chosen: EvidenceFilter) -> Package:
        """Raises what the export raises, and `Overloaded` when there is no room for the file."""
        try:
            file = tempfile.TemporaryFile(dir=application.data_dir)  # noqa: SIM115 - closed when it was downloaded
        except OSError as error:
            raise Overloaded(f"The package cannot be written: {error.strerror}.", retry_after=30) from None
        try:
            made = application.export.to_stream(actor, chosen, file, folder=application.data_dir)
            file.flush()
            size = file.tell()
        except BaseException as error:
            file.close()
            if isinstance(error, OSError):
                raise Overloaded(f"The package cannot be written: {error.strerror}.", retry_after=30) from None
            raise
        package = Package(
            token=secrets.token_urlsafe(32),
            holder=actor.id,
            system=chosen.system,
            events=made.events,
            empty=made.empty,
            size=size,
            made_at=application.clock(),
            file=file,
        )
        with self._lock:
            older = [token for token, one in self._waiting.items() if one.holder == actor.id]
            self._waiting[package.token] = package
        for token in older:
            self.drop(token)
        timer = threading.Timer(self._kept_seconds, self.drop, [package.token])
        timer.daemon = True
        timer.start()
        return package

    def waiting(self, token: str, holder: int) -> Package | None:
        """The package, while it is there and this person's."""
        with self._lock:
            found = self._waiting.get(token)
        return found if found is not None and found.holder == holder else None

    def take(self, token: str) -> Package | None:
        """The package, which nobody else gets meanwhile: `keep` or close it."""
        with self._lock:
            return self._waiting.pop(token, None)

    def keep(self, package: Package) -> None:
        """Takes back a package whose download broke off."""
        with self._lock:
            self._waiting[package.token] = package

    def drop(self, token: str) -> None:
        package = self.take(token)
        if package is not None:
            package.file.close()


packages = Packages()


def evidence_route(application: Application, token_of: Callable[[Request], str]) -> Route:
    """The download's route. `token_of` gives the token of a request's session; rights are asked for again."""

    def allowed(session: str, token: str) -> Response | None:
        actor = application.sessions.find(session) if session else None
        if actor is None or actor.must_change_password:
            return _plain("Sign in first.", 401)
        package = packages.waiting(token, actor.id)
        if package is None:
            return _plain("This package was downloaded, or is over. Make it again under Audit.", 404)
        application.authority.require(actor, Permission.EXPORT_EVIDENCE, system=package.system)
        return None

    async def download(request: Request) -> Response:
        token = request.path_params["token"]
        try:
            refused = await anyio.to_thread.run_sync(allowed, token_of(request), token)
        except Overloaded as error:
            return _plain(str(error), 503, {"Retry-After": str(error.retry_after)})
        except GovernanceError as error:
            return _plain(str(error), 403)
        package = None if refused is not None else packages.take(token)
        if package is None:
            return refused or _plain("This package is being downloaded.", 404)
        headers = {
            "Content-Disposition": f'attachment; filename="{package.name}"',
            "Content-Length": str(package.size),
            "Cache-Control": "no-store",
        }
        return StreamingResponse(_bytes(package), 200, headers, "application/zip")

    return Route("/evidence/{token}.zip", download, methods=["GET"])


async def _bytes(package: Package) -> AsyncIterator[bytes]:
    """The package's bytes; it is gone when the last was sent, and waits again where the download broke off."""
    sent = 0
    try:
        while sent < package.size:
            chunk = await anyio.to_thread.run_sync(os.pread, package.file.fileno(), _CHUNK, sent)
            yield chunk
            sent += len(chunk)
    finally:
        if sent < package.size:
            packages.keep(package)
        else:
            package.file.close()


def _plain(words: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{words}\n", status, {"Cache-Control": "no-store", **(headers or {})})
