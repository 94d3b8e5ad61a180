"""Rotating the key-encryption key: at every moment all content opens with the old or the new key, never with none."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from governance.bootstrap import Application
from governance.bootstrap.settings import Settings
from governance.domain.people import operator
from governance.errors import BadInput, Conflict, Misconfigured
from governance.privacy.keys import KeyRing, given_secret
from governance.services.calls.read import CallFilter
from governance.store.base import tables as t
from governance.store.evidence import rotation
from tests.privacy.house import CONTENT, House, a_call, open_house
from tests.serving import Serving
from tests.store.conftest import Batch

ME = operator("tests")


def fill(house: House, conversations: int = 7) -> list[int]:
    calls = [a_call(n, session=f"s{n}") for n in range(1, conversations + 1)]
    return list(house.application.recorder.record(Batch(calls=tuple(calls))).call_ids)


def under(application: Application, key: bytes) -> int:
    """How many content keys open with this key-encryption key alone."""
    ring, count = KeyRing(key), 0
    with application.engine.connect() as connection:
        for wrapped in connection.execute(sa.select(t.conversation.c.wrapped_key)).scalars():
            try:
                ring.unwrap(bytes(wrapped))
            except Misconfigured:
                continue
            count += 1
    return count


def secret(file: Path) -> bytes:
    found = given_secret("", "", file)
    assert found is not None
    return found


def test_everything_reads_and_is_found_as_before(house: House) -> None:
    checked = house.application.inline.check(a_call())
    reference = house.report(checked.call_id, "The same report.")
    before = house.application.read_call(checked.call_id)
    old = secret(house.folder / "key-encryption.key")
    house.application.make_new_key()
    assert house.application.rotate_keys.run(ME) == 2
    new = secret(house.folder / "key-encryption.key")
    assert new != old == secret(house.folder / "key-encryption.old.key")
    assert (under(house.application, new), under(house.application, old)) == (1, 0)
    house.application.rotate_keys.check_finished(ME)
    house.application.old_key_file.unlink()
    url = house.application.database_url
    house.application.close()

    again = open_house(house.folder, url, house.application.clock)
    try:
        assert again.application.read_call(checked.call_id) == before
        found = again.application.read_calls.page(ME, CallFilter(words=CONTENT[0])).rows
        assert [row.id for row in found] == [checked.call_id]
        assert again.report(checked.call_id, "The same report.") == reference, "a resent report is the same report"
        assert again.application.rotate_keys  # made, and refused: there is nothing to rotate from
        with pytest.raises(BadInput, match="no old"):
            again.application.rotate_keys.run(ME)
        assert again.application.verify.verify(ME).ok
    finally:
        again.application.close()


def test_broken_off_at_every_step_all_content_opens_and_it_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fill(house)
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    house.application.make_new_key()
    new = secret(house.folder / "key-encryption.key")
    old = secret(house.folder / "key-encryption.old.key")
    honest = rotation.Rotation.some
    for steps in range(1, 5):

        def breaks(self: rotation.Rotation, place: tuple[int, int], left: list[int] = [steps]) -> Any:  # noqa: B006
            left[0] -= 1
            if left[0] < 0:
                raise OSError("killed")
            return honest(self, place)

        monkeypatch.setattr(rotation.Rotation, "some", breaks)
        with pytest.raises(OSError, match="killed"):
            house.application.rotate_keys.run(ME)
        assert under(house.application, new) + under(house.application, old) == 7
        assert under(house.application, new) == min(7, 2 * steps)
        for call in calls:
            assert house.application.reveal._originals.call(call)
        # Without the old key nobody starts: what is under it alone would be lost to them.
        url = house.application.database_url
        parts = Settings(data_dir=house.folder, database_url=url, _env_file=None)  # type: ignore[call-arg]
        hidden = house.application.old_key_file.rename(house.folder / "hidden")
        lacking = Application(parts)
        with pytest.raises(Misconfigured):
            _ = lacking.database
        lacking.close()
        hidden.rename(house.application.old_key_file)
    with pytest.raises(Conflict) if under(house.application, old) else _nothing():
        house.application.rotate_keys.check_finished(ME)
    monkeypatch.setattr(rotation.Rotation, "some", honest)
    house.application.rotate_keys.run(ME)
    assert (under(house.application, new), under(house.application, old)) == (7, 0)
    for call in calls:
        assert house.application.reveal._originals.call(call)


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


ROTATE = """
import sys
from governance.store.evidence import rotation
from governance.cli import main
rotation.AT_ONCE = 1
main(["keys", "rotate"])
"""


def test_a_real_process_killed_again_and_again_loses_no_key(sqlite_house: House) -> None:
    calls = fill(sqlite_house, 40)
    environment = Serving(sqlite_house.folder).environment
    old = secret(sqlite_house.folder / "key-encryption.key")
    for goal in (0, 5, 12, 25):
        process = subprocess.Popen(
            [sys.executable, "-c", ROTATE], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            there = sqlite_house.application.old_key_file.exists()
            if there and 40 - under(sqlite_house.application, old) >= goal:
                break
            time.sleep(0.001)
        process.kill()
        process.wait()
        new = secret(sqlite_house.folder / "key-encryption.key")
        keys = {new, old}
        assert sum(under(sqlite_house.application, key) for key in keys) == 40
    done = subprocess.run([sys.executable, "-c", ROTATE], env=environment, check=True, capture_output=True, text=True)
    assert "key-encryption.old.key" in done.stdout
    new = secret(sqlite_house.folder / "key-encryption.key")
    assert (under(sqlite_house.application, new), under(sqlite_house.application, old)) == (40, 0)
    # This process has run all the while with the key that was: it learns of the new one by what it cannot open.
    for call in calls:
        assert sqlite_house.application.reveal._originals.call(call)
