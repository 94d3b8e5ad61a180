"""The page inside a package, opened from disk in a real browser: it finds what the verifier finds, and tells cases."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page

from governance.audit.note import Signer
from governance.audit.page import page as page_bytes
from governance.audit.verify import Outcome, verify_package
from governance.domain.events import EventKind
from governance.store.base.database import connect
from governance.store.evidence.audit_log import SqlAuditLog
from governance.store.transaction import Database
from tests.audit.building import AT
from tests.audit.test_package import SIGNER, World, remade, replaced, swapped, without_line
from tests.browser.test_accessibility import examine
from tests.conftest import Clock

KEY = str(SIGNER.verifier)
HOSTILE = '<img src="https://evil.example/x" onerror="document.title=1"><script>document.title=2</script>'
VERIFY = """async ([text, options]) => {
  const found = await Verify.verifyPackage(Uint8Array.from(atob(text), one => one.charCodeAt(0)), options)
  return [found.ok, found.results.map(one => [one.result, one.of]), found.checks.map(one => [one.name, one.outcome])]
}"""


@pytest.fixture(scope="module")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three calls, one of them with a case; its texts are hostile."""
    path = tmp_path_factory.mktemp("packages") / "governance.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine, clock = connect(f"sqlite:///{path}"), Clock()
    made = World(Database(engine, SqlAuditLog(SIGNER, clock)), clock)
    call = made.records.stored["calls"][2]
    call["input"] = [{"role": "user", "text": f"What is my balance? {HOSTILE}"}]
    call["output"] = [{"role": "assistant", "text": "I may not say. \u202etxt.exe"}]
    made.records.stored["cases"][5] |= {"title": "Asks for a balance", "severity": "high", "opened_at": None}
    yield made
    engine.dispose()


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page from disk; any request to anywhere else fails the test."""
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_bytes(page_bytes())
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert asked == [file.as_uri()]
    context.close()


def in_browser(page: Page, package: bytes, **options: Any) -> Any:
    return page.evaluate(VERIFY, [base64.b64encode(package).decode(), options])


def in_python(package: bytes, key: str = KEY, kept: str = "") -> Any:
    found = verify_package(io.BytesIO(package), key=key, kept=kept)
    return [
        found.ok,
        [[one.result.value, one.of] for one in found.results],
        [[one.name, one.outcome.value] for one in found.checks],
    ]


def test_the_browser_finds_what_the_verifier_finds(world: World, opened: Page) -> None:
    note = world.note()
    packages = {
        "whole": world.package(),
        "continued": world.package(kept=note),
        "system": world.package(system="bot"),
        "period": world.package(since=AT + timedelta(seconds=15), until=AT + timedelta(seconds=45)),
        "policy": world.package(policy="p.one"),
        "case": world.package(case=5),
        "kind": world.package(kinds=(EventKind.VERDICT_GIVEN,)),
        "nothing": world.package(since=AT + timedelta(days=900)),
    }
    for name, package in packages.items():
        expected = in_python(package)
        assert expected[0], name
        assert in_browser(opened, package, key=KEY) == expected, name
    whole, continued = packages["whole"], packages["continued"]
    assert in_browser(opened, whole, key=SIGNER.verifier.pem) == in_python(whole)
    assert in_browser(opened, whole, key=KEY, own=True) == in_python(whole), "with our own Ed25519"
    assert in_browser(opened, whole) == in_python(whole, key="")
    assert in_browser(opened, continued, kept=note) == in_python(continued, key="", kept=note)
    assert in_python(continued, key="", kept=note)[1][-1][0] == "WITNESSED"
    assert in_browser(opened, whole, key=KEY, kept=world.note()) == in_python(whole, kept=world.note())
    other = Signer.from_seed("test.local/audit", b"\x08" * 32)
    assert in_browser(opened, whole, key=str(other.verifier)) == in_python(whole, key=str(other.verifier))


def without(name: str) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def change(files: dict[str, bytes], _: dict[str, Any]) -> None:
        del files[name]

    return change


FORGED: dict[str, Callable[[dict[str, bytes], dict[str, Any]], None]] = {
    "a leaf is left out": without_line("leaves.tsv", 4),
    "a leaf says otherwise": replaced("leaves.tsv", b'"action":"block"', b'"action":"allow"'),
    "a leaf is no text": replaced("leaves.tsv", b"verdict.given", b"verdict.giv\xffn"),
    "leaves change places": swapped("leaves.tsv"),
    "a record says otherwise": replaced("records/decisions.jsonl", b'"action":"block"', b'"action":"allow"'),
    "a record is left out": without_line("records/calls.jsonl", 1),
    "a record has another time": replaced("records/verdicts.jsonl", b"T08:", b"T11:"),
    "a record is no JSON": replaced("records/calls.jsonl", b"{", b"[" * 100_000),
    "a place is written in another way": replaced("leaves.tsv", b"3\t", b"03\t"),
    "a leaf has a blank": replaced("leaves.tsv", b'{"actor"', b'{ "actor"'),
    "a file is left out": without("records/calls.jsonl"),
    "there is no checkpoint": without("checkpoint.note"),
    "the proof that it was made is another": replaced("made.json", b'"place": ', b'"place": 1'),
    "the format is another": lambda _, manifest: manifest.update(format="other"),
    "a manifest lacks a member": lambda _, manifest: manifest.__delitem__("leaves"),
    "a manifest has a number for a name": lambda _, manifest: manifest.update(origin=7),
    "a record is said to be gone": lambda _, manifest: manifest["records"]["calls"].update(absent=[0], count=2),
    "the summary says otherwise": replaced("summary.txt", b"all", b"some"),
    "a table says otherwise": replaced("tables/verdicts.csv", b"violation", b"false_alarm"),
    "a table is left out": without("tables/cases.csv"),
    "the key file is another": replaced("key.txt", b"test.local", b"best.local"),
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("own", [False, True], ids=["", "own Ed25519"])
def test_the_browser_finds_what_was_forged_with_the_logs_own_key(
    world: World, opened: Page, name: str, own: bool
) -> None:
    forged = remade(world.package(), SIGNER, FORGED[name])
    expected = in_python(forged)
    assert not expected[0]
    assert in_browser(opened, forged, key=KEY, own=own) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("made_by", "person:18"),
        ("made_at", "2026-11-23T09:40:00.000001Z"),
        ("kinds", {}),
        ("begun", 3),
        ("names", {"person:99": "Nobody"}),
        ("leaves", {"count": 1, "first": 0, "last": 0, "contiguous": True}),
        ("origin", "another.log"),
        ("filter", {"since": None, "until": None, "system": "bot", "policy": "", "case": None, "kinds": []}),
    ],
)
def test_the_browser_believes_no_manifest(world: World, opened: Page, field: str, value: object) -> None:
    forged = remade(world.package(), SIGNER, lambda _files, manifest: manifest.update({field: value}))
    assert in_browser(opened, forged, key=KEY) == in_python(forged)
    assert not in_python(forged)[0]


def test_a_byte_anywhere_is_found(world: World, opened: Page) -> None:
    package = world.package(system="bot")
    members = zipfile.ZipFile(io.BytesIO(package)).infolist()
    places = [member.header_offset + offset for member in members for offset in (0, 12, 31, 60)]
    for place in [*places, len(package) - 1, len(package) - 30]:
        flipped = bytearray(package)
        flipped[place] ^= 1
        found = in_browser(opened, bytes(flipped), key=KEY)
        assert not found[0], place
        assert found[1][0][0] == "INVALID", place
        assert any(outcome == Outcome.FAILED for _name, outcome in found[2]), place
    for cut in (package[:-1], package[: len(package) // 2], b"", package + b"\0"):
        assert not in_browser(opened, cut, key=KEY)[0]


def test_people_see_the_verdict_and_the_story_of_a_case(world: World, opened: Page, tmp_path: Path) -> None:
    file = tmp_path / "evidence.zip"
    file.write_bytes(world.package())
    opened.set_input_files("#file", str(file))
    verdict = opened.locator("#verdict h2")
    verdict.wait_for()
    assert verdict.inner_text() == "Nothing was changed since it was signed, but not all is proven"
    opened.click("#trust summary")
    opened.fill("#key", KEY)
    opened.click("#again")
    opened.locator("#verdict h2.green").wait_for()
    assert verdict.inner_text() == "Verified"
    assert "COMPLETE of the log" in opened.inner_text("#verdict")
    told = opened.inner_text("#cases")
    for words in ("Asks for a balance", "What is my balance?", HOSTILE, "violation (attack)", "=cmd()", "p.one", "Ada"):
        assert words in told, words
    assert "\u202e" not in told
    assert opened.locator("#cases img, #cases script, #verdict img").count() == 0
    assert opened.title() == "Evidence package"
    examine(opened)
    opened.locator("details.case").evaluate("made => { made.open = false }")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("details.case").evaluate("made => made.open"), "printed, every case is open"
    file.write_bytes(remade(file.read_bytes(), SIGNER, FORGED["a record says otherwise"]))
    opened.set_input_files("#file", str(file))
    opened.locator("#verdict h2.red").wait_for()
    assert verdict.inner_text() == "Do not rely on this package"
    assert "INVALID" in opened.inner_text("#verdict")
    assert not opened.locator("#cases").is_visible(), "nobody reads the story of a package that is invalid"


def test_our_own_ed25519_takes_what_is_signed_and_nothing_else(opened: Page) -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    asked, wanted = [], []
    for number in range(6):
        private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        public, message = private.public_key().public_bytes_raw(), b"m" * number
        signature = private.sign(message)
        scalar = int.from_bytes(signature[32:], "little")
        for key, signed, text, good in (
            (public, signature, message, True),
            (public, signature, message + b"x", False),
            (public, bytes([signature[0] ^ 1]) + signature[1:], message, False),
            (public, signature[:-1] + bytes([signature[-1] ^ 1]), message, False),
            (bytes([public[0] ^ 1]) + public[1:], signature, message, False),
            (public, signature[:32] + (scalar + order).to_bytes(32, "little"), message, False),
            (b"\xff" * 32, signature, message, False),
        ):
            asked.append([list(key), list(signed), list(text)])
            wanted.append(good)
    found = opened.evaluate(
        "many => Promise.all(many.map(one => Verify.ownEd25519(...one.map(bytes => Uint8Array.from(bytes)))))", asked
    )
    assert found == wanted
