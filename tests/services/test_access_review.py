"""An officer signs each month who may do what and who read what: what was shown, once, and asked for until then."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from governance.bootstrap import open_application, run_as
from governance.bootstrap.settings import Settings
from governance.cli import main
from governance.domain.events import EventKind
from governance.domain.jobs import JobKind
from governance.domain.people import Role, RoleBinding, Scope, operator
from governance.errors import BadInput, Conflict, Refused
from governance.services.access_log import AccessLog
from governance.services.evidence.access import AccessReviewService
from governance.services.jobs.outbox import Alerts
from governance.services.jobs.run import RunJobs, Task
from governance.store.base import tables as t
from governance.worker.tasks import Payload, reader
from tests.review.conftest import POLICIES, ROOT, House, without_secrets


def service(house: House, zone: Any = UTC) -> AccessReviewService:
    return AccessReviewService(house.authority, zone=zone, redact=without_secrets)


def reads(house: House, who: Any, count: int, system: str = "bot") -> None:
    log = AccessLog(house.database, house.clock)
    log.close()
    for number in range(count):
        log.opened(who, f"call:{number}", system)
    log.flush()


def next_month(house: House) -> None:
    house.clock.now = house.clock.now.replace(month=12, day=1, hour=5)


def test_a_review_says_who_may_do_what_and_who_read_what(house: House) -> None:
    officer, reviewer = house.person(Role.COMPLIANCE_OFFICER), house.person(Role.REVIEWER, system="hr-bot")
    left = house.person(Role.ENGINEER)
    house.people.disable(ROOT, left.id)
    house.keys.create(ROOT, scopes=[Scope.READ], system="hr-bot")
    reads(house, reviewer, 3)
    reads(house, reviewer, 1, "hr-bot")
    next_month(house)
    reads(house, reviewer, 7)
    found = service(house).show(officer)
    assert (found.month, found.ended, found.signed) == ("2026-11", True, None)
    people = {one["person"]: one for one in found.document["people"]}
    assert people[officer.reference]["roles"] == ["compliance_officer"]
    assert people[reviewer.reference]["roles"] == ["reviewer@hr-bot"]
    assert people[left.reference]["disabled"]
    assert [(one["scopes"], one["system"]) for one in found.document["keys"]] == [(["read"], "hr-bot")]
    assert [(one["reader"], one["what"], one["system"], one["events"]) for one in found.document["reading"]] == [
        (reviewer.reference, "access.opened", "bot", 3),
        (reviewer.reference, "access.opened", "hr-bot", 1),
    ]


def test_an_officer_signs_what_was_shown_once_and_it_stays_as_it_was(house: House) -> None:
    officer, auditor = house.person(Role.COMPLIANCE_OFFICER), house.person(Role.AUDITOR)
    reviewer = house.person(Role.REVIEWER)
    reads(house, reviewer, 2)
    review = service(house)
    with pytest.raises(BadInput, match="is not over"):
        review.sign(officer, "2026-11", review.show(officer, "2026-11").digest)
    next_month(house)
    shown = review.show(auditor)
    with pytest.raises(Refused):
        review.sign(auditor, "2026-11", shown.digest)
    house.people.set_roles(ROOT, reviewer.id, [RoleBinding(role=Role.ADMIN)])
    with pytest.raises(Conflict, match="not the one that was shown"):
        review.sign(officer, "2026-11", shown.digest)
    shown = review.show(officer)
    review.sign(officer, "2026-11", shown.digest, "Looks right, with secret-words.")
    with pytest.raises(Conflict, match="signed already"):
        review.sign(officer, "2026-11", shown.digest)
    house.people.disable(ROOT, reviewer.id)
    kept = review.show(auditor)
    assert (kept.document, kept.digest) == (shown.document, shown.digest)
    assert kept.signed is not None
    assert (kept.signed.signed_by, kept.signed.note) == (officer.reference, "Looks right, with [redacted].")
    (leaf,) = house.events("access.reviewed")
    stated = leaf["data"].pop("rows")
    assert set(stated) == {"access_review:2026-11"}
    assert leaf["data"] == {"month": "2026-11", "digest": shown.digest, "people": 3, "keys": 0}
    text = json.dumps(shown.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == shown.digest
    assert review.due(officer) == []


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "november", "2027-01", "", "2026-11-01", "0000-00"])
def test_what_is_no_month_cannot_be_shown(house: House, month: str) -> None:
    officer = house.person(Role.COMPLIANCE_OFFICER)
    if month:
        with pytest.raises(BadInput):
            service(house).show(officer, month)
    else:
        assert service(house).show(officer, month).month == "2026-10"


def test_a_month_is_the_firms_own(house: House) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    officer = house.person(Role.COMPLIANCE_OFFICER)
    house.clock.now = house.clock.now.replace(month=11, day=30, hour=14, minute=59)
    reads(house, officer, 1)
    house.clock.forward(minutes=1)  # midnight in Tokyo
    reads(house, officer, 1, "late")
    review = service(house, tokyo)
    assert review.last_month() == "2026-11"
    assert [one["system"] for one in review.show(officer).document["reading"]] == ["bot"]
    assert [one["system"] for one in review.show(officer, "2026-12").document["reading"]] == ["late"]


def test_a_review_is_asked_for_every_week_until_it_is_signed(house: House) -> None:
    officer = house.person(Role.COMPLIANCE_OFFICER)
    review, alerts = service(house), Alerts(wanted=True)
    task = Task(read=reader(Payload), run=lambda _, attempt: review.remind(attempt, alerts))
    runs = RunJobs(house.database, house.clock, {JobKind.REMIND_ACCESS_REVIEW: task})

    def day() -> int:
        with house.database.write() as tx:
            tx.jobs.add(JobKind.REMIND_ACCESS_REVIEW, {}, at=house.clock())
        job = runs.claim()
        assert job is not None
        runs.run(job)
        house.clock.forward(days=1)
        with house.database.read() as connection:
            return sum(row.kind == "access.review_due" for row in connection.execute(t.outbox_message.select()))

    assert day() == 0, "the log began in this month"
    assert review.due(officer) == []
    next_month(house)
    assert review.due(officer) == ["2026-11"]
    assert [day() for _ in range(9)] == [1] * 7 + [2] * 2
    review.sign(officer, "2026-11", review.show(officer, "2026-11").digest)
    house.clock.forward(days=7)
    assert day() == 2
    house.clock.now += timedelta(days=31)
    assert day() == 3
    assert review.due(officer) == ["2026-12"]


def test_the_command_line_shows_and_signs(tmp_path: Path, clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data_dir=tmp_path / "var", policies=POLICIES, _env_file=None)  # type: ignore[call-arg]
    application = open_application(settings, clock=clock)
    run_as(application)

    def command(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out or err

    try:
        application.people.add(operator("root"), "dana", [RoleBinding(role=Role.REVIEWER)])
        clock.now = clock.now.replace(month=12)
        code, text = command("access", "review", "show", "--json")
        assert code == 0
        shown = json.loads(text)
        assert (shown["month"], shown["signed_by"]) == ("2026-11", None)
        assert shown["digest"] in command("access", "review", "show", "2026-11")[1]
        assert "dana" in command("access", "review", "show")[1]
        assert command("access", "review", "sign", "2026-11", "--digest", "0" * 64)[0] == 2
        assert command("access", "review", "sign", "2026-11", "--digest", shown["digest"], "--note", "fine")[0] == 0
        assert json.loads(command("access", "review", "show", "2026-11", "--json")[1])["signed_by"].startswith(
            "operator:"
        )
        assert command("access", "review", "show", "1999-99")[0] == 2
        assert command("calls", "list")[0] == 0
        listed = json.loads(command("audit", "list", "--reading", "--json")[1])
        assert {one["kind"] for one in listed} >= {EventKind.ACCESS_SEARCHED}
        kinds = {one["kind"] for one in json.loads(command("audit", "list", "--json")[1])}
        assert "access.reviewed" in kinds
        assert "access.searched" not in kinds
        code, text = command("audit", "list", "--kind", "acess.opened")
        assert code == 2
        assert "access.opened" in text
    finally:
        run_as(None)
        application.close()
