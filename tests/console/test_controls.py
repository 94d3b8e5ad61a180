"""The page Controls: what policies are mapped to, gaps, and the report to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from app.policies import controls
from governance.domain.people import Role, RoleBinding
from governance.errors import Refused
from governance.policy.load import load
from governance.services.policies.controls.report import ReportForm
from tests.console.conftest import Page
from tests.console.test_pages import listed, spoken, title
from tests.console.world import World
from tests.policy.samples import GOOD


@pytest.fixture
def mapped(world: World, tmp_path: Path) -> World:
    """One policy in force, mapped to LLM01."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "direct.yaml").write_text(GOOD)
    world.application.rollout.ensure(lambda: load(folder))
    return world


def button(test: Any) -> Any:
    (found,) = test.get("download_button")
    return found.proto


def test_before_the_first_start_the_page_says_so(world: World, page: Page) -> None:
    assert title(page("controls", "engineer")) == "No policy is in force yet"


def test_the_page_says_what_is_mapped_and_where_the_gaps_are(mapped: World, page: Page) -> None:
    drawn = page("controls", "reviewer", framework="OWASP LLM", control="LLM01")
    assert title(drawn).startswith("1 of ")
    rows = {row["Control"]: row for row in listed(drawn)}
    assert "LLM03" not in rows, "the supply chain is not for policies"
    assert (rows["LLM01"]["Policies"], rows["LLM01"]["Tests"], rows["LLM01"]["Gap"]) == ("1", "2", "No hits")
    assert rows["LLM09"]["Gap"] == "No policy"
    said = spoken(drawn)
    assert "governance export --policy injection.direct --since 2026-10-25 --until 2026-11-24" in said
    assert "None of its policies fired in the period." in said
    assert "not that the control is met" in said
    every = page("controls", "reviewer", framework="ISO/IEC 42001", show="All")
    assert len(listed(every)) == 38
    odd = page("controls", "reviewer", framework="SOC 2", show="Everything", x="1")
    assert spoken(odd).count("which is not among") == 2
    assert "which this page does not know" in spoken(odd)


def test_who_may_export_evidence_takes_the_report_away(mapped: World, page: Page) -> None:
    assert button(page("controls", "reviewer")).disabled
    assert not button(page("controls", "auditor")).disabled


def test_the_file_is_made_for_who_is_signed_in_when_it_is_asked_for(
    mapped: World, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = mapped.token["auditor"]
    monkeypatch.setattr(st, "user", {"session": token})
    policy_set = mapped.application.rollout.in_force()
    assert policy_set is not None
    make = controls.file(policy_set, 30, ReportForm.CSV)
    assert b"injection.direct" in make()
    rows = listed(page("audit", "auditor", show="Exports"))
    assert [row["What happened"] for row in rows] == ["auditor took a report of controls away (CSV)"]
    mapped.application.sessions.close(token)
    with pytest.raises(Refused):
        make()


def test_figures_are_those_of_the_readers_systems(mapped: World, page: Page) -> None:
    mapped.person("bound", RoleBinding(role=Role.REVIEWER, system="Claims assistant"))
    assert title(page("controls", "bound")).startswith("1 of ")
