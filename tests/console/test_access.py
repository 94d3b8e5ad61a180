"""Who read what on the pages: the trail's own filter, and the access review that an officer signs."""

from __future__ import annotations

from datetime import datetime

from app.evidence import trail
from governance.domain.events import EventKind
from governance.domain.people import operator
from tests.conftest import Clock
from tests.console.conftest import Page
from tests.console.test_pages import button, listed, spoken, title
from tests.console.world import World


def test_opening_a_case_stands_under_reading_and_not_among_what_people_did(world: World, page: Page) -> None:
    case = world.case()
    page("case", "reviewer", id=str(case))
    page("case", "reviewer", id=str(case))
    world.application.access_log.flush()
    said = [row["What happened"] for row in listed(page("audit", "auditor", show="Reading"))]
    assert said.count(f"reviewer opened case {case} (Document carries instructions)") == 1
    everything = {row["Kind"] for row in listed(page("audit", "auditor"))}
    assert not everything & {trail.KIND[EventKind.ACCESS_OPENED]}


def test_an_officer_signs_last_months_review_and_an_auditor_reads_it(world: World, page: Page, clock: Clock) -> None:
    clock.now = datetime(2026, 12, 2, 9, 0, tzinfo=clock.now.tzinfo)
    for person in world.application.people.list(operator("root")):  # the sessions of November are over
        world.token[person.name] = world.application.sessions.open_session(person)
    test = page("access", "auditor")
    assert not test.exception
    assert title(test) == "1 access review to be signed"
    assert button(test, "Sign the review").disabled
    test = page("access", "compliance_officer")
    test.text_area(key="note-2026-11").input("All as it should be.")
    button(test, "Sign the review").click().run()
    assert not test.exception
    assert title(test) == "No access review waits to be signed"
    again = page("access", "auditor", month="2026-11")
    assert "Signed by compliance" in spoken(again)
    assert "All as it should be." in spoken(again)
    assert "not for your role" in spoken(page("access", "reviewer"))
