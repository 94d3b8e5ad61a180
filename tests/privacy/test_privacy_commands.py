"""The commands of privacy, run as processes of their own, and the file that a data subject gets."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from governance.domain.people import Role
from governance.errors import BadInput, NotFound, Refused
from tests.privacy.house import CONTENT, NAMES, House, a_call
from tests.privacy.test_erasure import events
from tests.serving import Serving


@pytest.fixture
def there(house: House) -> Serving:
    url = house.application.database_url
    return Serving(house.folder, database_url=url if url.startswith("postgresql") else "")


def test_what_is_held_about_a_subject_is_written_with_its_original(house: House, tmp_path: Path) -> None:
    call = house.application.inline.check(a_call(1)).call_id
    gone = house.application.inline.check(a_call(2, session="other")).call_id
    house.application.inline.check(a_call(3, user="somebody else", session="third"))
    house.report(call, f"It said {CONTENT[1]}.")
    officer = house.person("Ada", Role.COMPLIANCE_OFFICER)
    for nobody in (house.person("Rev", Role.REVIEWER), house.person("Adm", Role.ADMIN)):
        with pytest.raises(Refused):
            house.application.export_subject.to_file(nobody, NAMES[0], tmp_path / "no.json")
    number, erasure = house.conversation_of(gone), _begun(house)
    with house.application.database.write() as tx:
        tx.erasures.conversation(number, erasure, everything=False)
    out = tmp_path / "subject.json"
    assert house.application.export_subject.to_file(officer, NAMES[0], out) == 2
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    found = json.loads(out.read_text())
    first, second = found["calls"]
    assert found["subject"] == NAMES[0]
    assert first["content"]["input"][0]["text"] == a_call(1).input[0].text
    assert first["content"]["attributes"] == {"note": CONTENT[6]}
    assert first["reports"][0]["why"] == f"It said {CONTENT[1]}."
    assert (second["content"], second["unreadable"]) == (None, "Its content was erased.")
    with pytest.raises(BadInput, match="already"):
        house.application.export_subject.to_file(officer, NAMES[0], out)
    with pytest.raises(NotFound):
        house.application.export_subject.to_file(officer, "nobody", tmp_path / "none.json")
    made = events(house, "subject.exported")
    assert made
    assert NAMES[0] not in json.dumps(made)
    assert not list(tmp_path.glob(".subject*"))


def _begun(house: House) -> int:
    from governance.domain.privacy import Erasable, ErasureCode

    with house.application.database.write() as tx:
        return tx.erasures.add(
            what=Erasable.CONVERSATION,
            target="content",
            system="",
            code=ErasureCode.RETENTION,
            reason="old",
            by="service:0",
            by_name="The console",
            at=house.application.clock(),
            approved=True,
        )


def test_commands_ask_hold_and_say_what_is_wrong(house: House, there: Serving) -> None:
    call = house.application.inline.check(a_call()).call_id
    asked = json.loads(there.run("erase", "call", str(call), "--reason", "They asked", "--json").stdout)
    assert (asked["what"], asked["target"], asked["state"]) == ("call", str(call), "requested")
    own = there.run("erase", "approve", str(asked["id"]), check=False)
    assert (own.returncode, own.stderr.count("\n")) == (2, 1)
    assert "you asked for" in own.stderr
    held = json.loads(there.run("hold", "add", "subject", NAMES[0], "--reason", "a lawsuit", "--json").stdout)
    refused = there.run("erase", "subject", NAMES[0], "--reason", "x", check=False)
    assert (refused.returncode, "Legal hold 1" in refused.stderr) == (2, True)
    assert "Legal hold" in there.run("hold", "release", str(held["id"])).stdout
    assert there.run("hold", "add", "planet", "1", "--reason", "x", check=False).returncode == 2
    assert "six months" in there.run("retention", "set", "logs", "30", check=False).stderr
    rule = json.loads(there.run("retention", "set", "content", "365", "--system", "bot", "--json").stdout)
    assert (rule["class"], rule["days"]) == ("content", 365)
    assert [one["days"] for one in json.loads(there.run("retention", "show", "--json").stdout)] == [365]
    assert json.loads(there.run("retention", "run", "--json").stdout) == {"conversations": 0, "reports": 0, "held": 0}
    house.application.erase.approve(house.person("Ben", Role.COMPLIANCE_OFFICER), asked["id"])
    house.work()
    (listed,) = json.loads(there.run("erase", "list", "--json").stdout)
    assert (listed["state"], listed["calls"]) == ("done", 1)
    again = there.run("erase", "call", str(call), "--reason", "They asked")
    assert "was erased on" in again.stdout
    shown = json.loads(there.run("calls", "show", str(call), "--json").stdout)
    assert shown["input"][0]["text"].startswith("Erased on")
