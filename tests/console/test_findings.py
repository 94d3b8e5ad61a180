"""Findings about the log on the pages: an alarm that no click on "Verify now" wipes."""

from __future__ import annotations

import pytest
import streamlit as st

from governance.audit.note import Checkpoint
from governance.services.evidence import verify
from tests.console.conftest import Page
from tests.console.test_pages import button, spoken, title
from tests.console.world import World


def test_verify_now_wipes_no_finding_and_an_officer_answers_for_it(
    world: World, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "check_state", lambda snapshot: ())  # this world is written by SQL, past the log
    world.case()
    application, auditor = world.application, world.people["auditor"]
    signer = application.signer
    longer = signer.sign(Checkpoint(signer.name, 10_000, b"\x01" * 32).text)
    assert not application.verify.verify(auditor, kept=longer).ok
    test = page("audit", "auditor")
    button(test, "Verify now").click().run()
    assert title(test) == "1 finding about the log that nobody answers for"
    assert "The log was cut" in spoken(test)
    assert "Nothing was altered" not in spoken(test)
    assert button(test, "Acknowledge").disabled, "an auditor looks on"
    overview = page("overview", "auditor")
    assert "1 finding about the audit log waits." in spoken(overview)
    test = page("audit", "compliance_officer")
    button(test, "Acknowledge").click().run()
    test.text_area(key="finding-note").input("The backup of Friday was put back.")
    button(test, "Acknowledge").click().run()  # here a whole run draws the dialog; in a browser a run of its own does
    test.button(key="acknowledge").click()
    button(test, "Acknowledge").click().run()
    assert not test.exception
    assert "compliance_officer: The backup of Friday was put back." in spoken(test)
    assert title(test) == "Every action is recorded and sealed"
    st.cache_data.clear()  # its figures are some seconds old
    assert "1 finding" not in spoken(page("overview", "auditor"))
