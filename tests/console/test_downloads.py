"""An evidence package leaves the console once, for the person who made it, from a file and not from memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO

import anyio
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette

from app.evidence import downloads
from app.evidence.downloads import Packages, evidence_route, packages
from governance.domain.people import Role, RoleBinding
from governance.errors import Refused
from governance.services.evidence.export import EvidenceFilter
from tests.console.world import World


class Client:
    """Requests of one person after another to the download's route."""

    def __init__(self, world: World, portal: BlockingPortal) -> None:
        self._world, self._portal = world, portal
        route = evidence_route(world.application, lambda request: request.headers.get("x-session", ""))
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(Starlette(routes=[route])), base_url="http://127.0.0.1"
        )

    def __call__(self, address: str, who: str = "") -> httpx.Response:
        async def send() -> httpx.Response:
            return await self._client.get(address, headers={"x-session": self._world.token.get(who, "")})

        return self._portal.call(send)


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with start_blocking_portal() as portal:
        yield Client(world, portal)


def made(world: World, who: str = "compliance_officer") -> downloads.Package:
    return packages.make(world.application, world.people[who], EvidenceFilter())


def test_a_package_is_downloaded_once_by_who_made_it(world: World, client: Client) -> None:
    world.case()
    package = made(world)
    assert client(package.address).status_code == 401
    assert client(package.address, "auditor").status_code == 404
    assert client("/evidence/guess.zip", "compliance_officer").status_code == 404
    answer = client(package.address, "compliance_officer")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{package.name}"'
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == package.size
    assert "manifest.json" in zipfile.ZipFile(BytesIO(answer.content)).namelist()
    assert package.file.closed
    again = client(package.address, "compliance_officer")
    assert (again.status_code, "Make it again" in again.text) == (404, True)


def test_rights_are_asked_for_again_at_the_download(world: World, client: Client) -> None:
    package = made(world)
    application = world.application
    admin = world.people["admin"]
    application.people.set_roles(admin, world.people["compliance_officer"].id, [RoleBinding(role=Role.REVIEWER)])
    assert client(package.address, "compliance_officer").status_code == 403
    application.sessions.close(world.token["compliance_officer"])
    assert client(package.address, "compliance_officer").status_code == 401
    packages.drop(package.token)
    with pytest.raises(Refused):
        made(world, "reviewer")


def test_a_download_that_breaks_off_can_be_begun_again(world: World) -> None:
    package = made(world)
    assert packages.take(package.token) is package
    assert packages.take(package.token) is None, "two downloads do not share one"

    async def broken() -> None:
        stream = downloads._bytes(package)
        async for _ in stream:
            break  # the reader is gone
        await stream.aclose()  # type: ignore[attr-defined]

    size = package.size
    object.__setattr__(package, "size", size + 1)
    anyio.run(broken)
    assert packages.waiting(package.token, package.holder) is package
    packages.drop(package.token)


def test_a_newer_package_takes_the_older_ones_place_and_time_ends_it(world: World) -> None:
    kept = Packages(kept_seconds=0.05)
    older = kept.make(world.application, world.people["auditor"], EvidenceFilter())
    newer = kept.make(world.application, world.people["auditor"], EvidenceFilter())
    assert older.file.closed
    assert not [one for one in world.application.data_dir.iterdir() if one.stat().st_size == newer.size]
    for _ in range(600):
        if newer.file.closed:
            break
        anyio.run(anyio.sleep, 0.05)
    assert newer.file.closed
    assert kept.waiting(newer.token, newer.holder) is None
