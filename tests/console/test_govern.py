"""Audit and Admin on the page: verify, export, look at an entry; people and keys."""

from __future__ import annotations

import pytest

from app.evidence.downloads import packages
from app.shell import words
from governance.domain.events import EventKind
from governance.domain.people import Scope, operator
from governance.domain.review import ReasonCode, VerdictOutcome
from governance.services.evidence.read import EventFilter
from governance.store.evidence import queries as audit
from governance.store.people import queries as people
from tests.console.conftest import Page
from tests.console.test_pages import button, listed, spoken, title
from tests.console.world import World


def kinds(world: World) -> list[str]:
    with world.application.database.read() as connection:
        return [event.kind for event in audit.events(connection, EventFilter(), limit=500)]


def test_events_are_sentences_with_actors(world: World, page: Page) -> None:
    case = world.case()
    world.application.review.claim(world.people["reviewer"], case)
    said = listed(page("audit", "auditor"))
    assert [row["What happened"] for row in said][:2] == [
        f"reviewer claimed case {case} (Document carries instructions)",
        f"Case {case} was opened: Document carries instructions",
    ]
    only = listed(page("audit", "auditor", show="Verdicts"))
    assert {row["Kind"] for row in only} == {"Claim"}


def test_a_verdict_reads_whole_in_the_trail_and_in_the_history_of_its_case(world: World, page: Page) -> None:
    case = world.case(severity="low")
    review, who = world.application.review, world.people["reviewer"]
    claim = review.claim(who, case)
    review.decide(
        who, case, claim.lease_token, outcome=VerdictOutcome.VIOLATION, reason=ReasonCode.HARM, note="as it says"
    )
    said = f"reviewer decided case {case} as violation (harm)"
    assert listed(page("audit", "auditor", show="Verdicts"))[0]["What happened"] == said
    assert said in spoken(page("case", "auditor", id=str(case)))


@pytest.mark.parametrize(("length", "said"), [(1, "1 kB"), (14_300, "14 kB"), (2_440_000, "2.4 MB")])
def test_a_package_has_a_size_that_people_read(length: int, said: str) -> None:
    assert words.size(length) == said


def test_verifying_says_that_nothing_was_altered_and_is_an_event(world: World, page: Page) -> None:
    test = page("audit", "auditor")
    assert "the log waits to be verified" in title(test)
    button(test, "Verify now").click().run()
    assert "Nothing was altered, removed, reordered or added later" in spoken(test)
    assert EventKind.AUDIT_VERIFIED in kinds(world)
    assert {m.label: m.value for m in page("overview", "auditor").metric}.get("Audit log") in (None, "Intact")


def test_a_changed_entry_is_found_and_said(world: World, page: Page) -> None:
    world.case()
    with world.application.database.write() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_event_no_update")
        for (name,) in tx.connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_event'"
        ).all():
            tx.connection.exec_driver_sql(f"DROP TRIGGER {name}")
        tx.connection.exec_driver_sql("UPDATE audit_event SET actor = 'person:999' WHERE seq = 1")
    test = page("audit", "auditor")
    button(test, "Verify now").click().run()
    assert "The log was tampered with, or is damaged" in spoken(test)


def test_a_package_is_made_by_who_may_export(world: World, page: Page) -> None:
    world.case()
    admin = button(page("audit", "admin"), "Make the package")
    assert admin.disabled
    assert admin.help == "Compliance officers and auditors export evidence"
    test = page("audit", "compliance_officer")
    button(test, "Make the package").click().run()
    assert not test.exception
    assert EventKind.EXPORT_MADE in kinds(world)
    token = test.session_state["package"]
    officer = world.people["compliance_officer"]
    made = packages.waiting(token, officer.id)
    assert made is not None
    assert not [one for one in world.application.data_dir.iterdir() if one.stat().st_size == made.size], (
        "it has no name"
    )
    packages.drop(token)
    test.run()
    assert "was downloaded, or is over" in spoken(test)


def test_a_case_gives_its_evidence_to_who_may_export(world: World, page: Page) -> None:
    number = world.case(system="Claims assistant")
    reviewer = page("case", "reviewer", id=str(number))
    assert "Make the package" not in [one.label for one in reviewer.button]
    officer = page("case", "compliance_officer", id=str(number))
    (make,) = [one for one in officer.button if one.label == "Make the package"]
    made = make.click().run()
    assert not made.exception, [one.value for one in made.exception]
    package = packages.waiting(made.session_state[f"package-{number}"], world.people["compliance_officer"].id)
    assert package is not None
    assert package.system == "Claims assistant"
    assert not package.empty
    packages.drop(package.token)


def test_a_key_is_shown_once(world: World, page: Page) -> None:
    test = page("admin", "admin")
    button(test, "Make an API key").click().run()
    # AppTest runs the whole script each time: the dialog is opened again with each step.
    test.multiselect(key="key-scopes").set_value(["Ingest: send calls"])
    button(test, "Make an API key").click().run()
    test.button(key="key-go").click()
    button(test, "Make an API key").click().run()
    assert not test.exception
    secrets = [code.value for code in test.code if code.value.startswith("gov_")]
    assert len(secrets) == 1
    assert "shown this one time" in spoken(test)
    test.run()
    assert not [code for code in test.code if code.value.startswith("gov_")]
    with world.application.database.read() as connection:
        (key,) = people.keys(connection)
    assert key.scopes == ("ingest",)


def test_nobody_changes_their_own_access(world: World, page: Page) -> None:
    own = page("admin", "admin").button(key=f"roles-of-{world.people['admin'].id}")
    assert own.disabled
    assert own.help == "Somebody else must change your own access"


def test_a_reveal_is_recorded_before_the_text_is_shown(world: World, page: Page) -> None:
    case = world.case()
    test = page("case", "senior_reviewer", id=str(case))
    assert EventKind.CONTENT_REVEALED not in kinds(world)
    button(test, "Show original text").click().run()
    test.selectbox(key=f"reveal-why-{case}").set_value("Fraud check")
    button(test, "Show original text").click().run()
    button(test, "Show for 5 minutes").click()
    button(test, "Show original text").click().run()
    assert not test.exception
    assert EventKind.CONTENT_REVEALED in kinds(world)
    again = page("case", "senior_reviewer", id=str(case))
    assert "Original text, hidden again in" in spoken(again)
    said = listed(page("audit", "compliance_officer", show="Reveals"))
    assert [row["What happened"] for row in said] == [
        f"senior_reviewer revealed the original text of case {case}: “Fraud check”"
    ]


def test_an_act_at_the_command_line_names_who_did_it(world: World, page: Page) -> None:
    world.application.keys.create(operator("ops-night"), [Scope.READ])
    said = listed(page("audit", "auditor", show="Access"))
    assert said[0]["What happened"] == "ops-night at the command line made API key 1 to read redacted calls"
